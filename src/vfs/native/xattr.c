/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: under their own name, or under one that no kernel heeds (see native.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

#define OURS      "user.containers."
#define KEPT      OURS "override_"
#define LIST_MOST 65536 /* as the kernel has it */

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* What the host's kernel would heed, or only show to some. */
static bool is_privileged(const char *name)
{
	return starts_with(name, "security.") || starts_with(name, "trusted.");
}

/* What it is called on the host. -EPERM: nothing of the client's. */
static int host_name(const struct native *fs, const char *name, char out[VFS_XATTR_NAME_MAX + 1])
{
	bool kept = fs->options.owners != NATIVE_PLAIN && is_privileged(name);
	size_t n = strlen(name), prefix = kept ? strlen(KEPT) : 0;

	if (fs->options.owners != NATIVE_PLAIN) {
		if (starts_with(name, OURS))
			return -EPERM;
		if (!kept && !starts_with(name, "user."))
			return -EOPNOTSUPP;
	}
	if (prefix + n > VFS_XATTR_NAME_MAX)
		return -ERANGE;
	memcpy(out, KEPT, prefix);
	memcpy(out + prefix, name, n + 1);
	return 0;
}

int64_t native_getxattr(struct vfs *vfs, uint64_t ino, const char *name, void *value, size_t size)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	char on_host[VFS_XATTR_NAME_MAX + 1];
	int r = native_pin(fs, ino, &pin);
	int64_t n;

	if (r == 0)
		r = host_name(fs, name, on_host);
	if (r < 0)
		return r == -EPERM ? -ENODATA : r;
	n = native_get_xattr(pin.fd, on_host, value, size);
	if (n == -EACCES && native_widen(fs, pin.inode, pin.fd) == 0)
		n = native_get_xattr(pin.fd, on_host, value, size);
	return n;
}

int native_setxattr(
	struct vfs *vfs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	char on_host[VFS_XATTR_NAME_MAX + 1];
	int r = native_pin(fs, ino, &pin);

	if (r == 0)
		r = host_name(fs, name, on_host);
	if (r < 0)
		return r;
	r = native_set_xattr(pin.fd, on_host, value, size, (int)flags);
	if (r == -EACCES && native_widen(fs, pin.inode, pin.fd) == 0)
		r = native_set_xattr(pin.fd, on_host, value, size, (int)flags);
	native_changed(fs, pin.inode);
	return r;
}

int native_removexattr(struct vfs *vfs, uint64_t ino, const char *name)
{
	struct native *fs = native_of(vfs);
	_cleanup_pin_ struct native_pin pin;
	char on_host[VFS_XATTR_NAME_MAX + 1];
	int r = native_pin(fs, ino, &pin);

	if (r == 0)
		r = host_name(fs, name, on_host);
	if (r < 0)
		return r;
	r = native_remove_xattr(pin.fd, on_host);
	if (r == -EACCES && native_widen(fs, pin.inode, pin.fd) == 0)
		r = native_remove_xattr(pin.fd, on_host);
	native_changed(fs, pin.inode);
	return r;
}

/* What the client is to see of a host's name; NULL: nothing. */
static const char *shown_name(const char *name)
{
	if (starts_with(name, KEPT) && is_privileged(name + strlen(KEPT)))
		return name + strlen(KEPT);
	return starts_with(name, "user.") && !starts_with(name, OURS) ? name : NULL;
}

/* In place; the size that is left. */
static size_t show_names(char *names, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0; at < size;) {
		size_t n = strnlen(names + at, size - at);
		const char *name = at + n < size ? shown_name(names + at) : NULL;

		if (name) {
			size_t length = strlen(name) + 1;

			memmove(names + kept, name, length);
			kept += length;
		}
		at += n + 1;
	}
	return kept;
}

int64_t native_listxattr(struct vfs *vfs, uint64_t ino, char *names, size_t size)
{
	struct native *fs = native_of(vfs);
	_cleanup_free_ char *list = NULL;
	_cleanup_pin_ struct native_pin pin;
	int64_t n = native_pin(fs, ino, &pin);

	if (n < 0)
		return n;
	list = malloc(LIST_MOST);
	if (!list)
		return -ENOMEM;
	n = native_list_xattrs(pin.fd, list, LIST_MOST);
	if (n == -EOPNOTSUPP)
		n = 0;
	if (n > 0 && fs->options.owners != NATIVE_PLAIN)
		n = (int64_t)show_names(list, (size_t)n);
	if (n <= 0 || size == 0)
		return n;
	if ((size_t)n > size)
		return -ERANGE;
	memcpy(names, list, (size_t)n);
	return n;
}
