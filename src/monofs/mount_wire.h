/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mount.c and mfsd agree on (docs/formats/monofs.md, "The socket of a mount"). A message is a u32 size
 * and as many bytes; integers are little-endian, texts a u32 size and their bytes. A request begins with a
 * u32, what is asked; its answer with a u32, 0 or an enum error_code, behind which stand what was asked for,
 * or a text. Requests of one connection are answered in order.
 *
 * mfsd is started with one end of a stream socket as descriptor 3, by which one request comes, START, and its
 * answer goes. Then it listens, in a directory of the user's, at a socket that is called as its pid.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

#define MOUNT_START_FD    3
#define MOUNT_MESSAGE_MAX (1u << 20)

enum mount_request {
	MOUNT_START = 1, /* texts: repository, directory, revision, author; u32 flags; u64 quiet, most; the
			  * commit's 32 bytes; the master key's 32 bytes, zeroes where there is none */
	MOUNT_STATE,     /* → texts: repository, directory, revision; u8 live; base's 32 bytes; u64 dirty,
			  * journal's     bytes, since; u32 pid */
	MOUNT_COMMIT, /* texts: author, message; u8: there is a message → the commit's 32 bytes; u8: it was
			 made */
	MOUNT_ROLL_BACK, /* → nothing */
	MOUNT_KEY,       /* → 32 bytes */
	MOUNT_STOP,      /* u8 force → nothing, when all is done */
	MOUNT_HOLD,      /* u32 enum mount_hold; text: who → nothing */
	MOUNT_RELEASE,   /* u8: it went well; text: how it ended → as of MOUNT_COMMIT */
};

enum mount_start_flags {
	MOUNT_START_COMMIT = 1, /* a revision, read-only */
	MOUNT_START_MANUAL = 2,
	MOUNT_START_ALLOW_OTHER = 4,
	MOUNT_START_KEY = 8,
	MOUNT_START_HELD = 16, /* it ends when nobody holds it any more */
	MOUNT_START_NFS =
		32 /* served over NFS, not mounted; the answer has a u16, the port, and a text, the export */
};

int mount_send(int fd, const struct buffer *message, struct error *err);
/* Appends to message, which is emptied first; CLOSED at the end. */
int mount_receive(int fd, struct buffer *message, struct error *err);

/* The directory of the sockets, made where it is missing: the caller's alone. A descriptor. */
int mount_directory(struct error *err);
