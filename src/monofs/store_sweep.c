/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How packs that nobody needs go, while others read and write:
 *
 *     1. Packs that were condemned long enough ago, and of whose witnesses (the sessions of then) none lives,
 *        may go: what one of these had relied on is named by a reference by now, or never will be.
 *     2. The caller marks what is needed.
 *     3. What of a condemned pack is needed all the same brings it back; those of 1 that nobody needs go.
 *     4. Of the others, those that nobody needs are condemned; those that are needed a little are copied
 *        first. The index forgets their objects, so that nobody begins to rely on them; then the sessions
 *        that live are written down as their witnesses: one that comes later cannot have found them.
 *
 * A session that had found an object before, and names it later, still finds it: a look for what the index
 * lacks goes through the condemned packs (store_rescue()). Packs that a living session wrote are left alone.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "monofs/store_parts.h"
#include "os/fs.h"

#define SMALL       (PACK_SIZE / 8) /* packs below this are written together, where there are more than */
#define SMALL_COUNT 8u

struct numbers {
	int64_t *list;
	size_t count, room;
};

struct sweeping {
	struct store *store;
	struct store_sweep *sweep;
	struct store_writer *writer; /* of copies; NULL: none is needed yet */
	struct numbers may_go;       /* condemned ones, 1. above */
	struct numbers old;          /* copied ones, whose copies are not synced */
	struct numbers condemned;    /* which have no witnesses yet */
	unsigned small;
	int64_t now;
};

static int note(struct numbers *n, int64_t number, struct error *err)
{
	if (n->count == n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		int64_t *list = reallocarray(n->list, room, sizeof *list);

		if (!list)
			return error_no_memory(err, "collect garbage");
		n->list = list;
		n->room = room;
	}
	n->list[n->count++] = number;
	return 0;
}

static bool has(const struct numbers *n, int64_t number)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->list[i] == number)
			return true;
	return false;
}

static int each_pack(struct sweeping *w, int64_t newest,
	int (*take)(struct sweeping *w, const struct index_pack *p, struct error *err), struct error *err)
{
	struct index_pack packs[64];
	int64_t above = 0;
	int n, r = 0;

	while ((n = index_packs(w->store->index, above, packs, ARRAY_SIZE(packs), err)) > 0) {
		for (int i = 0; r == 0 && i < n && packs[i].number <= newest; i++)
			r = take(w, &packs[i], err);
		above = packs[n - 1].number;
		if (r < 0 || above > newest)
			return r;
	}
	return n;
}

/* ---- before the mark --------------------------------------------------------------------------------- */

static bool lives_elsewhere(const void *context, const char *name)
{
	const struct session *s = context;

	return strcmp(name, s->name) != 0 && session_lives(s, name);
}

static int look_before(struct sweeping *w, const struct index_pack *p, struct error *err)
{
	int r;

	w->small += !p->condemned && p->size < SMALL;
	if (!p->condemned || !p->witnessed || p->condemned + (int64_t)w->sweep->grace > w->now)
		return 0;
	r = index_is_witnessed(w->store->index, p->number, lives_elsewhere, &w->store->session, err);
	return r == 0 ? note(&w->may_go, p->number, err) : r < 0 ? r : 0;
}

static int newest_pack(struct store *s, int64_t *newest, struct error *err)
{
	struct index_pack packs[64];
	int n;

	*newest = 0;
	while ((n = index_packs(s->index, *newest, packs, ARRAY_SIZE(packs), err)) > 0)
		*newest = packs[n - 1].number;
	return n;
}

/* ---- what is needed of a pack ------------------------------------------------------------------------ */

enum need { NEEDED_NOT, NEEDED, NEEDED_ELSEWHERE /* another pack's copy of it is the one that counts */ };

static int need_of(struct sweeping *w, const struct pack *p, const struct pack_object *o, struct error *err)
{
	struct index_place place;
	int r;

	if (!w->sweep->live(w->sweep->context, &o->id))
		return NEEDED_NOT;
	r = index_find(w->store->index, &o->id, &place, err);
	if (r < 0)
		return r;
	return r == 0 || place.pack == p->number ? NEEDED : NEEDED_ELSEWHERE;
}

/* Of a pack: bytes that are needed and all, objects that are not, and that are and need not be there twice.
 */
struct needs {
	uint64_t needed, total, unneeded, twice;
};

static int count_needed(struct sweeping *w, const struct pack *p, struct needs *n, struct error *err)
{
	*n = (struct needs){0};
	for (uint32_t i = 0; i < p->directory.object_count; i++) {
		const struct pack_object *o = &p->directory.objects[i];
		int r = need_of(w, p, o, err);

		if (r < 0)
			return r;
		n->total += o->size;
		n->needed += r == NEEDED ? o->size : 0;
		n->unneeded += r != NEEDED;
		n->twice += r == NEEDED_ELSEWHERE;
	}
	return 0;
}

/* Who wrote it lives, and may name in a moment what is in it. */
static bool is_in_use(const struct sweeping *w, const struct index_pack *known)
{
	return session_lives(&w->store->session, known->session);
}

/* ---- condemned packs --------------------------------------------------------------------------------- */

static int remove_pack(struct sweeping *w, const struct index_pack *known, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	char path[PACK_PATH_SIZE];
	int r = w->sweep->dry_run ? 1 : store_lock_packs(w->store, true, &lock, err);

	if (r == 0)
		r = index_forget(w->store->index, known->number, err);
	if (r <= 0)
		return r;
	w->sweep->removed_packs++;
	w->sweep->removed_bytes += known->size;
	if (w->sweep->dry_run)
		return 0;
	pthread_mutex_lock(&w->store->lock);
	store_pack_forget(w->store, known->number);
	pthread_mutex_unlock(&w->store->lock);
	unlinkat(w->store->packs, pack_path(known->name, path), 0);
	return 0;
}

static int judge_condemned(
	struct sweeping *w, const struct index_pack *known, struct pack *p, struct error *err)
{
	struct needs n;
	int r = count_needed(w, p, &n, err);

	if (r < 0)
		return r;
	if (n.needed)
		return w->sweep->dry_run ? 0 : index_add(w->store->index, &p, 1, known->session, false, err);
	if (has(&w->may_go, known->number))
		return remove_pack(w, known, err);
	return known->witnessed ? 0 : note(&w->condemned, known->number, err);
}

/* ---- all others -------------------------------------------------------------------------------------- */

static int condemn(struct sweeping *w, struct pack *p, uint64_t size, struct error *err)
{
	int r = w->sweep->dry_run ? 0 : index_condemn(w->store->index, p->number, &p->directory, w->now, err);

	if (r < 0)
		return r;
	w->sweep->condemned_packs++;
	w->sweep->condemned_bytes += size;
	return note(&w->condemned, p->number, err);
}

/* bytes: as its frame has it; NULL: that is damaged. */
static int copy_object(
	struct sweeping *w, const struct pack_object *o, const uint8_t *bytes, struct error *err)
{
	struct store_bytes other;
	int r;

	if (bytes && store_matches(w->store, o, bytes))
		return store_copy(w->writer, o, bytes, err);
	r = store_get(w->store, (enum object_type)o->type, &o->id, &other, err);
	if (r < 0)
		return r;
	r = store_copy(w->writer, o, other.bytes, err);
	store_release(w->store, &other);
	return r;
}

static int copy_frame(struct sweeping *w, const struct pack *p, uint32_t number, struct error *err)
{
	const struct pack_frame *f = &p->directory.frames[number];
	struct kept_frame *kept = NULL;
	bool damaged = false;
	uint32_t at = 0;
	int r = 0;

	for (uint32_t i = f->first; r >= 0 && i < f->first + f->count; i++) {
		const struct pack_object *o = &p->directory.objects[i];
		bool needed = (r = need_of(w, p, o, err)) == NEEDED;

		if (needed && !kept && !damaged) {
			r = store_frame_read(w->store, p, number, f, &kept, err);
			damaged = r == -ERROR_CORRUPT;
		}
		if (needed && (r >= 0 || damaged))
			r = copy_object(w, o, kept ? kept->bytes + at : NULL, err);
		at += o->size;
	}
	if (kept) {
		pthread_mutex_lock(&w->store->lock);
		store_frame_release(w->store, kept);
		pthread_mutex_unlock(&w->store->lock);
	}
	return r < 0 ? r : 0;
}

/* What is needed goes into new packs; those are synced before the old one is condemned (finish_copies()). */
static int rewrite(struct sweeping *w, const struct pack *p, struct error *err)
{
	int r = 0;

	w->sweep->rewritten_packs++;
	if (w->sweep->dry_run)
		return 0;
	if (!w->writer)
		r = store_writer_new(w->store, &w->writer, err);
	for (uint32_t f = 0; r == 0 && f < p->directory.frame_count; f++)
		r = copy_frame(w, p, f, err);
	return r < 0 ? r : note(&w->old, p->number, err);
}

static bool is_to_be_rewritten(
	const struct sweeping *w, const struct index_pack *known, const struct needs *n)
{
	if (w->sweep->keep_percent == 0)
		return false;
	if (w->small > SMALL_COUNT && known->size < SMALL)
		return true;
	/* What is there twice may be so because here it is damaged. */
	return n->twice || n->needed * 100 < n->total * w->sweep->keep_percent;
}

static int judge(struct sweeping *w, const struct index_pack *known, struct pack *p, struct error *err)
{
	struct needs n;
	int r;

	if (is_in_use(w, known))
		return 0;
	r = count_needed(w, p, &n, err);
	if (r < 0)
		return r;
	if (n.needed && !is_to_be_rewritten(w, known, &n))
		return 0;
	w->sweep->objects += n.unneeded;
	return n.needed ? rewrite(w, p, err) : condemn(w, p, known->size, err);
}

/* A damaged pack stays: check tells of it. */
static int look_after(struct sweeping *w, const struct index_pack *known, struct error *err)
{
	struct error damage;
	struct pack *p;
	int r = store_pack_open(w->store, known->number, &p, &damage);

	if (r == -ERROR_NOT_FOUND && known->condemned && !w->sweep->dry_run)
		return remove_pack(w, known, err);
	if (r == -ERROR_CORRUPT || r == -ERROR_NOT_FOUND)
		return 0;
	if (r < 0)
		return error_set(err, damage.code, "%s", damage.text);
	r = known->condemned ? judge_condemned(w, known, p, err) : judge(w, known, p, err);
	pthread_mutex_lock(&w->store->lock);
	store_pack_release(w->store, p);
	pthread_mutex_unlock(&w->store->lock);
	return r;
}

/* But where it was written again meanwhile: by this sweep, whose copy is its own original if it has the same
 * objects in the same order, or by another. */
static int condemn_original(struct sweeping *w, int64_t number, struct error *err)
{
	struct index_pack known;
	struct pack *p;
	int r = index_pack(w->store->index, number, &known, err);

	if (r > 0 && is_in_use(w, &known))
		return 0;
	if (r >= 0)
		r = store_pack_open(w->store, number, &p, err);
	if (r < 0)
		return r;
	r = condemn(w, p, p->size, err);
	pthread_mutex_lock(&w->store->lock);
	store_pack_release(w->store, p);
	pthread_mutex_unlock(&w->store->lock);
	return r;
}

static int finish_copies(struct sweeping *w, struct error *err)
{
	int r = w->writer ? store_writer_flush(w->writer, err) : 0;

	if (r == 0 && w->writer)
		r = store_sync(w->store, err);
	for (size_t i = 0; r == 0 && i < w->old.count; i++)
		r = condemn_original(w, w->old.list[i], err);
	return r;
}

/* ---- witnesses --------------------------------------------------------------------------------------- */

struct witnesses {
	const struct session *self;
	char (*list)[SESSION_NAME_SIZE];
	size_t count;
};

static int add_witness(void *context, const char *name, struct error *err)
{
	struct witnesses *all = context;
	char(*list)[SESSION_NAME_SIZE];

	if (strcmp(name, all->self->name) == 0)
		return 0;
	list = reallocarray(all->list, all->count + 1, sizeof *list);
	if (!list)
		return error_no_memory(err, "collect garbage");
	all->list = list;
	memcpy(list[all->count++], name, SESSION_NAME_SIZE);
	return 0;
}

static int write_witnesses(struct sweeping *w, struct error *err)
{
	struct witnesses all = {.self = &w->store->session};
	int r = session_each(&w->store->session, add_witness, &all, err);

	for (size_t i = 0; r == 0 && i < w->condemned.count; i++)
		r = index_witness(w->store->index, w->condemned.list[i], all.list, all.count, err);
	free(all.list);
	return r;
}

/* ---- all -------------------------------------------------------------------------------------------- */

static int sweep_all(struct sweeping *w, struct error *err)
{
	int64_t newest;
	unsigned added;
	int r = store_scan(w->store, w->sweep->progress, &added, err);

	if (r == 0)
		r = newest_pack(w->store, &newest, err);
	if (r == 0)
		r = each_pack(w, newest, look_before, err);
	if (r == 0)
		r = w->sweep->mark(w->sweep->context, err);
	if (r == 0)
		r = each_pack(w, newest, look_after, err);
	if (r == 0)
		r = finish_copies(w, err);
	if (r == 0 && !w->sweep->dry_run)
		r = write_witnesses(w, err);
	return r;
}

int store_tidy(struct store *s, struct store_sweep *sweep, struct error *err)
{
	struct sweeping w = {.store = s, .sweep = sweep, .now = (int64_t)time(NULL)};
	_cleanup_fd_ int lock = -1;
	int r;

	if (s->read_only && !sweep->dry_run)
		return error_set(
			err, ERROR_DENIED, "collect garbage: the repository is open for reading only");
	r = fs_lock(s->directory, "locks/sweep", FS_LOCK_EXCLUSIVE, false, &lock, err);
	if (r == -ERROR_BUSY)
		return error_set(err, ERROR_BUSY, "collect garbage: somebody does that just now");
	if (r == 0)
		r = sweep_all(&w, err);
	store_writer_free(w.writer);
	free(w.may_go.list);
	free(w.old.list);
	free(w.condemned.list);
	return r;
}
