/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), and where the fields of headers lie: what the readers and builders of
 * packets share.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/big_endian.h"

enum {
	ETHERNET_SOURCE = 6,
	ETHERNET_TYPE = 12,
	ARP_SIZE = 28,
	IPV4_SIZE = 20, /* without options */
	IPV4_LENGTH = 2,
	IPV4_ID = 4,
	IPV4_FRAGMENT = 6,
	IPV4_TTL = 8,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_SOURCE = 12,
	IPV4_DESTINATION = 16,
	TCP_SIZE = 20,
	TCP_CHECKSUM = 16,
	TCP_OPTIONS_END = 0,
	TCP_OPTION_NONE = 1,
	TCP_OPTION_SEGMENT = 2,
	UDP_SIZE = 8,
	UDP_CHECKSUM = 6,
	ICMP_SIZE = 8,
	ICMP_CHECKSUM = 2,
};

/* The sum of n bytes as 16-bit words in memory's order, not folded: order does not matter to a one's
 * complement sum (RFC 1071 §2B). Only the last piece of a sum may have an odd length. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *at, size_t n)
{
	uint32_t four;
	uint16_t two = 0;

	for (; n >= 4; at += 4, n -= 4) {
		memcpy(&four, at, 4);
		sum += four;
	}
	if (n >= 2) {
		memcpy(&two, at, 2);
		sum += two;
		at += 2;
		n -= 2;
	}
	if (n) {
		two = 0;
		memcpy(&two, at, 1);
		sum += two;
	}
	return sum;
}

static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The checksum of a sum, as it is stored: in memory's order. */
static inline void checksum_put(uint8_t *at, uint64_t sum)
{
	uint16_t checksum = (uint16_t)~checksum_fold(sum);

	memcpy(at, &checksum, sizeof checksum);
}

/* The sum of the pseudo header of TCP and UDP: both addresses where they lie in the IPv4 header, the protocol
 * and the length. */
static inline uint64_t checksum_pseudo(const uint8_t *ip, uint8_t protocol, size_t length)
{
	uint8_t rest[4] = {0, protocol};

	be16_put(rest + 2, (uint16_t)length);
	return checksum_add(checksum_add(0, ip + IPV4_SOURCE, 8), rest, sizeof rest);
}
