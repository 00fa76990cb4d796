/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which subnet a group gets and which address a sandbox: the decisions, without I/O. What is taken already is
 * told by the caller (ipam_store.h), who also keeps two from deciding at once.
 *
 * Subnets are networks of IPv4, addresses are in host order. Of a subnet, the first address is the network's,
 * the next the gateway's (ARP, DNS, DHCP and ping are answered there), the next host.internal; the last is
 * the broadcast's. What lies between is for sandboxes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"

#define IPAM_BITS_MIN     8
#define IPAM_BITS_MAX     29 /* three sandboxes */
#define IPAM_POOL_DEFAULT "10.0.0.0/8:24"

/* Where subnets come from, and how long their prefixes are. */
struct ipam_pool {
	struct prefix range;
	uint8_t bits; /* of 32 */
};

/* Something that keeps a subnet from being given. */
struct ipam_taken {
	struct prefix subnet;
	const char *by; /* "group web", "a route of this host (eth0)" */
};

/* "10.0.0.0/8:24", or without ":24", which is the default. The range must be private (ipam_check_subnet())
 * and hold at most 2^20 subnets. */
int ipam_parse_pool(const char *text, struct ipam_pool *pool, struct error *err);

uint32_t ipam_gateway(const struct prefix *subnet);
uint32_t ipam_host(const struct prefix *subnet);  /* host.internal */
uint32_t ipam_first(const struct prefix *subnet); /* of sandboxes */
uint32_t ipam_last(const struct prefix *subnet);

/* The MAC of an address in a group: 52:4d and its four bytes. Locally administered (IEEE 802, bit 1). */
void ipam_mac(uint32_t address, uint8_t mac[6]);

/* A subnet of the pool for the group called `group` that overlaps nothing taken, in any order. Looked for
 * from a place that the name gives, so that a group that comes back mostly finds the subnet that it had.
 * LIMIT: there is none left. */
int ipam_pick_subnet(const struct ipam_pool *pool, const char *group, const struct ipam_taken *taken,
	size_t count, struct prefix *subnet, struct error *err);

/* Whether a group's sandbox can have the address: it is private (RFC 1918, RFC 6598). */
bool ipam_is_private(const struct address *address);

/* Whether a subnet that was asked for can be given: INVALID where it is not private (RFC 1918, RFC 6598) or
 * too large or small, EXISTS where it overlaps. */
int ipam_check_subnet(
	const struct prefix *wanted, const struct ipam_taken *taken, size_t count, struct error *err);

/* The lowest address for a sandbox that is not among `taken`, in rising order. LIMIT: there is none left. */
int ipam_pick_address(const struct prefix *subnet, const uint32_t *taken, size_t count, uint32_t *address,
	struct error *err);

/* Whether an address that was asked for may be a sandbox's: INVALID with the range where it is not in it. */
int ipam_check_address(const struct prefix *subnet, uint32_t wanted, struct error *err);
