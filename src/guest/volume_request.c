/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_request.h"

#include <string.h>

#include "base/clock.h"

bool request_read(const uint8_t *bytes, size_t n, struct request *q)
{
	if (n < sizeof q->head)
		return false;
	memcpy(&q->head, bytes, sizeof q->head);
	q->body = bytes + sizeof q->head;
	q->size = n - sizeof q->head;
	return true;
}

void request_each_forgotten(
	const struct request *q, void (*each)(void *context, uint64_t node), void *context)
{
	struct fuse_batch_forget_in many;
	struct fuse_forget_one one;

	if (q->head.opcode == FUSE_FORGET) {
		each(context, q->head.nodeid);
		return;
	}
	if (q->size < sizeof many)
		return;
	memcpy(&many, q->body, sizeof many);
	for (size_t at = sizeof many, i = 0; i < many.count && at + sizeof one <= q->size; i++) {
		memcpy(&one, q->body + at, sizeof one);
		each(context, one.nodeid);
		at += sizeof one;
	}
}

bool request_answer(const struct request *q, int error, const void *body, size_t n,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof h + n), .error = error, .unique = q->head.unique};

	memcpy(reply, &h, sizeof h);
	if (n)
		memcpy(reply + sizeof h, body, n);
	*size = h.len;
	return true;
}

uint64_t request_expiry(uint64_t now, uint64_t seconds)
{
	return now + (seconds < 3600 ? seconds : 3600) * NANOSECONDS_PER_SECOND;
}
