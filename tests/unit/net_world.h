/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with a way out, on a loop that the test turns. */
#pragma once

#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "net/server/egress.h"
#include "net_guest.h"
#include "test.h"

#define SUBNET   0x0a090800u
#define GATEWAY  (SUBNET + 1)
#define HOST     (SUBNET + 2)
#define GUEST    (SUBNET + 3)
#define DEADLINE (10 * NANOSECONDS_PER_SECOND)

struct world {
	uv_loop_t loop;
	char path[64];
	int directory;
	struct egress *egress;
	struct egress_guest *port;
	struct net_guest guest;
	bool (*answer)(void *context, const uint8_t *frame, size_t n); /* sees the guest's frames first */
	void *context;
};

/* Turns the loop until the condition holds; what it is about may be no part of the loop. */
#define UNTIL(w, condition) \
	do { \
		uint64_t deadline_ = clock_monotonic() + DEADLINE; \
		bool holds_; \
		while (!(holds_ = (condition)) && clock_monotonic() < deadline_) \
			uv_run(&(w)->loop, UV_RUN_NOWAIT), usleep(50); \
		if (!holds_) \
			test_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

void world_open(struct world *w, unsigned sockets); /* sockets: of the egress */
void world_close(struct world *w);
void world_settle(struct world *w); /* a few turns more, in which nothing is expected */
void world_frame(void *world, const uint8_t *frame, size_t n); /* for the guest */

int host_socket(int type, uint16_t *port);              /* on loopback, of any port; TCP listens */
int host_connect(int type, uint32_t to, uint16_t port); /* non-blocking once it is connected */
int world_accept(struct world *w, int listener);
size_t read_some(int fd, struct buffer *b); /* what can be read just now is appended; returns b->size */
