/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings. Each entry is looked for by its cookie and copied under the lock, then given out without it: who
 * takes it may call the file system, and a slow one holds nobody up.
 *
 * A walk with a handle ends at the last cookie that there was when it began: what is made or renamed in the
 * meantime cannot make it endless.
 */
#include <errno.h>
#include <string.h>

#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

struct walk {
	struct vfs *fs;
	uint64_t ino, cookie, last;
	bool attributes;
	struct vfs_entry entry;
	struct vfs_attributes values;
	char name[VFS_NAME_MAX + 1];
};

int memory_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	MEMORY_LOCKED(m, fs);
	vfs_handle opened;
	struct memory_node *d;
	int r = memory_get_directory(m, ino, &d);

	if (r == 0)
		r = memory_handle_new(m, d, 0, &opened);
	if (r == 0)
		*handle = opened;
	return r;
}

int memory_fsyncdir(struct vfs *fs, uint64_t ino)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *d;
	int r = memory_get(m, ino, &d);

	return r < 0 ? r : S_ISDIR(d->mode) ? 0 : -ENOTDIR;
}

/* Where the walk is to end; *atime: whether that is to be moved. */
static int begin(struct walk *w, vfs_handle handle, bool *atime)
{
	MEMORY_SHARED(m, w->fs);
	struct memory_handle *h = NULL;
	struct memory_node *d;
	int r = memory_get_directory(m, w->ino, &d);

	if (r < 0)
		return r;
	if (handle != VFS_NO_HANDLE && !(h = memory_handle_find(m, d, handle)))
		return -EBADF;
	if (h && w->cookie == 0)
		h->last_cookie = memory_entries_last_cookie(&d->directory.entries);
	w->last = h ? h->last_cookie : UINT64_MAX;
	*atime = w->cookie == 0 && memory_wants_atime(m, d);
	return 0;
}

static void set_entry(struct walk *w, const char *name, const struct memory_node *node, uint64_t cookie)
{
	w->entry = (struct vfs_entry){.name = w->name,
		.name_size = strlen(name),
		.ino = node->ino,
		.type = node->mode & S_IFMT,
		.cookie = cookie};
	memcpy(w->name, name, w->entry.name_size + 1);
}

/* The next entry, looked up where attributes are wanted. 0: there is none. */
static int next(struct walk *w)
{
	MEMORY_SHARED(m, w->fs);
	struct memory_entry *entry;
	struct memory_node *d;

	if (memory_get_directory(m, w->ino, &d) < 0)
		return 0;
	if (w->cookie < MEMORY_COOKIE_PARENT) {
		const struct memory_node *parent = d->directory.parent ? d->directory.parent : d;

		if (w->cookie < MEMORY_COOKIE_SELF)
			set_entry(w, ".", d, MEMORY_COOKIE_SELF);
		else
			set_entry(w, "..", parent, MEMORY_COOKIE_PARENT);
		return 1;
	}
	entry = memory_entries_after(&d->directory.entries, w->cookie);
	if (!entry || entry->cookie > w->last)
		return 0;
	set_entry(w, entry->name, entry->node, entry->cookie);
	if (w->attributes) {
		memory_look_up(entry->node, &w->values);
		w->entry.attributes = &w->values;
	}
	return 1;
}

int memory_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	struct walk w = {.fs = fs, .ino = ino, .cookie = cookie, .attributes = attributes};
	bool atime = false;
	int r = begin(&w, handle, &atime);

	if (r < 0)
		return r;
	if (atime)
		memory_set_atime(fs, ino);
	while (next(&w)) {
		if (take(context, &w.entry)) {
			if (w.entry.attributes)
				memory_forget(fs, w.entry.ino, 1);
			break;
		}
		w.cookie = w.entry.cookie;
	}
	return 0;
}
