/* SPDX-License-Identifier: Apache-2.0 */
/* Names that addresses were learnt for: a fixed table, chained by address, in the order of learning. */
#include "net/learnt.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "base/text.h"

#define BUCKETS LEARNT_MAX

/* Numbered from 1; 0 is none, and the ring's fixed point. */
struct pair {
	struct address address;
	uint64_t expires;
	char *name;
	uint32_t next;         /* in its bucket */
	uint32_t older, newer; /* a ring */
};

struct learnt {
	uint64_t seed[2];
	size_t count;
	uint32_t buckets[BUCKETS];
	struct pair pairs[LEARNT_MAX + 1];
};

int learnt_new(const uint64_t seed[2], struct learnt **l, struct error *err)
{
	*l = calloc(1, sizeof **l);
	if (!*l)
		return error_no_memory(err, "keep what names stand for");
	memcpy((*l)->seed, seed, sizeof(*l)->seed);
	return 0;
}

void learnt_free(struct learnt *l)
{
	if (!l)
		return;
	for (size_t i = 1; i <= l->count; i++)
		free(l->pairs[i].name);
	free(l);
}

size_t learnt_count(const struct learnt *l)
{
	return l->count;
}

static const uint32_t *bucket_of(const struct learnt *l, const struct address *a)
{
	return &l->buckets[siphash(l->seed, a->bytes, sizeof a->bytes) % BUCKETS];
}

/* Lower case, without a final dot. False: no name, or too long. */
static bool fold(const char *name, char out[LEARNT_NAME_MAX])
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '.')
		n--;
	if (!n || n >= LEARNT_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
	out[n] = 0;
	return true;
}

uint64_t learnt_fingerprint(const struct learnt *l, const char *name)
{
	char folded[LEARNT_NAME_MAX];
	uint64_t h;

	if (!fold(name, folded))
		return 1;
	h = siphash(l->seed, folded, strlen(folded));
	return h ? h : 1;
}

static uint32_t find(const struct learnt *l, const char *name, const struct address *a)
{
	uint32_t i;

	for (i = *bucket_of(l, a); i; i = l->pairs[i].next)
		if (address_equal(&l->pairs[i].address, a) && !strcmp(l->pairs[i].name, name))
			break;
	return i;
}

static void leave_ring(struct learnt *l, uint32_t i)
{
	struct pair *p = &l->pairs[i];

	l->pairs[p->older].newer = p->newer;
	l->pairs[p->newer].older = p->older;
}

static void enter_ring(struct learnt *l, uint32_t i)
{
	struct pair *p = &l->pairs[i];

	p->older = l->pairs[0].older;
	p->newer = 0;
	l->pairs[p->older].newer = i;
	l->pairs[0].older = i;
}

static void leave_bucket(struct learnt *l, uint32_t i)
{
	uint32_t *at = (uint32_t *)bucket_of(l, &l->pairs[i].address);

	while (*at != i)
		at = &l->pairs[*at].next;
	*at = l->pairs[i].next;
}

/* Of an address that has as many names as it may: the one whose time ends first; else 0. */
static uint32_t find_surplus(const struct learnt *l, const struct address *a)
{
	uint32_t first = 0;
	size_t names = 0;

	for (uint32_t i = *bucket_of(l, a); i; i = l->pairs[i].next)
		if (address_equal(&l->pairs[i].address, a)) {
			names++;
			if (!first || l->pairs[i].expires < l->pairs[first].expires)
				first = i;
		}
	return names < LEARNT_NAMES_MAX ? 0 : first;
}

/* A pair that nothing leads to: a fresh one, or one that is pushed out. */
static uint32_t take(struct learnt *l, const struct address *a)
{
	uint32_t out = find_surplus(l, a);

	if (!out && l->count < LEARNT_MAX)
		return (uint32_t)++l->count;
	if (!out)
		out = l->pairs[0].newer;
	leave_ring(l, out);
	leave_bucket(l, out);
	free(l->pairs[out].name);
	return out;
}

int learnt_add(struct learnt *l, const char *name, const struct address *a, uint32_t ttl, uint64_t now,
	struct error *err)
{
	uint64_t expires = now + ((ttl > LEARNT_TTL_MAX ? LEARNT_TTL_MAX : ttl) + LEARNT_GRACE_SECONDS) *
					 NANOSECONDS_PER_SECOND;
	char folded[LEARNT_NAME_MAX], *copy;
	uint32_t i, *bucket;

	if (!fold(name, folded))
		return 0;
	i = find(l, folded, a);
	if (i) {
		if (expires > l->pairs[i].expires)
			l->pairs[i].expires = expires;
		leave_ring(l, i);
		enter_ring(l, i);
		return 0;
	}
	copy = text_copy(folded, err);
	if (!copy)
		return -ERROR_NO_MEMORY;
	i = take(l, a);
	bucket = (uint32_t *)bucket_of(l, a);
	l->pairs[i] = (struct pair){.address = *a, .expires = expires, .name = copy, .next = *bucket};
	*bucket = i;
	enter_ring(l, i);
	return 0;
}

const char *learnt_next(const struct learnt *l, const struct address *a, uint64_t at, uint32_t *walk)
{
	uint32_t i;

	if (!l)
		return NULL;
	for (i = *walk ? l->pairs[*walk].next : *bucket_of(l, a); i; i = l->pairs[i].next)
		if (l->pairs[i].expires >= at && address_equal(&l->pairs[i].address, a)) {
			*walk = i;
			return l->pairs[i].name;
		}
	return NULL;
}
