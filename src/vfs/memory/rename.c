/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renaming. All that can fail comes first: what must be refused, then the one allocation that a name in
 * another directory needs. Where something is replaced, its entry stays and leads to the new object, so that
 * a listing gives that name once.
 */
#include <errno.h>

#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

struct renaming {
	struct memory *m;
	struct memory_node *from, *to;      /* directories */
	struct memory_entry *entry, *other; /* other: NULL where the new name is free */
	const char *new_name;
};

/* Whether the directory is `above` or beneath it. */
static bool beneath(const struct memory_node *directory, const struct memory_node *above)
{
	while (directory && directory != above)
		directory = directory->directory.parent;
	return directory != NULL;
}

static int judge_replacing(const struct renaming *r)
{
	const struct memory_node *node = r->entry->node, *other = r->other->node;

	if (S_ISDIR(node->mode) && !S_ISDIR(other->mode))
		return -ENOTDIR;
	if (!S_ISDIR(node->mode) && S_ISDIR(other->mode))
		return -EISDIR;
	return S_ISDIR(other->mode) && other->directory.entries.names.size ? -ENOTEMPTY : 0;
}

/* 0, 1 where nothing is to be done, or an errno. The order is Linux's. */
static int judge(const struct renaming *r, unsigned flags)
{
	const struct memory_node *node = r->entry->node;

	if (r->other && flags & VFS_NO_REPLACE)
		return -EEXIST;
	if (!r->other && flags & VFS_EXCHANGE)
		return -ENOENT;
	if (r->from != r->to && S_ISDIR(node->mode) && beneath(r->to, node))
		return -EINVAL;
	if (!r->other)
		return 0;
	if (r->from != r->to && S_ISDIR(r->other->node->mode) && beneath(r->from, r->other->node))
		return flags & VFS_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (r->other->node == node)
		return 1;
	return flags & VFS_EXCHANGE ? 0 : judge_replacing(r);
}

static void move_parent(struct memory_node *node, struct memory_node *from, struct memory_node *to)
{
	if (!S_ISDIR(node->mode))
		return;
	from->links--;
	to->links++;
	node->directory.parent = to;
}

static void exchange(struct renaming *r)
{
	struct memory_node *node = r->entry->node, *other = r->other->node;

	r->entry->node = other;
	r->other->node = node;
	move_parent(node, r->from, r->to);
	move_parent(other, r->to, r->from);
	memory_touch(r->m, other, MEMORY_CHANGED);
}

static void replace(struct renaming *r)
{
	struct memory_node *node = r->entry->node, *gone = r->other->node;

	r->other->node = node;
	memory_entries_remove(&r->from->directory.entries, r->entry, &r->m->budget);
	move_parent(node, r->from, r->to);
	if (S_ISDIR(gone->mode))
		r->to->links--;
	memory_drop_link(r->m, gone);
}

static int move(struct renaming *r)
{
	struct memory_node *node = r->entry->node;
	int error;

	if (r->from == r->to)
		return memory_entries_rename(&r->to->directory.entries, r->entry, r->new_name, &r->m->budget);
	error = memory_entries_add(&r->to->directory.entries, r->new_name, node, &r->m->budget);
	if (error < 0)
		return error;
	memory_entries_remove(&r->from->directory.entries, r->entry, &r->m->budget);
	move_parent(node, r->from, r->to);
	return 0;
}

int memory_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	MEMORY_LOCKED(m, fs);
	struct renaming r = {.m = m, .new_name = new_name};
	struct memory_node *node;
	int error = memory_get_directory(m, from, &r.from);

	if (error == 0)
		error = memory_get_directory(m, to, &r.to);
	if (error < 0)
		return error;
	r.entry = memory_entries_find(&r.from->directory.entries, name);
	if (!r.entry)
		return -ENOENT;
	r.other = memory_entries_find(&r.to->directory.entries, new_name);
	error = judge(&r, flags);
	if (error)
		return error < 0 ? error : 0;
	node = r.entry->node;
	if (flags & VFS_EXCHANGE)
		exchange(&r);
	else if (r.other)
		replace(&r);
	else if ((error = move(&r)) < 0)
		return error;
	memory_touch(m, node, MEMORY_CHANGED);
	memory_touch(m, r.from, MEMORY_MODIFIED);
	if (r.to != r.from)
		memory_touch(m, r.to, MEMORY_MODIFIED);
	return 0;
}
