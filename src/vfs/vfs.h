/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system as FUSE, NFS and virtiofs need it: objects are named by inode numbers, names only within a
 * directory. Every implementation (native, memory, overlay, …) is a table of calls behind this header; every
 * adapter serves any of them.
 *
 * Errors. Calls return 0 (or a count) or a negative errno of the Linux ABI: that number is what all three
 * protocols carry, so there is no text. -ENOSYS: the implementation never has this.
 *
 * Lifetime of inodes. A number that vfs_lookup() or a call that makes an object has given out stays valid
 * until as many vfs_forget() have been made for it, even when the object has lost its last name. VFS_ROOT is
 * always valid. An implementation may give out the same number for the same object again after it was
 * forgotten, and never for another: the pair of number and generation is unique for as long as the file
 * system exists.
 *
 * Who asks. A caller's ids own what is made. Permissions are judged by vfs_permitted() where the adapter does
 * not know that the client's kernel has done it (FUSE with default_permissions has).
 *
 * Threads. All calls may come from many threads at once, for the same inode too.
 *
 * Source of the semantics: POSIX.1-2017, and Linux's man pages of section 2 where that is silent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFS_ROOT            1ull
#define VFS_NAME_MAX        255u
#define VFS_PATH_MAX        4095u /* of a symbolic link's target */
#define VFS_XATTR_NAME_MAX  255u
#define VFS_XATTR_VALUE_MAX 65536u
#define VFS_GROUPS_MAX      32u
#define VFS_IO_MAX          (1u << 20) /* bytes that one read or write carries at most */

struct vfs;

struct vfs_time {
	int64_t seconds;
	uint32_t nanoseconds; /* 0 to 999,999,999 */
};

struct vfs_attributes {
	uint64_t ino, generation;
	uint64_t size, blocks; /* bytes; blocks of 512 bytes that it takes */
	uint32_t mode;         /* with the type: S_IFMT | 07777 */
	uint32_t links, uid, gid;
	uint32_t major, minor; /* of a device */
	uint32_t block_size;   /* a good size for reads and writes */
	struct vfs_time atime, mtime, ctime, btime;
	uint64_t change; /* grows with every change of the object: NFS's change attribute */
	bool told;       /* the watcher (vfs_watch()) hears of it when others change these or the contents,
			  * or nobody else can */
};

struct vfs_caller {
	uint32_t uid, gid;
	uint32_t groups[VFS_GROUPS_MAX]; /* further ones */
	uint32_t group_count;
	uint32_t umask; /* that the client has not applied itself; 0: it has */
};

/* What vfs_setattr() sets. */
enum vfs_set {
	VFS_SET_MODE = 1,
	VFS_SET_UID = 2,
	VFS_SET_GID = 4,
	VFS_SET_SIZE = 8,
	VFS_SET_ATIME = 16,
	VFS_SET_MTIME = 32,
	VFS_SET_ATIME_NOW = 64,
	VFS_SET_MTIME_NOW = 128,
	VFS_CLEAR_PRIVILEGES = 256 /* setuid and setgid go, as a write or chown by others demands */
};

/* How a file is opened; the values are the adapter's to translate. */
enum vfs_open {
	VFS_READ = 1,
	VFS_WRITE = 2,
	VFS_APPEND = 4,    /* every write goes to the end */
	VFS_TRUNCATE = 8,  /* to no bytes */
	VFS_EXCLUSIVE = 16 /* create: -EEXIST where the name is there */
};

enum vfs_rename {
	VFS_NO_REPLACE = 1, /* -EEXIST where the new name is there */
	VFS_EXCHANGE = 2
};

enum vfs_xattr { VFS_XATTR_CREATE = 1, VFS_XATTR_REPLACE = 2 };
enum vfs_seek { VFS_SEEK_DATA, VFS_SEEK_HOLE };

enum vfs_allocate {
	VFS_KEEP_SIZE = 1,
	VFS_PUNCH_HOLE = 2, /* with KEEP_SIZE */
	VFS_ZERO_RANGE = 4
};

struct vfs_statistics {
	uint64_t blocks, free, available; /* of block_size bytes */
	uint64_t files, files_free;
	uint32_t block_size, name_max;
};

struct vfs_entry {
	const char *name; /* valid during the call */
	size_t name_size;
	uint64_t ino;
	uint32_t type;   /* S_IFMT bits of the mode */
	uint64_t cookie; /* to go on behind it */
	/* With attributes wanted: of the object, which then is looked up (vfs_forget()); NULL where that
	 * failed or it is "." or "..". */
	const struct vfs_attributes *attributes;
};
/* Returns 0 to go on, 1 where the entry does not fit any more: it was not taken, and nothing was looked up.
 */
typedef int vfs_entry_call(void *context, const struct vfs_entry *entry);

/* An open file or directory, as the implementation gives it out. Any other number, that of another object and
 * that of the other kind is -EBADF: adapters hand on what a client says. */
typedef uint64_t vfs_handle;
#define VFS_NO_HANDLE UINT64_MAX

/* Who hears of what others than this file system's callers change, so that clients may keep what they know.
 * Called by a thread of the file system's, within half a second of the change, never from within a call. Both
 * NULL: nobody hears of it, but vfs_version() does. */
struct vfs_watcher {
	void *context;
	/* It leads to something else now, to something new, or nowhere; the directory's attributes are
	 * others. */
	void (*name)(void *context, uint64_t parent, const char *name);
	/* Its attributes are others; and its contents. */
	void (*object)(void *context, uint64_t ino, bool contents);
	/* NULL: that cannot be told. These need not be kept: a client may forget those that it does not use.
	 * Also from within a call; of none of them anything has changed. False: the client does not know how
	 * to, and is not to be told again. */
	bool (*prune)(void *context, const uint64_t *inos, size_t count);
};

struct vfs_operations {
	const char *name; /* "native" */
	void (*destroy)(struct vfs *fs);

	int (*lookup)(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);
	void (*forget)(struct vfs *fs, uint64_t ino, uint64_t times);
	int (*getattr)(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
	int (*setattr)(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
		const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
	int (*readlink)(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1]);

	int (*mknod)(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
		uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out);
	int (*mkdir)(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
		uint32_t mode, struct vfs_attributes *out);
	int (*symlink)(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
		const char *target, struct vfs_attributes *out);
	int (*link)(
		struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
	int (*unlink)(struct vfs *fs, uint64_t parent, const char *name);
	int (*rmdir)(struct vfs *fs, uint64_t parent, const char *name);
	int (*rename)(struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name,
		unsigned flags);

	int (*create)(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
		uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle);
	int (*open)(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle);
	void (*release)(struct vfs *fs, uint64_t ino, vfs_handle handle);
	int64_t (*read)(
		struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
	int (*map)(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size,
		const void **bytes);
	int64_t (*write)(struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size,
		uint64_t offset);
	int (*fsync)(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only);
	int (*allocate)(struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset,
		uint64_t length);
	int64_t (*seek)(
		struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence);

	int (*opendir)(struct vfs *fs, uint64_t ino, vfs_handle *handle);
	void (*releasedir)(struct vfs *fs, uint64_t ino, vfs_handle handle);
	int (*readdir)(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
		vfs_entry_call *take, void *context);
	int (*fsyncdir)(struct vfs *fs, uint64_t ino);

	int64_t (*getxattr)(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size);
	int (*setxattr)(struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size,
		unsigned flags);
	int64_t (*listxattr)(struct vfs *fs, uint64_t ino, char *names, size_t size);
	int (*removexattr)(struct vfs *fs, uint64_t ino, const char *name);

	int (*statfs)(struct vfs *fs, struct vfs_statistics *out);

	int (*watch)(struct vfs *fs, const struct vfs_watcher *watcher);
	void (*unwatch)(struct vfs *fs);
	bool (*watched)(struct vfs *fs, uint64_t ino);
	uint64_t (*version)(struct vfs *fs, uint64_t ino);

	/* For handles that outlive the process (NFS): bytes that stand for an object and lead to it again,
	 * also in another process; resolve() counts as a lookup. -ESTALE where the object is gone. */
	int (*persist)(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size);
	int (*resolve)(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out);
};
#define VFS_PERSISTENT_MAX 48u /* bytes of such a handle */

/* The first member of every implementation's own struct. A call that is NULL there is -ENOSYS. */
struct vfs {
	const struct vfs_operations *operations;
	bool read_only; /* calls that change anything are -EROFS before the implementation is asked */
};

void vfs_destroy(struct vfs *fs); /* NULL is fine; nothing may be under way */
static inline void cleanup_vfs(struct vfs **fs)
{
	vfs_destroy(*fs);
}
#define _cleanup_vfs_ __attribute__((cleanup(cleanup_vfs)))

/* ---- calls: each judges its arguments, then asks the implementation ---- */

/* A name is 1 to 255 bytes without '/', not "." or "..": else -EINVAL or -ENAMETOOLONG. The object's number
 * and attributes; one more vfs_forget() is due. -ENOENT, -ENOTDIR. */
int vfs_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);
void vfs_forget(struct vfs *fs, uint64_t ino, uint64_t times);

/* handle: an open file's, or VFS_NO_HANDLE. -ESTALE for a number that was never given out. */
int vfs_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out);
int vfs_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out);
int vfs_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1]); /* with a NUL */

/* Objects that are made are looked up: one vfs_forget() is due for each. A directory with the setgid bit
 * gives what is made in it its group, and directories that bit. */
int vfs_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	uint32_t major, uint32_t minor, struct vfs_attributes *out);
int vfs_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	struct vfs_attributes *out);
int vfs_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out);
int vfs_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out);
int vfs_unlink(struct vfs *fs, uint64_t parent, const char *name);
int vfs_rmdir(struct vfs *fs, uint64_t parent, const char *name);
int vfs_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags);

/* Makes a file, or opens the one that is there (unless VFS_EXCLUSIVE), and opens it. */
int vfs_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	unsigned flags, struct vfs_attributes *out, vfs_handle *handle);
int vfs_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle);
void vfs_release(struct vfs *fs, uint64_t ino, vfs_handle handle);

/* handle may be VFS_NO_HANDLE: NFS has no open files. At most VFS_IO_MAX bytes; fewer than asked for only at
 * the end of the file (read) or where space ran out (write). */
int64_t vfs_read(struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset);
int64_t vfs_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset);
/* An open file's bytes as they are in the kernel's cache, also of later, for system calls alone, which fail
 * with EFAULT where the file has no such byte (any more): who looks at them himself is killed then. The
 * caller unmaps them (munmap(2)). offset: a multiple of VFS_MAP_UNIT. -ENOSYS: they are to be read. */
#define VFS_MAP_UNIT 65536u
int vfs_map(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size, const void **bytes);
int vfs_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only);
int vfs_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length);
int64_t vfs_seek(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence); /* -ENXIO */

/* Entries behind `cookie` (0: all, with "." and ".." first), until take() has enough; take() may call the
 * file system. An entry that is there for the whole walk comes exactly once, whatever else is made and
 * removed meanwhile; cookies stay good for as long as the directory does, over vfs_releasedir() too. A walk
 * with a handle ends, though every entry be renamed or made again as it comes. */
int vfs_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle);
void vfs_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle);
int vfs_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context);
int vfs_fsyncdir(struct vfs *fs, uint64_t ino);

/* size 0: only how many bytes there are; -ERANGE where they do not fit; -ENODATA. Names are NUL-terminated,
 * one behind the other. */
int64_t vfs_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size);
int vfs_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags);
int64_t vfs_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size);
int vfs_removexattr(struct vfs *fs, uint64_t ino, const char *name);

int vfs_statfs(struct vfs *fs, struct vfs_statistics *out);

/* Once, before the first lookup. *watcher is copied. -ENOSYS or another: changes by others are not told. */
int vfs_watch(struct vfs *fs, const struct vfs_watcher *watcher);
/* Nothing is told any more when this returns. No call may be under way. */
void vfs_unwatch(struct vfs *fs);
/* Whether the watcher hears of names that come and go in this directory, which was looked into. */
bool vfs_watched(struct vfs *fs, uint64_t ino);
/* Of a directory: for as long as it is the same, listing it gives the same, but for times of access and for
 * attributes that are not `told`. A change by this file system's callers shows before their call returns, one
 * by others when the watcher would hear of it. 0: that is not known. */
uint64_t vfs_version(struct vfs *fs, uint64_t ino);

int vfs_persist(struct vfs *fs, uint64_t ino, uint8_t bytes[VFS_PERSISTENT_MAX], size_t *size);
int vfs_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out);

/* ---- for adapters whose client has not judged it ---- */

enum vfs_access { VFS_EXECUTE = 1, VFS_MAY_WRITE = 2, VFS_MAY_READ = 4 };

/* By the mode bits, as for uid, gid and groups; uid 0 may all but execute what nobody may. */
bool vfs_permitted(const struct vfs_caller *who, const struct vfs_attributes *object, unsigned access);
