/* SPDX-License-Identifier: Apache-2.0 */
/* A resolver on loopback for tests, in the test's own loop, by UDP and TCP, which does what a name says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/*
 * It answers every name's A with `address`, TTL 300 s, and takes the first label as an order:
 *   lost     nothing to the first query
 *   silent   nothing
 *   spoof    before the answer: one with another id, one to another question, one from another address,
 * garbage; all say 198.51.100.66 big      by UDP only that it is cut; by TCP 200 addresses half     as big,
 * but by TCP half of it, then the end chain    a CNAME web.example (TTL 60), and that one's address nx
 * NXDOMAIN with an SOA fail     SERVFAIL old      FORMERR where the query has EDNS brief    TTL 1 held
 * nothing until dns_server_release()
 */
struct dns_server {
	uv_udp_t udp, stranger;
	uv_tcp_t tcp;
	uint32_t address;
	unsigned queries, streams; /* that came by UDP and TCP */
	bool lost;                 /* the order was carried out */
	unsigned held;             /* held back: only counted, and the last one kept */
	struct sockaddr_in held_from;
	uint8_t held_query[512];
	size_t held_size;
	uint16_t last_port, last_id;
};

/* On 127.0.0.N with this port (0: one is picked, which it returns). */
uint16_t dns_server_start(struct dns_server *s, uv_loop_t *loop, unsigned n, uint16_t port, uint32_t address);
void dns_server_stop(struct dns_server *s); /* the handles close in the loop */
void dns_server_release(struct dns_server *s);
