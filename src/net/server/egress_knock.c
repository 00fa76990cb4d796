/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of the host's come when they come: before the guest has its address, or while its queue is
 * full. It drops their first segment then, and libslirp waits for six seconds before it sends another. The
 * segment is sent again sooner from here, until the guest has said something.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/packet.h"
#include "net/server/egress_parts.h"

#define FIRST      MILLISECONDS(100) /* twice that the next time, and so on */
#define TRIES_MOST 5

void knock_begin(struct egress_guest *g, int fd, const uint8_t *frame, size_t n)
{
	struct knock *k = n <= PACKET_ANSWER_ROOM ? malloc(sizeof *k + n) : NULL;

	if (!k)
		return; /* libslirp sends it again */
	*k = (struct knock){.next = g->knocks, .fd = fd, .due = clock_monotonic() + FIRST, .size = n};
	memcpy(k->frame, frame, n);
	g->knocks = k;
}

void knock_end(struct egress_guest *g, int fd)
{
	for (struct knock **at = &g->knocks, *k; (k = *at); at = &k->next)
		if (k->fd == fd) {
			*at = k->next;
			free(k);
			return;
		}
}

static struct knock *first_due(struct egress_guest *g, uint64_t now)
{
	struct knock *k = g->knocks;

	while (k && k->due > now)
		k = k->next;
	return k;
}

void knock_again(struct egress_guest *g, uint64_t now)
{
	struct knock *k;

	while ((k = first_due(g, now))) {
		uint8_t frame[PACKET_ANSWER_ROOM];
		size_t n = k->size;

		memcpy(frame, k->frame, n);
		k->due = now + (FIRST << ++k->tries);
		if (k->tries == TRIES_MOST)
			knock_end(g, k->fd);
		egress_to_guest(g, frame, n); /* who answers at once ends it */
	}
}

uint64_t knock_due(const struct egress_guest *g)
{
	uint64_t due = UINT64_MAX;

	for (const struct knock *k = g->knocks; k; k = k->next)
		if (k->due < due)
			due = k->due;
	return due;
}
