/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings, in the order of the cookies. Some entries at a time are copied under the lock, then given out
 * without it: who takes them may call the file system, and a slow one holds nobody up. Since a cookie is a
 * hash of the name, names that are made meanwhile come where they come, and every walk ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_parts.h"

#define BATCH 64u

struct batch {
	size_t count;
	bool ended;
	struct listed {
		struct vfs_entry entry;
		struct vfs_attributes values;
		char name[VFS_NAME_MAX + 1];
	} list[BATCH];
};

int live_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	struct live *l = live_of(fs);
	struct live_node *d;
	vfs_handle opened;
	int r = live_enter(l, ino, false, &d);

	if (r == 0)
		r = live_handle_new(l, d, LIVE_LISTING, &opened);
	if (r == 0)
		*handle = opened;
	pthread_rwlock_unlock(&l->tree);
	return r;
}

int live_fsyncdir(struct vfs *fs, uint64_t ino)
{
	struct live *l = live_of(fs);
	struct live_node *n;
	int r;

	live_lock(l, false);
	r = live_get(l, ino, &n);
	if (r == 0 && !S_ISDIR(n->type))
		r = -ENOTDIR;
	pthread_rwlock_unlock(&l->tree);
	return r < 0 || !l->journal ? r : journal_sync(l->journal);
}

static struct listed *put(struct batch *b, const char *name, size_t size, uint64_t cookie)
{
	struct listed *to = &b->list[b->count++];

	to->entry = (struct vfs_entry){.name = to->name, .name_size = size, .cookie = cookie};
	memcpy(to->name, name, size);
	to->name[size] = 0;
	return to;
}

static void put_dots(struct batch *b, const struct live_node *d, uint64_t cookie)
{
	const struct live_node *parent = d->names ? d->names->directory : d;
	struct listed *to;

	if (cookie < LIVE_COOKIE_SELF) {
		to = put(b, ".", 1, LIVE_COOKIE_SELF);
		to->entry.ino = d->ino;
		to->entry.type = S_IFDIR;
	}
	if (cookie < LIVE_COOKIE_PARENT) {
		to = put(b, "..", 2, LIVE_COOKIE_PARENT);
		to->entry.ino = parent->ino;
		to->entry.type = S_IFDIR;
	}
}

static uint32_t type_of(uint8_t kind)
{
	static const uint32_t types[] = {[ENTRY_FILE] = S_IFREG,
		[ENTRY_DIRECTORY] = S_IFDIR,
		[ENTRY_SYMLINK] = S_IFLNK,
		[ENTRY_FIFO] = S_IFIFO,
		[ENTRY_SOCKET] = S_IFSOCK,
		[ENTRY_CHARACTER] = S_IFCHR,
		[ENTRY_BLOCK] = S_IFBLK};

	return kind < sizeof types / sizeof *types ? types[kind] : 0;
}

/* What cannot be read comes without attributes. */
static void put_name(struct live *l, struct batch *b, struct live_name *n, bool attributes)
{
	struct listed *to = put(b, n->name, n->size, n->cookie);
	struct live_node *node = n->node;

	if (attributes && live_node_of(l, n, &node) == 0) {
		live_look_up(node, &to->values);
		to->entry.attributes = &to->values;
	}
	to->entry.ino = node ? node->ino : live_ino(n->id);
	to->entry.type = type_of(n->kind);
}

static int fill(
	struct live *l, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes, struct batch *b)
{
	struct live_node *d;
	struct live_name *n;
	/* Attributes may make nodes. */
	int r = live_enter(l, ino, attributes, &d);

	b->count = 0;
	if (r == 0 && handle != VFS_NO_HANDLE && !live_handle_is(l, d, handle, LIVE_LISTING, NULL))
		r = -EBADF;
	if (r == 0) {
		put_dots(b, d, cookie);
		n = live_names_after(&d->directory.names, cookie < LIVE_COOKIE_PARENT ? 0 : cookie);
		for (; n && b->count < BATCH; n = live_names_after(&d->directory.names, n->cookie))
			put_name(l, b, n, attributes);
		b->ended = !n;
	}
	pthread_rwlock_unlock(&l->tree);
	return r;
}

/* Gives them out; those that are not taken are forgotten. True: there may be more to come. */
static bool give(struct live *l, struct batch *b, uint64_t *cookie, vfs_entry_call *take, void *context)
{
	bool full = false;

	for (size_t i = 0; i < b->count; i++) {
		struct listed *e = &b->list[i];

		if (!full && take(context, &e->entry))
			full = true;
		if (!full)
			*cookie = e->entry.cookie;
		else if (e->entry.attributes)
			live_forget(&l->fs, e->entry.ino, 1);
	}
	return !full && !b->ended;
}

int live_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	_cleanup_free_ struct batch *b = malloc(sizeof *b);
	struct live *l = live_of(fs);
	int r, first = 1;

	if (!b)
		return -ENOMEM;
	do {
		r = fill(l, ino, handle, cookie, attributes, b);
		/* A directory that was removed has ended. */
		if (r < 0)
			return r == -ENOENT && !first ? 0 : r;
		first = 0;
	} while (give(l, b, &cookie, take, context));
	return 0;
}
