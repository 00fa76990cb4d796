/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mcfs/overlay.h"

#include <errno.h>

#include "vfs/erofs/erofs.h"
#include "vfs/native/native.h"
#include "vfs/overlay/overlay.h"

/* Looks up a directory of the upper file system, and makes it where it is missing. */
static int find_part(
	struct vfs *upper, const char *name, struct vfs_attributes *part, bool *made, struct error *err)
{
	const struct vfs_caller root = {0};
	int r = vfs_lookup(upper, VFS_ROOT, name, part);

	*made = r == -ENOENT;
	if (r == -ENOENT)
		r = vfs_mkdir(upper, &root, VFS_ROOT, name, 0755, part);
	return r < 0 ? error_errno(err, -r, "make '%s' for what the sandbox writes", name) : 0;
}

/* The root of the union has its upper's owner, mode and time: before anything runs these become the image's.
 */
static int adopt_root(struct vfs *image, struct vfs *upper, uint64_t directory, struct error *err)
{
	const struct vfs_caller root = {0};
	struct vfs_attributes a;
	int r = vfs_getattr(image, VFS_ROOT, VFS_NO_HANDLE, &a);

	if (r == 0)
		r = vfs_setattr(upper, &root, directory, VFS_NO_HANDLE, &a, VFS_SET_UID | VFS_SET_GID, &a);
	if (r == 0)
		r = vfs_getattr(image, VFS_ROOT, VFS_NO_HANDLE, &a);
	if (r == 0)
		r = vfs_setattr(upper, &root, directory, VFS_NO_HANDLE, &a, VFS_SET_MODE | VFS_SET_MTIME, &a);
	return r < 0 ? error_errno(err, -r, "take over the owner and the mode of the image's root") : 0;
}

/* As the kernel's overlayfs marks what is removed, so that a guest can read the upper directory as that of
 * its own disk; where the host's file system has no xattrs for that, as layers do. */
static enum overlay_form choose_form(struct vfs *upper, uint64_t directory)
{
	static const char name[] = "user.monocore";

	if (vfs_setxattr(upper, directory, name, "", 0, 0) < 0)
		return OVERLAY_OCI;
	vfs_removexattr(upper, directory, name);
	return OVERLAY_KERNEL;
}

static int open_upper(int directory, struct vfs *image, struct overlay_options *o, struct error *err)
{
	const struct native_options n = {.directory = directory, .owners = NATIVE_OVERRIDE};
	struct vfs_attributes upper, work;
	bool made, unused;
	int r = native_new(&n, &o->upper.fs, err);

	if (r == 0)
		r = find_part(o->upper.fs, "upper", &upper, &made, err);
	if (r == 0 && made)
		r = adopt_root(image, o->upper.fs, upper.ino, err);
	if (r == 0)
		r = find_part(o->upper.fs, "work", &work, &unused, err);
	if (r < 0)
		return r;
	o->upper.directory = upper.ino;
	o->work = work.ino;
	o->form = choose_form(o->upper.fs, upper.ino);
	return 0;
}

int mcfs_open_overlay(int directory, int image, bool unsynced, struct vfs **fs, struct error *err)
{
	struct overlay_layer lower = {.directory = VFS_ROOT};
	struct overlay_options o = {.lowers = &lower, .lower_count = 1, .unsynced = unsynced};
	int r = erofs_new(image, &lower.fs, err);

	if (r == 0 && directory >= 0)
		r = open_upper(directory, lower.fs, &o, err);
	return r == 0 ? overlay_new(&o, fs, err) : r;
}
