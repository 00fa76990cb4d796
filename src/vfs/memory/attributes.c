/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes, plain and extended, and the targets of links. */
#include <errno.h>
#include <string.h>

#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

int memory_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r < 0)
		return r;
	if (handle != VFS_NO_HANDLE && !memory_handle_find(m, node, handle))
		return -EBADF;
	memory_attributes(node, out);
	return 0;
}

static void set_times(
	struct memory *m, struct memory_node *node, const struct vfs_attributes *values, unsigned what)
{
	if (what & VFS_SET_ATIME)
		node->atime = values->atime;
	if (what & VFS_SET_MTIME)
		node->mtime = values->mtime;
	if (what & VFS_SET_ATIME_NOW)
		m->now(m->context, &node->atime);
	if (what & VFS_SET_MTIME_NOW)
		m->now(m->context, &node->mtime);
}

/* As Linux does it: setgid without the group's execute bit was never a privilege. */
static void clear_privileges(struct memory_node *node)
{
	if (S_ISDIR(node->mode))
		return;
	node->mode &= ~(uint32_t)S_ISUID;
	if (node->mode & S_IXGRP)
		node->mode &= ~(uint32_t)S_ISGID;
}

int memory_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	(void)who;
	if (r == 0 && handle != VFS_NO_HANDLE && !memory_handle_find(m, node, handle))
		r = -EBADF;
	if (r == 0 && what & VFS_SET_SIZE)
		r = memory_get_file(m, ino, handle, VFS_WRITE, &node);
	if (r < 0)
		return r;
	if (what & VFS_SET_SIZE)
		memory_set_size(m, node, values->size);
	if (what & VFS_CLEAR_PRIVILEGES)
		clear_privileges(node);
	if (what & VFS_SET_MODE)
		node->mode = (node->mode & S_IFMT) | (values->mode & 07777);
	if (what & VFS_SET_UID)
		node->uid = values->uid;
	if (what & VFS_SET_GID)
		node->gid = values->gid;
	if (what)
		memory_touch(m, node, what & VFS_SET_SIZE ? MEMORY_MODIFIED : MEMORY_CHANGED);
	set_times(m, node, values, what);
	memory_attributes(node, out);
	return 0;
}

/* *atime: whether it is to be moved afterwards. */
static int read_target(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1], bool *atime)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r < 0)
		return r;
	if (!S_ISLNK(node->mode))
		return -EINVAL;
	memcpy(target, node->target, node->size + 1);
	*atime = memory_wants_atime(m, node);
	return 0;
}

int memory_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	bool atime = false;
	int r = read_target(fs, ino, target, &atime);

	if (atime)
		memory_set_atime(fs, ino);
	return r;
}

int64_t memory_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	return r < 0 ? r : memory_xattrs_get(&node->xattrs, name, value, size);
}

int64_t memory_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	return r < 0 ? r : memory_xattrs_list(&node->xattrs, names, size);
}

int memory_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r == 0)
		r = memory_xattrs_set(&node->xattrs, name, value, size, flags, &m->budget);
	if (r == 0)
		memory_touch(m, node, MEMORY_CHANGED);
	return r;
}

int memory_removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r == 0)
		r = memory_xattrs_remove(&node->xattrs, name, &m->budget);
	if (r == 0)
		memory_touch(m, node, MEMORY_CHANGED);
	return r;
}
