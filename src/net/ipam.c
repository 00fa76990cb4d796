/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ipam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define POOL_SUBNETS_MAX (1u << 20)

/* Of a network of IPv4, in 32 bits. */
static unsigned bits_of(const struct prefix *p)
{
	return p->bits - 96u;
}

static uint32_t base_of(const struct prefix *p)
{
	return address_ipv4(&p->address);
}

static uint32_t end_of(const struct prefix *p)
{
	return (uint32_t)(base_of(p) + (1ULL << (32 - bits_of(p))) - 1);
}

int ipam_parse_pool(const char *text, struct ipam_pool *pool, struct error *err)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *range = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	uint64_t bits = 24;
	unsigned least;
	int r;

	if (!range)
		return error_no_memory(err, "read a range of subnets");
	r = prefix_parse(range, &pool->range, err);
	if (r == 0)
		r = ipam_check_subnet(&pool->range, NULL, 0, err);
	if (r == 0 && colon)
		r = text_parse_u64(colon + 1, 99, "the subnets' prefix", &bits, err);
	if (r < 0)
		return error_prefix(err, "subnets '%s'", text);
	least = bits_of(&pool->range);
	if (bits < least || bits > IPAM_BITS_MAX || 1ULL << (bits - least) > POOL_SUBNETS_MAX)
		return error_set(err, ERROR_INVALID,
			"subnets '%s': each has a prefix of %u to %u bits; write them as " IPAM_POOL_DEFAULT,
			text, least, least + 20 < IPAM_BITS_MAX ? least + 20 : IPAM_BITS_MAX);
	pool->bits = (uint8_t)bits;
	return 0;
}

/* ---- what is where ---------------------------------------------------------------------------------- */

uint32_t ipam_gateway(const struct prefix *s)
{
	return base_of(s) + 1;
}

uint32_t ipam_host(const struct prefix *s)
{
	return base_of(s) + 2;
}

uint32_t ipam_first(const struct prefix *s)
{
	return base_of(s) + 3;
}

uint32_t ipam_last(const struct prefix *s)
{
	return end_of(s) - 1;
}

void ipam_mac(uint32_t address, uint8_t mac[6])
{
	const uint8_t bytes[6] = {0x52, 0x4d, (uint8_t)(address >> 24), (uint8_t)(address >> 16),
		(uint8_t)(address >> 8), (uint8_t)address};

	memcpy(mac, bytes, sizeof bytes);
}

/* ---- subnets ---------------------------------------------------------------------------------------- */

/* Within a private range, all of it where it is a network. */
static bool is_private(const struct address *a, unsigned bits)
{
	static const struct {
		uint32_t base;
		unsigned bits;
	} ranges[] = {
		{0x0a000000, 8}, {0xac100000, 12}, {0xc0a80000, 16}, /* RFC 1918 */
		{0x64400000, 10},                                    /* RFC 6598 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct prefix range = prefix_ipv4(ranges[i].base, ranges[i].bits);

		if (prefix_contains(&range, a))
			return bits >= range.bits;
	}
	return false;
}

bool ipam_is_private(const struct address *a)
{
	return is_private(a, 128);
}

int ipam_check_subnet(
	const struct prefix *wanted, const struct ipam_taken *taken, size_t count, struct error *err)
{
	char text[PREFIX_TEXT_MAX], other[PREFIX_TEXT_MAX];

	prefix_format(wanted, text);
	if (!prefix_is_ipv4(wanted) || bits_of(wanted) < IPAM_BITS_MIN || bits_of(wanted) > IPAM_BITS_MAX)
		return error_set(err, ERROR_INVALID,
			"the subnet %s: of IPv4 a prefix with %u to %u bits is wanted", text, IPAM_BITS_MIN,
			IPAM_BITS_MAX);
	if (!is_private(&wanted->address, wanted->bits))
		return error_set(err, ERROR_INVALID,
			"the subnet %s is not private; take one of 10.0.0.0/8, 172.16.0.0/12, "
			"192.168.0.0/16 or 100.64.0.0/10",
			text);
	for (size_t i = 0; i < count; i++)
		if (prefix_overlaps(wanted, &taken[i].subnet))
			return error_set(err, ERROR_EXISTS, "the subnet %s overlaps %s of %s", text,
				prefix_format(&taken[i].subnet, other), taken[i].by);
	return 0;
}

/* FNV-1a (RFC 9923), 32 bits. */
static uint32_t hash_of(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

/* Marks the pool's subnets that `taken` touches. */
static void mark(const struct ipam_pool *pool, const struct prefix *taken, uint8_t *used)
{
	uint32_t base = base_of(&pool->range), first = base, last = end_of(&pool->range);

	if (!prefix_overlaps(&pool->range, taken))
		return;
	if (base_of(taken) > first)
		first = base_of(taken);
	if (end_of(taken) < last)
		last = end_of(taken);
	first = (first - base) >> (32 - pool->bits);
	last = (last - base) >> (32 - pool->bits);
	for (uint32_t i = first; i <= last; i++)
		used[i / 8] |= (uint8_t)(1u << i % 8);
}

int ipam_pick_subnet(const struct ipam_pool *pool, const char *group, const struct ipam_taken *taken,
	size_t count, struct prefix *subnet, struct error *err)
{
	uint32_t subnets = 1u << (pool->bits - bits_of(&pool->range)), start = hash_of(group) % subnets;
	_cleanup_free_ uint8_t *used = calloc(subnets / 8 + 1, 1);
	char text[PREFIX_TEXT_MAX];

	if (!used)
		return error_no_memory(err, "find a subnet");
	for (size_t i = 0; i < count; i++)
		mark(pool, &taken[i].subnet, used);
	for (uint32_t i = 0; i < subnets; i++) {
		uint32_t at = (start + i) % subnets;

		if (used[at / 8] & 1u << at % 8)
			continue;
		*subnet = prefix_ipv4(base_of(&pool->range) + (at << (32 - pool->bits)), pool->bits);
		return 0;
	}
	return error_set(err, ERROR_LIMIT,
		"no subnet is left for the group %s: all of %s is taken by other groups and this host's own "
		"routes; name another range in MONOCORE_NETWORK_POOL, such as 172.16.0.0/12:24",
		group, prefix_format(&pool->range, text));
}

/* ---- addresses -------------------------------------------------------------------------------------- */

int ipam_check_address(const struct prefix *subnet, uint32_t wanted, struct error *err)
{
	char text[ADDRESS_TEXT_MAX], first[ADDRESS_TEXT_MAX], last[ADDRESS_TEXT_MAX];

	if (wanted >= ipam_first(subnet) && wanted <= ipam_last(subnet))
		return 0;
	return error_set(err, ERROR_INVALID,
		"no sandbox of this group can have the address %s: those are %s to %s",
		address_format_ipv4(wanted, text), address_format_ipv4(ipam_first(subnet), first),
		address_format_ipv4(ipam_last(subnet), last));
}

int ipam_pick_address(const struct prefix *subnet, const uint32_t *taken, size_t count, uint32_t *address,
	struct error *err)
{
	char text[PREFIX_TEXT_MAX];

	*address = ipam_first(subnet);
	for (size_t i = 0; i < count && taken[i] <= *address; i++)
		if (taken[i] == *address)
			++*address;
	if (*address <= ipam_last(subnet))
		return 0;
	return error_set(err, ERROR_LIMIT,
		"the subnet %s has no address left: each of its %u sandboxes has one",
		prefix_format(subnet, text), ipam_last(subnet) - ipam_first(subnet) + 1);
}
