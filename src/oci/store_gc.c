/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mark and sweep, within one transaction that keeps names from changing. A file that may go is first locked,
 * which fails while somebody uses it; then it is asked what else is needed, and only then what is not goes.
 * A transaction before it takes back that manifests are whole which nothing leads to: what is removed from
 * the disk comes not back when the second one is lost. Who is killed in the middle has removed some garbage,
 * and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/store_mark.h"
#include "oci/store_parts.h"

#define BATCH 128u /* files that are locked at a time */

struct victim {
	char *name; /* of the file */
	int fd;
	uint64_t bytes;
};

struct sweep {
	struct store *s;
	const struct store_keep *keep;
	bool dry_run, dropping;
	struct store_marks marks;
	struct victim victims[BATCH];
	size_t count;
	struct store_garbage *garbage;
};

static void drop_victims(struct sweep *w)
{
	for (size_t i = 0; i < w->count; i++) {
		free(w->victims[i].name);
		close(w->victims[i].fd);
	}
	w->count = 0;
}

static void sweep_release(struct sweep *w)
{
	drop_victims(w);
	store_marks_free(&w->marks);
}

/* ---- mark ------------------------------------------------------------------------------------------- */

static bool is_dropped(const struct sweep *w, const struct store_name *name)
{
	return w->dropping && w->keep && w->keep->drop && w->keep->drop(w->keep->context, name);
}

static int drop_name(struct sweep *w, const struct store_name *name, struct error *err)
{
	int r = w->dry_run ? 0 : db_run(w->s->db, err, "DELETE FROM image WHERE name = ?", name->name, NULL);

	w->garbage->names++;
	return r < 0 ? r : 0;
}

static int mark_names(struct sweep *w, struct error *err)
{
	struct store_name *list = NULL;
	size_t count = 0;
	int r = store_name_list(w->s, &list, &count, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = is_dropped(w, &list[i])
			    ? drop_name(w, &list[i], err)
			    : store_mark(w->s, list[i].digest, list[i].size, &w->marks, NULL, NULL, err);
	store_name_list_free(list, count);
	return r;
}

/* Steps of builds: those that go are forgotten first. */
static int mark_steps(struct sweep *w, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	_cleanup_text_list_ char **digests = NULL;
	int64_t since = w->keep ? (int64_t)w->keep->steps_since : 0;
	int r = db_prepare(w->s->db, "SELECT digest FROM step WHERE used >= ?", &q, err);

	if (r < 0)
		return r;
	db_bind_number(q, 1, since);
	while ((r = db_step(q, err)) > 0) {
		r = text_list_add(&digests, db_text(q, 0), err);
		if (r < 0)
			return r;
	}
	for (char **d = digests; r == 0 && d && *d; d++)
		if (oci_digest_valid(*d))
			r = store_mark(w->s, *d, 0, &w->marks, NULL, NULL, err);
	return r;
}

static int forget_steps(struct sweep *w, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = w->dry_run || !w->keep || !w->keep->steps_since
			? 0
			: db_prepare(w->s->db, "DELETE FROM step WHERE used < ?", &q, err);

	if (!q)
		return r;
	db_bind_number(q, 1, (int64_t)w->keep->steps_since);
	return db_step(q, err);
}

static int mark_keep(struct sweep *w, struct error *err)
{
	_cleanup_text_list_ char **roots = NULL;
	_cleanup_text_list_ char **digests = NULL;
	int r = w->keep ? w->keep->list(w->keep->context, &roots, &digests, err) : 0;

	for (char **d = digests; r == 0 && d && *d; d++)
		if (oci_digest_valid(*d))
			r = store_mark(w->s, *d, 0, &w->marks, NULL, NULL, err);
	for (char **id = roots; r == 0 && id && *id; id++)
		r = map_set(&w->marks.roots, *id, strlen(*id), w, NULL, err);
	return r;
}

/* ---- sweep ------------------------------------------------------------------------------------------ */

static bool is_needed(const struct sweep *w, bool blobs, const char *name)
{
	char key[OCI_DIGEST_SIZE + 16];
	const char *dot = strchr(name, '.');

	if (blobs) {
		snprintf(key, sizeof key, "sha256:%s", name);
		return store_marked(&w->marks.digests, key);
	}
	snprintf(key, sizeof key, "%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
	return store_marked(&w->marks.roots, key);
}

static int add_victim(struct sweep *w, int directory, const char *name, struct error *err)
{
	_cleanup_fd_ int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct victim *v = &w->victims[w->count];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
		!store_same_file(directory, name, fd))
		return 0;
	v->name = text_copy(name, err);
	if (!v->name)
		return -ERROR_NO_MEMORY;
	v->bytes = (uint64_t)st.st_blocks * 512;
	v->fd = TAKE_FD(fd);
	w->count++;
	return 0;
}

static int forget_whole(struct sweep *w, const char *name, struct error *err)
{
	_cleanup_free_ char *digest = text_format(err, "sha256:%s", name);
	int r = digest ? db_run(w->s->db, err, "DELETE FROM whole WHERE manifest = ?", digest, NULL)
		       : -ERROR_NO_MEMORY;

	return r < 0 ? r : 0;
}

static int remove_victims(struct sweep *w, int directory, uint64_t *counter, bool blobs, struct error *err)
{
	int r = w->count ? mark_keep(w, err) : 0;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		if (counter && is_needed(w, blobs, w->victims[i].name))
			continue;
		if (!w->dry_run && blobs && counter)
			r = forget_whole(w, w->victims[i].name, err);
		if (r == 0 && !w->dry_run && unlinkat(directory, w->victims[i].name, 0) < 0)
			r = error_errno(err, errno, "remove %s", w->victims[i].name);
		if (r == 0) {
			w->garbage->bytes += w->victims[i].bytes;
			if (counter)
				++*counter;
		}
	}
	drop_victims(w);
	return r;
}

struct sweeping { /* a directory */
	struct sweep *w;
	int directory;
	uint64_t *counter;
	bool blobs;
};

static int sweep_file(void *context, const char *name, struct error *err)
{
	const struct sweeping *x = context;
	int r;

	if (x->counter && is_needed(x->w, x->blobs, name))
		return 0;
	r = add_victim(x->w, x->directory, name, err);
	return r == 0 && x->w->count == BATCH ? remove_victims(x->w, x->directory, x->counter, x->blobs, err)
					      : r;
}

/* counter NULL: a folder of which nothing is needed that nobody has locked. */
static int sweep_directory(struct sweep *w, int directory, uint64_t *counter, bool blobs, struct error *err)
{
	struct sweeping x = {.w = w, .directory = directory, .counter = counter, .blobs = blobs};
	int r = store_each(directory, sweep_file, &x, err);

	return r < 0 ? r : remove_victims(w, directory, counter, blobs, err);
}

/* ---- all -------------------------------------------------------------------------------------------- */

/* The manifests that are said to be whole and that nothing leads to. */
static int list_stale(struct sweep *w, char ***stale, struct error *err)
{
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = db_prepare(w->s->db, "SELECT manifest FROM whole", &q, err);

	while (r >= 0 && (r = db_step(q, err)) > 0)
		if (!store_marked(&w->marks.digests, db_text(q, 0)))
			r = text_list_add(stale, db_text(q, 0), err);
	return r;
}

static int forget_stale(struct sweep *w, struct error *err)
{
	_cleanup_text_list_ char **stale = NULL;
	int r = forget_steps(w, err);

	if (r == 0)
		r = mark_names(w, err);
	if (r == 0)
		r = mark_steps(w, err);
	if (r == 0)
		r = mark_keep(w, err);
	if (r == 0 && !w->dry_run)
		r = list_stale(w, &stale, err);
	for (char **m = stale; r >= 0 && m && *m; m++)
		r = db_run(w->s->db, err, "DELETE FROM whole WHERE manifest = ?", *m, NULL);
	return r < 0 ? r : 0;
}

static int sweep_all(struct sweep *w, struct error *err)
{
	int r = mark_names(w, err);

	if (r == 0)
		r = mark_steps(w, err);
	if (r == 0)
		r = mark_keep(w, err);
	if (r == 0)
		r = sweep_directory(w, w->s->blobs, &w->garbage->blobs, true, err);
	if (r == 0)
		r = sweep_directory(w, w->s->roots, &w->garbage->roots, false, err);
	return r < 0 ? r : sweep_directory(w, w->s->partial, NULL, true, err);
}

static int transaction(struct sweep *w, int (*call)(struct sweep *w, struct error *err), struct error *err)
{
	int r = db_begin(w->s->db, err);

	if (r < 0)
		return r;
	r = call(w, err);
	if (r == 0)
		r = db_commit(w->s->db, err);
	db_end(w->s->db);
	return r;
}

int store_collect(struct store *s, const struct store_keep *keep, bool dry_run, struct store_garbage *garbage,
	struct error *err)
{
	_cleanup_(sweep_release) struct sweep w = {
		.s = s, .keep = keep, .dry_run = dry_run, .dropping = true, .garbage = garbage};
	_cleanup_fd_ int lock = -1;
	struct db *db;
	int r = store_database(s, &db, err);

	*garbage = (struct store_garbage){0};
	if (r == 0)
		r = store_lock_sweep(s, true, &lock, err);
	if (r == 0 && !dry_run) {
		r = transaction(&w, forget_stale, err);
		store_marks_free(&w.marks);
		w.dropping = false;
	}
	if (r == 0)
		r = transaction(&w, sweep_all, err);
	return r < 0 ? error_prefix(err, "collect garbage in %s", s->path) : 0;
}
