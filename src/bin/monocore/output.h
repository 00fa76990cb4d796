/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of this program have in common beside what all our programs have: the library's handle,
 * and its errors told. */
#pragma once

#include "bin/cli/output.h"
#include "bin/monocore/command.h"

#define STATUS_NOT_STARTED 125 /* of a sandbox */

/* "monocore: text" of the library's error, as cli_complain(). */
int cli_fail(struct cli *cli, const struct monocore_error *err);

/* Opens the state directory, and calls `act` for each word: what was done is printed by its name, what was
 * not is told and does not keep the others from it. Returns the exit status. */
int cli_each(struct cli *cli, int count, char **words,
	int (*act)(struct monocore *mc, const char *name, struct monocore_error *err));

/* The same of a start: what docker's run answers, which is 126 and 127 for the command, and 125 for
 * everything else that went wrong before (or in place of) the command. */
int cli_fail_start(struct cli *cli, const struct monocore_error *err);

/* Finds out about a word, as JSON for monocore_free(). Negative: *err says why not. */
typedef int output_describe(
	struct cli *cli, const void *options, const char *word, char **json, struct monocore_error *err);

/* A JSON array of what is found of each word; those of which nothing is are told. Returns the exit status. */
int output_described(
	struct cli *cli, output_describe *describe, const void *options, int count, char **words);

/* The monocore_open() of this command, once. Negative: told already. */
int cli_open(struct cli *cli);
void cli_close(struct cli *cli);
