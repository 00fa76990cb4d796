/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is removed. Where a lower shows the name, too, a whiteout is left: a ".wh." file comes before the
 * entry goes, a device takes its place in one rename, so that the lower's object never comes back.
 */
#include <errno.h>

#include "vfs/overlay/overlay_parts.h"

/* An upper directory may have whiteouts in it, though it is empty in the union. */
static int remove_entry(struct overlay *fs, uint64_t directory, const char *name, bool is_directory)
{
	struct vfs *upper = overlay_upper(fs);
	char temp[OVERLAY_TEMP_MAX];
	int r;

	if (!is_directory)
		return vfs_unlink(upper, directory, name);
	r = vfs_rmdir(upper, directory, name);
	if (r != -ENOTEMPTY && r != -EEXIST)
		return r;
	overlay_temp_name(fs, temp);
	r = vfs_rename(upper, directory, name, fs->work, temp, 0);
	if (r == 0)
		overlay_discard(fs, fs->work, temp); /* otherwise swept later */
	return r;
}

/* An entry becomes a device 0:0. */
static int replace_by_device(struct overlay *fs, uint64_t directory, const char *name, bool is_directory)
{
	struct vfs *upper = overlay_upper(fs);
	char temp[OVERLAY_TEMP_MAX];
	struct vfs_attributes a;
	int r;

	overlay_temp_name(fs, temp);
	r = vfs_mknod(upper, &fs->own, fs->work, temp, S_IFCHR | 0600, 0, 0, &a);
	if (r < 0)
		return r;
	vfs_forget(upper, a.ino, 1);
	r = vfs_rename(upper, fs->work, temp, directory, name, is_directory ? VFS_EXCHANGE : 0);
	if (r < 0 || is_directory)
		overlay_discard(fs, fs->work, temp);
	return r;
}

static int take_away(struct overlay_node *directory, const char *name, bool here, bool is_directory)
{
	struct overlay *fs = directory->fs;
	int below = directory->lower_count ? overlay_below(directory, name) : 0, r;
	uint64_t upper;

	if (below < 0)
		return below;
	r = overlay_raise_directory(directory);
	if (r < 0)
		return r;
	upper = atomic_load(&directory->upper);
	if (below && here && overlay_marks_by_device(fs, name))
		return replace_by_device(fs, upper, name, is_directory);
	if (below)
		r = overlay_write_whiteout(fs, upper, name);
	return r < 0 || !here ? r : remove_entry(fs, upper, name, is_directory);
}

int overlay_unlink(struct vfs *vfs, uint64_t parent, const char *name)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *directory = NULL, *node = NULL;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	_cleanup_tree_ struct overlay *held = NULL;
	int r = overlay_get_directory(fs, parent, &directory);

	if (r < 0)
		return r;
	held = overlay_tree_write(fs);
	r = overlay_find(directory, name, &f);
	if (r == 0 && S_ISDIR(f.top.mode))
		r = -EISDIR;
	if (r == 0)
		r = overlay_enter(fs, &f, NULL, NULL, &node);
	if (r == 0)
		r = take_away(directory, name, f.here, false);
	if (r < 0)
		return r;
	if (!f.here)
		overlay_cover(node);
	if (overlay_is_placed(node, directory, name))
		overlay_place(node, NULL, NULL, false);
	overlay_drop_unnamed(node);
	return 0;
}

int overlay_rmdir(struct vfs *vfs, uint64_t parent, const char *name)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *directory = NULL, *node = NULL;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	_cleanup_tree_ struct overlay *held = NULL;
	int r = overlay_get_directory(fs, parent, &directory);

	if (r < 0)
		return r;
	held = overlay_tree_write(fs);
	r = overlay_find(directory, name, &f);
	if (r == 0 && !S_ISDIR(f.top.mode))
		r = -ENOTDIR;
	if (r == 0)
		r = overlay_enter(fs, &f, directory, name, &node);
	if (r == 0)
		r = overlay_is_empty(node);
	if (r >= 0)
		r = r ? take_away(directory, name, f.here, true) : -ENOTEMPTY;
	if (r < 0)
		return r;
	atomic_store(&node->removed, true);
	overlay_place(node, NULL, NULL, false);
	return 0;
}
