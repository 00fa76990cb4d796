/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that are kept for calls that come again (Juszczak 1989, as all NFS servers do it): over a new
 * connection, when the old one broke before the reply was read. The oldest go first. A call that comes again
 * while it is under way waits for its end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/nfs3/parts.h"

#define NONE UINT32_MAX
#define YOUNG \
	(300 * NANOSECONDS_PER_SECOND) /* no client repeats a call after that; its number may come again */

enum state { FREE, BUSY, DONE };

struct slot {
	struct nfs3_duplicate_key key;
	enum state state;
	uint32_t waiting; /* threads that want its reply: it is not used anew meanwhile */
	uint32_t next;    /* in its bucket */
	uint64_t done;    /* clock_monotonic() */
	uint8_t *reply;
	size_t size;
};

struct nfs3_duplicates {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	size_t count;
	size_t at; /* the slot that is used next */
	uint32_t *buckets;
	struct slot slots[];
};

struct nfs3_duplicates *nfs3_duplicates_new(size_t most)
{
	struct nfs3_duplicates *d;

	if (most == 0 || most > 1u << 20)
		return NULL;
	d = calloc(1, sizeof *d + most * sizeof *d->slots);
	if (!d)
		return NULL;
	d->count = most;
	d->buckets = malloc(most * sizeof *d->buckets);
	if (!d->buckets) {
		free(d);
		return NULL;
	}
	for (size_t i = 0; i < most; i++)
		d->buckets[i] = NONE;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->ended, NULL);
	return d;
}

void nfs3_duplicates_free(struct nfs3_duplicates *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->slots[i].reply);
	pthread_cond_destroy(&d->ended);
	pthread_mutex_destroy(&d->lock);
	free(d->buckets);
	free(d);
}

/* The sum is of a good hash function: any part of it serves. */
static uint32_t *bucket_of(struct nfs3_duplicates *d, const struct nfs3_duplicate_key *key)
{
	uint64_t hash;

	memcpy(&hash, key->sum, sizeof hash);
	return &d->buckets[(hash ^ key->xid) % d->count];
}

static bool same(const struct nfs3_duplicate_key *a, const struct nfs3_duplicate_key *b)
{
	return a->peer == b->peer && a->xid == b->xid && a->size == b->size &&
	       !memcmp(a->sum, b->sum, sizeof a->sum);
}

static struct slot *find(struct nfs3_duplicates *d, const struct nfs3_duplicate_key *key)
{
	for (uint32_t i = *bucket_of(d, key); i != NONE; i = d->slots[i].next)
		if (same(&d->slots[i].key, key))
			return &d->slots[i];
	return NULL;
}

static void clear(struct nfs3_duplicates *d, struct slot *s)
{
	uint32_t *link = bucket_of(d, &s->key), number = (uint32_t)(s - d->slots);

	if (s->state == FREE)
		return;
	while (*link != number)
		link = &d->slots[*link].next;
	*link = s->next;
	free(s->reply);
	*s = (struct slot){.state = FREE};
}

static int take_slot(struct nfs3_duplicates *d, const struct nfs3_duplicate_key *key)
{
	uint32_t *bucket = bucket_of(d, key);

	for (size_t tries = 0; tries < d->count; tries++) {
		size_t at = d->at;
		struct slot *s = &d->slots[at];

		d->at = (at + 1) % d->count;
		if (s->state == BUSY || s->waiting)
			continue;
		clear(d, s);
		*s = (struct slot){.key = *key, .state = BUSY, .next = *bucket};
		*bucket = (uint32_t)at;
		return (int)at;
	}
	return NFS3_UNCACHED;
}

int nfs3_duplicates_begin(
	struct nfs3_duplicates *d, const struct nfs3_duplicate_key *key, struct buffer *reply)
{
	struct slot *s;
	int slot = NFS3_DUPLICATE;

	pthread_mutex_lock(&d->lock);
	/* Where the first one ends without a reply that is kept, this one is done. */
	while ((s = find(d, key)) != NULL && s->state == BUSY) {
		s->waiting++;
		pthread_cond_wait(&d->ended, &d->lock);
		s->waiting--;
		if (s->state == DONE && s->size == 0 && s->waiting == 0)
			clear(d, s);
	}
	if (s && clock_monotonic() - s->done > YOUNG && s->waiting == 0) {
		clear(d, s);
		s = NULL;
	}
	if (s)
		buffer_append(reply, s->reply, s->size);
	else
		slot = take_slot(d, key);
	pthread_mutex_unlock(&d->lock);
	return slot;
}

void nfs3_duplicates_end(struct nfs3_duplicates *d, int slot, const void *reply, size_t size)
{
	struct slot *s;

	if (slot < 0)
		return;
	pthread_mutex_lock(&d->lock);
	s = &d->slots[slot];
	s->reply = size ? malloc(size) : NULL;
	if (s->reply) {
		memcpy(s->reply, reply, size);
		s->size = size;
	}
	s->state = DONE;
	s->done = clock_monotonic();
	if (!s->reply && s->waiting == 0)
		clear(d, s);
	pthread_cond_broadcast(&d->ended);
	pthread_mutex_unlock(&d->lock);
}
