/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a native file system share.
 *
 * An inode of the table lives while it is looked up, referred to (by a call under way, an open file, or a
 * child's place) or remembered. Everything in struct native and in inodes, descriptors and handles is guarded
 * by `lock`, which is never held over a system call: what is to be closed is put on `doomed` and closed by
 * native_unlock(). Order of locks: an owner's stripe, `renames`, `lock`.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "vfs/native/native.h"

#define NATIVE_STRIPES     64
#define NATIVE_PROC_PATH   32 /* bytes of "/proc/self/fd/N" */
#define NATIVE_PATH_MOST   (1u << 20)
#define NATIVE_NOBODY      65534u
#define NATIVE_ALTERNATIVE (1ull << 63) /* numbers that are not the host's */

struct ring {
	struct ring *before, *behind;
};

struct native_inode;

/* A name under which an object was seen. */
struct native_place {
	struct native_inode *parent; /* referred to */
	char name[];
};

struct native_descriptor {
	struct ring used; /* in native.used or native.orphans, the longest unused first; the first member */
	struct native_inode *inode;     /* NULL: let go of, closed with the last pin */
	struct native_descriptor *next; /* on `doomed` */
	uint64_t checked;               /* clock_monotonic() when it was seen to be beneath */
	int fd;
	uint32_t pins;
	bool orphan; /* no name leads to it any more */
};

struct native_inode {
	struct ring idle; /* in native.idle while `remembered`; the first member */
	uint64_t number;
	struct native_identity is;
	uint64_t lookups;
	uint32_t type; /* S_IFMT of the host's mode */
	uint32_t references;
	_Atomic uint32_t changes; /* by us */
	uint64_t version;         /* of a directory: see vfs_version() */
	bool persistent, indexed, remembered;
	struct native_place *place, *other; /* last seen, and another name; NULL: not known */
	struct native_descriptor *descriptor;
	struct native_open *opens;
	struct native_watch *watch; /* of a directory: what happens in it is told */
	struct native_inode *next_by_identity, *next_by_number;
};

struct native_listing;

/* An open file or directory. */
struct native_open {
	struct native_inode *inode;     /* referred to */
	struct native_open *next;       /* of the inode */
	struct native_listing *listing; /* of a directory */
	vfs_handle id;
	uint32_t references; /* one for being open, one for each call */
	int fd;
};

struct native {
	struct vfs vfs; /* the first member */
	struct native_options options;
	int root_fd; /* O_PATH */
	uint32_t root_device;
	uint64_t resolve;                        /* of openat2 */
	uint32_t uid, gid;                       /* the serving user */
	pthread_mutex_t stripes[NATIVE_STRIPES]; /* owners and modes of inodes are changed one at a time */
	pthread_rwlock_t renames;                /* held for writing while names and the table differ */
	pthread_mutex_t lock;
	_Atomic uint64_t moves; /* odd while something is being renamed */
	struct native_inode *root;
	struct native_inode **by_identity, **by_number; /* `buckets` of each, a power of two */
	size_t buckets, count;
	uint64_t seed, alternatives;
	uint64_t versions; /* the last one that was given out */
	struct ring idle;
	size_t idle_count;
	struct ring used, orphans;
	size_t used_count, orphan_count;
	struct native_descriptor *doomed;
	struct native_open **opens;
	uint32_t *sequences; /* of each slot in `opens` */
	uint32_t opens_size, opens_hint, opens_count;
	struct native_watcher *watcher; /* watch.c; NULL: nobody is told */
};

static inline struct native *native_of(struct vfs *fs)
{
	return (struct native *)fs;
}

void ring_init(struct ring *r);
void ring_push(struct ring *head, struct ring *r); /* behind all others */
void ring_remove(struct ring *r);

void native_lock(struct native *fs);
void native_unlock(struct native *fs); /* and closes what is doomed */

/* ---- system.c: system calls with a negative errno ---------------------------------------------------- */

/* Never leads out of `at` (see native.h). flags: with O_CLOEXEC added. Makes room where descriptors are out.
 */
int native_open_beneath(struct native *fs, int at, const char *path, int flags, mode_t mode);
int native_open_name(struct native *fs, int at, const char *name); /* O_PATH, links are not followed */
/* What fd is, opened for something: only of regular files and directories. */
int native_reopen(struct native *fs, int fd, int flags);
int native_statx(int fd, struct statx *s);
int native_statx_name(int fd, const char *name, struct statx *s); /* not followed, not mounted */
void native_proc_path(int fd, char path[NATIVE_PROC_PATH]);
int64_t native_get_xattr(int fd, const char *name, void *value, size_t size);
int64_t native_list_xattrs(int fd, char *names, size_t size);
int native_set_xattr(int fd, const char *name, const void *value, size_t size, int flags);
int native_remove_xattr(int fd, const char *name);
int native_chmod(int fd, uint32_t mode);
struct native_identity native_identity_of(const struct native *fs, const struct statx *s);
bool native_is(const struct native_inode *inode, const struct native *fs, const struct statx *s);

/* ---- table.c: known objects; the lock is held --------------------------------------------------------- */

int native_table_new(struct native *fs, const struct statx *root);
void native_table_free(struct native *fs);
struct native_inode *native_find_number(struct native *fs, uint64_t number);
struct native_inode *native_find(struct native *fs, const struct native_identity *is, uint32_t type);
/* As native_find(), with a reference that is the caller's; type 0: any. */
struct native_inode *native_recall(struct native *fs, const struct native_identity *is, uint32_t type);
/* The number that the object would have, or has. */
uint64_t native_number(struct native *fs, uint32_t device, uint64_t ino);
/* Found, or entered; with a reference that is the caller's. -ENFILE, -ENOMEM. */
int native_enter(struct native *fs, const struct statx *s, struct native_inode **inode);
void native_release(struct native *fs, struct native_inode *inode); /* a reference */
void native_forget_lookups(struct native *fs, struct native_inode *inode, uint64_t times);
/* It was seen there just now. -ENOMEM. */
int native_put(struct native *fs, struct native_inode *inode, struct native_inode *parent, const char *name);
/* The name does not lead to it any more. */
void native_unput(
	struct native *fs, struct native_inode *inode, struct native_inode *parent, const char *name);
/* What it is, or what is in it, is not what it was: listings that have it are others now. */
void native_touch(struct native *fs, struct native_inode *inode);
/* The path from the root by its place (or its other): the caller frees it. NULL: -ESTALE or -ENOMEM in *r. */
char *native_path(struct native *fs, const struct native_inode *inode, bool other, int *r);

/* ---- descriptors.c ------------------------------------------------------------------------------------- */

/* A descriptor of an object for the time of a call, and a reference to its inode. */
struct native_pin {
	struct native *fs;
	struct native_inode *inode; /* NULL: nothing to let go of */
	struct native_descriptor *descriptor;
	struct native_open *open;
	int fd;
};
void native_unpin(struct native_pin *pin);
#define _cleanup_pin_ __attribute__((cleanup(native_unpin)))

/* -ESTALE: not known, or gone. */
int native_pin(struct native *fs, uint64_t number, struct native_pin *pin);
/* As native_pin() of an inode; the caller's reference moves into the pin, also where it fails. */
int native_pin_inode(struct native *fs, struct native_inode *inode, struct native_pin *pin);
/* By an open file or directory of it; VFS_NO_HANDLE: as native_pin(). -EBADF. */
int native_pin_handle(
	struct native *fs, uint64_t number, vfs_handle handle, bool directory, struct native_pin *pin);
/* The lock is held. fd is an O_PATH descriptor of it, seen beneath just now: kept, or doomed. */
void native_keep_descriptor(struct native *fs, struct native_inode *inode, int fd);
void native_drop_descriptor(struct native *fs, struct native_inode *inode);
void native_doom(struct native *fs, int fd); /* to be closed by native_unlock() */
void native_orphan(struct native *fs, struct native_inode *inode);
bool native_squeeze(struct native *fs); /* closes some; false: there is none */
/* Behind every change of ours, done or tried, before it is answered; the lock is not held. */
void native_changed(struct native *fs, struct native_inode *inode);

/* ---- walk.c ------------------------------------------------------------------------------------------- */

/* An O_PATH descriptor by a path from the root, links not followed. */
int native_open_path(struct native *fs, const char *path);
/* The inode, by its places; checked to be it. -ESTALE. The caller has a reference. */
int native_open_inode(struct native *fs, struct native_inode *inode);
/* Whether it still is beneath, and its place set right; fd is its descriptor. -ESTALE. */
int native_confirm(struct native *fs, struct native_inode *inode, int fd);
/* The inode of an open object, by where the kernel says that it is, if that is beneath; with a reference.
 * -ESTALE. */
int native_find_again(struct native *fs, int fd, struct native_inode **inode);
/* As native_look(), from a path from the root; every directory on it is entered. */
int native_enter_path(struct native *fs, const char *path, struct native_inode **inode);
/* What `name` in the pinned directory is, entered there with a reference; *fd (may be NULL): its descriptor,
 * the caller's. */
int native_look(const struct native_pin *directory, const char *name, struct statx *s,
	struct native_inode **inode, int *fd);

/* ---- owners.c ------------------------------------------------------------------------------------------ */

/* What a client is shown. */
struct native_shown {
	uint32_t mode, uid, gid, major, minor; /* mode with the type */
};
bool native_override_parse(const char *text, size_t n, struct native_shown *shown); /* mode and type in/out */
int native_override_format(const struct native_shown *shown, char *text, size_t size);
/* *kept (may be NULL): whether there is an xattr. */
int native_show(struct native *fs, int fd, const struct statx *s, struct native_shown *shown, bool *kept);
int native_attributes(struct native *fs, struct native_inode *inode, int fd, const struct statx *s,
	struct vfs_attributes *out);
/* Makes the object be what is to be shown. made: just now, so what cannot be kept is dropped where it harms
 * nothing. */
int native_make_shown(struct native *fs, int fd, const struct statx *s, const struct native_shown *shown,
	bool kept, bool made);
/* Gives the serving user the bits that it needs to read and write its own file. -EACCES: it is not. */
int native_widen(struct native *fs, struct native_inode *inode, int fd);
pthread_mutex_t *native_stripe(struct native *fs, const struct native_inode *inode);

/* ---- opens.c ------------------------------------------------------------------------------------------- */

/* The descriptor becomes an open file of the inode (with a reference of its own). Closed on failure. */
int native_open_new(struct native *fs, struct native_inode *inode, int fd, bool directory, vfs_handle *id);
/* The lock is held. NULL: no such one. */
struct native_open *native_open_find(
	struct native *fs, const struct native_inode *inode, vfs_handle id, bool directory);
void native_open_release(struct native *fs, struct native_open *open); /* a reference; the lock is held */
void native_opens_free(struct native *fs);

/* ---- watch.c ------------------------------------------------------------------------------------------- */

int native_watch(struct vfs *fs, const struct vfs_watcher *watcher);
bool native_watched(struct vfs *fs, uint64_t ino);
uint64_t native_version(struct vfs *fs, uint64_t ino);
void native_unwatch(struct vfs *fs);
/* fd is a directory's: from now on it is watched, where that is possible. True: it was not before. */
bool native_watch_directory(struct native *fs, struct native_inode *inode, int fd);
/* Whether changes of the object, which has so many names, are told. */
bool native_is_told(struct native *fs, const struct native_inode *inode, uint32_t links);
/* Whether it should be looked at open, to be watched. */
bool native_wants_watch(struct native *fs, const struct statx *s);
/* The lock is held: the inode is going. */
void native_watch_leave(struct native *fs, struct native_inode *inode);

/* ---- the calls ----------------------------------------------------------------------------------------- */

struct native_listing *native_listing_new(void);
void native_listing_free(struct native_listing *listing);

/* lookup.c */
int native_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);
void native_forget(struct vfs *fs, uint64_t ino, uint64_t times);
/* Where objects are shown as the host has them they need not be opened: one call tells what it is, or
 * -ENOENT. Looked up, if 0. -EAGAIN: it must be opened; a mount, too, which its name leads to as well. */
int native_look_closed(const struct native_pin *directory, const char *name, struct vfs_attributes *out);
/* Counts one lookup of what native_look() gave; its reference is used up. */
int native_looked_up(const struct native_pin *directory, struct native_inode *inode, int fd,
	const struct statx *s, struct vfs_attributes *out);
int native_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
int native_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
int native_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1]);

int native_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out);
int native_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out);
int native_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out);
int native_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle);

int native_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
int native_unlink(struct vfs *fs, uint64_t parent, const char *name);
int native_rmdir(struct vfs *fs, uint64_t parent, const char *name);
int native_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags);

int native_open_file(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle);
/* Opened by what vfs_open() was asked for, as a descriptor; -EISDIR, -ELOOP, -ENXIO for what is no file. */
int native_open_data(const struct native_pin *pin, unsigned flags);
void native_close(struct vfs *fs, uint64_t ino, vfs_handle handle);
int64_t native_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
int native_map(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size, const void **bytes);
int64_t native_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset);
int native_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only);
int native_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length);
int64_t native_seek(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence);

int native_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle);
void native_closedir(struct vfs *fs, uint64_t ino, vfs_handle handle);
int native_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context);
int native_fsyncdir(struct vfs *fs, uint64_t ino);

int64_t native_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size);
int native_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags);
int64_t native_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size);
int native_removexattr(struct vfs *fs, uint64_t ino, const char *name);

int native_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size);
int native_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out);
