/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clones of a running sandbox: one snapshot without a tag, of which they are made, several at once, and which
 * is gone when they run.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/snapshot.h"
#include "monocore_snapshot.h"

#define COUNT_MAX   1000
#define THREADS_MAX 16
#define NUMBERS_MAX 10000 /* that are tried for a name that is free */

struct forking {
	struct monocore *mc;
	struct shot shot;
	const struct monocore_fork_options *options;
	pthread_mutex_t mutex; /* of what follows */
	unsigned begun, number;
	char **names;
	bool failed;
	struct error failure; /* the first */
};

/* ---- names -------------------------------------------------------------------------------------------- */

static char *name_of(const struct forking *f, unsigned number, struct error *err)
{
	const char *pattern = f->options->pattern, *place = pattern ? strstr(pattern, "{}") : NULL;

	if (!pattern)
		return text_format(err, "%.57s-%u", f->shot.record.name, number);
	if (place)
		return text_format(
			err, "%.*s%u%s", (int)(place - pattern), pattern, number, place + strlen("{}"));
	return f->options->count == 1 ? text_copy(pattern, err) : text_format(err, "%s-%u", pattern, number);
}

static bool takes_next_name(const struct forking *f)
{
	return !f->options->pattern;
}

/* ---- clones ------------------------------------------------------------------------------------------- */

static void fail(struct forking *f, const struct error *why)
{
	pthread_mutex_lock(&f->mutex);
	if (!f->failed)
		f->failure = *why;
	f->failed = true;
	pthread_mutex_unlock(&f->mutex);
}

/* True: another clone is to be made. */
static bool begin(struct forking *f)
{
	bool more;

	pthread_mutex_lock(&f->mutex);
	more = !f->failed && f->begun < f->options->count;
	f->begun += more;
	pthread_mutex_unlock(&f->mutex);
	return more;
}

static unsigned next_number(struct forking *f)
{
	unsigned number;

	pthread_mutex_lock(&f->mutex);
	number = ++f->number;
	pthread_mutex_unlock(&f->mutex);
	return number;
}

static int note_name(struct forking *f, const char *name, struct error *err)
{
	int r;

	pthread_mutex_lock(&f->mutex);
	r = text_list_add(&f->names, name, err);
	pthread_mutex_unlock(&f->mutex);
	return r;
}

static int clone_one(struct forking *f, struct error *err)
{
	int r;

	do {
		unsigned number = next_number(f);
		_cleanup_free_ char *name = name_of(f, number, err);
		const struct snapshot_wishes w = {.name = name, .discard = true, .free_ports = true};

		r = name ? snapshot_revive(f->mc, f->shot.draft.fd, &w, err) : -ERROR_NO_MEMORY;
		if (r == 0)
			r = note_name(f, name, err);
		else if (r != -ERROR_EXISTS)
			error_prefix(err, "start '%s'", name ? name : "");
		if (number > NUMBERS_MAX)
			break;
	} while (r == -ERROR_EXISTS && takes_next_name(f));
	return r;
}

static void *clone_some(void *context)
{
	struct forking *f = context;
	struct error err;

	while (begin(f))
		if (clone_one(f, &err) < 0)
			fail(f, &err);
	return NULL;
}

static void clone_all(struct forking *f)
{
	pthread_t threads[THREADS_MAX];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = processors > 1 ? 2 * (size_t)processors : 2, n = 0;

	while (n + 1 < wanted && n < THREADS_MAX && n + 1 < f->options->count &&
		pthread_create(&threads[n], NULL, clone_some, f) == 0)
		n++;
	clone_some(f);
	while (n)
		pthread_join(threads[--n], NULL);
}

static int check(const struct monocore_fork_options *o, struct error *err)
{
	if (o->version != 1)
		return error_set(
			err, ERROR_INVALID, "options of version %u: this library knows 1", o->version);
	if (o->count < 1 || o->count > COUNT_MAX)
		return error_set(err, ERROR_INVALID, "%u clones: 1 to %d are possible", o->count, COUNT_MAX);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int fork_all(struct forking *f, const char *sandbox, struct error *err)
{
	int r = check(f->options, err);

	if (r == 0)
		r = shot_take(f->mc, sandbox, false, &f->shot, err);
	if (r == 0)
		r = shot_finish(&f->shot, false, err);
	if (r < 0)
		return r;
	clone_all(f);
	if (f->failed) {
		for (char **name = f->names; name && *name; name++)
			monocore_remove(f->mc, *name, true, NULL);
		*err = f->failure;
		return error_prefix(err, "fork '%s'", sandbox);
	}
	qsort(f->names, text_list_size(f->names), sizeof *f->names, by_name);
	return 0;
}

int monocore_fork(struct monocore *mc, const char *sandbox, const struct monocore_fork_options *options,
	char ***names, struct monocore_error *error)
{
	const struct monocore_fork_options plain = MONOCORE_FORK_OPTIONS_INIT;
	struct forking f = {.mc = mc, .shot = SHOT_NONE, .options = options ? options : &plain};
	struct error err;
	int r;

	pthread_mutex_init(&f.mutex, NULL);
	r = fork_all(&f, sandbox, &err);
	shot_close(mc, &f.shot);
	pthread_mutex_destroy(&f.mutex);
	if (r == 0 && names)
		*names = TAKE_PTR(f.names);
	text_list_free(f.names);
	return r < 0 ? give_error(error, &err) : 0;
}
