/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions: asked for, and by themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "monofs/live_snap.h"

#define QUIET (2 * NANOSECONDS_PER_SECOND)
#define MOST  (30 * NANOSECONDS_PER_SECOND)
#define RETRY (10 * NANOSECONDS_PER_SECOND)

static char *text_or_empty(const char *text)
{
	return strdup(text ? text : "");
}

/* From the objects to the reference: by steps, each of which the next start can go on from. A draft is there
 * once journal/base names it. */
static int make(struct live_frozen *f, const char *author, const char *message, struct object_id *id,
	struct error *err)
{
	struct live *l = f->live;
	_cleanup_(cleanup_store_writer) struct store_writer *w = NULL;
	_cleanup_commit_ struct commit c = {.parents = {f->parent}, .parent_count = 1, .automatic = !message};
	int r = store_writer_new(l->store, &w, err);

	if (r == 0)
		r = live_store(f, w, repository_clock(l->repository), err);
	if (r < 0)
		return r;
	c.content = f->content_root;
	c.identity = f->identity_root;
	c.author = text_or_empty(author);
	c.message = text_or_empty(message);
	if (!c.author || !c.message)
		return error_no_memory(err, "make a revision");
	if (f->draft)
		return repository_draft(l->repository, w, &c, id, err);
	r = store_writer_flush(w, err);
	if (r == 0)
		r = journal_intend(l->journal, f->through, &c.content, &c.identity, err);
	return r < 0 ? r : repository_commit(l->repository, w, &c, id, err);
}

static void note_outcome(struct live *l, int r)
{
	pthread_mutex_lock(&l->guard);
	l->retry_at = r < 0 ? clock_monotonic() + RETRY : 0;
	l->no_space = r == -ERROR_NO_SPACE;
	pthread_cond_broadcast(&l->told);
	pthread_mutex_unlock(&l->guard);
}

static int commit_locked(struct live *l, bool draft, const char *author, const char *message,
	struct object_id *id, bool *made, struct error *err)
{
	struct live_frozen f;
	int r, forgotten;

	store_recover(l->store);
	r = live_freeze(l, draft, &f, err);
	*made = r > 0;
	if (r == 0 && f.through) /* of files that have no name any more */
		r = journal_forget(l->journal, f.through, &l->base, err);
	if (!*made) {
		*id = l->main;
		return r;
	}
	r = make(&f, author, message, id, err);
	live_thaw(&f, r < 0 ? NULL : id);
	if (r < 0)
		return r;
	/* The revision is there, whatever this says: what is left is removed at the next start. Without it a
	 * draft is none, and the journal still has everything. */
	forgotten = journal_forget(l->journal, f.through, id, err);
	return forgotten < 0 ? forgotten : 0;
}

static int now(struct live *l, bool draft, const char *author, const char *message, struct object_id *id,
	bool *made, struct error *err)
{
	int r;

	pthread_mutex_lock(&l->committing);
	r = commit_locked(l, draft, author, message, id, made, err);
	if (r == -ERROR_NO_SPACE && journal_give_reserve(l->journal))
		r = commit_locked(l, draft, author, message, id, made, err);
	if (r == 0)
		journal_take_reserve(l->journal);
	pthread_mutex_unlock(&l->committing);
	note_outcome(l, r);
	live_prune(l);
	return r;
}

int live_commit_now(struct live *l, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err)
{
	return now(l, false, author, message, id, made, err);
}

int live_draft(struct vfs *fs, struct error *err)
{
	struct live *l = live_of(fs);
	struct object_id id;
	bool made;

	return now(l, true, l->author, NULL, &id, &made, err);
}

/* ---- by themselves ------------------------------------------------------------------------------------- */

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

/* When it is time, on the monotonic clock; UINT64_MAX: there is nothing. The guard is held. */
static uint64_t due(struct live *l, bool *draft)
{
	bool large = journal_bytes(l->journal) > live_journal_most(l);
	uint64_t at = UINT64_MAX, most;

	*draft = l->dirty_count > live_dirty_most(l) || (l->options.no_automatic && large);
	if (!l->first_change && !large)
		return UINT64_MAX;
	if (!l->options.no_automatic) {
		at = l->last_change + or_default(l->options.quiet, QUIET);
		most = l->first_change + or_default(l->options.most, MOST);
		at = large ? 0 : at < most ? at : most;
		*draft &= clock_monotonic() < at;
	}
	if (*draft)
		at = 0;
	return at < l->retry_at ? l->retry_at : at;
}

static void wait_until(struct live *l, uint64_t at)
{
	struct timespec t = {.tv_sec = (time_t)(at / NANOSECONDS_PER_SECOND),
		.tv_nsec = (long)(at % NANOSECONDS_PER_SECOND)};

	if (at == UINT64_MAX)
		pthread_cond_wait(&l->told, &l->guard);
	else
		pthread_cond_timedwait(&l->told, &l->guard, &t);
}

void *live_thread(void *context)
{
	struct live *l = context;

	pthread_mutex_lock(&l->guard);
	while (!l->stop) {
		struct object_id id;
		bool made, draft;
		uint64_t at = due(l, &draft);

		if (clock_monotonic() < at) {
			wait_until(l, at);
			continue;
		}
		pthread_mutex_unlock(&l->guard);
		now(l, draft, l->author, NULL, &id, &made, NULL);
		pthread_mutex_lock(&l->guard);
	}
	pthread_mutex_unlock(&l->guard);
	return NULL;
}
