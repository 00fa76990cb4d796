/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: the objects, and how they are found and locked.
 *
 * One lock of readers and writers covers the whole file system: calls that only look run side by side, those
 * that change something alone. Two things change under the readers' lock, and are atomic: how often an object
 * is looked up, and where a listing ends. Callbacks of the caller run without the lock.
 *
 * An object lives as long as it has a name, or somebody has it looked up or open. Its number is never given
 * to another one, so a number that is not in the table is stale.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include "vfs/memory/budget.h"
#include "vfs/memory/entries.h"
#include "vfs/memory/memory.h"
#include "vfs/memory/pages.h"
#include "vfs/memory/xattrs.h"

#define MEMORY_ID 16u /* bytes that tell one file system from another */

struct memory_node {
	struct memory_node *next; /* in its bucket */
	uint64_t ino;
	uint64_t size, change;
	uint32_t mode, uid, gid, major, minor;
	uint32_t links, opened;
	atomic_uint_least64_t lookups;
	struct vfs_time atime, mtime, ctime, btime;
	struct memory_xattrs xattrs;
	union {
		struct memory_pages pages; /* of a file */
		char *target;              /* of a symbolic link */
		struct {
			struct memory_entries entries;
			struct memory_node *parent; /* NULL: of the root, and once it is removed */
		} directory;
	};
};

struct memory_handle {
	struct memory_node *node; /* NULL: free */
	unsigned flags;           /* enum vfs_open; 0 for a directory */
	uint32_t sequence;        /* how often this place was used before: the upper half of the handle */
	uint32_t next_free;
	atomic_uint_least64_t last_cookie; /* a walk ends behind it */
};

struct memory {
	struct vfs fs;
	pthread_mutex_t gate; /* who waits to write lets no more readers in */
	pthread_rwlock_t lock;
	struct memory_budget budget;
	uint64_t inodes, inode_limit;
	struct memory_node *root;
	struct memory_node **buckets; /* by number */
	unsigned bucket_bits;
	uint64_t bucket_key; /* odd */
	uint64_t last_ino;
	uint64_t version; /* of all directories: grows with every change but of times of access */
	struct memory_handle *handles;
	uint32_t handle_count, handle_limit, free_handle; /* free_handle: UINT32_MAX where none is */
	uint8_t id[MEMORY_ID];
	void (*now)(void *context, struct vfs_time *time);
	void *context;
};

static inline struct memory *memory_of(struct vfs *fs)
{
	return (struct memory *)fs;
}

/* ---- locking: until the end of the scope ---- */

struct memory *memory_lock_shared(struct vfs *fs);
struct memory *memory_lock(struct vfs *fs);
void memory_unlock(struct memory **m);
#define MEMORY_SHARED(name, fs) \
	__attribute__((cleanup(memory_unlock))) struct memory *name = memory_lock_shared(fs)
#define MEMORY_LOCKED(name, fs) __attribute__((cleanup(memory_unlock))) struct memory *name = memory_lock(fs)

/* ---- objects ---- */

/* 0, or -ESTALE. */
int memory_get(const struct memory *m, uint64_t ino, struct memory_node **node);
/* A directory that is not removed: -ESTALE, -ENOTDIR, -ENOENT. */
int memory_get_directory(const struct memory *m, uint64_t ino, struct memory_node **node);
/* A file, by its number and, where it is not VFS_NO_HANDLE, a handle that was opened for all of `flags`.
 * -EISDIR, -EINVAL for what is neither; -EBADF. */
int memory_get_file(
	const struct memory *m, uint64_t ino, vfs_handle handle, unsigned flags, struct memory_node **node);

/* Without a name, not looked up. -ENOSPC or -ENOMEM. */
int memory_node_new(struct memory *m, uint32_t mode, struct memory_node **node);
/* Frees it where nothing holds it any more. */
void memory_node_settle(struct memory *m, struct memory_node *node);
/* One name, or for a directory its only one, is gone. */
void memory_drop_link(struct memory *m, struct memory_node *node);
void memory_nodes_free(struct memory *m);

void memory_attributes(const struct memory_node *node, struct vfs_attributes *out);
void memory_look_up(struct memory_node *node, struct vfs_attributes *out); /* counts */

/* The object has changed now: ctime, the change attribute, and mtime where its data or names have. */
enum memory_touch { MEMORY_CHANGED, MEMORY_MODIFIED };
void memory_touch(struct memory *m, struct memory_node *node, enum memory_touch how);
/* Whether atime is to be moved by a read, as Linux's relatime has it: where it is not behind the last change
 * already, or a day old. */
bool memory_wants_atime(const struct memory *m, const struct memory_node *node);
void memory_set_atime(struct vfs *fs, uint64_t ino); /* takes the lock */

/* ---- open files and directories ---- */

int memory_handle_new(struct memory *m, struct memory_node *node, unsigned flags, vfs_handle *handle);
/* NULL: no such handle of this object. */
struct memory_handle *memory_handle_find(
	const struct memory *m, const struct memory_node *node, vfs_handle handle);
void memory_handle_free(struct memory *m, uint64_t ino, vfs_handle handle);

/* ---- data ---- */

void memory_set_size(struct memory *m, struct memory_node *node, uint64_t size);
