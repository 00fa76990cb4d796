/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NFSv3 and MOUNT server (RFC 1813) over any file system, without I/O of its own: the bytes of a call in,
 * those of the reply out. vfs/nfs3/tcp.h brings them over a socket.
 *
 * The client is hostile. Handles are what vfs_persist() gives and a MAC under the mount's key, so that no
 * handle is worth anything that this server, or one before it with the same key, has not given out. MOUNT
 * gives the root's, or that of a directory beneath it, for a name that the export was given, once. There is
 * no portmapper, and nothing lists exports or clients. Permissions are judged here, by mode bits, for the
 * caller that a call is mapped to; what the call itself says of its user is believed only where the options
 * say so.
 *
 * What POSIX allows to the owner of an open file NFS can only allow to the owner of the file: it reads and
 * writes whatever the mode is; and who may execute a file may read it (RFC 1813, 4.4). Where everything has
 * one owner, and so who made a file is not who owns it, this goes for everybody.
 *
 * Times before 1970 and after 2106 are shown as the nearest that the protocol can name.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "vfs/vfs.h"

#define NFS3_KEY_SIZE  32u
#define NFS3_ANONYMOUS 65534u
/* Bytes of a call at most: data of a WRITE and all that stands before it. */
#define NFS3_CALL_MAX (VFS_IO_MAX + 8192u)

struct nfs3_server;

enum nfs3_ids {
	NFS3_IDS_FIXED, /* everybody is uid:gid */
	/* Users are told apart by what AUTH_SYS says: for a client that is one machine with several users,
	 * none of which gets more than all of them have. Without AUTH_SYS: nobody (65534). */
	NFS3_IDS_CLIENT
};

struct nfs3_options {
	uint8_t key[NFS3_KEY_SIZE]; /* random, of the mount: the same after a restart, and old handles go on
				     */
	uint64_t
		start; /* random, another one at each start: clients send again what they had not committed */
	uint64_t fsid;
	const char *export; /* the path that MNT must name, or begin with: random; copied */
	bool export_stays;  /* it may be mounted more than once */
	enum nfs3_ids ids;
	uint32_t uid, gid; /* NFS3_IDS_FIXED */
	bool squash_root;  /* NFS3_IDS_CLIENT: uid and gid 0 are 65534 */
	/* NFS3_IDS_CLIENT: the file system gives everything to one user, whoever makes it. So the client is
	 * believed that who reads, writes or cuts a file could open it (it asks ACCESS then), and CREATE is
	 * never EXCLUSIVE. */
	bool one_owner;
	/* Changes of names and attributes are not synced before they are answered. A client's fsync() of a
	 * directory then syncs nothing, since NFSv3 has no such call. */
	bool lazy_names;
	/* What nfs3_server_tidy() does beside, with what the file system keeps (native_tidy()); or NULL. */
	bool (*tidy)(struct vfs *fs);
	size_t duplicates; /* replies that are kept for calls that come again; 0: 1024 */
};

/* fs is borrowed. Errors: INVALID, NO_MEMORY, SYSTEM. */
int nfs3_server_new(
	struct vfs *fs, const struct nfs3_options *options, struct nfs3_server **out, struct error *err);
void nfs3_server_free(struct nfs3_server *s); /* no call may be under way */
CLEANUP_DEFINE(nfs3_server, struct nfs3_server, nfs3_server_free);

/* The end of a reply that stands in a file which is mapped (vfs_map()), and is sent from there. Zeroed: none.
 * Of one thread at a time. */
struct nfs3_tail {
	struct nfs3_server *server;
	struct nfs3_open *open;
	const uint8_t *bytes;
	uint64_t offset; /* of them in the file */
	size_t size;     /* 0: none are left */
};

/* What the socket, which does not block, takes of it. -EFAULT: the file has become shorter; another negative
 * errno: the connection is gone. */
int nfs3_tail_send(struct nfs3_tail *t, int fd);
/* Reads what is left, zeroes behind the file's end; false: that failed. */
bool nfs3_tail_take(struct nfs3_tail *t, void *bytes);
void nfs3_tail_end(struct nfs3_tail *t); /* lets go of the file; none is fine */

/* Answers the call in `bytes` (one record, without its mark). Appends to reply a record with its mark. From
 * any number of threads; blocks as the file system does. peer: calls of two peers are never taken for one
 * that comes again. False: that was no call, or memory is out, and the connection must end. tail: NULL, or
 * none: what is in it afterwards follows what was appended, and the caller ends it. */
bool nfs3_server_call(struct nfs3_server *s, uint64_t peer, const void *bytes, size_t size,
	struct buffer *reply, struct nfs3_tail *tail);

/* Whether the call is one that rarely waits for a disk: it looks, or moves some bytes to or from the kernel's
 * cache. Of what is no call: true. */
bool nfs3_server_is_quick(const struct nfs3_server *s, const void *bytes, size_t size);

/* Closes what was kept open and is not used any more: to be called every few seconds for as long as it says
 * that there is more. */
bool nfs3_server_tidy(struct nfs3_server *s);
