/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for all file systems: arguments are judged before one is asked. */
#include "vfs/vfs.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

void vfs_destroy(struct vfs *fs)
{
	if (fs)
		fs->operations->destroy(fs);
}

static int check_name(const char *name)
{
	size_t n = strnlen(name, VFS_NAME_MAX + 1);

	if (n > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	return n == 0 || memchr(name, '/', n) || !strcmp(name, ".") || !strcmp(name, "..") ? -EINVAL : 0;
}

/* Of a call that changes something. */
static int check_change(const struct vfs *fs, const char *name)
{
	if (fs->read_only)
		return -EROFS;
	return name ? check_name(name) : 0;
}

int vfs_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	int r = check_name(name);

	return r < 0 ? r : fs->operations->lookup(fs, parent, name, out);
}

void vfs_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	if (ino != VFS_ROOT && times)
		fs->operations->forget(fs, ino, times);
}

int vfs_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	return fs->operations->getattr(fs, ino, handle, out);
}

static bool time_valid(const struct vfs_time *t)
{
	return t->nanoseconds < 1000000000u;
}

int vfs_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	int r = check_change(fs, NULL);

	if (r < 0)
		return r;
	if ((what & VFS_SET_ATIME && !time_valid(&values->atime)) ||
		(what & VFS_SET_MTIME && !time_valid(&values->mtime)))
		return -EINVAL;
	if (what & VFS_SET_SIZE && values->size > INT64_MAX)
		return -EFBIG;
	return fs->operations->setattr(fs, who, ino, handle, values, what, out);
}

int vfs_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	return fs->operations->readlink ? fs->operations->readlink(fs, ino, target) : -ENOSYS;
}

/* ---- names ------------------------------------------------------------------------------------------ */

int vfs_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	int r = check_change(fs, name);
	uint32_t type = mode & S_IFMT;

	if (r < 0)
		return r;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
		return -EINVAL;
	return fs->operations->mknod
		       ? fs->operations->mknod(fs, who, parent, name, mode & ~who->umask, major, minor, out)
		       : -ENOSYS;
}

int vfs_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	struct vfs_attributes *out)
{
	int r = check_change(fs, name);

	if (r < 0)
		return r;
	return fs->operations->mkdir
		       ? fs->operations->mkdir(fs, who, parent, name, mode & 07777 & ~who->umask, out)
		       : -ENOSYS;
}

int vfs_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	size_t n = strnlen(target, VFS_PATH_MAX + 1);
	int r = check_change(fs, name);

	if (r < 0)
		return r;
	if (n == 0 || n > VFS_PATH_MAX)
		return n ? -ENAMETOOLONG : -ENOENT;
	return fs->operations->symlink ? fs->operations->symlink(fs, who, parent, name, target, out)
				       : -ENOSYS;
}

int vfs_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	int r = check_change(fs, name);

	if (r < 0)
		return r;
	return fs->operations->link ? fs->operations->link(fs, ino, parent, name, out) : -ENOSYS;
}

int vfs_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = check_change(fs, name);

	if (r < 0)
		return r;
	return fs->operations->unlink ? fs->operations->unlink(fs, parent, name) : -ENOSYS;
}

int vfs_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	int r = check_change(fs, name);

	if (r < 0)
		return r;
	return fs->operations->rmdir ? fs->operations->rmdir(fs, parent, name) : -ENOSYS;
}

int vfs_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	int r = check_change(fs, name);

	if (r == 0)
		r = check_name(new_name);
	if (r < 0)
		return r;
	if (flags & ~(unsigned)(VFS_NO_REPLACE | VFS_EXCHANGE) || flags == (VFS_NO_REPLACE | VFS_EXCHANGE))
		return -EINVAL;
	return fs->operations->rename ? fs->operations->rename(fs, from, name, to, new_name, flags) : -ENOSYS;
}

/* ---- files ------------------------------------------------------------------------------------------ */

int vfs_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	int r = check_change(fs, name);

	*handle = VFS_NO_HANDLE;
	if (r < 0)
		return r;
	return fs->operations->create ? fs->operations->create(fs, who, parent, name,
						mode & 07777 & ~who->umask, flags, out, handle)
				      : -ENOSYS;
}

int vfs_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	*handle = VFS_NO_HANDLE;
	if (fs->read_only && flags & (VFS_WRITE | VFS_TRUNCATE))
		return -EROFS;
	return fs->operations->open(fs, ino, flags, handle);
}

void vfs_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	if (handle != VFS_NO_HANDLE)
		fs->operations->release(fs, ino, handle);
}

int64_t vfs_read(struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	if (size > VFS_IO_MAX || offset > INT64_MAX)
		return -EINVAL;
	return fs->operations->read(fs, ino, handle, bytes, size, offset);
}

int vfs_map(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size, const void **bytes)
{
	*bytes = NULL;
	if (handle == VFS_NO_HANDLE || offset % VFS_MAP_UNIT || size == 0 || offset > INT64_MAX - size)
		return -EINVAL;
	return fs->operations->map ? fs->operations->map(fs, ino, handle, offset, size, bytes) : -ENOSYS;
}

int64_t vfs_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	int r = check_change(fs, NULL);

	if (r < 0)
		return r;
	if (size > VFS_IO_MAX)
		return -EINVAL;
	if (offset > INT64_MAX - size)
		return -EFBIG;
	return fs->operations->write ? fs->operations->write(fs, ino, handle, bytes, size, offset) : -ENOSYS;
}

int vfs_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	return fs->operations->fsync ? fs->operations->fsync(fs, ino, handle, data_only) : 0;
}

int vfs_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	uint64_t end;
	int r = check_change(fs, NULL);

	if (r < 0)
		return r;
	if (length == 0 || (mode & VFS_PUNCH_HOLE && !(mode & VFS_KEEP_SIZE)) ||
		(mode & VFS_PUNCH_HOLE && mode & VFS_ZERO_RANGE))
		return -EINVAL;
	if (__builtin_add_overflow(offset, length, &end) || end > INT64_MAX)
		return -EFBIG;
	return fs->operations->allocate ? fs->operations->allocate(fs, ino, handle, mode, offset, length)
					: -EOPNOTSUPP;
}

int64_t vfs_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	if (offset > INT64_MAX)
		return -ENXIO;
	return fs->operations->seek ? fs->operations->seek(fs, ino, handle, offset, whence) : -ENOSYS;
}

/* ---- directories ------------------------------------------------------------------------------------ */

int vfs_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	*handle = VFS_NO_HANDLE;
	return fs->operations->opendir(fs, ino, handle);
}

void vfs_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	if (handle != VFS_NO_HANDLE)
		fs->operations->releasedir(fs, ino, handle);
}

int vfs_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	return fs->operations->readdir(fs, ino, handle, cookie, attributes, take, context);
}

int vfs_fsyncdir(struct vfs *fs, uint64_t ino)
{
	return fs->operations->fsyncdir ? fs->operations->fsyncdir(fs, ino) : 0;
}

/* ---- extended attributes ---------------------------------------------------------------------------- */

static int check_attribute(const char *name)
{
	size_t n = strnlen(name, VFS_XATTR_NAME_MAX + 1);

	return n == 0 || n > VFS_XATTR_NAME_MAX ? -ERANGE : 0;
}

int64_t vfs_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	int r = check_attribute(name);

	if (r < 0)
		return r;
	return fs->operations->getxattr ? fs->operations->getxattr(fs, ino, name, value, size) : -EOPNOTSUPP;
}

int vfs_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	int r = check_change(fs, NULL);

	if (r == 0)
		r = check_attribute(name);
	if (r < 0)
		return r;
	if (size > VFS_XATTR_VALUE_MAX)
		return -E2BIG;
	return fs->operations->setxattr ? fs->operations->setxattr(fs, ino, name, value, size, flags)
					: -EOPNOTSUPP;
}

int64_t vfs_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	return fs->operations->listxattr ? fs->operations->listxattr(fs, ino, names, size) : 0;
}

int vfs_removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	int r = check_change(fs, NULL);

	if (r == 0)
		r = check_attribute(name);
	if (r < 0)
		return r;
	return fs->operations->removexattr ? fs->operations->removexattr(fs, ino, name) : -EOPNOTSUPP;
}

uint64_t vfs_version(struct vfs *fs, uint64_t ino)
{
	return fs->operations->version ? fs->operations->version(fs, ino) : 0;
}

int vfs_watch(struct vfs *fs, const struct vfs_watcher *watcher)
{
	return fs->operations->watch ? fs->operations->watch(fs, watcher) : -ENOSYS;
}

void vfs_unwatch(struct vfs *fs)
{
	if (fs->operations->unwatch)
		fs->operations->unwatch(fs);
}

bool vfs_watched(struct vfs *fs, uint64_t ino)
{
	return fs->operations->watched && fs->operations->watched(fs, ino);
}

int vfs_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	return fs->operations->statfs(fs, out);
}

/* ---- handles that last ------------------------------------------------------------------------------ */

int vfs_persist(struct vfs *fs, uint64_t ino, uint8_t bytes[VFS_PERSISTENT_MAX], size_t *size)
{
	return fs->operations->persist ? fs->operations->persist(fs, ino, bytes, VFS_PERSISTENT_MAX, size)
				       : -ENOSYS;
}

int vfs_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	if (size > VFS_PERSISTENT_MAX)
		return -ESTALE;
	return fs->operations->resolve ? fs->operations->resolve(fs, bytes, size, out) : -ENOSYS;
}

/* ---- permission ------------------------------------------------------------------------------------- */

static bool is_member(const struct vfs_caller *who, uint32_t gid)
{
	for (uint32_t i = 0; i < who->group_count && i < VFS_GROUPS_MAX; i++)
		if (who->groups[i] == gid)
			return true;
	return who->gid == gid;
}

bool vfs_permitted(const struct vfs_caller *who, const struct vfs_attributes *object, unsigned access)
{
	uint32_t bits = object->mode;

	if (who->uid == 0)
		return !(access & VFS_EXECUTE) || S_ISDIR(bits) || bits & 0111;
	if (who->uid == object->uid)
		bits >>= 6;
	else if (is_member(who, object->gid))
		bits >>= 3;
	return (bits & access) == access;
}
