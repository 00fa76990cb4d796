/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hard links to files of older layers: the path is looked up in each older layer when that ends, until one
 * of them has it. A symbolic link on the way is followed as far as the layer tells; the rest of the path
 * waits for the next. The lookup sees the layers older than the link's own, whatever newer ones hide.
 */
#include <string.h>

#include "oci/merge_parts.h"

#define PATH_BYTES 8192u

struct lookup {
	struct merge *m;
	const struct file *link;
	struct node *at; /* NULL: the layer does not have it, older ones may */
	bool cut;        /* the layer hides what older ones have there */
	unsigned links;
	char path[PATH_BYTES]; /* walked so far */
	size_t size;
	char rest[PATH_BYTES]; /* still to walk */
};

static int dangling(const struct lookup *l, const char *why, struct error *err)
{
	return error_set(
		err, ERROR_INVALID, "a hard link of a newer layer names %s, which %s", l->link->target, why);
}

static void step_up(struct lookup *l)
{
	while (l->size > 0 && l->path[--l->size] != '/')
		;
	if (l->at && l->at->parent)
		l->at = l->at->parent;
	l->path[l->size] = 0;
}

/* The lookup starts again with the link's target in place of the path so far. */
static int follow_link(struct lookup *l, const char *behind, struct error *err)
{
	const struct erofs_inode *inode = &l->at->file->inode;
	char rest[PATH_BYTES];
	size_t n = (size_t)inode->size, more = strlen(behind), base = 0;

	if (++l->links > MERGE_LINKS_FOLLOWED)
		return dangling(l, "goes through too many symbolic links", err);
	if (inode->bytes[0] != '/') {
		step_up(l);
		base = l->size;
	}
	if (base + n + more + 2 > sizeof rest)
		return dangling(l, "goes through symbolic links that are too long", err);
	memcpy(rest, l->path, base);
	rest[base] = '/';
	memcpy(rest + base + 1, inode->bytes, n);
	memcpy(rest + base + 1 + n, behind, more + 1);
	memcpy(l->rest, rest, base + n + more + 2);
	l->at = l->m->layer;
	l->size = 0;
	l->cut = false;
	return 1;
}

static void note_marks(struct lookup *l, const struct node *n)
{
	if (n->hides > 0 || n->floor > 0)
		l->cut = true;
}

/* One component; 1: the path was rewritten, walk it anew. */
static int step(struct lookup *l, const char *name, size_t n, const char *behind, struct error *err)
{
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		step_up(l);
		return 0;
	}
	if (l->size + n + 2 > sizeof l->path || n > EROFS_NAME_MAX)
		return dangling(l, "is too long", err);
	l->path[l->size] = '/';
	memcpy(l->path + l->size + 1, name, n);
	l->size += n + 1;
	l->path[l->size] = 0;
	if (!l->at)
		return 0;
	l->at = node_find(l->at, name, n);
	if (!l->at)
		return 0;
	note_marks(l, l->at);
	if (!*behind || !l->at->file || file_is_directory(l->at->file))
		return 0;
	if (file_is_symlink(l->at->file))
		return follow_link(l, behind, err);
	return dangling(l, "is beneath something that is not a directory", err);
}

static bool more_to_walk(const char *path)
{
	const char *name;
	size_t n;

	return path_component(&path, &name, &n);
}

static int walk_layer(struct lookup *l, struct error *err)
{
	const char *path, *name;
	size_t n;
	int r;

	do {
		path = l->rest;
		r = 0;
		note_marks(l, l->at);
		while (r == 0 && path_component(&path, &name, &n))
			r = step(l, name, n, more_to_walk(path) ? path : "", err);
	} while (r == 1);
	return r;
}

/* 1: found, 0: an older layer must have it. */
static int look_up(struct merge *m, struct file *link, struct error *err)
{
	struct lookup l = {.m = m, .link = link, .at = m->layer};
	size_t n = strlen(link->target);
	int r;

	if (n >= sizeof l.rest)
		return dangling(&l, "is too long", err);
	memcpy(l.rest, link->target, n + 1);
	r = walk_layer(&l, err);
	if (r < 0)
		return r;
	if (l.at && l.at->file && !file_is_directory(l.at->file)) {
		link->alias = l.at->file;
		link->alias->references++;
		return 1;
	}
	if (l.at && node_is_live(l.at))
		return dangling(&l, "is a directory", err);
	if (l.cut)
		return dangling(&l, "an older layer removes", err);
	if (l.links > 0) {
		link->target = tree_text(&m->tree, l.path, l.size);
		if (!link->target)
			return error_no_memory(err, "hard link");
	}
	return 0;
}

int merge_find_links(struct merge *m, struct error *err)
{
	for (struct file **at = &m->links; *at;) {
		struct file *link = *at;
		int r = link->from == m->number ? 0 : link->references == 0 ? 1 : look_up(m, link, err);

		if (r < 0)
			return r;
		if (r == 1) {
			*at = link->next;
			link->next = NULL;
			m->link_count--;
		} else {
			at = &link->next;
		}
	}
	return 0;
}
