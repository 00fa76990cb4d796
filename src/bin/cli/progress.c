/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "os/terminal.h"

#define TASKS_MOST     16
#define APPEARS_BAR    MILLISECONDS(300)
#define APPEARS_LINE   MILLISECONDS(1000)
#define REDRAW         MILLISECONDS(80)
#define BAR_COLUMNS    24
#define NAME_COLUMNS   34
#define COLUMNS_MOST   250
#define BAR_BYTES_MOST 1024

enum display { DISPLAY_NOTHING, DISPLAY_LINES, DISPLAY_BARS };

struct task {
	char name[96], unit[16];
	uint64_t done, total, began;
	bool told; /* its first line is out */
};

struct progress_view {
	const char *program;
	pthread_mutex_t lock;
	enum display display;
	struct task tasks[TASKS_MOST];
	size_t size;
	progress_head_draw *head;
	void *head_context;
	unsigned drawn; /* lines on the terminal now */
	uint64_t drawn_at;
};

struct progress_view *progress_new(const char *program)
{
	struct progress_view *view = calloc(1, sizeof *view);

	if (!view)
		return NULL;
	view->program = program;
	pthread_mutex_init(&view->lock, NULL);
	return view;
}

void progress_free(struct progress_view *view)
{
	if (!view)
		return;
	progress_clear(view);
	pthread_mutex_destroy(&view->lock);
	free(view);
}

void progress_start(struct progress_view *view, bool quiet, bool plain)
{
	const char *term = getenv("TERM");

	if (!view)
		return;
	if (quiet)
		view->display = DISPLAY_NOTHING;
	else if (plain || !terminal_is(STDERR_FILENO) || !term || !strcmp(term, "dumb"))
		view->display = DISPLAY_LINES;
	else
		view->display = DISPLAY_BARS;
}

/* "1.2 MiB" of bytes, "12 steps" of others. */
static void amount(char *out, size_t size, uint64_t n, const char *unit)
{
	if (!strcmp(unit, "bytes"))
		text_human_size(n, out, size);
	else
		snprintf(out, size, "%llu %s", (unsigned long long)n, unit);
}

static void rest_of_time(char *out, size_t size, uint64_t done, uint64_t total, uint64_t elapsed)
{
	double left = (double)(total - done) * ((double)elapsed / 1e9) / (double)done;

	if (left < 60)
		snprintf(out, size, "  %.0fs left", left);
	else if (left < 3600)
		snprintf(out, size, "  %dm%02ds left", (int)left / 60, (int)left % 60);
	else
		snprintf(out, size, "  hours left");
}

/* Cuts text to so many columns, one a character, whole characters only. */
static void cut_columns(char *text, unsigned columns)
{
	for (; *text; text++) {
		if (((unsigned char)*text & 0xc0) == 0x80)
			continue;
		if (!columns--) {
			*text = 0;
			return;
		}
	}
}

const char *progress_bar(char *out, unsigned columns, const char *task, const char *unit, uint64_t done,
	uint64_t total, uint64_t elapsed)
{
	char bar[BAR_COLUMNS + 1], now[32], all[32] = "", left[32] = "", speed[48] = "", name[96];
	unsigned filled;

	snprintf(name, sizeof name, "%s", task);
	cut_columns(name, NAME_COLUMNS);
	amount(now, sizeof now, done, unit);
	if (!strcmp(unit, "bytes") && elapsed > MILLISECONDS(100)) {
		text_human_size((uint64_t)((double)done * 1e9 / (double)elapsed), all, sizeof all);
		snprintf(speed, sizeof speed, "  %s/s", all);
	}
	if (!total) {
		snprintf(out, BAR_BYTES_MOST, "%s  %s%s", name, now, speed);
	} else {
		if (done > total)
			done = total;
		filled = (unsigned)((double)done / (double)total * BAR_COLUMNS);
		memset(bar, '#', filled);
		memset(bar + filled, '.', BAR_COLUMNS - filled);
		bar[BAR_COLUMNS] = 0;
		amount(all, sizeof all, total, unit);
		if (strcmp(unit, "bytes")) /* "1 of 3 steps" */
			snprintf(now, sizeof now, "%llu", (unsigned long long)done);
		if (done && done < total)
			rest_of_time(left, sizeof left, done, total, elapsed);
		snprintf(out, BAR_BYTES_MOST, "%s [%s] %3u%%  %s of %s%s%s", name, bar,
			(unsigned)((double)done / (double)total * 100), now, all, speed, left);
	}
	cut_columns(out, columns < COLUMNS_MOST ? columns : COLUMNS_MOST);
	return out;
}

/* The cursor stands in the first column of the line below the last bar. */
static void erase(struct progress_view *view)
{
	if (view->drawn)
		fprintf(stderr, "\033[%uA\033[J", view->drawn);
	view->drawn = 0;
}

static void draw(struct progress_view *view, uint64_t now)
{
	uint16_t rows = 24, columns = 80;
	char line[BAR_BYTES_MOST];

	terminal_size(STDERR_FILENO, &rows, &columns);
	erase(view);
	if (view->head && rows > 1)
		view->drawn = view->head(view->head_context, rows - 1u, columns);
	for (size_t i = 0; i < view->size && view->drawn + 2 < rows; i++) {
		const struct task *t = &view->tasks[i];

		if (now - t->began < APPEARS_BAR)
			continue;
		fprintf(stderr, "%s\n",
			progress_bar(
				line, columns - 1u, t->name, t->unit, t->done, t->total, now - t->began));
		view->drawn++;
	}
	view->drawn_at = now;
}

static struct task *find_task(struct progress_view *view, const char *name, const char *unit, uint64_t now)
{
	struct task *t;

	for (size_t i = 0; i < view->size; i++)
		if (!strncmp(view->tasks[i].name, name, sizeof view->tasks[i].name - 1))
			return &view->tasks[i];
	if (view->size == TASKS_MOST)
		return NULL;
	t = &view->tasks[view->size++];
	*t = (struct task){.began = now};
	snprintf(t->name, sizeof t->name, "%s", name);
	snprintf(t->unit, sizeof t->unit, "%s", unit);
	for (char *p = t->name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return t;
}

static void tell_line(const struct progress_view *view, struct task *t, uint64_t now, bool finished)
{
	char text[32];

	if (finished && t->told) {
		amount(text, sizeof text, t->done, t->unit);
		fprintf(stderr, "%s: %s: done, %s in %.1f s\n", view->program, t->name, text,
			(double)(now - t->began) / 1e9);
	} else if (!finished && !t->told && now - t->began >= APPEARS_LINE) {
		amount(text, sizeof text, t->total, t->unit);
		fprintf(stderr, "%s: %s%s%s\n", view->program, t->name, t->total ? ": " : "",
			t->total ? text : "");
		t->told = true;
	}
}

static void report_locked(struct progress_view *view, const char *name, const char *unit, uint64_t done,
	uint64_t total, bool finished)
{
	uint64_t now = clock_monotonic();
	struct task *t = find_task(view, name, unit, now);

	if (!t)
		return;
	t->done = done;
	t->total = total;
	if (view->display == DISPLAY_LINES)
		tell_line(view, t, now, finished);
	if (finished) {
		*t = view->tasks[view->size - 1];
		view->size--;
	}
	if (view->display == DISPLAY_BARS && (finished || now - view->drawn_at >= REDRAW))
		draw(view, now);
}

void progress_report_to(struct progress_view *view, const char *task, const char *unit, uint64_t done,
	uint64_t total, bool finished)
{
	if (!view || view->display == DISPLAY_NOTHING)
		return;
	pthread_mutex_lock(&view->lock);
	report_locked(view, task, unit, done, total, finished);
	pthread_mutex_unlock(&view->lock);
}

bool progress_head(struct progress_view *view, progress_head_draw *head, void *context)
{
	bool drawn = view && view->display == DISPLAY_BARS;

	if (!drawn)
		return false;
	pthread_mutex_lock(&view->lock);
	view->head = head;
	view->head_context = context;
	pthread_mutex_unlock(&view->lock);
	return true;
}

void progress_draw(struct progress_view *view)
{
	pthread_mutex_lock(&view->lock);
	draw(view, clock_monotonic());
	fflush(stderr);
	pthread_mutex_unlock(&view->lock);
}

void progress_clear(struct progress_view *view)
{
	if (!view)
		return;
	pthread_mutex_lock(&view->lock);
	erase(view);
	fflush(stderr);
	pthread_mutex_unlock(&view->lock);
}
