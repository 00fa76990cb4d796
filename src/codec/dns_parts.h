/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader and the builder of DNS messages share: the header's layout, names. */
#pragma once

#include "base/big_endian.h"
#include "codec/dns.h"

enum {
	DNS_HEADER = 12,
	DNS_RECORD_FIXED = 10, /* type, class, TTL, length */
	DNS_OPT_SIZE = 11,     /* an OPT record without options */
	DNS_CLASS_IN = 1,
	DNS_FLAG_QR = 0x8000,
	DNS_FLAG_OPCODE = 0x7800,
	DNS_FLAG_AA = 0x0400,
	DNS_FLAG_TC = 0x0200,
	DNS_FLAG_RD = 0x0100,
	DNS_FLAG_RA = 0x0080,
	DNS_FLAG_AD = 0x0020,
	DNS_FLAG_CD = 0x0010,
	DNS_FLAG_RCODE = 0x000f
};

/*
 * Reads the name at `at`, following compression (RFC 1035 §4.1.4) only to places before the name and before
 * the last pointer. Returns where the message goes on behind it, 0 where it is malformed. name
 * (DNS_NAME_SIZE, may be NULL) gets its text, *text (may be NULL) whether it has one.
 */
size_t dns_read_name(const uint8_t *message, size_t n, size_t at, char *name, bool *text);

/* A record, its data within the message. */
struct dns_raw {
	size_t name, type_at, data, data_size; /* offsets */
	uint16_t type, class;
	uint32_t ttl;
};

/* Reads the record at `at` and returns where the next is; 0: malformed. TTLs with the highest bit set are 0
 * (RFC 2181 §8). */
size_t dns_read_record(const uint8_t *message, size_t n, size_t at, struct dns_raw *record);
