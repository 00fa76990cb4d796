/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of resolvers, kept for as long as they say (RFC 1035 §7.4, negative ones by RFC 2308), bounded in
 * bytes: the one that was not asked for for the longest time goes first. A core without I/O; times are
 * nanoseconds of one clock that never goes back.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "codec/dns.h"

#define DNS_CACHE_TTL_MOST      86400u /* seconds */
#define DNS_CACHE_NEGATIVE_MOST 3600u

struct dns_cache;

int dns_cache_new(size_t bytes, struct dns_cache **cache, struct error *err);
void dns_cache_free(struct dns_cache *c);
CLEANUP_DEFINE(dns_cache, struct dns_cache, dns_cache_free);
void dns_cache_clear(struct dns_cache *c);

/* Keeps a copy of what the reply says to the question, if it is cacheable; forgets what was there. Without
 * memory nothing is kept. */
void dns_cache_put(struct dns_cache *c, const struct dns_query *q, const struct dns_reply *r, uint64_t now);

/* The reply to the question; false: none, or its time is over. It is the cache's until the next call; *age:
 * seconds since it was kept. */
bool dns_cache_get(
	struct dns_cache *c, const struct dns_query *q, uint64_t now, struct dns_reply *r, uint32_t *age);

size_t dns_cache_bytes(const struct dns_cache *c); /* all memory that it has for replies */
