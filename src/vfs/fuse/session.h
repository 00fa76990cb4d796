/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of libfuse whose messages come and go as bytes, whatever carries them. The adapter reads a
 * message, fuse_session_serve() judges it and answers it through the call's send(), before it returns. Many
 * threads may serve at once, but for FUSE_INIT, which is served alone.
 */
#pragma once

#include <sys/uio.h>

#include "base/error.h"
#include "vfs/fuse/fuse.h"
#include "vfs/fuse/operations.h"

/* A message that is being served, in one thread. */
struct fuse_call {
	/* Sends an answer; as writev(2), but what is too large is refused as a whole. May change the vectors.
	 */
	ssize_t (*send)(struct fuse_call *call, struct iovec *vectors, int count);
	/* Where a body of that size can be made in its place, to be sent from there alone; NULL. The client
	 * may see and change what lies there. Itself NULL: there is no such place. */
	void *(*room)(struct fuse_call *call, size_t size);

	/* fuse_session_serve()'s: */
	uint64_t unique;
	bool drop;  /* setuid and setgid bits go with it (fuse_kernel.h: KILL_SUIDGID) */
	bool init;  /* it is FUSE_INIT and offers to leave privileges to us */
	bool again; /* another server had it before and may have carried it out (codec/volume.h) */
};

/* data.fs, timeout and keep by the options. */
void fuse_session_prepare(struct fuse_session_data *data, struct vfs *fs, const struct fuse_options *options);

/* data is borrowed until the session is destroyed. A session without a device has fd, which is its own from
 * then on, and closed with it; otherwise -1. */
int fuse_session_make(struct fuse_session_data *data, const struct fuse_options *options, int fd,
	struct fuse_session **session, struct error *err);

/* Messages of the session come by fuse_session_serve() from now on. fd: its device. */
int fuse_session_take(struct fuse_session *session, int fd, struct error *err);

/* bytes are the caller's own (fuse_message_check()). */
void fuse_session_serve(struct fuse_session *session, struct fuse_call *call, const void *bytes, size_t size);

/* Whether the request that this thread serves says that setuid and setgid bits go. */
bool fuse_call_drops(void);
/* Whether it may have been carried out by another server before. */
bool fuse_call_is_again(void);
/* The call's room(); NULL. */
void *fuse_call_room(size_t size);
