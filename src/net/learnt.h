/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one sandbox has learnt from our resolver: which addresses which names have, and until when. A domain
 * rule holds for what stands here only, so that nobody opens an address by saying that a name has it.
 *
 * At most LEARNT_MAX pairs are kept; one more pushes out that which was learnt, or learnt anew, longest ago.
 * Of one address at most LEARNT_NAMES_MAX are, so that looking up is short; one more pushes out that whose
 * time ends first. Pairs whose time is over stay until then, since connections that began in time may have to
 * be judged again. Learning allocates; looking up does not.
 */
#pragma once

#include "base/error.h"
#include "net/address.h"

#define LEARNT_MAX           4096
#define LEARNT_NAMES_MAX     32
#define LEARNT_NAME_MAX      254 /* a name's text, with the NUL */
#define LEARNT_GRACE_SECONDS 60  /* a program may be slow to use its answer */
#define LEARNT_TTL_MAX       86400

struct learnt;

/* `seed` is random: neither those who choose addresses nor those who choose names can make it slow. */
int learnt_new(const uint64_t seed[2], struct learnt **l, struct error *err);
void learnt_free(struct learnt *l); /* NULL: nothing */

/* The name that was asked for (not one that a CNAME led to) has this address for ttl seconds, at most
 * LEARNT_TTL_MAX, and the grace. Case and a final dot do not matter. A name that is too long is not learnt.
 * Error NO_MEMORY: not learnt. */
int learnt_add(struct learnt *l, const char *name, const struct address *a, uint32_t ttl, uint64_t now,
	struct error *err);

/* The names that the address had at the time `at`, lower case without final dot: start with *walk = 0; NULL
 * at the end. l may be NULL. The text is good until the next learnt_add(). */
const char *learnt_next(const struct learnt *l, const struct address *a, uint64_t at, uint32_t *walk);

size_t learnt_count(const struct learnt *l); /* of pairs kept, also of those whose time is over */

/* A fingerprint of a name (never 0) by which a flow remembers what its first flight said. */
uint64_t learnt_fingerprint(const struct learnt *l, const char *name);
