/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of both families in one form, and networks of them.
 *
 * An IPv4 address is held as its mapped form ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that the two spellings of
 * one address are one value and cannot be judged differently. Text is the canonical one of RFC 5952.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ADDRESS_TEXT_MAX 46 /* with the NUL */
#define PREFIX_TEXT_MAX  50
#define ADDRESS_CARRIED  4 /* what address_unwrap() may give */

struct address {
	uint8_t bytes[16];
};

/* A network. bits counts all 128: 10.0.0.0/8 has 104. It is of IPv4 where bits is at least 96 and the address
 * is mapped; no network of IPv6 contains an IPv4 address, not even ::/0. */
struct prefix {
	struct address address; /* its host bits are zero */
	uint8_t bits;
};

struct address address_from_ipv4(uint32_t ipv4); /* host order, as everywhere here */
bool address_is_ipv4(const struct address *a);
uint32_t address_ipv4(const struct address *a); /* of one that is IPv4 */
bool address_equal(const struct address *a, const struct address *b);

/* Exactly an address: no brackets, no zone, no leading zeros in IPv4. Error INVALID. */
int address_parse(const char *text, struct address *a, struct error *err);
const char *address_format(const struct address *a, char out[ADDRESS_TEXT_MAX]); /* returns out */
const char *address_format_ipv4(uint32_t ipv4, char out[ADDRESS_TEXT_MAX]);

/* The IPv4 addresses that a packet to this IPv6 address may end at, into out; returns how many (0: it carries
 * none). *bits (may be NULL) gets the length of the prefix that says so. Known are IPv4-compatible (RFC
 * 4291), 6to4 (RFC 3056), NAT64's well-known and local prefixes (RFC 6052, RFC 8215, whose length inside the
 * /48 nobody tells, so that each is tried), and Teredo (RFC 4380; its client and its server). */
size_t address_unwrap(const struct address *a, struct address out[ADDRESS_CARRIED], unsigned *bits);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone, which is a network of one. Error INVALID; where host
 * bits are set, it names the network that was meant. */
int prefix_parse(const char *text, struct prefix *p, struct error *err);
const char *prefix_format(
	const struct prefix *p, char out[PREFIX_TEXT_MAX]); /* a network of one: the address */
struct prefix prefix_of_one(const struct address *a);
struct prefix prefix_ipv4(uint32_t ipv4, unsigned bits); /* bits of 32; host bits are cleared */
bool prefix_is_ipv4(const struct prefix *p);
bool prefix_contains(const struct prefix *p, const struct address *a);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);
