/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's stream: QEMU's framing of Ethernet frames on a unix stream socket, a length of four bytes, big
 * end first, then the frame.
 *
 * Both ways are bounded and never wait. What comes is read at most LINK_READ bytes at a time, so that in each
 * turn of the loop every guest gets as much of it as any other; what goes waits in a queue of at most
 * LINK_QUEUE bytes and leaves in few large writes, when the loop has done its turn. A guest that does not
 * read loses frames, and nobody waits for it.
 *
 * No frame that QEMU makes is larger than LINK_FRAME_MAX; a length above it breaks the framing, after which
 * nothing that comes can be believed, and the link ends. Which frames are right is the switch's to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

#define LINK_FRAME_MAX 69632 /* NET_BUFSIZE of QEMU */
#define LINK_READ      (128 * 1024)
#define LINK_QUEUE     (4 * 1024 * 1024)
#define LINK_BUSY      (1024 * 1024) /* so much in the queue, and who can hold back is asked to */

struct link;

struct link_calls { /* context first */
	/* A frame of the guest's, which may be changed in place. The link may be closed in here. */
	void (*frame)(void *context, uint8_t *frame, size_t n);
	/* The guest's end was closed, or the framing broken; nothing comes any more, link_close() is due. */
	void (*ended)(void *context, const char *why);
	/* The queue is longer than LINK_BUSY, or has become short again. */
	void (*busy)(void *context, bool busy);
};

/* What the links of a loop share: where frames are read to, and which links have to be written. */
struct link_hub;
int link_hub_new(uv_loop_t *loop, struct link_hub **hub, struct error *err);
void link_hub_close(struct link_hub *hub); /* once its links are closed */

/* Serves the socket, which is the link's from here on, also where this fails. */
int link_new(struct link_hub *hub, int fd, const struct link_calls *calls, void *context, struct link **link,
	struct error *err);
void link_close(struct link *link); /* what is queued is dropped */

/* Queues a frame. False: the queue is full, and it was dropped. */
bool link_send(struct link *link, const uint8_t *frame, size_t n);
