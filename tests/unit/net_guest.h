/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest for tests of networks, as small as can be: it makes frames, and takes those that come for it. Its
 * TCP acknowledges what comes in order at once, drops the rest, and sends nothing twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "codec/packet.h"

#define NET_GUEST_FRAMES  256
#define NET_GUEST_SEGMENT 65480 /* bytes that it says it takes at once */

struct net_tcp {
	struct net_tcp *next;
	struct net_guest *guest;
	uint32_t remote;
	uint16_t port, remote_port;
	uint32_t sent, acknowledged;  /* sequence numbers: the next of ours, what the other side has */
	uint32_t expected;            /* the next of the other side's */
	uint32_t window;              /* of the other side */
	uint16_t room;                /* our window */
	uint16_t segments;            /* the largest that the other side takes; 0: it did not say */
	bool connected, ended, reset; /* ended: the other side's FIN has come */
	bool listens;
	struct buffer in;
};

struct net_guest {
	uint32_t address, gateway;
	uint8_t mac[6];
	void (*send)(void *context, uint8_t *frame, size_t n);
	void *context;
	struct net_tcp *connections;
	/* What came beside TCP, the newest last. */
	uint8_t *frames[NET_GUEST_FRAMES];
	size_t sizes[NET_GUEST_FRAMES];
	size_t frame_count;
	size_t seen;    /* frames of all kinds */
	size_t largest; /* of them, in bytes */
};

void net_guest_init(struct net_guest *g, uint32_t address, uint32_t gateway,
	void (*send)(void *context, uint8_t *frame, size_t n), void *context);
void net_guest_free(struct net_guest *g); /* not its connections: they are the caller's */
void net_guest_take(struct net_guest *g, const uint8_t *frame, size_t n);
bool net_guest_next(struct net_guest *g, struct packet *p); /* the oldest frame that came beside TCP; good
							     * until the next call */

void net_guest_udp(
	struct net_guest *g, uint16_t port, uint32_t to, uint16_t to_port, const void *data, size_t n);
void net_guest_ping(struct net_guest *g, uint32_t to, uint16_t id);

void net_tcp_connect(struct net_guest *g, struct net_tcp *t, uint16_t port, uint32_t to, uint16_t to_port);
void net_tcp_listen(struct net_guest *g, struct net_tcp *t, uint16_t port); /* for one connection */
void net_tcp_send(struct net_tcp *t, const void *data, size_t n);
void net_tcp_end(struct net_tcp *t);
void net_tcp_forget(struct net_tcp *t); /* without a word; frees what came */
