/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS from both sides, as the resolver treats it: a query of a hostile guest, and what a hostile resolver
 * answers, which is kept and given on. Whatever is built is well-formed, older, and says the same addresses.
 *
 * The input is a query's length in two bytes, the query, then the reply. Its id is not looked at.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t sum;
	uint32_t count;
};

static void see(void *context, uint32_t address, uint32_t ttl)
{
	struct seen *s = context;

	(void)ttl;
	s->sum += address;
	s->count++;
}

static void check_reply(const struct dns_query *q, const uint8_t *message, size_t n, struct dns_reply *r)
{
	if (n)
		assert(dns_parse_reply(message, n, q, q->id, r));
}

static void try_own(const struct dns_query *q)
{
	static const uint32_t addresses[] = {0x0a000003, 0x0a000004};
	uint8_t out[1024];
	struct dns_query again;
	struct dns_reply r;
	size_t n;

	check_reply(q, out, dns_build_addresses(q, addresses, 2, 5, out, sizeof out), &r);
	check_reply(q, out, dns_build_pointer(q, "db.default.internal", 5, out, sizeof out), &r);
	check_reply(q, out,
		dns_build_status(q, DNS_REFUSED, "no", out, q->room < sizeof out ? q->room : sizeof out), &r);
	check_reply(q, out, dns_build_truncated(q, out, sizeof out), &r);
	n = dns_build_query(q, 7, true, out, DNS_QUERY_MOST);
	assert(n && dns_parse_query(out, n, &again) == 0 && strcmp(again.name, q->name) == 0);
}

static void try_reply(const struct dns_query *q, const uint8_t *message, size_t n)
{
	static uint8_t out[DNS_MESSAGE_MOST];
	struct seen before = {0}, after = {0};
	struct dns_reply r, again;
	size_t built;

	if (n < 2 || !dns_parse_reply(message, n, q, (uint16_t)(message[0] << 8 | message[1]), &r))
		return;
	assert(r.size <= n && r.answers_at <= r.size);
	dns_each_address(&r, q, see, &before);
	built = dns_build_reply(q, &r, 0, out, sizeof out);
	if (!built)
		return;
	check_reply(q, out, built, &again);
	dns_each_address(&again, q, see, &after);
	assert(before.sum == after.sum && before.count == after.count && again.rcode == r.rcode);
	assert(again.ttl == r.ttl && again.cacheable == r.cacheable);
	check_reply(q, out, dns_build_reply(q, &r, 100, out, sizeof out), &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *query = NULL, *reply = NULL;
	size_t query_size;
	struct dns_query q;
	int code;

	if (size < 2)
		return 0;
	query_size = (size_t)(data[0] << 8 | data[1]);
	if (query_size > size - 2)
		query_size = size - 2;
	/* Copies of their own size, for the sanitizer to watch over. */
	query = malloc(query_size + 1);
	reply = malloc(size - 2 - query_size + 1);
	assert(query && reply);
	memcpy(query, data + 2, query_size);
	memcpy(reply, data + 2 + query_size, size - 2 - query_size);
	code = dns_parse_query(query, query_size, &q);
	if (code != 0)
		return 0;
	try_own(&q);
	try_reply(&q, reply, size - 2 - query_size);
	return 0;
}
