/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the resolver: it decides what a question gets (resolver.c), asks this host's resolvers
 * (resolver_exchange.c), and serves connections (resolver_tcp.c).
 *
 * A question that has to be forwarded is a waiter at an exchange; the same question of several askers is one
 * exchange, so that nobody can have many replies to it under way, of which a forger needs to hit one (RFC
 * 5452 §5).
 */
#pragma once

#include <sys/stat.h>

#include "base/buffer.h"
#include "net/dns_cache.h"
#include "net/resolv_conf.h"
#include "net/server/resolver.h"

#define RESOLVER_UDP_MOST       DNS_UDP_MOST /* bytes of a reply by UDP: fits every MTU */
#define RESOLVER_EXCHANGES_MOST 1024u        /* under way in all */
#define RESOLVER_CROWD          512u         /* from so many on, a sandbox has fewer: */
#define RESOLVER_QUERIES_CROWD  4u
#define RESOLVER_DATAGRAM_MOST  4096u /* of a resolver: more than we ask for */

struct dns_client;
struct dns_listener;

/* A sandbox that has asked, or may by TCP. */
struct dns_asker {
	struct dns_asker *next;
	uint32_t id;
	unsigned queries; /* waiters */
	struct dns_listener *listener;
	struct dns_client *clients;
};

/* Whom an answer goes to. */
struct requester {
	struct dns_asker *asker;
	struct resolver_asker from; /* by UDP */
	struct dns_client *client;  /* or by this connection */
};

struct waiter {
	struct waiter *next;
	struct requester to;
	struct dns_query q; /* its message is the following */
	uint8_t question[DNS_QUERY_MOST];
};

struct exchange {
	struct exchange *before, *after;
	struct resolver *r;
	struct waiter *waiters;
	struct dns_query q; /* of the first waiter; its message is not there */
	struct resolv_conf conf;
	uint8_t order[RESOLV_CONF_SERVERS_MOST]; /* of the servers */
	unsigned tries;                          /* servers that were asked so far, with repetitions */
	bool edns;
	struct attempt *attempt;
	struct buffer failure; /* a reply that says that its server failed, if nobody does better */
	uv_timer_t timer;
};

struct resolver {
	uv_loop_t *loop;
	const struct names *names;
	const struct resolver_calls *calls;
	void *context;
	char *path; /* of resolv.conf */
	uint16_t port;
	struct resolv_conf conf;
	struct stat conf_seen; /* the file that conf was read from */
	uint64_t conf_looked;  /* when the file was last looked at */
	unsigned rotation;
	uint64_t bad_until[RESOLV_CONF_SERVERS_MOST]; /* servers that did not answer: asked last until then */
	struct dns_cache *cache;
	struct dns_asker *askers;
	struct exchange *exchanges;
	unsigned exchange_count;
	unsigned handles; /* of libuv, open or closing */
	bool closing;
	void (*done)(void *);
	void *done_context;
	uint8_t datagram[RESOLVER_DATAGRAM_MOST]; /* that is being read */
	uint8_t out[DNS_MESSAGE_MOST];            /* that is being built */
};

/* Every handle is counted from its making until its close callback, which ends with the second. */
void resolver_handle_opened(struct resolver *r);
void resolver_handle_closed(struct resolver *r);

/* resolver.c, for the others */
void resolver_handle(struct resolver *r, const struct requester *to, const uint8_t *message, size_t n);
void resolver_drop_waiters(
	struct resolver *r, const struct dns_asker *asker, const struct dns_client *client);
/* The exchange is over: its waiters get the reply (NULL: nobody answered). It is gone from the list. */
void resolver_answered(struct exchange *x, const struct dns_reply *reply);

/* resolver_exchange.c: one that is under way for the question, NULL: none; a new one; the end of one without
 * waiters. */
struct exchange *exchange_find(struct resolver *r, const struct dns_query *q);
int exchange_start(struct resolver *r, const struct dns_query *q, struct exchange **x, struct error *err);
void exchange_cancel(struct exchange *x);

/* resolver_tcp.c */
int dns_listener_open(struct resolver *r, struct dns_asker *asker, int fd, struct error *err);
void dns_listener_close(struct dns_asker *asker); /* with its connections */
void dns_client_send(struct dns_client *c, const uint8_t *message, size_t n);
void dns_client_waits(struct dns_client *c, int change); /* how many of its questions are under way */
