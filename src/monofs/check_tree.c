/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/check_tree.h"

#include <stdlib.h>
#include <string.h>

#include "codec/sha256.h"
#include "monofs/mst_cursor.h"
#include "monofs/walk_path.h"

#define PAIRS_LEAST    1024u
#define PAIRS_PER_NODE 4u

/* A directory that is gone through. */
struct check_frame {
	struct check_frame *above;
	struct mst_cursor content, identity;
	struct object_id nodes[MST_LEVELS]; /* of content, that are open */
	unsigned marked;                    /* so many of them, from the root on, are known to have links */
};

void check_tree_free(struct check_tree *t)
{
	id_set_free(&t->pairs);
	id_set_free(&t->linked);
	id_set_free(&t->again);
	tree_links_free(&t->links);
	buffer_free(&t->path);
}

static const char *path_of(const struct check_tree *t)
{
	return (const char *)t->path.data;
}

static size_t enter(struct check_tree *t, const struct mst_item *item)
{
	return walk_path_enter(&t->path, item->name, item->name_size);
}

static int wrong_name(struct check_tree *t, const struct mst_item *item, const char *why, struct error *err)
{
	size_t before = enter(t, item);

	if (t->path.failed)
		return error_no_memory(err, "check a tree");
	t->wrong(t->context, path_of(t), why);
	walk_path_leave(&t->path, before);
	return 0;
}

/* What cannot be read is told, and is the end only where the repository is not to blame. */
static int unreadable(struct check_tree *t, const struct object_id *id, struct error *err)
{
	if (err->code == ERROR_NO_MEMORY)
		return -(int)ERROR_NO_MEMORY;
	t->unreadable(t->context, id, path_of(t), err);
	return 0;
}

/* ---- what is looked into ---- */

/* There is a link: all nodes that are open lead to it. */
static int mark(struct check_tree *t, struct error *err)
{
	for (struct check_frame *f = t->top; f; f = f->above) {
		if (f->content.depth && f->marked >= f->content.depth)
			break;
		while (f->marked < f->content.depth) {
			int r = id_set_add(&t->linked, &f->nodes[f->marked], NULL, err);

			if (r < 0)
				return r;
			f->marked++;
		}
	}
	return 0;
}

/* What has links is looked into once more in each revision. 1: it is to be. */
static int is_wanted_again(struct check_tree *t, const struct object_id *content, struct error *err)
{
	bool fresh;
	int r = mark(t, err);

	if (r == 0)
		r = id_set_add(&t->again, content, &fresh, err);
	return r < 0 ? r : fresh;
}

/* 1: these two are to be looked into. */
static int is_wanted(struct check_tree *t, const struct object_id *content, const struct object_id *identity,
	struct error *err)
{
	const struct object_id both[2] = {*content, *identity};
	struct object_id pair;
	bool fresh;
	int r = sha256_of(both, sizeof both, pair.bytes, err);

	if (r == 0)
		r = id_set_add(&t->pairs, &pair, &fresh, err);
	if (r < 0)
		return r;
	if (!fresh)
		return id_set_has(&t->linked, content) ? is_wanted_again(t, content, err) : 0;
	t->too_many |= t->pairs.size > t->pairs_most;
	return !t->too_many;
}

/* 1: it cannot be read, and what is behind it in the directory cannot be judged. */
static int open_content(struct check_tree *t, struct check_frame *f, struct error *err)
{
	unsigned depth = f->content.depth;
	struct object_id id = f->content.child.id;

	f->nodes[depth] = id;
	if (f->marked > depth)
		f->marked = depth;
	if (mst_cursor_open(&f->content, err) == 0)
		return 0;
	return unreadable(t, &id, err) < 0 ? -(int)ERROR_NO_MEMORY : 1;
}

static int open_identity(struct check_tree *t, struct check_frame *f, struct error *err)
{
	struct object_id id = f->identity.child.id;

	if (mst_cursor_open(&f->identity, err) == 0)
		return 0;
	return unreadable(t, &id, err) < 0 ? -(int)ERROR_NO_MEMORY : 1;
}

static int open_both(struct check_tree *t, struct check_frame *f, struct error *err)
{
	int r = is_wanted(t, &f->content.child.id, &f->identity.child.id, err);

	if (r == 1) {
		r = open_content(t, f, err);
		return r == 0 ? open_identity(t, f, err) : r;
	}
	mst_cursor_skip(&f->content);
	mst_cursor_skip(&f->identity);
	return r;
}

/* ---- one name ---- */

static int judge_link(struct check_tree *t, const struct entry *e, struct error *err)
{
	int r = mark(t, err);

	if (r < 0)
		return r;
	r = tree_links_judge(&t->links, path_of(t), t->path.size - 1, e, err);
	if (r == 1)
		t->wrong(t->context, path_of(t), err->text);
	/* What cannot be read is told where it is. */
	return r == -(int)ERROR_NO_MEMORY ? r : 0;
}

static int go_through(struct check_tree *t, const struct object_id *content, const struct object_id *identity,
	struct error *err);

static int judge(struct check_tree *t, const struct entry *e, const struct identity *i, struct error *err)
{
	if (e->kind == ENTRY_DIRECTORY)
		return go_through(t, &e->children, &i->children, err);
	if (!object_id_is_none(&i->children))
		t->wrong(t->context, path_of(t), "it is no directory and has children");
	return e->kind == ENTRY_LINK ? judge_link(t, e, err) : 0;
}

/* Entries that are none are told by who goes through objects. */
static int one_name(struct check_tree *t, const struct mst_item *content, const struct mst_item *identity,
	struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	struct identity i;
	size_t before = enter(t, content);
	int r;

	if (t->path.failed)
		return error_no_memory(err, "check a tree");
	r = entry_decode(content->value, content->value_size, &e, err);
	if (r == 0)
		r = identity_decode(identity->value, identity->value_size, &i, err);
	if (r == 0)
		r = judge(t, &e, &i, err);
	else if (r != -(int)ERROR_NO_MEMORY)
		r = 0;
	if (r == 0)
		walk_path_leave(&t->path, before);
	return r;
}

/* ---- directories ---- */

/* Both are at names, or at their ends. */
static int compare(struct check_tree *t, struct mst_cursor *a, struct mst_cursor *b, struct error *err)
{
	const struct mst_item *content = &a->item, *identity = &b->item;
	int order, r;

	if (a->next == MST_END || b->next == MST_END)
		order = a->next == MST_END ? 1 : -1;
	else
		order = mst_compare(content->name, content->name_size, identity->name, identity->name_size);
	if (order < 0)
		r = wrong_name(t, content, "it has no identity", err);
	else if (order > 0)
		r = wrong_name(t, identity, "it has an identity and is not there", err);
	else
		r = one_name(t, content, identity, err);
	if (order <= 0)
		mst_cursor_skip(a);
	if (order >= 0)
		mst_cursor_skip(b);
	return r;
}

static int step(struct check_tree *t, struct check_frame *f, struct error *err)
{
	struct mst_cursor *a = &f->content, *b = &f->identity;

	if (a->next != MST_CHILD && b->next != MST_CHILD)
		return compare(t, a, b, err);
	if (a->next != MST_CHILD)
		return open_identity(t, f, err);
	if (b->next != MST_CHILD)
		return open_content(t, f, err);
	/* Roots say neither their level nor their count. */
	if (a->child.level == b->child.level && a->child.count == b->child.count)
		return open_both(t, f, err);
	return a->child.level >= b->child.level ? open_content(t, f, err) : open_identity(t, f, err);
}

static int go_through(struct check_tree *t, const struct object_id *content, const struct object_id *identity,
	struct error *err)
{
	const struct mst content_map = tree_map(t->r, OBJECT_CONTENT);
	const struct mst identity_map = tree_map(t->r, OBJECT_IDENTITY);
	struct check_frame *f;
	int r = 0;

	/* More are told of by who goes through objects. */
	if (t->depth >= ENTRY_DEPTH_MAX)
		return 0;
	f = calloc(1, sizeof *f);
	if (!f)
		return error_no_memory(err, "check a tree");
	mst_cursor_begin(&f->content, &content_map, content);
	mst_cursor_begin(&f->identity, &identity_map, identity);
	f->above = t->top;
	t->top = f;
	t->depth++;
	while (r == 0 && (f->content.next != MST_END || f->identity.next != MST_END))
		r = step(t, f, err);
	t->depth--;
	t->top = f->above;
	mst_cursor_end(&f->content);
	mst_cursor_end(&f->identity);
	free(f);
	return r < 0 ? r : 0;
}

int check_tree(struct check_tree *t, const struct commit *c, uint64_t nodes_most, struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	struct store *s = repository_store(t->r);
	struct identity i;
	int r;

	t->pairs.width = t->linked.width = t->again.width = 16;
	t->pairs_most = PAIRS_LEAST + PAIRS_PER_NODE * nodes_most;
	t->too_many = false;
	id_set_free(&t->again);
	buffer_clear(&t->path);
	if (!buffer_u8(&t->path, 0))
		return error_no_memory(err, "check a tree");
	/* Roots that cannot be read are told by who goes through objects. */
	if (root_get_content(s, &c->content, &e, err) < 0 || root_get_identity(s, &c->identity, &i, err) < 0)
		return err->code == ERROR_NO_MEMORY ? -(int)ERROR_NO_MEMORY : 0;
	tree_links_begin(&t->links, t->r, &e.children);
	r = go_through(t, &e.children, &i.children, err);
	if (r == 0 && t->too_many)
		t->wrong(t->context, "",
			"names and identities are paired in more ways than there are objects");
	return r;
}
