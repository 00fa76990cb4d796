/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running sandbox's networks: for each group a wire, which is the guest's interface, a stream to it that
 * QEMU takes at the socket netN in the sandbox's directory, and a control connection to the group's process,
 * mcnet, to which the other end of that stream is given.
 *
 *   network.c       network.json, start and end, what the guest is told
 *   network_wire.c  one wire: attach, link, and all of it again with another mcnet
 *   network_wish.c  what clients want changed while the sandbox runs
 *   dialer.c        who starts mcnet when the supervisor no longer can
 *
 * A wire is WAITING (for its next try) → DIALING (asked the dialer for a connection) → ATTACHING (has said
 * all about the sandbox) → ON. It falls back to WAITING when the connection ends. The guest notices nothing
 * but frames that are lost meanwhile. At the start the same is done step by step, and what fails there fails
 * the start.
 *
 * All descriptors hang on one of epoll's, which the supervisor's loop looks at; nothing here blocks once the
 * loop runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/message.h"
#include "os/peer.h"
#include "sandbox/network.h"
#include "sandbox/supervisor/dialer.h"
#include "vm/vm.h"

struct client;
struct frame;
struct supervisor;
struct networks;

enum wire_state { WIRE_WAITING, WIRE_DIALING, WIRE_ATTACHING, WIRE_ON };

/* A request of a client's, until every wire that it concerns has answered. */
struct wish {
	struct wish *next;
	struct client *client; /* NULL: it is gone */
	uint32_t stream;       /* of the client */
	uint16_t type;         /* CONTROL_POLICY, … */
	unsigned waiting;      /* answers that are due */
	struct error failure;  /* the first; code 0: none */
	struct port *ports;    /* of PORT_ADD and PORT_REMOVE */
	size_t port_count;
};

/* An answer that mcnet owes. */
struct due {
	struct due *next;
	uint32_t stream;
	uint16_t type; /* of the request */
	struct wish *wish;
};

struct wire {
	struct networks *networks;
	uint32_t number;
	enum wire_state state;
	struct peer peer;
	int listener; /* netN */
	int stream;   /* connected to netN, and not given away for good; -1 */
	uint32_t next_stream;
	bool without_ports; /* they could not be published again */
	struct due *due;
	uint64_t since; /* ON: clock_monotonic() */
	uint64_t again; /* WAITING: its next try, ON: to link anew; clock_monotonic(), UINT64_MAX: not due */
	unsigned tries;
};

struct networks {
	struct supervisor *supervisor;
	struct network network;
	struct net_place place;
	char *program;
	struct dialer dialer;
	bool dialer_lost;
	int epoll;
	struct wire wires[NETWORK_GROUPS_MAX];
	struct vm_nic nics[NETWORK_GROUPS_MAX];
	struct wish *wishes;
	unsigned wish_count;
};

/* network.c */

/* Asks for connections to mcnet, which may have to start, and where there are ports publishes them: before
 * the VM starts. *n stays NULL where the sandbox has no networks. */
int networks_open(struct supervisor *s, struct networks **n, struct error *err);
void networks_close(struct networks *n);

/* The VM's devices; NULL and one where n is NULL. */
const struct vm_nic *networks_nics(const struct networks *n, size_t *count);

/* Before each start of a VM: a socket for each device, at which a connection waits; after it, the other end
 * is handed to mcnet. */
int networks_prepare(struct networks *n, struct error *err);
int networks_link(struct networks *n, struct error *err);

/* For SETUP. hosts and resolv_conf are the caller's; n may be NULL. */
uint32_t networks_describe(const struct networks *n, struct message_network list[NETWORKS_MAX]);
char *networks_hosts(const struct networks *n, const char *hostname, struct error *err);
char *networks_resolv_conf(const struct networks *n, struct error *err);

/* For the loop: readable when networks_ready() has something to do; when it wants to be called besides
 * (clock_monotonic(); UINT64_MAX: never). */
int networks_fd(const struct networks *n);
void networks_ready(struct networks *n);
uint64_t networks_next(const struct networks *n);

/* Writes network.json; a failure is noted in the log. */
void networks_keep(struct networks *n);

/* network_wire.c */
void wire_watch(struct wire *w); /* after something was queued */
int wire_prepare(struct wire *w, struct error *err);
int wire_attach(struct wire *w, struct error *err);   /* sends it */
int wire_attached(struct wire *w, struct error *err); /* waits for the answer */
int wire_link(struct wire *w, struct error *err);
void wire_unlink(struct wire *w);
void wire_ask(struct wire *w, uint16_t type, const struct buffer *payload, struct wish *wish);
void wire_connected(struct wire *w, int connection);
void wire_lost(struct wire *w, const struct error *why);
void wire_ready(struct wire *w, uint32_t events);
void wire_due_now(struct wire *w, uint64_t now);
void wire_free(struct wire *w);

/* network_wish.c */

/* A request of CONTROL_POLICY, _PORT_ADD, _PORT_REMOVE or _BANDWIDTH; it is answered later, or fails now. */
int networks_request(struct networks *n, struct client *c, const struct frame *f, struct error *err);
void networks_forget(struct networks *n, const struct client *c); /* n may be NULL */
void wish_answered(struct networks *n, struct wish *w, const struct frame *f, const struct error *failure);
