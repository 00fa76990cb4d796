/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS service of a group: names of the group are answered at once, what the asker's policy forbids is
 * refused at once, and the rest goes to this host's resolvers (/etc/resolv.conf, read again when it changes),
 * by UDP from a fresh random port with a fresh random id each time, by TCP where the answer was cut. Answers
 * are kept, bounded in bytes, for as long as they say.
 *
 * A sandbox asks by UDP through resolver_ask(), by TCP through a listening socket of its own
 * (resolver_listen()): who asks is known by the socket, since the connection that the egress makes to it says
 * nothing of where it comes from. The other side of that is the egress': it leads a guest's connection to the
 * gateway's port 53 to this guest's socket.
 *
 * Everything runs on one libuv loop, in one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/error.h"
#include "net/names.h"

#define RESOLVER_WHY_SIZE 640u /* as VERDICT_TEXT_MAX */

/* Who asks, and where the answer goes; kept by value until then. */
struct resolver_asker {
	uint32_t id; /* the sandbox's port on the switch */
	uint32_t address;
	uint16_t port;
};

struct resolver_calls { /* context first */
	/* Whether what this asker may reach lets it ask for the name. False: refused, with the reason in why.
	 */
	bool (*allowed)(void *c, uint32_t id, const char *name, char why[RESOLVER_WHY_SIZE]);
	/* Whether it is to be told of HTTPS and SVCB records: not where rules with names hold, which need a
	 * server name that is not encrypted. */
	bool (*services)(void *c, uint32_t id);
	/* An address that an answer to this asker gives for a name, for ttl seconds; before the answer goes.
	 */
	void (*learn)(void *c, uint32_t id, const char *name, uint32_t address, uint32_t ttl);
	/* The reply to a question asked by resolver_ask(); at most what fits into a UDP packet. */
	void (*answer)(void *c, const struct resolver_asker *asker, const uint8_t *reply, size_t n);
};

struct resolver_config {
	const char *resolv_conf; /* NULL: /etc/resolv.conf. Opened at every reading */
	size_t cache_bytes;      /* 0: RESOLVER_CACHE_BYTES */
	uint16_t port;           /* of the resolvers; 0: 53. For tests */
};
#define RESOLVER_CACHE_BYTES  (1024u * 1024u)
#define RESOLVER_QUERIES_MOST 64u /* of one sandbox under way; more are refused */
#define RESOLVER_CLIENTS_MOST 8u  /* TCP connections of one sandbox; the oldest idle one makes room */

struct resolver;

/*
 * names and calls are borrowed; none of the calls may call back into the resolver. A resolv.conf that is not
 * there means a resolver on 127.0.0.1 (resolv.conf(5)), and so does one that cannot be read at first, with a
 * warning. A process that confines itself must leave the file open to itself, also where another one takes
 * its place.
 */
int resolver_new(uv_loop_t *loop, const struct names *names, const struct resolver_config *config,
	const struct resolver_calls *calls, void *context, struct resolver **resolver, struct error *err);

/* Closes everything; `done` (may be NULL) is called when nothing of it is left in the loop, perhaps at once.
 */
void resolver_close(struct resolver *r, void (*done)(void *), void *done_context);

/* A question by UDP. It is answered by calls->answer, perhaps before this returns; what is no question gets
 * no answer. */
void resolver_ask(struct resolver *r, const struct resolver_asker *asker, const uint8_t *query, size_t n);

/* Serves DNS by TCP (RFC 7766) for sandbox `id` on a listening stream socket, which it owns from here on,
 * also where this fails. */
int resolver_listen(struct resolver *r, uint32_t id, int listening, struct error *err);

/* The sandbox is gone: its socket, connections and questions are closed, none of them is answered any more.
 */
void resolver_forget(struct resolver *r, uint32_t id);
