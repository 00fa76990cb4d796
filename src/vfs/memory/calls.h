/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of vfs.h, by the file that has them. */
#pragma once

#include "vfs/vfs.h"

/* names.c */
int memory_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);
void memory_forget(struct vfs *fs, uint64_t ino, uint64_t times);
int memory_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out);
int memory_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out);
int memory_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out);
int memory_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle);
int memory_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
int memory_unlink(struct vfs *fs, uint64_t parent, const char *name);
int memory_rmdir(struct vfs *fs, uint64_t parent, const char *name);

/* rename.c */
int memory_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags);

/* attributes.c */
int memory_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
int memory_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
int memory_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1]);
int64_t memory_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size);
int memory_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags);
int64_t memory_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size);
int memory_removexattr(struct vfs *fs, uint64_t ino, const char *name);

/* files.c */
int memory_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle);
void memory_release(struct vfs *fs, uint64_t ino, vfs_handle handle);
int64_t memory_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
int64_t memory_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset);
int memory_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only);
int memory_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length);
int64_t memory_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence);

/* listing.c */
int memory_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle);
int memory_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context);
int memory_fsyncdir(struct vfs *fs, uint64_t ino);
