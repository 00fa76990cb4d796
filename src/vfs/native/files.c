/* SPDX-License-Identifier: Apache-2.0 */
/* The data of files, by an open one or, for protocols that have none, opened for the time of the call. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

/* A device, fifo or socket of the client is an empty file here. */
static int check_is_file(const struct native_pin *pin)
{
	struct native_shown shown;
	struct statx s;
	int r;

	if (S_ISDIR(pin->inode->type))
		return -EISDIR;
	if (S_ISLNK(pin->inode->type))
		return -ELOOP;
	if (!S_ISREG(pin->inode->type))
		return -ENXIO;
	if (pin->fs->options.owners == NATIVE_PLAIN)
		return 0;
	r = native_statx(pin->fd, &s);
	if (r < 0 || s.stx_size)
		return r;
	r = native_show(pin->fs, pin->fd, &s, &shown, NULL);
	return r < 0 || S_ISREG(shown.mode) ? r : -ENXIO;
}

int native_open_data(const struct native_pin *pin, unsigned flags)
{
	int access = (flags & VFS_WRITE ? flags & VFS_READ ? O_RDWR : O_WRONLY : O_RDONLY) |
		     (flags & VFS_APPEND ? O_APPEND : 0) |
		     (flags & VFS_TRUNCATE && flags & VFS_WRITE ? O_TRUNC : 0);
	int fd = check_is_file(pin);

	if (fd < 0)
		return fd;
	fd = native_reopen(pin->fs, pin->fd, access);
	if (fd == -EACCES && native_widen(pin->fs, pin->inode, pin->fd) == 0)
		fd = native_reopen(pin->fs, pin->fd, access);
	return fd;
}

static int truncate_first(const struct native_pin *pin)
{
	_cleanup_fd_ int fd = native_open_data(pin, VFS_WRITE | VFS_TRUNCATE);

	return fd < 0 ? fd : 0;
}

int native_open_file(struct vfs *vfs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	int r = native_pin(fs, ino, &pin), fd;

	if (r == 0 && flags & VFS_TRUNCATE && !(flags & VFS_WRITE))
		r = truncate_first(&pin);
	if (r < 0)
		return r;
	fd = native_open_data(&pin, flags);
	if (flags & VFS_TRUNCATE)
		native_changed(fs, pin.inode);
	return fd < 0 ? fd : native_open_new(fs, pin.inode, fd, false, handle);
}

/* The handle's descriptor, or one for this call in *own. */
static int data_fd(
	struct native *fs, uint64_t ino, vfs_handle handle, unsigned flags, struct native_pin *pin, int *own)
{
	int r = native_pin_handle(fs, ino, handle, false, pin);

	if (r < 0 || handle != VFS_NO_HANDLE)
		return r < 0 ? r : pin->fd;
	*own = native_open_data(pin, flags);
	return *own;
}

int64_t native_read(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	_cleanup_fd_ int own = -1;
	int fd = data_fd(native_of(vfs), ino, handle, VFS_READ, &pin, &own);
	size_t done = 0;

	if (fd < 0)
		return fd;
	if (size > INT64_MAX - offset)
		size = INT64_MAX - offset;
	while (done < size) {
		ssize_t n = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return done ? (int64_t)done : -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

/* Where what a mapping shows is what a read would give, for as long as the file is open: others have another
 * file below once it is written to, or ask somebody else again. */
static bool is_mappable(int fd)
{
	static const unsigned long known[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if ((unsigned long)s.f_type == known[i])
			return true;
	return false;
}

int native_map(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size, const void **bytes)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	int r = native_pin_handle(native_of(vfs), ino, handle, false, &pin);
	void *at;

	if (r < 0)
		return r;
	if (!is_mappable(pin.fd))
		return -ENOSYS;
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, pin.fd, (off_t)offset);
	if (at == MAP_FAILED)
		return -ENOSYS;
	*bytes = at;
	return 0;
}

int64_t native_write(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	_cleanup_fd_ int own = -1;
	int fd = data_fd(native_of(vfs), ino, handle, VFS_WRITE, &pin, &own), r = 0;
	size_t done = 0;

	if (fd < 0)
		return fd;
	while (done < size) {
		/* With O_APPEND the kernel writes at the end, whatever the offset. */
		ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	native_changed(pin.fs, pin.inode);
	return done ? (int64_t)done : r;
}

int native_fsync(struct vfs *vfs, uint64_t ino, vfs_handle handle, bool data_only)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	_cleanup_fd_ int own = -1;
	int fd = data_fd(native_of(vfs), ino, handle, VFS_READ, &pin, &own), r;

	if (fd < 0)
		return fd;
	do
		r = data_only ? fdatasync(fd) : fsync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int native_allocate(
	struct vfs *vfs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	_cleanup_fd_ int own = -1;
	int how = (mode & VFS_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0) |
		  (mode & VFS_PUNCH_HOLE ? FALLOC_FL_PUNCH_HOLE : 0) |
		  (mode & VFS_ZERO_RANGE ? FALLOC_FL_ZERO_RANGE : 0);
	int fd = data_fd(native_of(vfs), ino, handle, VFS_WRITE, &pin, &own), r;

	if (fd < 0)
		return fd;
	do
		r = fallocate(fd, how, (off_t)offset, (off_t)length) < 0 ? -errno : 0;
	while (r == -EINTR);
	native_changed(pin.fs, pin.inode);
	return r;
}

int64_t native_seek(struct vfs *vfs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	_cleanup_pin_ struct native_pin pin = {.fd = -1};
	_cleanup_fd_ int own = -1;
	int fd = data_fd(native_of(vfs), ino, handle, VFS_READ, &pin, &own);
	off_t at;

	if (fd < 0)
		return fd;
	at = lseek(fd, (off_t)offset, whence == VFS_SEEK_DATA ? SEEK_DATA : SEEK_HOLE);
	return at < 0 ? -errno : at;
}
