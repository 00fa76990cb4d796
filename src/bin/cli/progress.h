/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far long work is, on standard error: bars that are redrawn on a terminal, a line at the start and at
 * the end of a task elsewhere. Quick work shows nothing: on a terminal a task appears when it has lasted
 * 300 ms, elsewhere when it has lasted a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress_view;

/* program: what lines begin with; borrowed. NULL: out of memory; nothing is shown then. */
struct progress_view *progress_new(const char *program);
void progress_free(struct progress_view *view);
void progress_start(struct progress_view *view, bool quiet, bool plain);

/* What happened to a task. Any thread may call. */
void progress_report_to(struct progress_view *view, const char *task, const char *unit, uint64_t done,
	uint64_t total, bool finished);

/* Lines above the bars, for as long as `draw` is not NULL: it writes at most so many to standard error, each
 * with its newline, and says how many. False: nothing is redrawn here (quiet, or no terminal), and it is not
 * called. */
typedef unsigned progress_head_draw(void *context, unsigned rows, unsigned columns);
bool progress_head(struct progress_view *view, progress_head_draw *draw, void *context);
void progress_draw(struct progress_view *view); /* again, now */

/* Takes the bars off the terminal; tasks that go on draw themselves again. view may be NULL. */
void progress_clear(struct progress_view *view);

/* Text of one bar, for `columns` columns (at most 250), without a newline, into out (at least 1,024 bytes).
 * `elapsed` is in nanoseconds since the task began. Returns out. */
const char *progress_bar(char *out, unsigned columns, const char *task, const char *unit, uint64_t done,
	uint64_t total, uint64_t elapsed);
