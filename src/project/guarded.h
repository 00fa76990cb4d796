/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that say what a project is: its own, `.env` and `.monocore-id` beside it, its modules and files
 * of variables. The next command reads and believes them, so no sandbox of the project may change them.
 */
#pragma once

#include "base/error.h"
#include "project/project.h"

/* Their paths, each absolute, without links on the way to the last name, which need not be there; where a
 * link leads to one, the link itself is among them, too. `file`: the project's own. A text list, the
 * caller's. */
int project_guarded(const struct project *p, const char *file, char ***paths, struct error *err);
