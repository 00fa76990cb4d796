/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages as clients and resolvers write them, and as they should not. */
#include "test.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "codec/dns.h"

/* What dig +noedns sends for WWW.Example.com A. */
static const char query[] = "\x2b\x67\x01\x00\0\1\0\0\0\0\0\0\3WWW\7Example\3com\0\0\1\0\1";
/* With EDNS: 1232 bytes, DO, and a cookie of 8 bytes. */
static const char edns_query[] = "\x2b\x67\x01\x20\0\1\0\0\0\0\0\1\3www\7example\3com\0\0\1\0\1"
				 "\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08"
				 "12345678";
/* www.example.com CNAME web.example.com (300 s), which has two addresses (60 and 90 s); NS in the authority
 * section, an OPT behind it. */
static const char reply[] = "\x12\x34\x81\x80\0\1\0\3\0\1\0\1\3www\7example\3com\0\0\1\0\1"
			    "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\6\3web\xc0\x10"
			    "\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
			    "\xc0\x2d\0\1\0\1\0\0\0\x5a\0\4\xc0\0\2\2"
			    "\xc0\x10\0\2\0\1\0\0\0\x1e\0\5\2ns\xc0\x10"
			    "\0\0\x29\x04\xd0\0\0\0\0\0\0";
/* NXDOMAIN; the SOA has a TTL of 900 s and a minimum of 300 s. */
static const char nxdomain[] = "\x12\x34\x81\x83\0\1\0\0\0\1\0\0\3www\7example\3com\0\0\1\0\1"
			       "\xc0\x10\0\6\0\1\0\0\3\x84\0\x20\2ns\xc0\x10\4root\xc0\x10"
			       "\0\0\0\1\0\0\x1c\x20\0\0\x0e\x10\0\x09\x3a\x80\0\0\1\x2c";

static int parse(const void *message, size_t n, struct dns_query *q)
{
	return dns_parse_query(message, n, q);
}

static void must_parse(const char *message, size_t n, struct dns_query *q)
{
	CHECK_INT(parse(message, n, q), 0);
}

/* The outcome of a query for a name in wire form. */
static int with_name(const char *name, size_t n, struct dns_query *q)
{
	_cleanup_buffer_ struct buffer b = {0};

	buffer_append(&b, "\0\1\1\0\0\1\0\0\0\0\0\0", 12);
	buffer_append(&b, name, n);
	buffer_append(&b, "\0\1\0\1", 4);
	return parse(b.data, b.size, q);
}

static unsigned flags(const uint8_t *message)
{
	return (unsigned)(message[2] << 8 | message[3]);
}

TEST(queries_are_read)
{
	struct dns_query q;

	must_parse(query, sizeof query - 1, &q);
	CHECK_TEXT(q.name, "www.example.com");
	CHECK(q.id == 0x2b67 && q.type == DNS_A && q.class == 1 && q.recursion && !q.edns && q.room == 512);
	CHECK_INT(q.question_end, sizeof query - 1);
	must_parse(edns_query, sizeof edns_query - 1, &q);
	CHECK(q.edns && q.dnssec && q.room == 1232 && !q.checking_off);
}

TEST(every_cut_of_a_query_is_an_error_and_what_has_no_header_gets_none)
{
	struct dns_query q;

	for (size_t n = 0; n < sizeof edns_query - 1; n++) {
		uint8_t *cut = malloc(n + !n);
		int r;

		memcpy(cut, edns_query, n);
		r = parse(cut, n, &q);
		free(cut);
		CHECK_INT(r, n < 12 ? -1 : DNS_FORMERR);
	}
}

TEST(replies_get_no_answer_and_odd_queries_a_code)
{
	char copy[sizeof query];
	struct dns_query q;
	uint8_t out[64];

	CHECK_INT(parse(reply, sizeof reply - 1, &q), -1);
	memcpy(copy, query, sizeof copy);
	copy[2] = 0x28; /* update */
	CHECK_INT(parse(copy, sizeof copy - 1, &q), DNS_NOTIMP);
	CHECK_INT(dns_build_error((uint8_t *)copy, sizeof copy - 1, DNS_NOTIMP, out, sizeof out), 12);
	CHECK(memcmp(out, "\x2b\x67\xa8\x84\0\0\0\0\0\0\0\0", 12) == 0);
	memcpy(copy, query, sizeof copy);
	copy[5] = 2; /* two questions */
	CHECK_INT(parse(copy, sizeof copy - 1, &q), DNS_FORMERR);
	memcpy(copy, query, sizeof copy);
	copy[sizeof copy - 2] = 3; /* class CHAOS */
	CHECK_INT(parse(copy, sizeof copy - 1, &q), DNS_NOTIMP);
	memcpy(copy, query, sizeof copy);
	copy[sizeof copy - 4] = (char)DNS_AXFR;
	CHECK_INT(parse(copy, sizeof copy - 1, &q), DNS_NOTIMP);
	CHECK_INT(parse(query, sizeof query, &q), DNS_FORMERR); /* a byte more */
}

TEST(names_are_bounded_and_have_text)
{
	_cleanup_buffer_ struct buffer name = {0};
	struct dns_query q;

	CHECK_INT(with_name("", 1, &q), 0);
	CHECK_TEXT(q.name, "");
	CHECK_INT(with_name("\4_x-1\4*.te\0", 11, &q), DNS_FORMERR); /* a dot within a label */
	CHECK_INT(with_name("\4_x-1\3*te\0", 10, &q), 0);
	CHECK_TEXT(q.name, "_x-1.*te");
	CHECK_INT(with_name("\3a\0b\0", 5, &q), DNS_FORMERR);
	CHECK_INT(with_name("\3a b\0", 5, &q), DNS_FORMERR);
	CHECK_INT(with_name("\3a\\b\0", 5, &q), DNS_FORMERR);
	CHECK_INT(with_name("\xc0\x0c", 2, &q), DNS_FORMERR); /* a pointer to itself */
	CHECK_INT(with_name("\1a\xc0\x0c", 4, &q), DNS_FORMERR);
	CHECK_INT(with_name("\xc0\x00", 2, &q), DNS_FORMERR); /* into the header */
	CHECK_INT(with_name("\x41"
			    "a",
			  2, &q),
		DNS_FORMERR);
	for (int i = 0; i < 127; i++)
		buffer_append(&name, "\1a", 2);
	buffer_u8(&name, 0);
	CHECK_INT(with_name((char *)name.data, name.size, &q), 0);
	CHECK_INT(strlen(q.name), 253);
	name.data[name.size - 1] = 1;
	buffer_append(&name, "a", 2);
	CHECK_INT(with_name((char *)name.data, name.size, &q), DNS_FORMERR);
}

TEST(edns_stands_once_at_the_root)
{
	static const char twice[] =
		"\0\1\1\0\0\1\0\0\0\0\0\2\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0\0\0\0\x29\4\xd0\0\0\0\0\0\0";
	static const char named[] = "\0\1\1\0\0\1\0\0\0\0\0\1\0\0\1\0\1\1a\0\0\x29\4\xd0\0\0\0\0\0\0";
	static const char tiny[] = "\0\1\1\0\0\1\0\0\0\0\0\1\0\0\1\0\1\0\0\x29\0\1\0\0\0\0\0\0";
	struct dns_query q;

	CHECK_INT(parse(twice, sizeof twice - 1, &q), DNS_FORMERR);
	CHECK_INT(parse(named, sizeof named - 1, &q), DNS_FORMERR);
	must_parse(tiny, sizeof tiny - 1, &q);
	CHECK_INT(q.room, 512);
}

TEST(own_answers_are_what_a_resolver_would_say)
{
	static const uint32_t addresses[] = {0x0a000003, 0x0a000004};
	struct dns_query q;
	struct dns_reply r;
	struct dns_walk walk = {0};
	struct dns_record record;
	uint8_t out[512];
	size_t n;

	must_parse(edns_query, sizeof edns_query - 1, &q);
	n = dns_build_addresses(&q, addresses, 2, 5, out, sizeof out);
	CHECK(n && dns_parse_reply(out, n, &q, q.id, &r));
	CHECK(r.answers == 2 && r.rcode == 0 && r.cacheable && r.ttl == 5 && r.size == n - 11);
	CHECK(dns_next_answer(&r, &walk, &record) && record.address == 0x0a000003 && record.ttl == 5);
	CHECK_TEXT(record.name, "www.example.com");
	CHECK(dns_next_answer(&r, &walk, &record) && record.address == 0x0a000004);
	CHECK(!dns_next_answer(&r, &walk, &record));
	CHECK_INT(dns_build_addresses(&q, addresses, 2, 5, out, n - 1), 0);

	must_parse(query, sizeof query - 1, &q);
	n = dns_build_pointer(&q, "db.default.internal", 5, out, sizeof out);
	CHECK(n && dns_parse_reply(out, n, &q, q.id, &r));
	walk = (struct dns_walk){0};
	CHECK(dns_next_answer(&r, &walk, &record) && record.type == DNS_PTR && record.has_target);
	CHECK_TEXT(record.target, "db.default.internal");
	/* The question comes back as it was spelt. */
	CHECK(memcmp(out + 12, "\3WWW\7Example\3com", 16) == 0);
}

TEST(refusals_say_why_to_whom_understands_it)
{
	struct dns_query q;
	struct dns_reply r;
	uint8_t out[512];
	size_t n;

	must_parse(query, sizeof query - 1, &q);
	n = dns_build_status(&q, DNS_REFUSED, "not allowed", out, sizeof out);
	CHECK(n == sizeof query - 1 && flags(out) == 0x8185);
	must_parse(edns_query, sizeof edns_query - 1, &q);
	n = dns_build_status(&q, DNS_REFUSED, "not allowed", out, sizeof out);
	CHECK(dns_parse_reply(out, n, &q, q.id, &r) && r.rcode == DNS_REFUSED && !r.cacheable);
	CHECK(n > 17 && memcmp(out + n - 17, "\0\x0f\0\x0d\0\x12not allowed", 17) == 0);
	CHECK_INT(dns_build_status(&q, DNS_REFUSED, "not allowed", out, n - 1), n - 17);
	n = dns_build_status(&q, DNS_NXDOMAIN, NULL, out, sizeof out);
	CHECK(dns_parse_reply(out, n, &q, q.id, &r) && r.rcode == DNS_NXDOMAIN && !r.answers);
	n = dns_build_truncated(&q, out, sizeof out);
	CHECK(dns_parse_reply(out, n, &q, q.id, &r) && r.truncated && !r.cacheable);
}

TEST(resolvers_are_asked_nothing_but_the_question)
{
	static const char expected[] = "\xab\xcd\x01\x00\0\1\0\0\0\0\0\1\3www\7example\3com\0\0\1\0\1"
				       "\0\0\x29\x04\xd0\0\0\x80\0\0\0";
	struct dns_query q, again;
	uint8_t out[DNS_QUERY_MOST];
	size_t n;

	must_parse(edns_query, sizeof edns_query - 1, &q);
	n = dns_build_query(&q, 0xabcd, true, out, sizeof out);
	CHECK(n == sizeof expected - 1 && memcmp(out, expected, n) == 0);
	n = dns_build_query(&q, 1, false, out, sizeof out);
	must_parse((char *)out, n, &again);
	CHECK(!again.edns && again.recursion);
}

struct learnt {
	char text[500];
};

static void learn(void *context, uint32_t address, uint32_t ttl)
{
	struct learnt *l = context;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof l->text - n, "%x/%u ", address, ttl);
}

TEST(replies_are_read_and_lead_from_name_to_address)
{
	struct learnt l = {""};
	struct dns_query q;
	struct dns_reply r;

	must_parse(query, sizeof query - 1, &q);
	CHECK(dns_parse_reply((const uint8_t *)reply, sizeof reply - 1, &q, 0x1234, &r));
	CHECK(r.answers == 3 && r.authorities == 1 && r.rcode == 0 && r.cacheable && r.ttl == 60);
	CHECK_INT(r.size, sizeof reply - 1 - 11);
	dns_each_address(&r, &q, learn, &l);
	CHECK_TEXT(l.text, "c0000201/60 c0000202/90 ");
}

TEST(only_the_reply_to_this_question_is_taken)
{
	char copy[sizeof reply];
	struct dns_query q;
	struct dns_reply r;

	must_parse(query, sizeof query - 1, &q);
	CHECK(!dns_parse_reply((const uint8_t *)reply, sizeof reply - 1, &q, 0x1235, &r));
	for (size_t at = 2; at < sizeof query - 1; at++) {
		bool harmless = at == 2 || at == 3 || (at >= 6 && at < 12); /* flags and counts */

		memcpy(copy, reply, sizeof copy);
		copy[at] ^= 1;
		if (!harmless)
			CHECK(!dns_parse_reply((uint8_t *)copy, sizeof copy - 1, &q, 0x1234, &r));
	}
	CHECK(!dns_parse_reply((const uint8_t *)query, sizeof query - 1, &q, 0x2b67, &r));
}

TEST(every_cut_of_a_reply_is_malformed)
{
	struct dns_query q;
	struct dns_reply r;

	must_parse(query, sizeof query - 1, &q);
	for (size_t n = 0; n < sizeof reply - 1; n++) {
		uint8_t *cut = malloc(n + !n);
		bool read;

		memcpy(cut, reply, n);
		read = dns_parse_reply(cut, n, &q, 0x1234, &r);
		free(cut);
		CHECK(!read);
	}
}

TEST(a_cached_reply_is_older_and_fits_its_new_client)
{
	struct dns_query q;
	struct dns_reply r, again;
	struct dns_walk walk = {0};
	struct dns_record record;
	uint8_t out[512];
	size_t n;

	must_parse(query, sizeof query - 1, &q);
	CHECK(dns_parse_reply((const uint8_t *)reply, sizeof reply - 1, &q, 0x1234, &r));
	n = dns_build_reply(&q, &r, 20, out, sizeof out);
	CHECK(n == r.size && flags(out) == 0x8180); /* no EDNS, none back */
	CHECK(memcmp(out, "\x2b\x67", 2) == 0 && memcmp(out + 12, "\3WWW\7Example\3com", 16) == 0);
	CHECK(dns_parse_reply(out, n, &q, q.id, &again) && again.ttl == 40 && again.answers == 3);
	CHECK(dns_next_answer(&again, &walk, &record) && record.ttl == 280);
	n = dns_build_reply(&q, &r, 1000, out, sizeof out);
	CHECK(dns_parse_reply(out, n, &q, q.id, &again) && again.ttl == 0);
	CHECK_INT(dns_build_reply(&q, &r, 0, out, n - 1), 0);
	must_parse(edns_query, sizeof edns_query - 1, &q);
	n = dns_build_reply(&q, &r, 0, out, sizeof out);
	CHECK(n == r.size + 11 && dns_parse_reply(out, n, &q, q.id, &again));
}

TEST(what_does_not_exist_is_known_as_long_as_its_zone_says)
{
	char copy[sizeof nxdomain];
	struct dns_query q;
	struct dns_reply r;

	must_parse(query, sizeof query - 1, &q);
	CHECK(dns_parse_reply((const uint8_t *)nxdomain, sizeof nxdomain - 1, &q, 0x1234, &r));
	CHECK(r.rcode == DNS_NXDOMAIN && r.cacheable && r.ttl == 300);
	memcpy(copy, nxdomain, sizeof copy);
	copy[3] = (char)0x80; /* no data */
	CHECK(dns_parse_reply((uint8_t *)copy, sizeof copy - 1, &q, 0x1234, &r) && r.cacheable &&
		r.ttl == 300);
	copy[3] = (char)0x82; /* SERVFAIL */
	CHECK(dns_parse_reply((uint8_t *)copy, sizeof copy - 1, &q, 0x1234, &r) && !r.cacheable);
	copy[3] = (char)0x83;
	copy[9] = 0; /* without the SOA */
	CHECK(dns_parse_reply((uint8_t *)copy, sizeof copy - 1, &q, 0x1234, &r) && !r.cacheable);
}

TEST(chains_that_go_in_circles_or_elsewhere_lead_nowhere)
{
	/* a → b → a, and an address of a stranger. */
	static const char circle[] = "\0\1\x81\x80\0\1\0\3\0\0\0\0\1a\0\0\1\0\1"
				     "\1a\0\0\5\0\1\0\0\0\x3c\0\3\1b\0\1b\0\0\5\0\1\0\0\0\x3c\0\3\1a\0"
				     "\1c\0\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
	struct learnt l = {""};
	struct dns_query q;
	struct dns_reply r;

	must_parse("\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, &q);
	CHECK(dns_parse_reply((const uint8_t *)circle, sizeof circle - 1, &q, 1, &r));
	dns_each_address(&r, &q, learn, &l);
	CHECK_TEXT(l.text, "");
}

TEST(an_extended_code_is_a_failure)
{
	char copy[sizeof reply];
	struct dns_query q;
	struct dns_reply r;

	must_parse(query, sizeof query - 1, &q);
	memcpy(copy, reply, sizeof copy);
	copy[sizeof reply - 1 - 6] = 1; /* BADVERS */
	CHECK(dns_parse_reply((uint8_t *)copy, sizeof copy - 1, &q, 0x1234, &r));
	CHECK(r.rcode == DNS_SERVFAIL && !r.cacheable);
}
