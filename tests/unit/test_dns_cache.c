/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of resolvers' replies, for how long, and how much of it; and which resolvers are asked. */
#include "test.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "net/dns_cache.h"
#include "net/resolv_conf.h"

#define SECOND NANOSECONDS_PER_SECOND

struct made {
	uint8_t query[DNS_QUERY_MOST], reply[1200];
	struct dns_query q;
	struct dns_reply r;
};

static void make_query(struct made *m, const char *name, uint16_t type)
{
	struct dns_query q = {.type = type, .class = 1};
	size_t n;

	snprintf(q.name, sizeof q.name, "%s", name);
	n = dns_build_query(&q, 7, false, m->query, sizeof m->query);
	CHECK_INT(dns_parse_query(m->query, n, &m->q), 0);
}

/* A question and its reply with `count` addresses. */
static void make(struct made *m, const char *name, uint32_t ttl, size_t count)
{
	uint32_t addresses[60];
	size_t n;

	for (size_t i = 0; i < count; i++)
		addresses[i] = 0xc0000201;
	make_query(m, name, DNS_A);
	n = dns_build_addresses(&m->q, addresses, count, ttl, m->reply, sizeof m->reply);
	CHECK(dns_parse_reply(m->reply, n, &m->q, 7, &m->r));
}

static bool knows(struct dns_cache *c, const char *name, uint64_t now, uint32_t *age)
{
	struct dns_reply r;
	struct made m;

	make_query(&m, name, DNS_A);
	return dns_cache_get(c, &m.q, now, &r, age);
}

static struct dns_cache *cache(size_t bytes)
{
	struct dns_cache *c;
	struct error err;

	CHECK_OK(dns_cache_new(bytes, &c, &err));
	return c;
}

TEST(replies_are_known_until_their_time_is_over)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(10000);
	struct made m;
	uint32_t age;

	make(&m, "a.example", 60, 1);
	dns_cache_put(c, &m.q, &m.r, 100 * SECOND);
	CHECK(knows(c, "a.example", 130 * SECOND, &age) && age == 30);
	CHECK(!knows(c, "b.example", 130 * SECOND, &age));
	CHECK(knows(c, "a.example", 160 * SECOND - 1, &age) && age == 59);
	CHECK(!knows(c, "a.example", 160 * SECOND, &age));
	CHECK_INT(dns_cache_bytes(c), 0);
	make(&m, "a.example", 0, 1); /* for this once */
	dns_cache_put(c, &m.q, &m.r, 200 * SECOND);
	CHECK(!knows(c, "a.example", 200 * SECOND, &age));
}

TEST(the_latest_reply_counts)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(10000);
	struct made m;
	uint32_t age;

	make(&m, "a.example", 60, 1);
	dns_cache_put(c, &m.q, &m.r, 0);
	dns_cache_put(c, &m.q, &m.r, 50 * SECOND);
	CHECK(knows(c, "a.example", 100 * SECOND, &age) && age == 50);
	m.r.cacheable = false;
	dns_cache_put(c, &m.q, &m.r, 100 * SECOND);
	CHECK(!knows(c, "a.example", 100 * SECOND, &age));
}

TEST(nothing_is_kept_for_more_than_a_day)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(10000);
	struct made m;
	uint32_t age;

	make(&m, "a.example", 1000000, 1);
	dns_cache_put(c, &m.q, &m.r, 0);
	CHECK(knows(c, "a.example", (DNS_CACHE_TTL_MOST - 1) * SECOND, &age));
	CHECK(!knows(c, "a.example", DNS_CACHE_TTL_MOST * SECOND, &age));
}

TEST(who_wants_signatures_has_other_replies)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(10000);
	struct dns_reply r;
	struct made m;
	uint32_t age;

	make(&m, "a.example", 60, 1);
	dns_cache_put(c, &m.q, &m.r, 0);
	m.q.dnssec = true;
	CHECK(!dns_cache_get(c, &m.q, 0, &r, &age));
	m.q.dnssec = false;
	m.q.checking_off = true;
	CHECK(!dns_cache_get(c, &m.q, 0, &r, &age));
	m.q.checking_off = false;
	m.q.type = DNS_NS;
	CHECK(!dns_cache_get(c, &m.q, 0, &r, &age));
}

TEST(the_cache_is_bounded_and_what_was_not_asked_for_goes_first)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(8000);
	struct made m;
	uint32_t age;
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		make(&m, name, 600, 1);
		dns_cache_put(c, &m.q, &m.r, 0);
		CHECK(dns_cache_bytes(c) <= 8000);
		CHECK(knows(c, "n0.example", 0, &age));
	}
	CHECK(knows(c, "n999.example", 0, &age) && !knows(c, "n1.example", 0, &age));
	dns_cache_clear(c);
	CHECK(dns_cache_bytes(c) == 0 && !knows(c, "n0.example", 0, &age));
}

TEST(a_reply_larger_than_the_cache_is_not_kept_and_pushes_nothing_out)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = cache(1000);
	struct made m;
	uint32_t age;

	make(&m, "a.example", 60, 1);
	dns_cache_put(c, &m.q, &m.r, 0);
	make(&m, "b.example", 60, 60);
	dns_cache_put(c, &m.q, &m.r, 0);
	CHECK(knows(c, "a.example", 0, &age) && !knows(c, "b.example", 0, &age));
}

/* ---- resolv.conf ------------------------------------------------------------------------------------- */

static const char *servers_of(const char *text, struct resolv_conf *conf)
{
	static char out[300];
	char one[INET6_ADDRSTRLEN];
	size_t n = 0;

	resolv_conf_parse(text, strlen(text), 53, conf);
	for (size_t i = 0; i < conf->count; i++) {
		bool ipv4 = conf->servers[i].any.sa_family == AF_INET;

		inet_ntop(ipv4 ? AF_INET : AF_INET6,
			ipv4 ? (void *)&conf->servers[i].ipv4.sin_addr
			     : (void *)&conf->servers[i].ipv6.sin6_addr,
			one, sizeof one);
		CHECK(ipv4 || ntohs(conf->servers[i].ipv6.sin6_port) == 53);
		n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "", one);
	}
	return out;
}

TEST(resolv_conf_is_read_as_the_c_library_reads_it)
{
	struct resolv_conf c;

	CHECK_TEXT(
		servers_of("# a comment\n;another\nsearch a.example\nnameserver 127.0.0.53\n"
			   "nameserver\t2001:db8::1 \r\noptions edns0 timeout:2 attempts:3 rotate use-vc\n",
			&c),
		"127.0.0.53 2001:db8::1");
	CHECK(c.timeout == 2 && c.attempts == 3 && c.rotate && c.tcp);
	CHECK_TEXT(
		servers_of(
			"nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4", &c),
		"1.1.1.1 2.2.2.2 3.3.3.3");
	CHECK(c.timeout == 5 && c.attempts == 2 && !c.rotate && !c.tcp);
	CHECK_TEXT(servers_of("nameserver fe80::1%lo", &c), "fe80::1");
	CHECK(c.servers[0].ipv6.sin6_scope_id > 0);
}

TEST(lines_that_are_wrong_are_skipped_and_nothing_means_loopback)
{
	struct resolv_conf c;

	CHECK_TEXT(servers_of("", &c), "127.0.0.1");
	CHECK_TEXT(servers_of(" nameserver 1.1.1.1\nnameserver\nnameserver x\nnameservers 2.2.2.2\n"
			      "nameserver 1.1.1.1.1\nnameserver 9.9.9.9 # why\n",
			   &c),
		"9.9.9.9");
	CHECK_TEXT(
		servers_of("options timeout:0 attempts:99 timeout: timeout:-1 attempts:x", &c), "127.0.0.1");
	CHECK(c.timeout == 1 && c.attempts == 5);
	CHECK_TEXT(servers_of("options timeout:99999999999999999999", &c), "127.0.0.1");
	CHECK_INT(c.timeout, 30);
	resolv_conf_parse("nameserver 1.1.1.1\0\nnameserver 2.2.2.2", 38, 53, &c);
	CHECK_INT(c.count, 2);
}
