/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_numbers.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/volume.h"

#define BUCKETS     4096u
#define NUMBERS_MAX 131072u /* objects that the kernel knows by a number of ours */

/* In the number of a request, which the host gives back: where there are numbers of its objects in the reply.
 */
#define REPLY_ENTRY (UINT64_C(1) << 61)
#define REPLY_LIST  (UINT64_C(1) << 60)
#define REPLY_BITS  (VOLUME_GIVES | REPLY_ENTRY | REPLY_LIST)

struct number {
	struct number *next_by_given, *next_by_host;
	uint64_t given, host; /* host: 0 as long as it is not known, and where nothing was made */
	uint64_t lookups;     /* that the kernel has not forgotten */
	bool settled;
};

struct numbers {
	uint32_t count, last;
	uint32_t unsettled_count;
	struct {
		uint64_t unique;
		struct number *number;
	} unsettled[VOLUME_GIVEN_MAX]; /* in the order in which they were given */
	struct number *by_given[BUCKETS], *by_host[BUCKETS];
};

struct numbers *numbers_new(void)
{
	return calloc(1, sizeof(struct numbers));
}

void numbers_free(struct numbers *n)
{
	for (size_t i = 0; n && i < BUCKETS; i++)
		for (struct number *e = n->by_given[i], *next; e; e = next) {
			next = e->next_by_given;
			free(e);
		}
	free(n);
}

bool numbers_are_settled(const struct numbers *n)
{
	return !n->unsettled_count;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static struct number **given_bucket(struct numbers *n, uint64_t given)
{
	return &n->by_given[given % BUCKETS];
}

static struct number **host_bucket(struct numbers *n, uint64_t host)
{
	return &n->by_host[(host ^ host >> 12 ^ host >> 24) % BUCKETS];
}

static struct number *find_given(struct numbers *n, uint64_t given)
{
	struct number *e = volume_is_given(given) ? *given_bucket(n, given) : NULL;

	while (e && e->given != given)
		e = e->next_by_given;
	return e;
}

static struct number *find_host(struct numbers *n, uint64_t host)
{
	struct number *e = host ? *host_bucket(n, host) : NULL;

	while (e && e->host != host)
		e = e->next_by_host;
	return e;
}

static void link_host(struct numbers *n, struct number *e, uint64_t host)
{
	struct number **b = host_bucket(n, host);

	e->host = host;
	e->next_by_host = *b;
	*b = e;
}

static void unlink_host(struct numbers *n, struct number *e)
{
	struct number **b = host_bucket(n, e->host);

	while (*b != e)
		b = &(*b)->next_by_host;
	*b = e->next_by_host;
	e->host = 0;
}

/* The kernel does not know it any more, and the host has said all. */
static void drop_forgotten(struct numbers *n, struct number *e)
{
	struct number **b = given_bucket(n, e->given);

	if (e->lookups || !e->settled)
		return;
	if (e->host)
		unlink_host(n, e);
	while (*b != e)
		b = &(*b)->next_by_given;
	*b = e->next_by_given;
	free(e);
	n->count--;
}

uint64_t numbers_give(struct numbers *n, uint64_t unique)
{
	uint64_t given = VOLUME_GIVEN | (n->last + 1);
	struct number *e;

	/* The oldest without a reply still has its place on the host's side. */
	if (n->count >= NUMBERS_MAX || n->unsettled_count >= VOLUME_GIVEN_MAX || find_given(n, given) ||
		(n->unsettled_count && given - n->unsettled[0].number->given >= VOLUME_GIVEN_MAX))
		return 0;
	e = malloc(sizeof *e);
	if (!e)
		return 0;
	*e = (struct number){.given = given, .lookups = 1, .next_by_given = *given_bucket(n, given)};
	*given_bucket(n, given) = e;
	n->unsettled[n->unsettled_count].unique = unique;
	n->unsettled[n->unsettled_count++].number = e;
	n->count++;
	n->last++;
	return given;
}

/* ---- to the host --------------------------------------------------------------------------------------- */

/* False: it is not to be had yet. */
static bool host_number(struct numbers *n, uint8_t *at)
{
	struct number *e;
	uint64_t given;

	memcpy(&given, at, sizeof given);
	e = find_given(n, given);
	if (e && e->settled)
		memcpy(at, &e->host, sizeof e->host);
	return !e || e->settled;
}

static void forget(struct numbers *n, uint64_t given, uint64_t times)
{
	struct number *e = find_given(n, given);

	if (!e)
		return;
	e->lookups -= times < e->lookups ? times : e->lookups;
	drop_forgotten(n, e);
}

/* All are settled. */
static void forget_many(struct numbers *n, uint8_t *body, size_t size)
{
	struct fuse_batch_forget_in many;
	struct fuse_forget_one one;

	if (size < sizeof many)
		return;
	memcpy(&many, body, sizeof many);
	for (size_t at = sizeof many, i = 0; i < many.count && at + sizeof one <= size; i++) {
		memcpy(&one, body + at, sizeof one);
		host_number(n, body + at);
		forget(n, one.nodeid, one.nlookup);
		at += sizeof one;
	}
}

/* Where in a request's body another number of an object is; 0: nowhere. One more, so that 0 is free. */
static size_t other_number(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LINK:
		return 1 + offsetof(struct fuse_link_in, oldnodeid);
	case FUSE_RENAME:
	case FUSE_RENAME2: /* begins as the other */
		return 1 + offsetof(struct fuse_rename_in, newdir);
	case FUSE_COPY_FILE_RANGE:
		return 1 + offsetof(struct fuse_copy_file_range_in, nodeid_out);
	default:
		return 0;
	}
}

static uint64_t reply_bits(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_CREATE:
		return REPLY_ENTRY;
	case FUSE_READDIRPLUS:
		return REPLY_LIST;
	default:
		return 0;
	}
}

bool numbers_to_host(struct numbers *n, uint8_t *request, size_t size)
{
	struct fuse_in_header h;
	struct fuse_forget_in f;
	size_t other;

	if (!n->count || size < sizeof h)
		return true;
	memcpy(&h, request, sizeof h);
	other = other_number(h.opcode);
	if (h.opcode == FUSE_BATCH_FORGET && !numbers_are_settled(n))
		return false;
	if (other && size >= sizeof h + other - 1 + sizeof(uint64_t) &&
		!host_number(n, request + sizeof h + other - 1))
		return false;
	host_number(n, request + offsetof(struct fuse_in_header, nodeid));
	if (h.opcode == FUSE_BATCH_FORGET)
		forget_many(n, request + sizeof h, size - sizeof h);
	if (h.opcode == FUSE_FORGET && size >= sizeof h + sizeof f) {
		memcpy(&f, request + sizeof h, sizeof f);
		forget(n, h.nodeid, f.nlookup);
	}
	h.unique |= reply_bits(h.opcode);
	memcpy(request + offsetof(struct fuse_in_header, unique), &h.unique, sizeof h.unique);
	return true;
}

/* ---- to the kernel ------------------------------------------------------------------------------------- */

static struct number *take_unsettled(struct numbers *n, uint64_t unique)
{
	for (uint32_t i = 0; i < n->unsettled_count; i++) {
		struct number *e = n->unsettled[i].number;

		if (n->unsettled[i].unique != unique)
			continue;
		memmove(n->unsettled + i, n->unsettled + i + 1,
			(--n->unsettled_count - i) * sizeof n->unsettled[0]);
		return e;
	}
	return NULL;
}

/* The reply to a request that made something with a number of ours. */
static void settle(struct numbers *n, const struct fuse_out_header *h, uint8_t *body, size_t size)
{
	struct number *e = take_unsettled(n, h->unique & ~REPLY_BITS);
	uint64_t host = 0;

	if (!e)
		return;
	if (!h->error && size >= sizeof(struct fuse_entry_out))
		memcpy(&host, body, sizeof host);
	e->settled = true;
	if (host) {
		link_host(n, e, host);
		memcpy(body, &e->given, sizeof e->given);
	}
	drop_forgotten(n, e);
}

/* What is there was looked up by that. Ours have no generations. */
static void give_entry(struct numbers *n, uint8_t *at)
{
	struct fuse_entry_out e;
	struct number *found;

	memcpy(&e, at, sizeof e);
	found = find_host(n, e.nodeid);
	if (!found)
		return;
	found->lookups++;
	e.nodeid = found->given;
	e.generation = 0;
	memcpy(at, &e, sizeof e);
}

static void give_list(struct numbers *n, uint8_t *at, size_t size)
{
	struct fuse_direntplus d;

	while (size >= FUSE_NAME_OFFSET_DIRENTPLUS) {
		size_t length;

		memcpy(&d, at, FUSE_NAME_OFFSET_DIRENTPLUS);
		length = FUSE_DIRENTPLUS_SIZE(&d);
		give_entry(n, at);
		if (length > size)
			return;
		at += length;
		size -= length;
	}
}

/* Of a notice, which has one number, at its beginning; that of a directory is the host's. */
static void give_number(struct numbers *n, uint8_t *at)
{
	const struct number *found;
	uint64_t host;

	memcpy(&host, at, sizeof host);
	found = find_host(n, host);
	if (found)
		memcpy(at, &found->given, sizeof found->given);
}

void numbers_to_kernel(struct numbers *n, uint8_t *message, size_t size)
{
	struct fuse_out_header h;
	uint8_t *body = message + sizeof h;
	uint64_t bits;

	if (size < sizeof h)
		return;
	memcpy(&h, message, sizeof h);
	bits = h.unique & REPLY_BITS;
	size -= sizeof h;
	if (bits & VOLUME_GIVES)
		settle(n, &h, body, size);
	else if (!h.unique && size >= sizeof(uint64_t))
		give_number(n, body);
	else if (bits & REPLY_ENTRY && !h.error && size >= sizeof(struct fuse_entry_out))
		give_entry(n, body);
	else if (bits & REPLY_LIST && !h.error)
		give_list(n, body, size);
	h.unique &= ~REPLY_BITS;
	memcpy(message, &h, sizeof h);
}
