/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/live_table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "os/terminal.h"

#define TICK         MILLISECONDS(100)
#define NAME_COLUMNS 30

struct row {
	char *component, *sandbox; /* sandbox NULL: a build */
	const char *verb;
	enum monocore_step_state state;
	uint64_t began, time; /* of all its steps */
};

struct failure {
	char *text, *log;
};

struct live_table {
	struct cli *cli;
	bool drawn; /* on a terminal, by the progress view */
	pthread_mutex_t mutex;
	pthread_t ticker;
	bool ticking, over;
	struct row *rows;
	size_t count;
	struct failure *failures;
	size_t failure_count;
	char *said;
};

/* ---- words -------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *verb, *now, *done;
} verbs[] = {{"build", "building", "built"}, {"stop", "stopping", "stopped"},
	{"remove", "removing", "removed"}, {"create", "creating", "created"},
	{"update", "updating", "updated"}, {"resume", "resuming", "resumed"},
	{"start", "starting", "started"}, {"wait for", "waiting until ready", "ready"}};

static const struct verb *words_of(const char *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].verb, verb))
			return &verbs[i];
	return &verbs[0];
}

static void state_words(const struct row *r, char *out, size_t size)
{
	const struct verb *v = words_of(r->verb);

	switch (r->state) {
	case MONOCORE_STEP_WORKING:
		snprintf(out, size, "%s", v->now);
		break;
	case MONOCORE_STEP_DONE:
		snprintf(out, size, "%s", v->done);
		break;
	case MONOCORE_STEP_FAILED:
		snprintf(out, size, "%s failed", r->verb);
		break;
	case MONOCORE_STEP_LEFT_OUT:
		snprintf(out, size, "left out");
		break;
	default:
		snprintf(out, size, "waiting");
	}
}

static enum colour colour_of(const struct row *r)
{
	static const enum colour colours[] = {[MONOCORE_STEP_WAITING] = COLOUR_DIM,
		[MONOCORE_STEP_WORKING] = COLOUR_YELLOW,
		[MONOCORE_STEP_DONE] = COLOUR_GREEN,
		[MONOCORE_STEP_FAILED] = COLOUR_RED,
		[MONOCORE_STEP_LEFT_OUT] = COLOUR_RED};

	return colours[r->state];
}

/* ---- drawing ------------------------------------------------------------------------------------------ */

static void draw_row(const struct row *r, uint64_t now, unsigned columns, bool colours)
{
	uint64_t time = r->time + (r->state == MONOCORE_STEP_WORKING ? now - r->began : 0);
	char state[64], line[256], span[32] = "";

	state_words(r, state, sizeof state);
	if (time)
		snprintf(span, sizeof span, "%.1f s", (double)time / 1e9);
	snprintf(line, sizeof line, "%-*.*s %s%-20s%s %8s", NAME_COLUMNS, NAME_COLUMNS,
		r->sandbox ? r->sandbox : r->component, colours ? table_colour(colour_of(r)) : "", state,
		colours ? table_colour(COLOUR_NONE) : "", span);
	if (columns > NAME_COLUMNS + 32)
		fprintf(stderr, "%s\n", line);
	else
		fprintf(stderr, "%.*s\n", (int)columns - 1, r->component);
}

/* Those that are over make room for others where there are more than lines. */
static unsigned draw(void *context, unsigned rows, unsigned columns)
{
	struct live_table *t = context;
	bool colours = terminal_has_colours(STDERR_FILENO);
	uint64_t now = clock_monotonic();
	unsigned drawn = 0;

	pthread_mutex_lock(&t->mutex);
	rows -= t->said && rows ? 1 : 0;
	for (size_t i = 0, spare = t->count > rows ? t->count - rows : 0; i < t->count && drawn < rows; i++) {
		if (spare && t->rows[i].state == MONOCORE_STEP_DONE) {
			spare--;
			continue;
		}
		draw_row(&t->rows[i], now, columns, colours);
		drawn++;
	}
	if (t->said) {
		fprintf(stderr, "%.*s\n", (int)columns - 1, t->said);
		drawn++;
	}
	pthread_mutex_unlock(&t->mutex);
	return drawn;
}

static void *tick(void *context)
{
	const struct timespec pause = {.tv_nsec = TICK};
	struct live_table *t = context;
	bool over = false;

	while (!over) {
		progress_draw(t->cli->progress);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&t->mutex);
		over = t->over;
		pthread_mutex_unlock(&t->mutex);
	}
	return NULL;
}

/* ---- what happens ------------------------------------------------------------------------------------- */

struct live_table *live_table_new(struct cli *cli)
{
	struct live_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->cli = cli;
	pthread_mutex_init(&t->mutex, NULL);
	t->drawn = progress_head(cli->progress, draw, t);
	t->ticking = t->drawn && pthread_create(&t->ticker, NULL, tick, t) == 0;
	return t;
}

static void end_ticker(struct live_table *t)
{
	pthread_mutex_lock(&t->mutex);
	t->over = true;
	pthread_mutex_unlock(&t->mutex);
	if (t->ticking)
		pthread_join(t->ticker, NULL);
	t->ticking = false;
}

void live_table_free(struct live_table *t)
{
	if (!t)
		return;
	end_ticker(t);
	if (t->drawn)
		progress_head(t->cli->progress, NULL, NULL);
	for (size_t i = 0; i < t->count; i++) {
		free(t->rows[i].component);
		free(t->rows[i].sandbox);
	}
	for (size_t i = 0; i < t->failure_count; i++) {
		free(t->failures[i].text);
		free(t->failures[i].log);
	}
	free(t->rows);
	free(t->failures);
	free(t->said);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

static struct row *row_of(struct live_table *t, const struct monocore_project_step *s)
{
	struct row *more;

	for (size_t i = 0; i < t->count; i++)
		if (!strcmp(t->rows[i].component, s->component) && !t->rows[i].sandbox == !s->sandbox &&
			(!s->sandbox || !strcmp(t->rows[i].sandbox, s->sandbox)))
			return &t->rows[i];
	more = reallocarray(t->rows, t->count + 1, sizeof *more);
	if (!more)
		return NULL;
	t->rows = more;
	more[t->count] = (struct row){.component = text_copy(s->component, NULL),
		.sandbox = s->sandbox ? text_copy(s->sandbox, NULL) : NULL,
		.verb = words_of(s->verb)->verb};
	return more[t->count].component ? &more[t->count++] : NULL;
}

static void update_row(struct row *r, const struct monocore_project_step *s, uint64_t now)
{
	/* A step that waits says nothing about the one before it. */
	if (s->state == MONOCORE_STEP_WAITING && r->state != MONOCORE_STEP_WAITING)
		return;
	if (s->state == MONOCORE_STEP_LEFT_OUT && r->state == MONOCORE_STEP_FAILED)
		return;
	if (s->state == MONOCORE_STEP_WORKING)
		r->began = now;
	else
		r->time += s->time;
	r->verb = words_of(s->verb)->verb;
	r->state = s->state;
}

/* The log line by line, so that it is told from what is ours. */
static void print_failure(const struct failure *f)
{
	complain("monocore: %s", f->text);
	for (const char *at = f->log; at && *at;) {
		size_t n = strcspn(at, "\n");

		complain("    %.*s", (int)n, at);
		at += n + (at[n] == '\n');
	}
}

static void add_failure(struct live_table *t, const struct monocore_project_step *s)
{
	struct failure *more = reallocarray(t->failures, t->failure_count + 1, sizeof *more);

	if (!more)
		return;
	t->failures = more;
	more[t->failure_count] = (struct failure){
		.text = text_format(NULL, "%s %s: %s", s->verb, s->component, s->error ? s->error : "?"),
		.log = s->log ? text_copy(s->log, NULL) : NULL};
	if (more[t->failure_count].text)
		t->failure_count++;
}

static void print_line(const struct live_table *t, const struct monocore_project_step *s)
{
	if (t->cli->global.quiet && s->state != MONOCORE_STEP_FAILED)
		return;
	if (s->state == MONOCORE_STEP_FAILED && t->failure_count)
		print_failure(&t->failures[t->failure_count - 1]);
	else if (s->state == MONOCORE_STEP_DONE && !s->silent)
		complain("monocore: %s: %s in %.1f s", s->component, words_of(s->verb)->done,
			(double)s->time / 1e9);
	else if (s->state == MONOCORE_STEP_LEFT_OUT && !s->silent)
		complain("monocore: %s %s: left out, since %s", s->verb, s->component,
			s->error ? s->error : "another failed");
}

void live_table_tell(struct live_table *t, const struct monocore_project_step *s)
{
	struct row *r;

	pthread_mutex_lock(&t->mutex);
	r = row_of(t, s);
	if (r)
		update_row(r, s, clock_monotonic());
	if (s->state == MONOCORE_STEP_FAILED)
		add_failure(t, s);
	if (!t->drawn)
		print_line(t, s);
	pthread_mutex_unlock(&t->mutex);
}

void live_table_say(struct live_table *t, const char *text)
{
	pthread_mutex_lock(&t->mutex);
	free(t->said);
	t->said = text_copy(text, NULL);
	pthread_mutex_unlock(&t->mutex);
	if (!t->drawn && !t->cli->global.quiet)
		complain("monocore: %s", text);
}

size_t live_table_end(struct live_table *t)
{
	end_ticker(t);
	if (!t->drawn)
		return t->failure_count;
	progress_clear(t->cli->progress);
	free(t->said);
	t->said = NULL;
	draw(t, UINT16_MAX, 120);
	fflush(stderr);
	for (size_t i = 0; i < t->failure_count; i++)
		print_failure(&t->failures[i]);
	return t->failure_count;
}

void live_table_each(const struct live_table *t, void (*each)(const char *component, const char *sandbox))
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].sandbox && t->rows[i].state == MONOCORE_STEP_DONE)
			each(t->rows[i].component, t->rows[i].sandbox);
}
