/* SPDX-License-Identifier: Apache-2.0 */
/* Running sandboxes are saved, and brought back. */
#include "monocore_snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "lib/snapshot.h"
#include "sandbox/control.h"
#include "sandbox/image_snapshot.h"

#define SAVE_LIMIT (600 * NANOSECONDS_PER_SECOND)
#define TAGS_MAX   10000

/* ---- one sandbox -------------------------------------------------------------------------------------- */

void shot_close(struct monocore *mc, struct shot *s)
{
	peer_close(&s->peer);
	snapshot_draft_close(&mc->home, &s->draft);
	directory_close(&s->d);
	record_free(&s->record);
	*s = SHOT_NONE;
}

static int ask(struct shot *s, bool hold, struct error *err)
{
	const struct control_snapshot m = {.directory = s->draft.name, .hold = hold};
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;

	control_snapshot_encode(&m, &payload);
	return request(&s->peer, CONTROL_SNAPSHOT, &payload, hold ? MESSAGE_STARTED : 0, &f,
		clock_monotonic() + SAVE_LIMIT, err);
}

int shot_take(struct monocore *mc, const char *sandbox, bool hold, struct shot *s, struct error *err)
{
	int r;

	*s = SHOT_NONE;
	r = home_check_space(&mc->home, err);
	if (r == 0)
		r = find_sandbox(mc, sandbox, &s->d, &s->record, err);
	if (r == 0)
		r = connect_sandbox(&s->d, &s->record, &s->peer, err);
	if (r == 0)
		r = snapshot_draft_open(&mc->home, &s->draft, err);
	if (r == 0)
		r = ask(s, hold, err);
	if (r < 0) {
		error_prefix(err, "save sandbox '%s'", sandbox);
		shot_close(mc, s);
	}
	return r;
}

int shot_save_held(struct shot *s, struct error *err)
{
	struct frame f;
	int r;

	if (!peer_send(&s->peer, 1, MESSAGE_END, 0, NULL, 0))
		return error_set(err, ERROR_CLOSED, "save sandbox '%s': it has stopped", s->record.name);
	r = peer_wait(&s->peer, &f, clock_monotonic() + SAVE_LIMIT, err);
	if (r >= 0)
		r = f.type == MESSAGE_ERROR ? message_error_read(cursor_of(f.payload, f.size), err) : 0;
	return r < 0 ? error_prefix(err, "save sandbox '%s'", s->record.name) : 0;
}

int shot_finish(struct shot *s, bool durable, struct error *err)
{
	return snapshot_draft_finish(&s->draft, s->d.fd, &s->record, durable, err);
}

/* ---- snapshots ---------------------------------------------------------------------------------------- */

/* The first tag that is free: NAME-1, NAME-2, … */
static int publish_numbered(struct monocore *mc, struct shot *s, char **tag, struct error *err)
{
	int r = -ERROR_EXISTS;

	for (unsigned i = 1; r == -ERROR_EXISTS && i <= TAGS_MAX; i++) {
		free(*tag);
		*tag = text_format(err, "%.57s-%u", s->record.name, i);
		r = *tag ? snapshot_draft_publish(&mc->home, &s->draft, *tag, err) : -ERROR_NO_MEMORY;
	}
	return r;
}

static int publish(struct monocore *mc, struct shot *s, const char *wanted, char **tag, struct error *err)
{
	if (!wanted)
		return publish_numbered(mc, s, tag, err);
	*tag = text_copy(wanted, err);
	return *tag ? snapshot_draft_publish(&mc->home, &s->draft, wanted, err) : -ERROR_NO_MEMORY;
}

static int check_tag(struct monocore *mc, const char *tag, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (image_snapshot_is(tag))
		return error_set(err, ERROR_USAGE,
			"tags like '%s' are those of 'monocore build --snapshot': choose another one", tag);
	r = snapshot_open(&mc->home, tag, &fd, err);
	if (r == 0)
		return error_set(err, ERROR_EXISTS,
			"a snapshot '%s' is there already: choose another tag, or remove it with 'monocore "
			"snapshots rm %s'",
			tag, tag);
	return r == -ERROR_NOT_FOUND ? 0 : r;
}

static int save(struct monocore *mc, const char *sandbox, const char *wanted, char **tag, struct error *err)
{
	struct shot s = SHOT_NONE;
	int r = wanted ? check_tag(mc, wanted, err) : 0;

	if (r == 0)
		r = shot_take(mc, sandbox, false, &s, err);
	if (r == 0)
		r = shot_finish(&s, true, err);
	if (r == 0)
		r = publish(mc, &s, wanted, tag, err);
	shot_close(mc, &s);
	return r;
}

int monocore_snapshot(
	struct monocore *mc, const char *sandbox, const char *tag, char **made, struct monocore_error *error)
{
	_cleanup_free_ char *given = NULL;
	struct error err;

	if (save(mc, sandbox, tag, &given, &err) < 0)
		return give_error(error, &err);
	if (made)
		*made = TAKE_PTR(given);
	return 0;
}

static int describe(
	struct monocore *mc, const char *tag, struct monocore_snapshot_info *out, struct error *err)
{
	struct snapshot_info info = {0};
	_cleanup_fd_ int fd = -1;
	char *copy = text_copy(tag, err);
	int r = copy ? snapshot_open(&mc->home, tag, &fd, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = snapshot_examine(fd, &info, err);
	if (r < 0) {
		free(copy);
		return r;
	}
	*out = (struct monocore_snapshot_info){.tag = copy,
		.sandbox = info.sandbox,
		.image = info.image,
		.created = info.created,
		.memory = info.memory,
		.size = info.size};
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct monocore_snapshot_info *x = a, *y = b;

	return x->created < y->created ? -1 : x->created > y->created;
}

/* One that is damaged, or removed meanwhile, is left out. */
int monocore_snapshots(struct monocore *mc, struct monocore_snapshot_info **list, size_t *count,
	struct monocore_error *error)
{
	_cleanup_text_list_ char **tags = NULL;
	struct error err;
	size_t n;

	*list = NULL;
	*count = 0;
	if (snapshot_list(&mc->home, &tags, &err) < 0)
		return give_error(error, &err);
	n = text_list_size(tags);
	*list = calloc(n + 1, sizeof **list);
	if (!*list) {
		error_no_memory(&err, "list snapshots");
		return give_error(error, &err);
	}
	for (size_t i = 0; i < n; i++)
		if (describe(mc, tags[i], &(*list)[*count], NULL) == 0)
			++*count;
	qsort(*list, *count, sizeof **list, by_age);
	return 0;
}

void monocore_snapshots_free(struct monocore_snapshot_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].tag);
		free(list[i].sandbox);
		free(list[i].image);
	}
	free(list);
}

int monocore_snapshot_remove(struct monocore *mc, const char *tag, struct monocore_error *error)
{
	struct error err;

	return snapshot_remove(&mc->home, tag, &err) < 0 ? give_error(error, &err) : 0;
}

/* ---- going on ----------------------------------------------------------------------------------------- */

int snapshot_revive(struct monocore *mc, int fd, const struct snapshot_wishes *w, struct error *err)
{
	struct directory d = DIRECTORY_NONE;
	struct monocore_error error;
	int r = snapshot_provision(&mc->home, fd, w, &d, err);

	if (r == 0)
		r = hold_sandbox(mc, &d, err);
	if (r < 0)
		return r;
	if (monocore_start(mc, w->name, NULL, NULL, &error) == 0)
		return 0;
	monocore_remove(mc, w->name, true, NULL);
	return error_set(err, (enum error_code)error.code, "%s", error.text);
}

static int restore(struct monocore *mc, const char *tag, const char *name, struct error *err)
{
	const struct snapshot_wishes w = {.name = name, .tag = tag};
	_cleanup_fd_ int fd = -1;
	int r = home_check_space(&mc->home, err);

	if (r == 0)
		r = snapshot_open(&mc->home, tag, &fd, err);
	if (r == 0)
		r = snapshot_revive(mc, fd, &w, err);
	return r < 0 ? error_prefix(err, "restore '%s'", tag) : 0;
}

int monocore_restore(struct monocore *mc, const char *tag, const char *name, struct monocore_error *error)
{
	struct error err;

	return restore(mc, tag, name, &err) < 0 ? give_error(error, &err) : 0;
}
