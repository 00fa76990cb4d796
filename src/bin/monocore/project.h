/* SPDX-License-Identifier: Apache-2.0 */
/* The project that a command works on. */
#pragma once

#include "bin/monocore/command.h"
#include "monocore_project.h"

/* Opens the project of -c, or the nearest upwards. Returns 0, or the exit status: what was wrong has been
 * told then, every mistake with its line (2). *project is the caller's: monocore_project_close(). */
int cli_open_project(struct cli *cli, struct monocore_project **project);

/* The same where a project may be missing: *project is NULL then, and the return 0. */
int cli_find_project(struct cli *cli, struct monocore_project **project);

/* The path of the project's file, which need not be right. Returns 0, or the exit status of what was told;
 * *file is the caller's: monocore_free(). */
int cli_find_file(struct cli *cli, char **file);

/* Tells the mistakes, which it frees, or, where there are none, the error. Returns the exit status. */
int cli_fail_project(
	struct cli *cli, struct monocore_project_mistakes *mistakes, const struct monocore_error *err);
