/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of a switch: what was decided about each, so that only its first packet is judged, and
 * until when it lives. Tables are allocated once; nothing is allocated on the way of a packet.
 *
 * A flow belongs to the sandbox that opened it. A packet that a sandbox sends belongs to a flow of its own,
 * or, turned round, to one that a member of its group opened to it: a switch looks for both. Flows that come
 * from outside (published ports) belong to the sandbox they go to and are `inbound`.
 *
 * A sandbox has at most FLOWS_PER_SANDBOX. When it has them all, or the table is full, a new flow pushes out
 * an old one: of that sandbox, or of the one that has most. So nobody is pushed below his equal share of the
 * table by others. Those that were never answered or are closing go first, oldest first; then those that have
 * been silent.
 */
#pragma once

#include "base/error.h"
#include "net/policy.h"

#define FLOWS_PER_SANDBOX 8192
#define FLOWS_CAPACITY    65536 /* of a table, as a rule */

enum flow_direction {
	FLOW_OUT, /* from the sandbox that it belongs to */
	FLOW_IN,
};

/* state, its word, seconds of silence that end it, how strong it is: the weak are pushed out first */
#define FLOW_STATES(X) \
	X(TCP_OPENING, "tcp-opening", 60, \
		WEAK) /* not answered yet, or joined in its middle and seen one way */ \
	X(TCP_OPEN, "tcp-open", 7200, STRONG) \
	X(TCP_CLOSING, "tcp-closing", 60, WEAK) /* both sides said FIN, or one RST */ \
	X(UDP_SENT, "udp-sent", 120, WEAK) \
	X(UDP_ANSWERED, "udp-answered", 180, STRONG) \
	X(ICMP, "icmp", 30, WEAK)

enum flow_state {
#define X(name, text, seconds, strength) FLOW_##name,
	FLOW_STATES(X)
#undef X
};

struct flow {
	struct flow_key key;
	/* The switch's own; zero in a new flow. */
	struct verdict verdict;
	uint32_t generation; /* of the policy that gave the verdict */
	uint32_t held;       /* its first flight that waits for a name */
	uint64_t name;       /* learnt_fingerprint() of it */
	/* To be read. */
	uint64_t began, last;          /* nanoseconds */
	uint64_t packets[2], bytes[2]; /* by flow_direction */
	enum flow_state state;
	bool inbound;
	/* Of flows.c. */
	uint8_t seen;                    /* which sides have sent, and said FIN */
	bool touched;                    /* since it was last looked at for silence */
	uint32_t next;                   /* in its bucket; of free ones */
	uint32_t wheel_next, wheel_prev; /* of those that end in the same second */
	uint32_t ring_next, ring_prev;   /* of its sandbox */
	uint32_t second;                 /* of the wheel it stands in */
};

struct flows;

/* Called before a flow goes, for whatever reason but flows_free(): what it held is to be given up. */
typedef void flows_gone(void *context, struct flow *flow);

/* A table for `capacity` flows (at least one for each sandbox) of sandboxes that are numbered below
 * `sandboxes`. `seed` is random. `gone` may be NULL. Error NO_MEMORY. */
int flows_new(size_t capacity, uint32_t sandboxes, const uint64_t seed[2], flows_gone *gone, void *context,
	struct flows **f, struct error *err);
void flows_free(struct flows *f); /* NULL: nothing */

/* The flow, or NULL. One whose time is over may still be there until flows_expire() is called. */
struct flow *flows_find(struct flows *f, const struct flow_key *k);

/* A new flow; there is none of this key. It may push out another: pointers to flows are not good any more. */
struct flow *flows_add(struct flows *f, const struct flow_key *k, bool inbound, uint64_t now);

/* Counts a packet that goes by, of n bytes, and moves the state. tcp_flags: those of the header, 0 for
 * others. */
void flows_packet(struct flows *f, struct flow *flow, enum flow_direction direction, uint8_t tcp_flags,
	size_t n, uint64_t now);

/* Whether this packet belongs to no flow that there was, though it has the same addresses and ports: a SYN,
 * but for those that open the flow itself. From the side that opened the old one it opens another in its
 * place: remove the old one, and judge. From the other side it opens one of that side's own. */
bool flow_opens_anew(const struct flow *flow, enum flow_direction direction, uint8_t tcp_flags);

void flows_remove(struct flows *f, struct flow *flow);
void flows_remove_sandbox(struct flows *f, uint32_t sandbox);

/* Removes those whose time is over, at most a second late; returns when it wants to be called again,
 * UINT64_MAX where there are no flows. */
uint64_t flows_expire(struct flows *f, uint64_t now);

size_t flows_count(const struct flows *f);
size_t flows_count_sandbox(const struct flows *f, uint32_t sandbox);

/* Walks those of a sandbox: start with NULL; NULL at the end. Nothing may be added or removed meanwhile. */
const struct flow *flows_next(const struct flows *f, uint32_t sandbox, const struct flow *after);

const char *flow_state_name(enum flow_state state); /* "tcp-open" */
