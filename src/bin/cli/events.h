/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress for programs: an object a line on standard output in place of bars:
 * {"event":"progress","task":"layer 1a2b3c4d5e6f","unit":"bytes","done":1,"total":2,"finished":false}
 */
#pragma once

#include "bin/cli/command.h"

void events_to_stdout(struct cli *cli); /* before cli_open() */

/* Prints one. */
void events_print(const char *task, const char *unit, uint64_t done, uint64_t total, bool finished);
