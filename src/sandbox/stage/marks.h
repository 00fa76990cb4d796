/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs of the host run, or let lead them, without being asked: names that a sandbox's changes are
 * worth a look for before they are applied. The table in marks.c is all there is of it; it can only ever know
 * some.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Why a change of this path is worth a look: "run by git", "run by the shell"; NULL: nothing known. Upper and
 * lower case are the same, since some file systems take them so. */
const char *stage_mark_of_path(const char *path);

/* Whether a link leads out of the volume: it is absolute, or has more ".." than directories around it. */
bool stage_leads_out(const char *path, const char *target);
