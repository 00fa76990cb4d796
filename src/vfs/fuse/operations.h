/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE's requests as calls of a vfs. */
#pragma once

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <sys/uio.h>

#include "vfs/vfs.h"

/* What the requests of one session have at hand: fuse_req_userdata(). */
struct fuse_session_data {
	struct vfs *fs;
	double timeout;      /* seconds for which names and attributes may be kept */
	double told_timeout; /* the same, where the client is told of changes */
	bool no_open;        /* files are not opened: requests bear no handles */
	/* Setuid and setgid bits and security.capability go with writes and truncations: here, where the
	 * client's kernel can leave it to us, else it asks for the attribute before each write. libfuse 3.14
	 * knows nothing of this; session.c looks into the messages. */
	bool privileges;    /* it is left to us */
	bool keep;          /* fuse_options.keep_contents, or what is served does not change */
	bool told_contents; /* fuse_options.told_contents */
	/* Sends what the client did not ask for; as writev(2). NULL: it is told nothing. */
	ssize_t (*notice)(struct fuse_session_data *data, struct iovec *vectors, int count);
	/* Keeps such a message for the next reply, before which it goes. NULL: the client wants none. */
	void (*ahead)(struct fuse_session_data *data, const void *message, size_t size);
};

extern const struct fuse_lowlevel_ops fuse_requests;
