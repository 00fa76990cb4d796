/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mcrun and `mcfs volumes` agree on. mcfs is started before mcrun gives up the file system, and has one
 * end of a SOCK_SEQPACKET on descriptor 3. It is given the directories (or regular files) once, and starts a
 * server for one of them whenever it is asked to: a child with nothing but that and one end of a stream
 * socket, on which it speaks FUSE (docs/formats/volume.md), NFS, or vhost-user, after one greeting. Both are
 * of one build: structs travel as they are.
 */
#pragma once

#include <stdint.h>

#include "vfs/guard/guard.h"

#define VOLUME_SERVER_FD        3
#define VOLUME_SERVER_NAMES_MAX GUARD_BYTES_MAX

enum volume_server_what {
	/* With a descriptor of it, or what flags say: the next number. Behind the request come the paths in
	 * it that stay as they are (guard.h), VOLUME_SERVER_NAMES_MAX bytes at most. */
	VOLUME_SERVER_ADD = 1,
	VOLUME_SERVER_START = 2 /* number; answered by struct volume_server_started */
};

enum volume_server_flags {
	VOLUME_SERVER_READ_ONLY = 1,
	VOLUME_SERVER_SQUASH = 2,    /* owners are not kept (NATIVE_SQUASH) */
	VOLUME_SERVER_RESUME = 4,    /* of START: there was another before */
	VOLUME_SERVER_NFS = 16,      /* it speaks NFS, as over TCP, and ends with its connection */
	VOLUME_SERVER_STAGED = 64,   /* with READ_ONLY: the client sees the directory as it once saw it */
	VOLUME_SERVER_VIRTIOFS = 32, /* it speaks vhost-user */
	VOLUME_SERVER_OVERLAY = 128, /* a second descriptor comes along, an image (EROFS): served are the
				      * changes in the directory over it; read-only: the image alone */
	VOLUME_SERVER_UNSYNCED = 256 /* of an OVERLAY: nobody would look for it after a power cut */
};

struct volume_server_request {
	uint32_t what, number, flags;
	uint64_t
		until; /* with RESUME: clock_realtime(), after which nothing was made that the client knows */
};

/* With two descriptors: mcrun's end of the socket, and a pidfd of the server. */
struct volume_server_started {
	uint32_t number;
};

/* The first that a server sends: code 0, or why it does not serve. */
struct volume_server_greeting {
	uint32_t code; /* enum error_code */
	char text[508];
};
