/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each part of the address space is for: IANA's registries of special-purpose addresses of IPv4 and IPv6
 * (RFC 6890, RFC 8190, and the RFCs of the rows), multicast and broadcast, and the rest. The most specific
 * row that contains an address says it; every address has one.
 *
 * The scope is the registry's "globally reachable": `true` is PUBLIC, `false` PRIVATE. Addresses of
 * transition mechanisms, which have "N/A" there, are CARRIED: they are as public as the address of IPv4 in
 * them. Of IPv6, only 2000::/3 is given out as global unicast; what nobody was given is PRIVATE. On Linux a
 * connection to 0.0.0.0 or :: is one to the host itself, so that they are HOST, as loopback is.
 */
#pragma once

#include "net/address.h"

/* V4(identifier, a, b, c, d, bits, what it is, RFC, scope)
 * V6(identifier, eight groups, bits, what it is, RFC, scope) */
#define SPECIAL_ADDRESSES(V4, V6) \
	V4(IPV4, 0, 0, 0, 0, 0, "global unicast", 791, PUBLIC) \
	V4(THIS_NETWORK, 0, 0, 0, 0, 8, "this network", 791, HOST) \
	V4(PRIVATE_10, 10, 0, 0, 0, 8, "private", 1918, PRIVATE) \
	V4(SHARED, 100, 64, 0, 0, 10, "shared by a provider's customers", 6598, PRIVATE) \
	V4(LOOPBACK, 127, 0, 0, 0, 8, "loopback", 1122, HOST) \
	V4(LINK_LOCAL, 169, 254, 0, 0, 16, "link-local", 3927, PRIVATE) \
	V4(PRIVATE_172, 172, 16, 0, 0, 12, "private", 1918, PRIVATE) \
	V4(PROTOCOLS, 192, 0, 0, 0, 24, "for protocols of the IETF", 6890, PRIVATE) \
	V4(DS_LITE, 192, 0, 0, 0, 29, "for continuity of IPv4 service", 7335, PRIVATE) \
	V4(DUMMY, 192, 0, 0, 8, 32, "the dummy address", 7600, PRIVATE) \
	V4(PCP_ANYCAST, 192, 0, 0, 9, 32, "anycast of the port control protocol", 7723, PUBLIC) \
	V4(TURN_ANYCAST, 192, 0, 0, 10, 32, "anycast of TURN", 8155, PUBLIC) \
	V4(NAT64_DISCOVERY, 192, 0, 0, 170, 31, "for discovery of NAT64", 8880, PRIVATE) \
	V4(TEST_NET_1, 192, 0, 2, 0, 24, "for documentation", 5737, PRIVATE) \
	V4(AS112, 192, 31, 196, 0, 24, "AS112", 7535, PUBLIC) \
	V4(AMT, 192, 52, 193, 0, 24, "for multicast tunnels (AMT)", 7450, PUBLIC) \
	V4(RELAY_6TO4, 192, 88, 99, 0, 24, "deprecated anycast of 6to4 relays", 7526, PRIVATE) \
	V4(RELAY_6A44, 192, 88, 99, 2, 32, "anycast of 6a44 relays", 6751, PRIVATE) \
	V4(PRIVATE_192, 192, 168, 0, 0, 16, "private", 1918, PRIVATE) \
	V4(AS112_DIRECT, 192, 175, 48, 0, 24, "AS112, delegated directly", 7534, PUBLIC) \
	V4(BENCHMARKING, 198, 18, 0, 0, 15, "for benchmarks", 2544, PRIVATE) \
	V4(TEST_NET_2, 198, 51, 100, 0, 24, "for documentation", 5737, PRIVATE) \
	V4(TEST_NET_3, 203, 0, 113, 0, 24, "for documentation", 5737, PRIVATE) \
	V4(MULTICAST, 224, 0, 0, 0, 4, "multicast", 5771, NOBODY) \
	V4(RESERVED, 240, 0, 0, 0, 4, "reserved (class E)", 1112, PRIVATE) \
	V4(BROADCAST, 255, 255, 255, 255, 32, "the limited broadcast", 919, NOBODY) \
	V6(IPV6, 0, 0, 0, 0, 0, 0, 0, 0, 0, "given to nobody", 4291, PRIVATE) \
	V6(COMPATIBLE, 0, 0, 0, 0, 0, 0, 0, 0, 96, "IPv4-compatible, deprecated", 4291, CARRIED) \
	V6(UNSPECIFIED, 0, 0, 0, 0, 0, 0, 0, 0, 128, "the unspecified address", 4291, HOST) \
	V6(LOOPBACK6, 0, 0, 0, 0, 0, 0, 0, 1, 128, "loopback", 4291, HOST) \
	V6(NAT64, 0x64, 0xff9b, 0, 0, 0, 0, 0, 0, 96, "NAT64", 6052, CARRIED) \
	V6(NAT64_LOCAL, 0x64, 0xff9b, 1, 0, 0, 0, 0, 0, 48, "local NAT64", 8215, PRIVATE) \
	V6(DISCARD, 0x100, 0, 0, 0, 0, 0, 0, 0, 64, "for discarding", 6666, PRIVATE) \
	V6(DUMMY6, 0x100, 0, 0, 1, 0, 0, 0, 0, 64, "the dummy prefix", 9780, PRIVATE) \
	V6(GLOBAL, 0x2000, 0, 0, 0, 0, 0, 0, 0, 3, "global unicast", 4291, PUBLIC) \
	V6(PROTOCOLS6, 0x2001, 0, 0, 0, 0, 0, 0, 0, 23, "for protocols of the IETF", 2928, PRIVATE) \
	V6(TEREDO, 0x2001, 0, 0, 0, 0, 0, 0, 0, 32, "Teredo", 4380, CARRIED) \
	V6(PCP_ANYCAST6, 0x2001, 1, 0, 0, 0, 0, 0, 1, 128, "anycast of the port control protocol", 7723, \
		PUBLIC) \
	V6(TURN_ANYCAST6, 0x2001, 1, 0, 0, 0, 0, 0, 2, 128, "anycast of TURN", 8155, PUBLIC) \
	V6(SRP_ANYCAST6, 0x2001, 1, 0, 0, 0, 0, 0, 3, 128, "anycast of DNS-SD's registration", 9665, PUBLIC) \
	V6(BENCHMARKING6, 0x2001, 2, 0, 0, 0, 0, 0, 0, 48, "for benchmarks", 5180, PRIVATE) \
	V6(AMT6, 0x2001, 3, 0, 0, 0, 0, 0, 0, 32, "for multicast tunnels (AMT)", 7450, PUBLIC) \
	V6(AS112_6, 0x2001, 4, 0x112, 0, 0, 0, 0, 0, 48, "AS112", 7535, PUBLIC) \
	V6(ORCHID, 0x2001, 0x10, 0, 0, 0, 0, 0, 0, 28, "ORCHID, deprecated", 4843, PRIVATE) \
	V6(ORCHIDV2, 0x2001, 0x20, 0, 0, 0, 0, 0, 0, 28, "ORCHIDv2", 7343, PUBLIC) \
	V6(DRONES, 0x2001, 0x30, 0, 0, 0, 0, 0, 0, 28, "for drones' remote identification", 9374, PUBLIC) \
	V6(DOCUMENTATION, 0x2001, 0xdb8, 0, 0, 0, 0, 0, 0, 32, "for documentation", 3849, PRIVATE) \
	V6(SIX_TO_FOUR, 0x2002, 0, 0, 0, 0, 0, 0, 0, 16, "6to4", 3056, CARRIED) \
	V6(AS112_DIRECT6, 0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0, 48, "AS112, delegated directly", 7534, \
		PUBLIC) \
	V6(DOCUMENTATION_3FFF, 0x3fff, 0, 0, 0, 0, 0, 0, 0, 20, "for documentation", 9637, PRIVATE) \
	V6(SRV6, 0x5f00, 0, 0, 0, 0, 0, 0, 0, 16, "for segment identifiers (SRv6)", 9602, PRIVATE) \
	V6(UNIQUE_LOCAL, 0xfc00, 0, 0, 0, 0, 0, 0, 0, 7, "unique local", 4193, PRIVATE) \
	V6(LINK_LOCAL6, 0xfe80, 0, 0, 0, 0, 0, 0, 0, 10, "link-local", 4291, PRIVATE) \
	V6(SITE_LOCAL, 0xfec0, 0, 0, 0, 0, 0, 0, 0, 10, "site-local, deprecated", 3879, PRIVATE) \
	V6(MULTICAST6, 0xff00, 0, 0, 0, 0, 0, 0, 0, 8, "multicast", 4291, NOBODY)

enum special_scope {
	SCOPE_PUBLIC,
	SCOPE_PRIVATE,
	SCOPE_HOST,    /* who sends, reached by itself */
	SCOPE_CARRIED, /* as the address in it: address_unwrap() */
	SCOPE_NOBODY,  /* no single host */
};

struct special {
	struct prefix prefix;
	enum special_scope scope;
	uint16_t rfc;
	const char *what;
};

enum special_row {
#define X4(id, a, b, c, d, bits, what, rfc, scope)                     SPECIAL_##id,
#define X6(id, g0, g1, g2, g3, g4, g5, g6, g7, bits, what, rfc, scope) SPECIAL_##id,
	SPECIAL_ADDRESSES(X4, X6)
#undef X4
#undef X6
		SPECIAL_COUNT
};

extern const struct special special_table[SPECIAL_COUNT];

enum special_row special_find(const struct address *a); /* the most specific */
