/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a reply through the resolver, for hostile guests and resolvers at once: questions and replies
 * come in any order while time goes by; what is given on is well-formed, no older than it may be, and the
 * cache within its bytes.
 *
 * The input is steps: seconds that pass, a kind (0: ask; else: a reply comes), the query's and the reply's
 * lengths in two bytes each, and both.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/dns_cache.h"

#define CACHE_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static size_t take_number(struct input *in, size_t bytes)
{
	size_t v = 0;

	for (; bytes && in->left; bytes--, in->left--)
		v = v << 8 | *in->at++;
	return v;
}

/* A copy of its own size, for the sanitizer to watch over. */
static uint8_t *take_message(struct input *in, size_t *n)
{
	uint8_t *copy;

	*n = *n < in->left ? *n : in->left;
	copy = malloc(*n + 1);
	assert(copy);
	memcpy(copy, in->at, *n);
	in->at += *n;
	in->left -= *n;
	return copy;
}

static void try_get(struct dns_cache *c, const struct dns_query *q, uint64_t now)
{
	static uint8_t out[DNS_MESSAGE_MOST];
	struct dns_reply r, again;
	uint32_t age;
	size_t n;

	if (!dns_cache_get(c, q, now, &r, &age))
		return;
	assert(age < r.ttl && age < DNS_CACHE_TTL_MOST && r.cacheable);
	n = dns_build_reply(q, &r, age, out, sizeof out);
	if (n)
		assert(dns_parse_reply(out, n, q, q->id, &again) && again.rcode == r.rcode);
}

static void step(struct dns_cache *c, struct input *in, uint64_t now)
{
	bool comes = take_number(in, 1);
	size_t query_size = take_number(in, 2), reply_size = take_number(in, 2);
	_cleanup_free_ uint8_t *query = take_message(in, &query_size);
	_cleanup_free_ uint8_t *reply = take_message(in, &reply_size);
	struct dns_query q;
	struct dns_reply r;

	if (dns_parse_query(query, query_size, &q) != 0)
		return;
	if (comes && reply_size > 2 &&
		dns_parse_reply(reply, reply_size, &q, (uint16_t)(reply[0] << 8 | reply[1]), &r))
		dns_cache_put(c, &q, &r, now);
	try_get(c, &q, now);
	assert(dns_cache_bytes(c) <= CACHE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = NULL;
	struct input in = {data, size};
	uint64_t now = 1;

	if (dns_cache_new(CACHE_BYTES, &c, NULL) < 0)
		return 0;
	while (in.left) {
		now += take_number(&in, 1) * NANOSECONDS_PER_SECOND;
		step(c, &in, now);
	}
	return 0;
}
