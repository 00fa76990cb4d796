/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP as clients speak it: udhcpc, dhclient and systemd-networkd, and those who want another's address. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "codec/dhcp.h"

#define MINE   0x0a000003u
#define SERVER 0x0a000001u

static const struct dhcp_lease lease = {.address = MINE,
	.gateway = SERVER,
	.dns = SERVER,
	.server = SERVER,
	.bits = 24,
	.mtu = 65520,
	.seconds = 3600,
	.domain = "default.internal"};

/* A client's message of this type, with more options behind it. */
static void put_message(struct buffer *b, uint8_t type, const void *options, size_t n)
{
	static const uint8_t head[] = {1, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26}, mac[] = {0x52, 0x4d, 10, 0, 0, 3};

	buffer_append(b, head, sizeof head);
	while (b->size < 28)
		buffer_u8(b, 0);
	buffer_append(b, mac, sizeof mac);
	while (b->size < 236)
		buffer_u8(b, 0);
	buffer_append(b, "\x63\x82\x53\x63\x35\x01", 6);
	buffer_u8(b, type);
	buffer_append(b, options, n);
	buffer_u8(b, 255);
}

static bool parse(uint8_t type, const void *options, size_t n, struct dhcp_request *r)
{
	_cleanup_buffer_ struct buffer b = {0};

	put_message(&b, type, options, n);
	return dhcp_parse(b.data, b.size, r);
}

/* The option of a reply, or NULL. */
static const uint8_t *option(const uint8_t *reply, size_t n, uint8_t wanted, uint8_t size)
{
	for (size_t at = 240; at + 1 < n && reply[at] != 255; at += 2u + reply[at + 1])
		if (reply[at] == wanted)
			return reply[at + 1] == size && at + 2 + size <= n ? reply + at + 2 : NULL;
	return NULL;
}

static bool has(const uint8_t *reply, size_t n, uint8_t wanted, const char *value, uint8_t size)
{
	const uint8_t *is = option(reply, n, wanted, size);

	return is && memcmp(is, value, size) == 0;
}

TEST(a_discovery_is_offered_the_lease)
{
	/* As udhcpc sends it: identifier, size, what it asks for, its vendor. */
	static const char options[] =
		"\x3d\x07\x01\x52\x4d\x0a\x00\x00\x03\x39\x02\x02\x40\x37\x07\x01\x03\x06\x0c"
		"\x0f\x1c\x2a\x3c\x0cudhcp 1.36.1";
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	CHECK(parse(DHCP_DISCOVER, options, sizeof options - 1, &r));
	CHECK(r.xid == 0x3903f326 && !r.broadcast && r.mac[5] == 3 && r.client_size == 7);
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n >= 300 && to == MINE);
	CHECK(out[0] == 2 && memcmp(out + 4, "\x39\x03\xf3\x26", 4) == 0);
	CHECK(memcmp(out + 16, "\x0a\0\0\3", 4) == 0 && memcmp(out + 28, "\x52\x4d\x0a\0\0\3", 6) == 0);
	CHECK(has(out, n, 53, "\2", 1) && has(out, n, 54, "\x0a\0\0\1", 4) &&
		has(out, n, 51, "\0\0\x0e\x10", 4));
	CHECK(has(out, n, 1, "\xff\xff\xff\0", 4) && has(out, n, 3, "\x0a\0\0\1", 4) &&
		has(out, n, 6, "\x0a\0\0\1", 4));
	CHECK(has(out, n, 15, "default.internal", 16) && has(out, n, 26, "\xff\xf0", 2));
	CHECK(has(out, n, 28, "\x0a\0\0\xff", 4) && has(out, n, 61, "\1\x52\x4d\x0a\0\0\3", 7));
}

TEST(a_request_for_the_lease_is_acknowledged_another_is_not)
{
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	CHECK(parse(DHCP_REQUEST, "\x32\x04\x0a\0\0\3\x36\x04\x0a\0\0\1", 12, &r));
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && to == MINE && has(out, n, 53, "\5", 1) && memcmp(out + 16, "\x0a\0\0\3", 4) == 0);

	CHECK(parse(DHCP_REQUEST, "\x32\x04\x0a\0\0\4\x36\x04\x0a\0\0\1", 12, &r));
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && to == 0xffffffff && has(out, n, 53, "\6", 1) && memcmp(out + 16, "\0\0\0\0", 4) == 0);
	CHECK(!option(out, n, 1, 4) && !option(out, n, 51, 4));

	/* It chose another server. */
	CHECK(parse(DHCP_REQUEST, "\x32\x04\x0a\0\0\3\x36\x04\x0a\0\0\x63", 12, &r));
	CHECK_INT(dhcp_answer(&r, &lease, &to, out, sizeof out), 0);
}

TEST(renewals_name_the_address_in_use)
{
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	CHECK(parse(DHCP_REQUEST, "", 0, &r));
	r.address = MINE;
	r.broadcast = true;
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && to == MINE && has(out, n, 53, "\5", 1) && memcmp(out + 12, "\x0a\0\0\3", 4) == 0);
	r.address = MINE + 1;
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && to == 0xffffffff && has(out, n, 53, "\6", 1));
	r.requested = MINE;
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && has(out, n, 53, "\6", 1));
}

TEST(who_wants_a_broadcast_gets_one)
{
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;

	CHECK(parse(DHCP_DISCOVER, "", 0, &r));
	r.broadcast = true;
	CHECK(dhcp_answer(&r, &lease, &to, out, sizeof out));
	CHECK(to == 0xffffffff && out[10] == 0x80);
}

TEST(who_only_wants_to_know_gets_no_address)
{
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	CHECK(parse(DHCP_INFORM, "", 0, &r));
	CHECK_INT(dhcp_answer(&r, &lease, &to, out, sizeof out), 0);
	r.address = MINE + 1; /* another's: it would get the answer */
	CHECK_INT(dhcp_answer(&r, &lease, &to, out, sizeof out), 0);
	r.address = MINE;
	n = dhcp_answer(&r, &lease, &to, out, sizeof out);
	CHECK(n && to == MINE && has(out, n, 53, "\5", 1) && memcmp(out + 16, "\0\0\0\0", 4) == 0);
	CHECK(has(out, n, 6, "\x0a\0\0\1", 4) && !option(out, n, 51, 4));
}

TEST(what_ends_a_lease_needs_no_answer)
{
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;

	CHECK(parse(DHCP_RELEASE, "", 0, &r));
	CHECK_INT(dhcp_answer(&r, &lease, &to, out, sizeof out), 0);
	CHECK(parse(DHCP_DECLINE, "\x32\x04\x0a\0\0\3", 6, &r));
	CHECK_INT(dhcp_answer(&r, &lease, &to, out, sizeof out), 0);
}

TEST(what_a_network_lacks_is_not_told)
{
	static const struct dhcp_lease bare = {.address = MINE, .server = SERVER, .bits = 8, .seconds = 60};
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	CHECK(parse(DHCP_DISCOVER, "", 0, &r));
	n = dhcp_answer(&r, &bare, &to, out, sizeof out);
	CHECK(has(out, n, 1, "\xff\0\0\0", 4) && has(out, n, 28, "\x0a\xff\xff\xff", 4));
	CHECK(!option(out, n, 3, 4) && !option(out, n, 6, 4) && !option(out, n, 26, 2));
	CHECK_INT(dhcp_answer(&r, &bare, &to, out, sizeof out - 1), 0);
}

TEST(the_longest_reply_fits)
{
	char domain[DHCP_DOMAIN_MOST + 2];
	struct dhcp_lease wide = lease;
	struct dhcp_request r;
	uint8_t out[DHCP_REPLY_MOST];
	uint32_t to;
	size_t n;

	memset(domain, 'd', sizeof domain);
	domain[DHCP_DOMAIN_MOST] = 0;
	wide.domain = domain;
	CHECK(parse(DHCP_DISCOVER, "", 0, &r));
	memset(r.client, 7, DHCP_CLIENT_MOST);
	r.client_size = DHCP_CLIENT_MOST;
	n = dhcp_answer(&r, &wide, &to, out, sizeof out);
	CHECK(n <= sizeof out && out[n - 1] == 255 && option(out, n, 15, DHCP_DOMAIN_MOST));
	domain[DHCP_DOMAIN_MOST] = 'd';
	domain[DHCP_DOMAIN_MOST + 1] = 0;
	n = dhcp_answer(&r, &wide, &to, out, sizeof out);
	CHECK(n && !option(out, n, 15, DHCP_DOMAIN_MOST));
}

TEST(messages_that_are_cut_or_no_clients_are_refused)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct dhcp_request r;

	put_message(&b, DHCP_DISCOVER, "\x32\x04\x0a\0\0\3", 6);
	for (size_t n = 0; n < b.size; n++) {
		uint8_t *cut = malloc(n + !n);
		bool read;

		memcpy(cut, b.data, n);
		read = dhcp_parse(cut, n, &r);
		free(cut);
		/* What is cut between options has lost no more than its end. */
		CHECK(read == (n == 243 || n == b.size - 1));
	}
	for (size_t at = 0; at < 4; at++) { /* a server's; no Ethernet; a relay's; no cookie */
		static const uint8_t where[] = {0, 1, 24, 236}, what[] = {2, 6, 10, 0};

		buffer_clear(&b);
		put_message(&b, DHCP_DISCOVER, "", 0);
		b.data[where[at]] = what[at];
		CHECK(!dhcp_parse(b.data, b.size, &r));
	}
	CHECK(!parse(DHCP_OFFER, "", 0, &r));
	CHECK(!parse(0, "", 0, &r));
	CHECK(!parse(DHCP_DISCOVER, "\x36\x03\x0a\0\0", 5, &r));
	CHECK(!parse(DHCP_DISCOVER, "\x3d\x01\x01", 3, &r));
	CHECK(!parse(DHCP_DISCOVER, "\x0c\xffhost", 6, &r));
	CHECK(parse(DHCP_DISCOVER, "\0\0\x0c\x04host\0", 9, &r));
}
