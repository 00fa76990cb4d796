/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of projects in monocore.db. */
#pragma once

#include "db/db.h"

/* project: what is known by its id. grant_given: the user's word for what reaches out of one; it goes with
 * its project. */
int project_state_open(const char *home, struct db **db, struct error *err);
