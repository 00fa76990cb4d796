/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far the change of a project is, on standard error: on a terminal a row for each component, redrawn
 * while it is worked on, and left there at the end; elsewhere a line for each step that is over. What failed
 * is told with the last lines of its log.
 */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_project.h"

struct live_table;

struct live_table *live_table_new(struct cli *cli); /* NULL: out of memory */
void live_table_free(struct live_table *t);

/* What has come of a step; for monocore_project_change_options.tell. */
void live_table_tell(struct live_table *t, const struct monocore_project_step *step);

/* A line of another kind. */
void live_table_say(struct live_table *t, const char *text);

/* Ends it: what failed is told now, where it was not before. Returns how many steps failed. */
size_t live_table_end(struct live_table *t);

/* Calls `each` with the sandbox of every component whose last step was done, in their order. */
void live_table_each(const struct live_table *t, void (*each)(const char *component, const char *sandbox));
