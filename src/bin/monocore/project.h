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
