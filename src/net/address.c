/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and networks of both families. */
#include "net/address.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base/big_endian.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static struct address from_bytes(const uint8_t ipv4[4])
{
	struct address a;

	memcpy(a.bytes, mapped, sizeof mapped);
	memcpy(a.bytes + 12, ipv4, 4);
	return a;
}

struct address address_from_ipv4(uint32_t ipv4)
{
	uint8_t bytes[4];

	be32_put(bytes, ipv4);
	return from_bytes(bytes);
}

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, mapped, sizeof mapped) == 0;
}

uint32_t address_ipv4(const struct address *a)
{
	return be32_get(a->bytes + sizeof mapped);
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int address_parse(const char *text, struct address *a, struct error *err)
{
	uint8_t ipv4[4];

	if (inet_pton(AF_INET, text, ipv4) == 1)
		*a = from_bytes(ipv4);
	else if (inet_pton(AF_INET6, text, a->bytes) != 1)
		return error_set(err, ERROR_INVALID, "'%s' is no IP address", text);
	return 0;
}

const char *address_format(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
	if (address_is_ipv4(a))
		inet_ntop(AF_INET, a->bytes + 12, out, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT_MAX);
	return out;
}

const char *address_format_ipv4(uint32_t ipv4, char out[ADDRESS_TEXT_MAX])
{
	struct address a = address_from_ipv4(ipv4);

	return address_format(&a, out);
}

static bool starts(const struct address *a, const uint8_t *bytes, size_t n)
{
	return memcmp(a->bytes, bytes, n) == 0;
}

/* RFC 6052 §2.2: an address behind a prefix of these many bytes steps over byte 8. */
static struct address embedded(const struct address *a, size_t at)
{
	uint8_t ipv4[4];

	for (size_t i = 0; i < 4; i++, at++) {
		if (at == 8)
			at++;
		ipv4[i] = a->bytes[at];
	}
	return from_bytes(ipv4);
}

/* Of the four places, those where no address can stand are left out. */
static size_t unwrap_local_nat64(const struct address *a, struct address out[ADDRESS_CARRIED])
{
	static const size_t places[] = {6, 7, 8, 12};
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		out[n] = embedded(a, places[i]);
		n += out[n].bytes[12] != 0;
	}
	return n;
}

static size_t unwrap_teredo(const struct address *a, struct address out[ADDRESS_CARRIED])
{
	out[0] = from_bytes(a->bytes + 12);
	for (size_t i = 12; i < 16; i++) /* §4: the client's, with every bit turned */
		out[0].bytes[i] ^= 0xff;
	out[1] = from_bytes(a->bytes + 4);
	return 2;
}

/* :: and ::1 are no IPv4 addresses. */
static bool is_compatible(const struct address *a)
{
	static const uint8_t zeros[12];

	return starts(a, zeros, sizeof zeros) && address_ipv4(a) > 1;
}

size_t address_unwrap(const struct address *a, struct address out[ADDRESS_CARRIED], unsigned *bits)
{
	static const uint8_t six_to_four[] = {0x20, 0x02}, teredo[] = {0x20, 0x01, 0, 0},
			     nat64[12] = {0, 0x64, 0xff, 0x9b}, local_nat64[] = {0, 0x64, 0xff, 0x9b, 0, 1};
	unsigned ignored;

	if (!bits)
		bits = &ignored;
	*bits = 96;
	if (starts(a, nat64, sizeof nat64) || is_compatible(a)) {
		out[0] = from_bytes(a->bytes + 12);
		return 1;
	}
	*bits = 16;
	if (starts(a, six_to_four, sizeof six_to_four)) {
		out[0] = from_bytes(a->bytes + 2);
		return 1;
	}
	*bits = 32;
	if (starts(a, teredo, sizeof teredo))
		return unwrap_teredo(a, out);
	*bits = 48;
	if (starts(a, local_nat64, sizeof local_nat64))
		return unwrap_local_nat64(a, out);
	*bits = 0;
	return 0;
}

/* The first `bits` bits of a, and zeros. */
static struct address masked(const struct address *a, unsigned bits)
{
	struct address m = {{0}};

	memcpy(m.bytes, a->bytes, bits / 8);
	if (bits % 8)
		m.bytes[bits / 8] = (uint8_t)(a->bytes[bits / 8] & 0xff << (8 - bits % 8));
	return m;
}

struct prefix prefix_of_one(const struct address *a)
{
	return (struct prefix){*a, 128};
}

struct prefix prefix_ipv4(uint32_t ipv4, unsigned bits)
{
	struct address a = address_from_ipv4(ipv4);

	return (struct prefix){masked(&a, 96 + bits), (uint8_t)(96 + bits)};
}

bool prefix_is_ipv4(const struct prefix *p)
{
	return p->bits >= 96 && address_is_ipv4(&p->address);
}

/* Whether the first `bits` bits are the same. */
static bool same_start(const struct address *a, const struct address *b, unsigned bits)
{
	uint64_t x[2], y[2];

	memcpy(x, a->bytes, sizeof x);
	memcpy(y, b->bytes, sizeof y);
	if (bits <= 64)
		return !bits || !(be64toh(x[0] ^ y[0]) >> (64 - bits));
	return x[0] == y[0] && !(be64toh(x[1] ^ y[1]) >> (128 - bits));
}

bool prefix_contains(const struct prefix *p, const struct address *a)
{
	return same_start(&p->address, a, p->bits) && (p->bits >= 96 || !address_is_ipv4(a));
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_is_ipv4(a) == prefix_is_ipv4(b) &&
	       (a->bits <= b->bits ? prefix_contains(a, &b->address) : prefix_contains(b, &a->address));
}

const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	address_format(&p->address, address);
	if (p->bits == 128)
		snprintf(out, PREFIX_TEXT_MAX, "%s", address);
	else
		snprintf(out, PREFIX_TEXT_MAX, "%s/%u", address, p->bits - (prefix_is_ipv4(p) ? 96u : 0));
	return out;
}

/* One to three digits, nothing else; -1 for all other text. */
static int parse_bits(const char *text)
{
	int n = 0;

	if (!*text || strlen(text) > 3)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		n = n * 10 + *text - '0';
	}
	return n;
}

int prefix_parse(const char *text, struct prefix *p, struct error *err)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char address[ADDRESS_TEXT_MAX], meant[PREFIX_TEXT_MAX];
	struct address a;
	int bits, width;

	if (n >= sizeof address)
		return error_set(err, ERROR_INVALID, "'%s' is no network: its address is too long", text);
	memcpy(address, text, n);
	address[n] = 0;
	if (address_parse(address, &a, err) < 0)
		return -ERROR_INVALID;
	width = strchr(address, ':') ? 128 : 32;
	bits = slash ? parse_bits(slash + 1) : width;
	if (bits < 0 || bits > width)
		return error_set(err, ERROR_INVALID,
			"'%s' is no network: a number of bits from 0 to %d comes after '/'", text, width);
	bits += 128 - width;
	*p = (struct prefix){masked(&a, (unsigned)bits), (uint8_t)bits};
	if (!address_equal(&p->address, &a))
		return error_set(err, ERROR_INVALID, "'%s' is no network: the one around this address is %s",
			text, prefix_format(p, meant));
	return 0;
}
