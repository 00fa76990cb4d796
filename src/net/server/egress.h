/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: frames that the switch let through become sockets of this host, by libslirp, and what comes
 * back becomes frames. Nothing here judges; who gives a frame has done that. Still, no frame reaches an
 * address that only this host has but one for host.internal, which becomes 127.0.0.1 here, and nowhere else.
 *
 * Each guest has a libslirp of its own: its connections end with it, its many cost others nothing (libslirp
 * looks all of them through for each packet), and its sockets can be counted. They are at most
 * EGRESS_GUEST_MOST; more are refused at once, by a reset where the protocol has one.
 *
 * The host's side of addresses that no packet carries in the world: a connection of the host's to a published
 * port comes from the gateway; one to the gateway's port 53 goes to the socket of egress_dns().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

#define EGRESS_GUEST_MOST 512 /* sockets of one guest */
#define EGRESS_PINGS_MOST 32  /* of them, echo requests that wait for their reply */

struct egress;
struct egress_guest;

struct egress_calls { /* context first */
	/* A frame for the guest that has its destination. It may call egress_input(). */
	void (*frame)(void *context, const uint8_t *frame, size_t n);
};

struct egress_config {
	uint32_t subnet; /* of the group; host order */
	uint8_t bits;
	int directory;    /* for sockets of our own; not owned */
	unsigned sockets; /* of all guests; 0: what RLIMIT_NOFILE leaves */
};

int egress_new(uv_loop_t *loop, const struct egress_config *config, const struct egress_calls *calls,
	void *context, struct egress **egress, struct error *err);
void egress_close(struct egress *e); /* once its guests are removed */

/* Whether this host lets its users send echo requests (net.ipv4.ping_group_range, icmp(7)). */
bool egress_pings(const struct egress *e);

int egress_add(struct egress *e, uint32_t address, struct egress_guest **guest, struct error *err);
void egress_remove(struct egress_guest *g); /* with all its connections */

/* A frame from one of the guests; what is no IPv4 is dropped. */
void egress_input(struct egress *e, const uint8_t *frame, size_t n);

/* Its link is busy: no more is read for it from the host's sockets until it is not. */
void egress_hold(struct egress_guest *g, bool hold);

/* Leads a connection of the host's, which is the guest's from here on, to a TCP port of the guest; where this
 * fails it is reset. The guest reads the header before what the connection brings. */
int egress_connect(struct egress_guest *g, uint16_t port, int connection, const void *header, size_t n,
	struct error *err);

/* Closes a connection so that the other side sees a reset. */
void socket_reset(int fd);

/* A listening unix socket at which the guest's connections to the gateway's port 53 arrive; the caller's. */
int egress_dns(struct egress_guest *g, int *listening, struct error *err);

unsigned egress_sockets(const struct egress_guest *g);
