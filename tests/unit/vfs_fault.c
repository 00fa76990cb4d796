/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs_fault.h"

#include <stdlib.h>

struct fault {
	struct vfs vfs;
	struct vfs *inner;
	_Atomic unsigned calls;
	unsigned at;
	int number;
	bool forever;
};

static struct fault *fault_of(struct vfs *fs)
{
	return (struct fault *)fs;
}

/* Counts a call: whether it fails. */
static bool fails(struct vfs *fs)
{
	struct fault *f = fault_of(fs);
	unsigned call = ++f->calls;

	return f->at && (call == f->at || (f->forever && call > f->at));
}

static void destroy(struct vfs *fs)
{
	free(fs);
}

static void forget_it(struct vfs *fs, uint64_t ino, uint64_t times)
{
	vfs_forget(fault_of(fs)->inner, ino, times);
}

static void release_it(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_release(fault_of(fs)->inner, ino, handle);
}

static void releasedir_it(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_releasedir(fault_of(fs)->inner, ino, handle);
}

static int persist_it(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	struct vfs *inner = fault_of(fs)->inner;

	return fails(fs) ? -fault_of(fs)->number : inner->operations->persist(inner, ino, bytes, room, size);
}

static int lookup_it(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_lookup(fault_of(fs)->inner, parent, name, out);
}

static int getattr_it(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_getattr(fault_of(fs)->inner, ino, handle, out);
}

static int setattr_it(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_setattr(fault_of(fs)->inner, who, ino, handle, values, what, out);
}

static int readlink_it(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	return fails(fs) ? -fault_of(fs)->number : vfs_readlink(fault_of(fs)->inner, ino, target);
}

static int mknod_it(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_mknod(fault_of(fs)->inner, who, parent, name, mode, major, minor, out);
}

static int mkdir_it(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_mkdir(fault_of(fs)->inner, who, parent, name, mode, out);
}

static int symlink_it(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_symlink(fault_of(fs)->inner, who, parent, name, target, out);
}

static int link_it(
	struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_link(fault_of(fs)->inner, ino, parent, name, out);
}

static int unlink_it(struct vfs *fs, uint64_t parent, const char *name)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_unlink(fault_of(fs)->inner, parent, name);
}

static int rmdir_it(struct vfs *fs, uint64_t parent, const char *name)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_rmdir(fault_of(fs)->inner, parent, name);
}

static int rename_it(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_rename(fault_of(fs)->inner, from, name, to, new_name, flags);
}

static int create_it(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_create(fault_of(fs)->inner, who, parent, name, mode, flags, out, handle);
}

static int open_it(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_open(fault_of(fs)->inner, ino, flags, handle);
}

static int64_t read_it(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_read(fault_of(fs)->inner, ino, handle, bytes, size, offset);
}

static int64_t write_it(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_write(fault_of(fs)->inner, ino, handle, bytes, size, offset);
}

static int fsync_it(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_fsync(fault_of(fs)->inner, ino, handle, data_only);
}

static int allocate_it(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_allocate(fault_of(fs)->inner, ino, handle, mode, offset, length);
}

static int64_t seek_it(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_seek(fault_of(fs)->inner, ino, handle, offset, whence);
}

static int opendir_it(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_opendir(fault_of(fs)->inner, ino, handle);
}

static int readdir_it(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_readdir(fault_of(fs)->inner, ino, handle, cookie, attributes, take, context);
}

static int fsyncdir_it(struct vfs *fs, uint64_t ino)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_fsyncdir(fault_of(fs)->inner, ino);
}

static int64_t getxattr_it(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_getxattr(fault_of(fs)->inner, ino, name, value, size);
}

static int setxattr_it(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	return fails(fs) ? -fault_of(fs)->number
			 : vfs_setxattr(fault_of(fs)->inner, ino, name, value, size, flags);
}

static int64_t listxattr_it(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_listxattr(fault_of(fs)->inner, ino, names, size);
}

static int removexattr_it(struct vfs *fs, uint64_t ino, const char *name)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_removexattr(fault_of(fs)->inner, ino, name);
}

static int statfs_it(struct vfs *fs, struct vfs_statistics *out)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_statfs(fault_of(fs)->inner, out);
}

static int resolve_it(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	return fails(fs) ? -fault_of(fs)->number : vfs_resolve(fault_of(fs)->inner, bytes, size, out);
}

static const struct vfs_operations operations = {
	.name = "fault",
	.destroy = destroy,
	.forget = forget_it,
	.release = release_it,
	.releasedir = releasedir_it,
	.persist = persist_it,
	.lookup = lookup_it,
	.getattr = getattr_it,
	.setattr = setattr_it,
	.readlink = readlink_it,
	.mknod = mknod_it,
	.mkdir = mkdir_it,
	.symlink = symlink_it,
	.link = link_it,
	.unlink = unlink_it,
	.rmdir = rmdir_it,
	.rename = rename_it,
	.create = create_it,
	.open = open_it,
	.read = read_it,
	.write = write_it,
	.fsync = fsync_it,
	.allocate = allocate_it,
	.seek = seek_it,
	.opendir = opendir_it,
	.readdir = readdir_it,
	.fsyncdir = fsyncdir_it,
	.getxattr = getxattr_it,
	.setxattr = setxattr_it,
	.listxattr = listxattr_it,
	.removexattr = removexattr_it,
	.statfs = statfs_it,
	.resolve = resolve_it,
};

struct vfs *vfs_fault_new(struct vfs *inner)
{
	struct fault *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->vfs = (struct vfs){.operations = &operations};
	f->inner = inner;
	return &f->vfs;
}

void vfs_fault_at(struct vfs *fs, unsigned at, int number, bool forever)
{
	struct fault *f = fault_of(fs);

	f->calls = 0;
	f->at = at;
	f->number = number;
	f->forever = forever;
}

unsigned vfs_fault_calls(const struct vfs *fs)
{
	return ((const struct fault *)fs)->calls;
}
