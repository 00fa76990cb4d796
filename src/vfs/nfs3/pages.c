/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of directories as they were answered, for who asks the same again: for as long as the file system
 * says that the directory is the same (vfs_version()), but PAGE_LIFE at most, since there are changes by
 * others that it does not hear of. Which of them are kept is bounded in bytes; the longest unused go first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "vfs/nfs3/parts.h"

#define PAGE_LIFE  (10 * NANOSECONDS_PER_SECOND)
#define BYTES_MOST (16u << 20)
#define OVERHEAD   256u /* of a page beside its bytes, in the table as well */

struct nfs3_page {
	struct nfs3_page *before, *behind; /* by their last use */
	struct nfs3_page_key key;
	uint64_t version, made; /* made: clock_monotonic() */
	uint32_t references;    /* the table's one, and those of calls */
	struct nfs3_listed listed;
	uint8_t bytes[];
};

void nfs3_pages_init(struct nfs3_pages *p)
{
	pthread_mutex_init(&p->lock, NULL);
}

static size_t cost(const struct nfs3_page *page)
{
	return OVERHEAD + page->listed.size;
}

static void release(struct nfs3_page *page)
{
	if (--page->references == 0)
		free(page);
}

/* ---- the order of their use; the lock is held ------------------------------------------------------- */

static void push(struct nfs3_pages *p, struct nfs3_page *page)
{
	page->before = p->last;
	page->behind = NULL;
	*(p->last ? &p->last->behind : &p->first) = page;
	p->last = page;
}

static void pull(struct nfs3_pages *p, struct nfs3_page *page)
{
	*(page->before ? &page->before->behind : &p->first) = page->behind;
	*(page->behind ? &page->behind->before : &p->last) = page->before;
}

static void drop(struct nfs3_pages *p, struct nfs3_page *page)
{
	map_remove(&p->by_key, &page->key, sizeof page->key);
	pull(p, page);
	p->bytes -= cost(page);
	release(page);
}

void nfs3_pages_free(struct nfs3_pages *p)
{
	while (p->first)
		drop(p, p->first);
	map_free(&p->by_key);
	pthread_mutex_destroy(&p->lock);
}

/* ---- calls ------------------------------------------------------------------------------------------ */

const struct nfs3_listed *nfs3_page_take(
	struct nfs3_pages *p, const struct nfs3_page_key *key, uint64_t version)
{
	struct nfs3_page *page;

	pthread_mutex_lock(&p->lock);
	page = map_get(&p->by_key, key, sizeof *key);
	if (page && (page->version != version || clock_monotonic() - page->made > PAGE_LIFE)) {
		drop(p, page);
		page = NULL;
	}
	if (page) {
		page->references++;
		pull(p, page);
		push(p, page);
	}
	pthread_mutex_unlock(&p->lock);
	return page ? &page->listed : NULL;
}

void nfs3_page_give(struct nfs3_pages *p, const struct nfs3_listed *listed)
{
	if (!listed)
		return;
	pthread_mutex_lock(&p->lock);
	release((struct nfs3_page *)((char *)listed - offsetof(struct nfs3_page, listed)));
	pthread_mutex_unlock(&p->lock);
}

/* The lock is held. */
static void enter(struct nfs3_pages *p, struct nfs3_page *page)
{
	struct nfs3_page *old = map_get(&p->by_key, &page->key, sizeof page->key);

	if (old)
		drop(p, old);
	while (p->first && p->bytes + cost(page) > BYTES_MOST)
		drop(p, p->first);
	if (map_set(&p->by_key, &page->key, sizeof page->key, page, NULL, NULL) < 0) {
		free(page);
		return;
	}
	push(p, page);
	p->bytes += cost(page);
}

void nfs3_page_keep(struct nfs3_pages *p, const struct nfs3_page_key *key, uint64_t version,
	const struct nfs3_listed *listed)
{
	struct nfs3_page *page = malloc(sizeof *page + listed->size);

	if (!page)
		return;
	*page = (struct nfs3_page){.key = *key,
		.version = version,
		.made = clock_monotonic(),
		.references = 1,
		.listed = *listed};
	if (listed->size)
		memcpy(page->bytes, listed->bytes, listed->size);
	page->listed.bytes = page->bytes;
	pthread_mutex_lock(&p->lock);
	enter(p, page);
	pthread_mutex_unlock(&p->lock);
}
