/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves a file system over FUSE, by libfuse3's low-level interface: mounted on this host, through
 * fusermount3 where the caller is no root, or to a client behind a stream socket.
 *
 * The client judges permissions itself (default_permissions). Every number, size and name that it sends is
 * taken for hostile.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vfs/vfs.h"

struct fuse_server;

struct fuse_options {
	const char *name;    /* shown as the mount's source; NULL: "monocore" */
	uint64_t cache;      /* nanoseconds for which clients may keep names and attributes */
	uint64_t told_cache; /* the same, where the file system tells what others change (vfs_watch()), and
			      * the client is told; 0: it is not asked to */
	bool no_open;        /* the client opens files without asking: it gets no handles, and errors of
			      * opening come with the first read or write */
	bool allow_other;    /* users but the one who mounts may use it */
	bool keep_contents;  /* what clients have cached of a file outlives its opening, for as long as its
			      * time and size are the same, or for good with told_contents */
	/* Nobody but this client changes contents, or the client is told (told_cache): what it has cached it
	 * drops only then. Else Linux drops it whenever it hears that a file's time is another, also by its
	 * own writes; and where several threads write and read one file, a page that was dropped is read
	 * again before a write that is under way, and its writer finds there what was before (6.1, 6.18). */
	bool told_contents;
	bool own_permissions; /* the client's kernel judges no permission */
	bool ahead;       /* the client is the relay of volumes, and takes VOLUME_AHEAD (codec/volume.h) */
	unsigned threads; /* 0: 8 */
};

/* Mounts fs on a directory. Nothing answers until fuse_server_run(). fs is borrowed until fuse_server_free().
 * Errors: NOT_FOUND, DENIED, UNAVAILABLE (no FUSE here), SYSTEM; what fusermount3 says goes to standard
 * error. */
int fuse_server_mount(struct vfs *fs, const char *directory, const struct fuse_options *options,
	struct fuse_server **server, struct error *err);

/* Serves a client behind fd, a stream socket, which is the server's from now on. */
int fuse_server_connect(struct vfs *fs, int fd, const struct fuse_options *options,
	struct fuse_server **server, struct error *err);

/* Serves until it is unmounted, the connection ends, or fuse_server_stop(). */
int fuse_server_run(struct fuse_server *server, struct error *err);
void fuse_server_stop(struct fuse_server *server); /* from another thread or a signal handler */

/* False: it was unmounted, or its connection was broken off. What is mounted on its directory now is not it.
 */
bool fuse_server_is_mounted(const struct fuse_server *server);

/* After a fork: lets go of the connection in the process that does not serve, whose fuse_server_free()
 * unmounts what the one that does has left dead. */
void fuse_server_leave(struct fuse_server *server);

void fuse_server_free(struct fuse_server *server); /* unmounts, where it is still mounted */
CLEANUP_DEFINE(fuse_server, struct fuse_server, fuse_server_free);
