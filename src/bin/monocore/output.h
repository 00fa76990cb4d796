/* SPDX-License-Identifier: Apache-2.0 */
/* Results go to standard output, diagnostics to standard error; both are told apart here and nowhere else. */
#pragma once

#include "base/buffer.h"
#include "bin/monocore/command.h"
#include "bin/monocore/table.h"

#define STATUS_NOT_STARTED 125 /* of a sandbox */

/* One line to standard error, as it is. Control bytes become '?'. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "monocore: PATH: text" of an error; clears the progress display first. Returns the exit status of its
 * code. */
int cli_complain(struct cli *cli, const struct error *err);

/* "monocore: text" of the library's error, likewise. */
int cli_fail(struct cli *cli, const struct monocore_error *err);

/* Opens the state directory, and calls `act` for each word: what was done is printed by its name, what was
 * not is told and does not keep the others from it. Returns the exit status. */
int cli_each(struct cli *cli, int count, char **words,
	int (*act)(struct monocore *mc, const char *name, struct monocore_error *err));

/* The same of a start: what docker's run answers, which is 126 and 127 for the command, and 125 for
 * everything else that went wrong before (or in place of) the command. */
int cli_fail_start(struct cli *cli, const struct monocore_error *err);

/* Flushes standard output: 0, or 1 when what was written did not all arrive (told, but for a reader that
 * went away). */
int output_finish(void);

/* The whole of a table, or of a JSON text, to standard output; a table is freed. Returns the exit status: 0,
 * or what was told. */
int output_table(struct cli *cli, struct table *t);
int output_json(struct cli *cli, struct buffer *b);

/* Finds out about a word, as JSON for monocore_free(). Negative: *err says why not. */
typedef int output_describe(
	struct cli *cli, const void *options, const char *word, char **json, struct monocore_error *err);

/* A JSON array of what is found of each word; those of which nothing is are told. Returns the exit status. */
int output_described(
	struct cli *cli, output_describe *describe, const void *options, int count, char **words);

/* The monocore_open() of this command, once. Negative: told already. */
int cli_open(struct cli *cli);
void cli_close(struct cli *cli);

/* Takes over -C, --quiet and --verbose as they were read. */
int cli_apply_globals(struct cli *cli, const struct command *command, struct error *err);

int version_print(bool json); /* version.c */
