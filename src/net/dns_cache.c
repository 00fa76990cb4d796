/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/clock.h"
#include "base/map.h"

enum { ENTRY_EXTRA = 96 /* of the map and of malloc for an entry, about */ };

struct key {
	uint8_t bytes[DNS_NAME_SIZE + 6];
	size_t size;
};

struct entry {
	struct entry *before, *after; /* by last use, the latest first */
	struct key key;
	uint64_t since, until;
	size_t size;
	uint8_t message[];
};

struct dns_cache {
	struct map entries;
	struct entry *first, *last;
	size_t bytes, most;
};

/* What makes an answer another one: name, type, class, and whether signatures are wanted or judged. */
static struct key key_of(const struct dns_query *q)
{
	size_t name = strlen(q->name);
	struct key k = {.size = name + 5};

	be16_put(k.bytes, q->type);
	be16_put(k.bytes + 2, q->class);
	k.bytes[4] = (uint8_t)(q->dnssec | q->checking_off << 1);
	memcpy(k.bytes + 5, q->name, name);
	return k;
}

static size_t cost(const struct entry *e)
{
	return sizeof *e + e->size + e->key.size + ENTRY_EXTRA;
}

static void unlink_entry(struct dns_cache *c, struct entry *e)
{
	*(e->before ? &e->before->after : &c->first) = e->after;
	*(e->after ? &e->after->before : &c->last) = e->before;
	e->before = e->after = NULL;
}

static void link_first(struct dns_cache *c, struct entry *e)
{
	e->after = c->first;
	*(c->first ? &c->first->before : &c->last) = e;
	c->first = e;
}

static void drop(struct dns_cache *c, struct entry *e)
{
	unlink_entry(c, e);
	map_remove(&c->entries, e->key.bytes, e->key.size);
	c->bytes -= cost(e);
	free(e);
}

int dns_cache_new(size_t bytes, struct dns_cache **cache, struct error *err)
{
	struct dns_cache *c = calloc(1, sizeof *c);

	if (!c)
		return error_no_memory(err, "the cache of DNS");
	c->most = bytes;
	*cache = c;
	return 0;
}

void dns_cache_clear(struct dns_cache *c)
{
	while (c->first)
		drop(c, c->first);
}

void dns_cache_free(struct dns_cache *c)
{
	if (!c)
		return;
	dns_cache_clear(c);
	map_free(&c->entries);
	free(c);
}

static uint32_t lifetime(const struct dns_reply *r)
{
	bool negative = r->rcode != DNS_NOERROR || !r->answers;
	uint32_t most = negative ? DNS_CACHE_NEGATIVE_MOST : DNS_CACHE_TTL_MOST;

	return r->ttl < most ? r->ttl : most;
}

void dns_cache_put(struct dns_cache *c, const struct dns_query *q, const struct dns_reply *r, uint64_t now)
{
	struct key key = key_of(q);
	struct entry *e = map_get(&c->entries, key.bytes, key.size);

	if (e)
		drop(c, e);
	if (!r->cacheable || r->ttl == 0)
		return;
	e = calloc(1, sizeof *e + r->size);
	if (!e)
		return;
	e->key = key;
	e->since = now;
	e->until = now + lifetime(r) * NANOSECONDS_PER_SECOND;
	e->size = r->size;
	memcpy(e->message, r->message, r->size);
	memset(e->message + 10, 0, 2); /* the additional records are not there */
	if (cost(e) > c->most || map_set(&c->entries, key.bytes, key.size, e, NULL, NULL) < 0) {
		free(e);
		return;
	}
	link_first(c, e);
	c->bytes += cost(e);
	while (c->bytes > c->most)
		drop(c, c->last);
}

bool dns_cache_get(
	struct dns_cache *c, const struct dns_query *q, uint64_t now, struct dns_reply *r, uint32_t *age)
{
	struct key key = key_of(q);
	struct entry *e = map_get(&c->entries, key.bytes, key.size);

	if (!e)
		return false;
	if (now >= e->until || !dns_parse_reply(e->message, e->size, q, be16_get(e->message), r)) {
		drop(c, e);
		return false;
	}
	unlink_entry(c, e);
	link_first(c, e);
	*age = (uint32_t)((now - e->since) / NANOSECONDS_PER_SECOND);
	return true;
}

size_t dns_cache_bytes(const struct dns_cache *c)
{
	return c->bytes;
}
