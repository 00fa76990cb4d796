/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server share; nobody else includes it. */
#pragma once

#include <uv.h>

#include "net/control.h"
#include "net/host.h"
#include "net/learnt.h"
#include "net/names.h"
#include "net/policy.h"
#include "net/server/egress.h"
#include "net/server/forwards.h"
#include "net/server/link.h"
#include "net/server/resolver.h"
#include "net/server/server.h"
#include "net/switch.h"
#include "os/peer.h"

#define CLIENTS_MOST 640               /* a sandbox each, and who looks */
#define TRACES_MOST  8                 /* of one client */
#define OUTPUT_MOST  (4 * 1024 * 1024) /* bytes that wait for one client */
#define REFUSED_MOST 32                /* names that were refused to a sandbox, and are remembered */

/* A name that the resolver refused: as a flow that was denied. */
struct refused {
	char name[LEARNT_NAME_MAX];
	char why[RESOLVER_WHY_SIZE];
	uint64_t first, last, count; /* times: clock_realtime() */
};

/* A sandbox that is attached. */
struct member {
	struct member *next;
	struct server *server;
	struct client *client;
	struct net_attach about;
	uint32_t port; /* of the switch, and its number everywhere; 0: none yet */
	struct egress_guest *egress;
	struct forwards *forwards;
	struct link *link;
	bool named;              /* it is in `names` */
	struct refused *refused; /* REFUSED_MOST of them, once there is one */
};

struct client {
	struct client *next;
	struct server *server;
	struct peer peer;
	uv_poll_t poll;
	struct member *member;
	int descriptor; /* that came, for LINK; -1: none */
	bool looks;     /* has asked for nothing but what there is to see */
	bool dropped;
	struct {
		uint32_t stream; /* 0: none */
		uint32_t port;   /* 0: of all */
	} traces[TRACES_MOST];
};

struct server {
	struct net_server_config config;
	uv_loop_t loop;
	uv_poll_t listening, watching;
	uv_prepare_t before_wait;
	uv_timer_t tick, linger, listen_again;
	uv_signal_t terminate;
	int watch; /* tells of addresses of the host that come and go; -1: none */
	struct client *clients;
	unsigned client_count, tracing;
	struct member *members;
	bool ending;
	/* Once the first sandbox is attached: */
	char *group;
	bool single; /* a sandbox's own group, called by its id: nobody else comes */
	struct prefix subnet;
	uint32_t gateway, host;
	struct net_switch *sw;
	struct names *names;
	struct resolver *resolver;
	struct egress *egress;
	struct link_hub *hub;
	struct neighbour *neighbours; /* neighbours.c */
	uint64_t look_again;          /* when it may look for more; clock_monotonic() */
};

/* server_group.c: the switch and what belongs to it, and the calls between them. */
int server_open_group(struct server *s, const struct net_attach *first, struct error *err);
void server_close_group(struct server *s);
void server_read_host(struct server *s);
void server_from_world(void *server, const uint8_t *frame, size_t n);

/* server_member.c */
struct member *member_of_port(const struct server *s, uint32_t port);
struct member *member_of_sandbox(const struct server *s, const char *sandbox);
int member_attach(struct client *c, struct net_attach *about, struct error *err); /* takes what it needs */
void member_detach(struct member *m);
int member_link(struct member *m, int fd, struct error *err); /* owns fd */
void member_unlink(struct member *m);
int member_set_policy(struct member *m, struct net_policy *policy, struct error *err);
int member_add_ports(struct member *m, struct port *ports, size_t count, struct error *err);
int member_remove_ports(struct member *m, const struct port *ports, size_t count, struct error *err);
void member_refused(struct member *m, const char *name, const char *why);

/* server_client.c */
bool client_accept(struct server *s); /* false: there are no descriptors left */
void client_drop(struct client *c);   /* with its member; it is freed by the loop */
bool client_send(struct client *c, uint32_t stream, uint16_t type, const void *payload, size_t n);
void clients_trace(struct server *s, uint32_t port, const char *line);
void server_linger(struct server *s); /* something changed that may mean the end */

/* server_status.c */
int server_status(struct server *s, struct buffer *out, struct error *err);
int server_why(struct server *s, const char *sandbox, struct buffer *out, struct error *err);
