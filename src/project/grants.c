/* SPDX-License-Identifier: Apache-2.0 */
#include "project/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/text.h"
#include "project/state.h"

/* Words that stand in databases: none is ever changed. */
static const char *const kinds[] = {
	[REACH_VOLUME] = "volume",
	[REACH_ENV_FILE] = "env_file",
	[REACH_MODULE] = "module",
	[REACH_COPY] = "copy",
	[REACH_IMAGE] = "image",
	[REACH_BEYOND] = "reach",
	[REACH_PORT] = "port",
	[REACH_VARIABLE] = "variable",
};

const char *grants_kind(const struct project_reach_out *reach)
{
	return kinds[reach->kind];
}

/* Kind, component and value, each with its end, as one key. */
static bool put_key(struct buffer *key, const char *kind, const char *component, const char *value)
{
	buffer_clear(key);
	buffer_append(key, kind, strlen(kind) + 1);
	buffer_append(key, component, strlen(component) + 1);
	return buffer_append(key, value, strlen(value));
}

static int add(struct map *known, struct buffer *key, const char *kind, const char *component,
	const char *value, bool *before, struct error *err)
{
	void *old = NULL;
	int r;

	if (!put_key(key, kind, component, value))
		return error_no_memory(err, "look up grants");
	r = map_set(known, key->data, key->size, known, &old, err);
	*before = old != NULL;
	return r;
}

static int read_given(
	const char *home, const char *id, struct map *known, struct buffer *key, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	_cleanup_(cleanup_db_query) struct db_query *q = NULL;
	int r = project_state_open(home, &db, err);
	bool before;

	if (r == 0)
		r = db_prepare(
			db, "SELECT kind, component, value FROM grant_given WHERE project = ?", &q, err);
	if (r < 0)
		return r;
	db_bind_text(q, 1, id);
	while ((r = db_step(q, err)) > 0) {
		r = add(known, key, db_text(q, 0), db_text(q, 1), db_text(q, 2), &before, err);
		if (r < 0)
			break;
	}
	return r;
}

int grants_missing(const char *home, const char *id, const struct project *p,
	const struct project_reach_out ***missing, size_t *count, struct error *err)
{
	_cleanup_free_ const struct project_reach_out **list = calloc(p->reach_count + 1, sizeof *list);
	_cleanup_(map_free) struct map known = {0};
	_cleanup_buffer_ struct buffer key = {0};
	bool before;
	int r = list ? 0 : error_no_memory(err, "look up grants");

	*count = 0;
	if (r == 0 && id && p->reach_count)
		r = read_given(home, id, &known, &key, err);
	for (size_t i = 0; r == 0 && i < p->reach_count; i++) {
		const struct project_reach_out *reach = &p->reaches[i];

		r = add(&known, &key, kinds[reach->kind], reach->component, reach->value, &before, err);
		if (r == 0 && !before)
			list[(*count)++] = reach;
	}
	if (r < 0)
		return r;
	*missing = TAKE_PTR(list);
	return 0;
}

int grants_give(const char *home, const char *id, const struct project_reach_out *const *list, size_t count,
	struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	int r = project_state_open(home, &db, err);

	if (r == 0)
		r = db_begin(db, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = db_run(db, err,
			"INSERT OR IGNORE INTO grant_given (project, kind, component, value) "
			"VALUES (?, ?, ?, ?)",
			id, kinds[list[i]->kind], list[i]->component, list[i]->value, NULL);
	if (r >= 0)
		r = db_commit(db, err);
	db_end(db);
	return r < 0 ? error_prefix(err, "keep what was granted") : 0;
}

int grants_revoke(const char *home, const char *id, size_t *count, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	int r = project_state_open(home, &db, err);

	if (r == 0)
		r = db_run(db, err, "DELETE FROM grant_given WHERE project = ?", id, NULL);
	*count = r < 0 ? 0 : (size_t)r;
	return r < 0 ? r : 0;
}

char *grants_describe(const struct project_reach_out *reach, struct error *err)
{
	static const char *const words[] = {
		[REACH_VOLUME] = "mounts",
		[REACH_ENV_FILE] = "reads variables from",
		[REACH_MODULE] = "is made of",
		[REACH_COPY] = "copies",
		[REACH_IMAGE] = "runs the image of",
		[REACH_BEYOND] = "may reach",
		[REACH_PORT] = "opens to other hosts the port",
		[REACH_VARIABLE] = "gets your environment's",
	};
	const char *value = reach->value, *behind = "";
	size_t n = strlen(value);

	if (reach->kind == REACH_VOLUME) {
		bool ro = text_ends(value, ":ro");

		behind = ro ? " (read-only)" : " (writable)";
		n -= ro ? strlen(":ro") : 0;
	}
	return text_format(err, "%s %.*s%s", words[reach->kind], (int)n, value, behind);
}
