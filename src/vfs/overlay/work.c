/* SPDX-License-Identifier: Apache-2.0 */
/* The work directory: names for what is being made, and what is left there is removed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define INDEX     "index"
#define DEPTH_MAX 64

void overlay_temp_name(struct overlay *fs, char name[OVERLAY_TEMP_MAX])
{
	snprintf(name, OVERLAY_TEMP_MAX, "t%llx",
		(unsigned long long)atomic_fetch_add_explicit(&fs->temps, 1, memory_order_relaxed));
}

struct first {
	char name[VFS_NAME_MAX + 1];
	uint64_t cookie;
	const char *but;
	bool found;
};

static int take_first(void *context, const struct vfs_entry *entry)
{
	struct first *f = context;

	if (f->found)
		return 1;
	f->cookie = entry->cookie;
	if (entry->name_size == 0 || entry->name_size > VFS_NAME_MAX)
		return 0;
	memcpy(f->name, entry->name, entry->name_size);
	f->name[entry->name_size] = 0;
	f->found = strcmp(f->name, ".") && strcmp(f->name, "..") && strcmp(f->name, f->but);
	return 0;
}

static int discard(struct overlay *fs, uint64_t directory, const char *name, unsigned depth);

/* All but one name (or ""). */
static int empty(struct overlay *fs, uint64_t directory, const char *but, unsigned depth)
{
	struct first f = {.but = but};
	int r;

	do {
		f.found = false;
		r = vfs_readdir(overlay_upper(fs), directory, VFS_NO_HANDLE, f.cookie, false, take_first, &f);
		if (r == 0 && f.found)
			r = discard(fs, directory, f.name, depth);
	} while (r == 0 && f.found);
	return r;
}

static int discard(struct overlay *fs, uint64_t directory, const char *name, unsigned depth)
{
	struct vfs *upper = overlay_upper(fs);
	struct vfs_attributes a;
	int r = vfs_lookup(upper, directory, name, &a);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!S_ISDIR(a.mode))
		r = vfs_unlink(upper, directory, name);
	else if (depth == 0)
		r = -ELOOP;
	else {
		r = empty(fs, a.ino, "", depth - 1);
		if (r == 0)
			r = vfs_rmdir(upper, directory, name);
	}
	vfs_forget(upper, a.ino, 1);
	return r;
}

int overlay_discard(struct overlay *fs, uint64_t directory, const char *name)
{
	return discard(fs, directory, name, DEPTH_MAX);
}

int overlay_work_open(struct overlay *fs, uint64_t work)
{
	struct vfs *upper = overlay_upper(fs);
	struct vfs_attributes a;
	int r = vfs_lookup(upper, work, INDEX, &a);
	bool is_new = r == -ENOENT;

	fs->work = work;
	if (is_new)
		r = vfs_mkdir(upper, &fs->own, work, INDEX, 0700, &a);
	if (r < 0)
		return r;
	fs->index = a.ino;
	if (!S_ISDIR(a.mode))
		return -ENOTDIR;
	if (is_new)
		r = overlay_set_pure(fs);
	if (r < 0)
		return r;
	atomic_store(&fs->copies, !is_new && !overlay_is_pure(fs));
	r = empty(fs, work, INDEX, DEPTH_MAX);
	return r < 0 ? r : overlay_sweep_index(fs);
}
