/* SPDX-License-Identifier: Apache-2.0 */
#include "os/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define LIST_FIRST 1024  /* bytes that are tried first: most files have no attributes */
#define SIZE_MOST  65536 /* of a list and of a value, as the kernel has it */

int fs_xattr_list(int fd, const char *name, struct buffer *names, struct error *err)
{
	ssize_t n;

	if (!buffer_reserve(names, LIST_FIRST))
		return error_no_memory(err, "list extended attributes");
	n = flistxattr(fd, (char *)names->data + names->size, LIST_FIRST);
	if (n < 0 && errno == ERANGE) {
		if (!buffer_reserve(names, SIZE_MOST))
			return error_no_memory(err, "list extended attributes");
		n = flistxattr(fd, (char *)names->data + names->size, SIZE_MOST);
	}
	if (n < 0 && (errno == ENOTSUP || errno == ENODATA || errno == ENOSYS))
		return 0;
	if (n < 0)
		return error_errno(err, errno, "list extended attributes of %s", name);
	names->size += (size_t)n;
	return 0;
}

int fs_xattr_get(int fd, const char *name, const char *attribute, struct buffer *value, struct error *err)
{
	ssize_t n;

	if (!buffer_reserve(value, SIZE_MOST))
		return error_no_memory(err, "read an extended attribute");
	n = fgetxattr(fd, attribute, value->data + value->size, SIZE_MOST);
	if (n < 0 && errno == ENODATA)
		return 0;
	if (n < 0)
		return error_errno(err, errno, "read %s of %s", attribute, name);
	value->size += (size_t)n;
	return 1;
}

int fs_xattr_set(
	int fd, const char *name, const char *attribute, const void *value, size_t n, struct error *err)
{
	if (fsetxattr(fd, attribute, value, n, 0) < 0)
		return error_errno(err, errno, "set %s of %s", attribute, name);
	return 0;
}

int fs_xattr_remove(int fd, const char *name, const char *attribute, struct error *err)
{
	if (fremovexattr(fd, attribute) < 0 && errno != ENODATA)
		return error_errno(err, errno, "remove %s of %s", attribute, name);
	return 0;
}

int fs_set_mode(int dirfd, const char *name, mode_t mode, struct error *err)
{
	_cleanup_fd_ int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char path[32];
	struct stat s;

	if (fd < 0 || fstat(fd, &s) < 0)
		return error_errno(err, errno, "set the mode of %s", name);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (S_ISLNK(s.st_mode) || chmod(path, mode) < 0)
		return error_errno(err, S_ISLNK(s.st_mode) ? EINVAL : errno, "set the mode of %s", name);
	return 0;
}

uint32_t fs_device_major(dev_t device)
{
	return major(device);
}

uint32_t fs_device_minor(dev_t device)
{
	return minor(device);
}

dev_t fs_device(uint32_t major_number, uint32_t minor_number)
{
	return makedev(major_number, minor_number);
}
