/* SPDX-License-Identifier: Apache-2.0 */
/* Commits by what users call them: a name, and steps from there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/when.h"
#include "monofs/commit.h"
#include "monofs/references.h"
#include "monofs/repository.h"

#define DIGITS_LEAST 6u
#define STEPS        "~^@"

struct resolving {
	struct repository *repository;
	const char *text; /* all that was typed */
	struct object_id at;
};

static int unknown(const struct resolving *s, struct error *err)
{
	_cleanup_free_ char *name = text_copy_bytes(s->text, strcspn(s->text, STEPS), NULL);
	_cleanup_references_ struct references list = {0};
	const char *nearest = NULL;

	if (name && references_read(repository_directory(s->repository), repository_crypt(s->repository),
			    &list, NULL) == 0)
		nearest = references_nearest(&list, name);
	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "there is no revision '%.200s'; did you mean '%s'?",
			s->text, nearest);
	return error_set(
		err, ERROR_NOT_FOUND, "there is no revision '%.200s': 'monofs rev' lists them", s->text);
}

/* ---- where it begins ----------------------------------------------------------------------------------- */

/* 1: a reference of that name, which is put into at. */
static int find_reference(struct resolving *s, const char *name, struct error *err)
{
	_cleanup_free_ char *tag = text_format(err, REFERENCE_TAG "%s", name);
	_cleanup_references_ struct references list = {0};
	const struct reference *found;
	int r = tag ? references_read(repository_directory(s->repository), repository_crypt(s->repository),
			      &list, err)
		    : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	found = references_find(&list, !*name || !strcmp(name, "@") ? REFERENCE_MAIN : name);
	if (!found)
		found = references_find(&list, tag);
	if (found)
		s->at = found->commit;
	return found != NULL;
}

struct search {
	struct resolving *s;
	struct object_id found[3]; /* of those that begin so */
	unsigned count;
};

/* An id does not tell what it is of. */
static int try_commit(void *context, const struct object_id *id, struct error *err)
{
	struct search *f = context;
	_cleanup_commit_ struct commit c = {0};
	int r = commit_get(repository_store(f->s->repository), id, &c, err);

	if (r == 0)
		f->found[f->count++] = *id;
	return f->count == ARRAY_SIZE(f->found);
}

static int ambiguous(const struct search *f, const char *digits, struct error *err)
{
	char first[OBJECT_HEX_SIZE], second[OBJECT_HEX_SIZE];

	return error_set(err, ERROR_INVALID, "several revisions begin with '%s': %.16s, %.16s%s", digits,
		object_id_hex(&f->found[0], first), object_id_hex(&f->found[1], second),
		f->count > 2 ? " and more" : "");
}

static int find_digits(struct resolving *s, const char *digits, struct error *err)
{
	char first[OBJECT_HEX_SIZE], last[OBJECT_HEX_SIZE];
	struct object_id from, to;
	struct search f = {.s = s};
	size_t n = strlen(digits);
	int r;

	if (n < DIGITS_LEAST || n >= OBJECT_HEX_SIZE)
		return unknown(s, err);
	memset(first, '0', sizeof first);
	memset(last, 'f', sizeof last);
	first[OBJECT_HEX_SIZE - 1] = last[OBJECT_HEX_SIZE - 1] = 0;
	memcpy(first, digits, n);
	memcpy(last, digits, n);
	if (!object_id_parse(first, &from) || !object_id_parse(last, &to))
		return unknown(s, err);
	r = store_between(repository_store(s->repository), &from, &to, try_commit, &f, err);
	if (r < 0)
		return r;
	if (f.count > 1)
		return ambiguous(&f, digits, err);
	if (!f.count)
		return unknown(s, err);
	s->at = f.found[0];
	return 0;
}

static int begin(struct resolving *s, const char *name, struct error *err)
{
	int r = find_reference(s, name, err);

	if (r == 0)
		r = find_digits(s, name, err);
	return r < 0 ? r : 0;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* The number behind a step; 1 where there is none. */
static int read_number(const struct resolving *s, const char **p, uint64_t *number, struct error *err)
{
	size_t n = strspn(*p, "0123456789");
	_cleanup_free_ char *text = text_copy_bytes(*p, n, err);

	if (!text)
		return -ERROR_NO_MEMORY;
	*number = 1;
	*p += n;
	if (n && text_parse_u64(text, UINT32_MAX, "revision", number, NULL) < 0)
		return error_set(err, ERROR_INVALID, "revision '%.200s': '%.20s' is too many", s->text, text);
	return 0;
}

/* To the parent `number`, from 1; 0: stays. */
static int step_up(struct resolving *s, uint64_t number, struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	char hex[OBJECT_HEX_SIZE];
	int r = number ? commit_get(repository_store(s->repository), &s->at, &c, err) : 0;

	if (r < 0 || !number)
		return r;
	if (number > c.parent_count)
		return error_set(err, ERROR_NOT_FOUND,
			"there is no revision '%.200s': %.12s has %zu parent%s", s->text,
			object_id_hex(&s->at, hex), c.parent_count, c.parent_count == 1 ? "" : "s");
	s->at = c.parents[number - 1];
	return 0;
}

static bool is_after(const struct entry_time *a, uint64_t time)
{
	int64_t seconds = (int64_t)(time / NANOSECONDS_PER_SECOND);

	return a->seconds > seconds ||
	       (a->seconds == seconds && a->nanoseconds > time % NANOSECONDS_PER_SECOND);
}

static int step_to(struct resolving *s, const char *when, struct error *err)
{
	uint64_t time;
	int r = when_parse(when, "revision", clock_realtime(), &time, err);

	while (r == 0) {
		_cleanup_commit_ struct commit c = {0};

		r = commit_get(repository_store(s->repository), &s->at, &c, err);
		if (r < 0 || !is_after(&c.time, time))
			return r;
		if (!c.parent_count)
			return error_set(err, ERROR_NOT_FOUND,
				"there is no revision '%.200s': the first is newer", s->text);
		s->at = c.parents[0];
	}
	return r;
}

static int step_time(struct resolving *s, const char **p, struct error *err)
{
	size_t n = **p == '{' ? strcspn(*p, "}") : 0;
	_cleanup_free_ char *when = NULL;

	if (!n || (*p)[n] != '}')
		return error_set(err, ERROR_INVALID,
			"revision '%.200s': write @{2 days ago}, or @{2026-01-31}", s->text);
	when = text_copy_bytes(*p + 1, n - 1, err);
	*p += n + 1;
	return when ? step_to(s, when, err) : -ERROR_NO_MEMORY;
}

static int step(struct resolving *s, const char **p, struct error *err)
{
	char what = *(*p)++;
	uint64_t number;
	int r;

	if (what == '@')
		return step_time(s, p, err);
	if (what != '~' && what != '^')
		return error_set(err, ERROR_INVALID,
			"revision '%.200s': '%s' is no step from there; there are ~N, ^N "
			"and @{TIME}",
			s->text, *p - 1);
	r = read_number(s, p, &number, err);
	if (r == 0 && what == '^')
		return step_up(s, number, err);
	for (uint64_t i = 0; r == 0 && i < number; i++)
		r = step_up(s, 1, err);
	return r;
}

int repository_resolve(
	struct repository *r, const char *revision, struct object_id *commit, struct error *err)
{
	struct resolving s = {.repository = r, .text = revision};
	const char *p = revision + strcspn(revision, STEPS);
	_cleanup_free_ char *name = text_copy_bytes(revision, (size_t)(p - revision), err);
	int result = name ? begin(&s, name, err) : -ERROR_NO_MEMORY;

	while (result == 0 && *p)
		result = step(&s, &p, err);
	if (result == 0)
		*commit = s.at;
	return result;
}
