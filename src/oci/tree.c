/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE_BYTES (256u << 10)

struct arena_page {
	struct arena_page *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};

void tree_free(struct tree *t)
{
	for (struct arena_page *p = t->pages, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	t->pages = NULL;
}

void *tree_memory(struct tree *t, size_t n)
{
	struct arena_page *page = t->pages;

	n = (n + 15) & ~(size_t)15;
	if (!page || page->size - page->used < n) {
		size_t size = n > PAGE_BYTES ? n : PAGE_BYTES;

		page = malloc(sizeof *page + size);
		if (!page)
			return NULL;
		page->next = t->pages;
		page->used = 0;
		page->size = size;
		t->pages = page;
		t->bytes += size;
	}
	page->used += n;
	return page->bytes + page->used - n;
}

char *tree_text(struct tree *t, const char *text, size_t n)
{
	char *copy = tree_memory(t, n + 1);

	if (copy) {
		memcpy(copy, text, n);
		copy[n] = 0;
	}
	return copy;
}

static uint32_t next_random(struct tree *t)
{
	/* splitmix64 (Steele, Lea and Flood 2014) */
	uint64_t z = t->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(z >> 32);
}

struct node *node_new(struct tree *t, const char *name, size_t n, struct error *err)
{
	struct node *node;

	if (t->nodes >= t->limit) {
		error_set(err, ERROR_LIMIT,
			"over %llu files and directories: raise entries in MONOCORE_IMAGE_LIMITS",
			(unsigned long long)t->limit);
		return NULL;
	}
	node = tree_memory(t, sizeof *node + n);
	if (!node) {
		error_no_memory(err, "tree of the root file system");
		return NULL;
	}
	memset(node, 0, sizeof *node);
	if (n)
		memcpy(node->name, name, n);
	node->entry.name = node->name;
	node->entry.name_size = (uint16_t)n;
	node->priority = next_random(t);
	t->nodes++;
	return node;
}

static int compare(const struct node *node, const char *name, size_t n)
{
	size_t m = node->entry.name_size;
	int order = memcmp(name, node->name, n < m ? n : m);

	return order ? order : (n > m) - (n < m);
}

struct node *node_find(const struct node *parent, const char *name, size_t n)
{
	struct node *at = parent->children;

	while (at) {
		int order = compare(at, name, n);

		if (order == 0)
			return at;
		at = order < 0 ? at->left : at->right;
	}
	return NULL;
}

/* Parts the treap at `at` into what sorts before `node` and behind it. */
static void split(struct node *at, const struct node *node, struct node **before, struct node **behind)
{
	while (at) {
		if (compare(at, node->name, node->entry.name_size) < 0) {
			*behind = at;
			behind = &at->left;
			at = at->left;
		} else {
			*before = at;
			before = &at->right;
			at = at->right;
		}
	}
	*before = *behind = NULL;
}

static void live_changed(struct node *n, bool was)
{
	while (n->parent && node_is_live(n) != was) {
		struct node *parent = n->parent;

		was = node_is_live(parent);
		parent->live += node_is_live(n) ? 1u : -1u;
		n = parent;
	}
}

void node_attach(struct node *parent, struct node *child)
{
	struct node **at = &parent->children;

	while (*at && (*at)->priority >= child->priority)
		at = compare(*at, child->name, child->entry.name_size) < 0 ? &(*at)->left : &(*at)->right;
	split(*at, child, &child->left, &child->right);
	*at = child;
	child->parent = parent;
	live_changed(child, false);
}

struct node *node_make(struct tree *t, struct node *parent, const char *name, size_t n, struct error *err)
{
	struct node *child = node_find(parent, name, n);

	if (child)
		return child;
	child = node_new(t, name, n, err);
	if (child)
		node_attach(parent, child);
	return child;
}

bool file_is_directory(const struct file *f)
{
	return S_ISDIR(f->inode.mode);
}

bool file_is_symlink(const struct file *f)
{
	return S_ISLNK(f->inode.mode);
}

void node_set_file(struct node *n, struct file *f, uint32_t layer)
{
	bool was = node_is_live(n);

	if (f)
		f->references++;
	if (n->file)
		n->file->references--;
	n->file = f;
	n->layer = layer;
	live_changed(n, was);
}

/* Turns a treap into a list through `right` by rotations, without a stack. */
static struct node *flatten(struct node *treap)
{
	struct node *list = treap, **at = &list;

	while (*at) {
		struct node *n = *at, *left = n->left;

		if (!left) {
			at = &n->right;
			continue;
		}
		n->left = left->right;
		left->right = n;
		*at = left;
	}
	return list;
}

struct node *node_take_children(struct node *n)
{
	struct node *list = flatten(n->children);
	bool was = node_is_live(n);

	n->children = NULL;
	n->live = 0;
	live_changed(n, was);
	for (struct node *child = list; child; child = child->right)
		child->parent = NULL;
	return list;
}

void node_drop_list(struct node *list)
{
	/* Lists of grandchildren are put in front, so the depth costs no stack. */
	while (list) {
		struct node *n = list, *beneath = flatten(n->children), *end = beneath;

		list = n->right;
		if (n->file)
			n->file->references--;
		n->file = NULL;
		n->children = NULL;
		if (!beneath)
			continue;
		while (end->right)
			end = end->right;
		end->right = list;
		list = beneath;
	}
}

/* The next node in an order where every node comes before those beneath it. */
static struct node *next_node(struct node *n, const struct node *top)
{
	if (n->children) {
		for (n = n->children; n->left;)
			n = n->left;
		return n;
	}
	while (n != top) {
		struct node *parent = n->parent, *after = NULL;
		struct node *at = parent->children;

		/* The sibling behind n: the last place where the way down to n went left. */
		if (n->right) {
			for (after = n->right; after->left;)
				after = after->left;
			return after;
		}
		while (at != n) {
			bool before = compare(at, n->name, n->entry.name_size) < 0;

			after = before ? at : after;
			at = before ? at->left : at->right;
		}
		if (after)
			return after;
		n = parent;
	}
	return NULL;
}

void node_prune(struct node *top, uint32_t floor)
{
	for (struct node *n = top; n; n = next_node(n, top))
		if (n->file && n->layer < floor)
			node_set_file(n, NULL, 0);
}

const char *node_path(const struct node *n, char *out, size_t size)
{
	size_t at = size - 1;

	out[at] = 0;
	for (; n->parent; n = n->parent) {
		size_t need = n->entry.name_size + 1u;

		if (need > at) {
			if (at >= 3)
				memcpy(out + at - 3, "...", 3);
			at -= at >= 3 ? 3 : 0;
			break;
		}
		at -= need;
		out[at] = '/';
		memcpy(out + at + 1, n->name, n->entry.name_size);
	}
	memmove(out, out + at, size - at);
	return *out ? out : "/";
}
