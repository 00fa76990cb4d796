/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both that answer the kernel's requests in the relay (volume_known.h, volume_behind.h) do with them.
 * Source of the messages: Linux 6.1, include/uapi/linux/fuse.h.
 */
#pragma once

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_UNIQUE_STEP 2u   /* between the numbers of requests: fs/fuse/dev.c */
#define REQUEST_REPLY_MAX   256u /* bytes of an answer */

struct request {
	struct fuse_in_header head;
	const uint8_t *body; /* borrowed */
	size_t size;         /* of the body */
};

/* False: too short to be one. */
bool request_read(const uint8_t *bytes, size_t n, struct request *q);

/* Of FORGET and BATCH_FORGET: calls `each` for every object that the kernel forgets. */
void request_each_forgotten(
	const struct request *q, void (*each)(void *context, uint64_t node), void *context);

/* Makes the answer, with n bytes of body. Returns true. */
bool request_answer(const struct request *q, int error, const void *body, size_t n,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size);

/* Until when what is valid for so many seconds is good; an hour at most. */
uint64_t request_expiry(uint64_t now, uint64_t seconds);
