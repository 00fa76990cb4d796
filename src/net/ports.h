/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports: a port of the host's that leads to one of a sandbox.
 *
 *     [ADDRESS:][HOST:]GUEST[/tcp|/udp][,proxy=1|,proxy=2]
 *
 * HOST and GUEST are ports, or ranges of as many (8000-8009:80-89). HOST 0, or none, lets the host choose a
 * free one. ADDRESS is the host's, 127.0.0.1 where none is given; one of IPv6 stands in brackets. `proxy`
 * puts a PROXY header of that version before what a connection brings (haproxy's proxy-protocol.txt), so that
 * the guest learns from where it comes; TCP only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"

#define PORTS_MAX          256 /* of one sandbox */
#define PORT_TEXT_MAX      96  /* with the NUL */
#define PORT_PROTOCOL_TCP  6
#define PORT_PROTOCOL_UDP  17
#define PORT_PROXY_VERSION 2 /* the newest */

struct port {
	struct address address; /* of the host; 0.0.0.0 and ::: all */
	uint16_t host;          /* 0: to be chosen */
	uint16_t guest;
	uint8_t protocol;
	uint8_t proxy; /* version of the PROXY header, 0: none */
};

/* Appends what `text` says to *list (which is realloc()ed; the caller frees it), a range as its single ports.
 * Errors: INVALID, LIMIT (more than PORTS_MAX in the list). */
int ports_parse(const char *text, struct port **list, size_t *count, struct error *err);

/* "127.0.0.1:8080:80/tcp", as ports_parse() takes it. Returns out. */
const char *port_format(const struct port *p, char out[PORT_TEXT_MAX]);

/* True where both would be the same port of the host: protocol and host port the same (and not 0), addresses
 * the same or one of them all addresses of the family. */
bool port_conflicts(const struct port *a, const struct port *b);
