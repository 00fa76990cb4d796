/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of this host as a file system (vfs/vfs.h), for clients that nobody trusts. Linux 5.8 or newer,
 * as an ordinary user or as root, with /proc mounted. Or a single regular file, which then is the root: the
 * one that was opened, whatever its name means later; there is nothing to look up in it (-ENOTDIR).
 *
 * Beneath. Every object is opened by openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS,
 * RESOLVE_NO_MAGICLINKS and (unless `mounts`) RESOLVE_NO_XDEV, as O_PATH first; it is opened for reading and
 * writing only as what it was then found to be, and only if it is a regular file or a directory: no device or
 * fifo of the host is ever opened. What a host process moves out of the directory is out of reach a second
 * later at the latest (-ESTALE), but for files that are open.
 *
 * Inodes hold no descriptor. They are known by device, inode number and birth time, and found by the name
 * under which they were last seen in their parent; `descriptors` of them are kept open (O_PATH). What host
 * processes rename meanwhile is found while its descriptor is kept, under its last but one name if it has
 * several, or when it is looked up again; else it is -ESTALE. Where the host's file system tells no birth
 * time, an inode number that the host uses again within the life of an unlinked, known and unopened object is
 * taken for that object. Objects that were unlinked while they were known keep their descriptor until they
 * are forgotten, as far as half of `descriptors` goes (-ESTALE beyond).
 *
 * Owners and modes, NATIVE_OVERRIDE. On the host everything belongs to the serving user, and no setuid or
 * setgid bit, no device node and no xattr but user.* is ever made. What the client set is kept in the xattr
 * "user.containers.override_stat" as podman and fuse-overlayfs have it: "uid:gid:mode:type", ids decimal, the
 * mode's 07777 octal, the type file, dir, pipe, socket, char-MAJOR-MINOR or block-MAJOR-MINOR; where it says
 * no more than the host's own mode does, there is none. Devices, fifos and sockets are empty regular files
 * with that xattr. An object without the xattr has the host's mode, and belongs to uid and gid where the
 * serving user owns it and to 65534 else (`host_ids`: to whom it belongs on the host). Host modes are the
 * client's 0777, with u+rwx for directories and, where there is the xattr, u+rw for files; a file that the
 * serving user owns and that lacks these bits gets them when the client opens it (whether the client may is
 * judged before). Symbolic links, and fifos, sockets and devices that host processes have made, can hold no
 * user xattr: links always have the default owner, a chown of them is accepted and has no effect; the others'
 * is -EPERM.
 *
 * user.* xattrs of the client pass through, but user.containers.* are hidden and -EPERM. security.* and
 * trusted.* ones are kept as "user.containers.override_" and their name (as fuse-overlayfs has it), so that
 * no host kernel heeds them; all others, POSIX ACLs too, are -EOPNOTSUPP.
 *
 * Where the host's file system has no user xattrs, everything shown is the host's mode and default owner: new
 * objects belong to it, setting any other owner, setuid, setgid or sticky bits, or making devices, fifos or
 * sockets is -EPERM.
 *
 * NATIVE_SQUASH: the same, but every object belongs to uid and gid, a chown is accepted and has no effect,
 * and bits that cannot be kept are dropped.
 *
 * A write clears no setuid bit but where the host's kernel does it (NATIVE_PLAIN, as an ordinary user): who
 * serves clients that do not do it themselves asks for VFS_CLEAR_PRIVILEGES.
 *
 * NATIVE_PLAIN: none of that; calls do on the host what they say, also chown, device nodes and all xattrs,
 * and fail where the serving user may not.
 *
 * The `change` attribute is the ctime in nanoseconds, and one more for each change by this file system, since
 * the kernel's clock is coarse.
 *
 * What others do (vfs_watch()) is told by fanotify(7), where Linux is 5.13 or newer and the host's file
 * system has handles: see watch.c.
 *
 * Threads, forks. Calls may come from any thread. native_new() is to be called in the process that serves.
 * System calls used: openat2, openat, statx, getdents64, *at() calls, xattr calls by /proc/self/fd/N,
 * pread64, pwrite64, lseek, fallocate, ftruncate, fsync, fdatasync, fstatfs, dup, close; for vfs_watch()
 * fanotify_init, fanotify_mark and name_to_handle_at; with kernel_handles that and open_by_handle_at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "vfs/vfs.h"

enum native_owners { NATIVE_OVERRIDE, NATIVE_SQUASH, NATIVE_PLAIN };

/* An object of the host. */
struct native_identity {
	uint32_t device; /* 0: that of the exported directory, else as the kernel has it, 20 bits of minor */
	uint64_t ino, born; /* born: nanoseconds since 1970; 0: unknown */
};

/* Where persistent handles find objects again that this process does not know: kept by the caller, in a
 * database for instance. Called from any thread, with no lock held. */
struct native_index {
	void *context;
	/* Remember that the object was last seen in `parent` as `name`; parent->ino 0: in the exported
	 * directory. Called by vfs_persist() for the object and for the directories above it, as far as that
	 * was not yet done or they were seen elsewhere since. Where it fails, handles may become stale. */
	void (*store)(void *context, const struct native_identity *object,
		const struct native_identity *parent, const char *name);
	/* 0, or -ENOENT. */
	int (*load)(void *context, const struct native_identity *object, struct native_identity *parent,
		char name[VFS_NAME_MAX + 1]);
	/* The object has lost its last name; NULL: that need not be known. */
	void (*forget)(void *context, const struct native_identity *object);
};

struct native_options {
	int directory; /* an open descriptor, or a regular file's; borrowed until native_new() returns */
	enum native_owners owners;
	uint32_t uid, gid; /* whom the serving user is shown as */
	bool host_ids;     /* NATIVE_OVERRIDE: owners without the xattr are shown as they are */
	bool read_only;    /* nothing is changed, files are opened for reading only */
	bool mounts;       /* what is mounted beneath the directory is served, too */
	unsigned opens;    /* files and directories open at once, -ENFILE beyond; 0: half of RLIMIT_NOFILE */
	unsigned descriptors; /* kept for known objects; 0: 512, but at most a quarter of RLIMIT_NOFILE */
	/* Known objects at most, about 200 bytes and the name each; -ENFILE beyond. 0: 2,000,000. */
	size_t inodes;
	/* Forgotten objects that vfs_persist() was asked for and that are found again by their handles in
	 * this process; 0: 65,536. */
	size_t remembered;
	/* Persistent handles hold what open_by_handle_at(2) wants, and lead to directories, and to files that
	 * the kernel has in its cache of names, in any process that has CAP_DAC_READ_SEARCH. What they lead
	 * to is checked to be beneath. */
	bool kernel_handles;
	struct native_index index; /* all NULL: none */
};

/* Errors: SYSTEM, DENIED, INVALID (neither directory nor file), UNAVAILABLE (no /proc, a kernel without
 * openat2), NO_MEMORY. */
int native_new(const struct native_options *options, struct vfs **fs, struct error *err);

/* Descriptors that were kept for objects which nobody has looked up any more, and which were not used for
 * some seconds, are closed: what the host has removed takes no space any more. To be called every few seconds
 * for as long as it says that there are more, by who serves clients that forget objects between calls. */
bool native_tidy(struct vfs *fs);
