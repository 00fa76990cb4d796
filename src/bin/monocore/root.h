/* SPDX-License-Identifier: Apache-2.0 */
/* The root of the tree of commands, and the rows that every command's table ends with. */
#pragma once

#include "bin/monocore/command.h"

struct root_options {
	bool version;
};

extern const struct command monocore_root;
extern const struct option_spec global_options[]; /* fill a struct global_options */

/* What the environment changes, for the manual; the last one has no name. */
struct environment_variable {
	const char *name, *help;
};
extern const struct environment_variable environment_variables[];
