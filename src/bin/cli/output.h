/* SPDX-License-Identifier: Apache-2.0 */
/* Results go to standard output, diagnostics to standard error; both are told apart here and nowhere else. */
#pragma once

#include "base/buffer.h"
#include "bin/cli/command.h"
#include "bin/cli/table.h"

/* One line to standard error, as it is. Control bytes become '?'. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "PROGRAM: PATH: text" of an error; clears the progress display first. Returns the exit status of its
 * code. */
int cli_complain(struct cli *cli, const struct error *err);

/* Flushes standard output: 0, or 1 when what was written did not all arrive (told, but for a reader that
 * went away). */
int output_finish(void);

/* The whole of a table, or of a JSON text, to standard output; a table is freed. Returns the exit status: 0,
 * or what was told. */
int output_table(struct cli *cli, struct table *t);
int output_json(struct cli *cli, struct buffer *b);

/* What long work tells of how far it is; context: the struct cli. */
void cli_progress(
	void *context, const char *task, const char *unit, uint64_t done, uint64_t total, bool finished);

/* Takes over -C, --quiet and --verbose as they were read. */
int cli_apply_globals(struct cli *cli, const struct command *command, struct error *err);
