/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCP (RFC 2131, options of RFC 2132), the server's side of a network where every station has one assigned
 * address: OFFER, ACK and NAK. A pure core: a client's message and its lease in, an answer out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_SERVER_PORT 67u
#define DHCP_CLIENT_PORT 68u
#define DHCP_REPLY_MOST  548u /* bytes of a reply that every client takes (RFC 2131 §2) */
#define DHCP_DOMAIN_MOST 190u /* characters of a domain for which there is room */
#define DHCP_CLIENT_MOST \
	64u /* bytes of a client's identifier that are echoed (RFC 6842); longer is a fault */

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8
};

/* A client's message; addresses in host order, 0 where it names none. */
struct dhcp_request {
	enum dhcp_type type;
	uint32_t xid;
	uint8_t mac[6];
	bool broadcast;                   /* wants its answer by broadcast */
	uint32_t address;                 /* ciaddr: what it has already */
	uint32_t requested;               /* option 50 */
	uint32_t server;                  /* option 54: whom it means */
	uint8_t client[DHCP_CLIENT_MOST]; /* option 61 */
	uint8_t client_size;
};

/* Parses the data of a UDP packet to port 67. False: no client's message on Ethernet (also: one by a relay).
 */
bool dhcp_parse(const uint8_t *data, size_t n, struct dhcp_request *r);

struct dhcp_lease {
	uint32_t address, gateway, dns, server; /* gateway 0: no route by it; dns 0: none */
	uint8_t bits;                           /* of the subnet */
	uint16_t mtu;                           /* option 26; 0: not told */
	uint32_t seconds;
	const char *domain; /* NULL: none; left out where longer than DHCP_DOMAIN_MOST */
};

/*
 * The answer to a message of whom the lease belongs to, as data of a UDP packet from port 67 to 68: DISCOVER
 * → OFFER; REQUEST → ACK for the lease's address, NAK for another; INFORM → ACK without an address. 0: none
 * (meant for another server; DECLINE and RELEASE; INFORM with another's address; room under DHCP_REPLY_MOST).
 * *to: the address it goes to: 255.255.255.255 or the lease's (RFC 2131 §4.1).
 */
size_t dhcp_answer(const struct dhcp_request *r, const struct dhcp_lease *lease, uint32_t *to, uint8_t *out,
	size_t room);
