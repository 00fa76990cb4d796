/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published ports of one sandbox. The listening sockets are ours, so that a port that is used, or not
 * allowed, is an error before the sandbox starts; a connection goes to the guest by egress_connect(), a
 * datagram as a frame that is made here.
 *
 * The guest sees both come from the gateway. From where they really come a connection tells by a PROXY
 * header, where that is asked for. Behind the gateway's address each sender of datagrams has a port, at which
 * the guest's answers find it; at most FORWARDS_SENDERS at a time for each published port.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "net/ports.h"
#include "net/server/egress.h"

#define FORWARDS_SENDERS 256

struct forwards;

struct forwards_config {
	uv_loop_t *loop;
	struct egress_guest *guest; /* borrowed */
	uint32_t address, gateway;
	/* A frame for the guest. */
	void (*frame)(void *context, const uint8_t *frame, size_t n);
	void *context;
};

int forwards_new(const struct forwards_config *config, struct forwards **forwards, struct error *err);
void forwards_close(struct forwards *f); /* connections that were made stay with the guest */

/* Publishes all of the ports or none; host ports that were 0 get what was chosen. Errors: BUSY (one is used,
 * named), DENIED, INVALID, LIMIT. */
int forwards_add(struct forwards *f, struct port *ports, size_t count, struct error *err);

/* NOT_FOUND: one of them is not published; then none is taken back. */
int forwards_remove(struct forwards *f, const struct port *ports, size_t count, struct error *err);

/* Those that are published: n = 0, 1, …; NULL at the end. */
const struct port *forwards_at(const struct forwards *f, size_t n);

/* The guest's link is down: what comes is refused at once, rather than when nobody has answered for long. */
void forwards_set_up(struct forwards *f, bool up);

/* Takes a frame of the guest's that answers a datagram. False: it is none. */
bool forwards_output(struct forwards *f, const uint8_t *frame, size_t n);
