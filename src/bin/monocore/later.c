/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs of the program's plan that this version knows by name only, so that it can say so. */
#include "bin/monocore/later.h"

#define X(identifier, verb, text) \
	const struct command later_##identifier = { \
		.name = verb, .summary = text, .group = GROUP_LATER, .most = WORDS_ANY, .later = true};
LATER_COMMANDS(X)
#undef X
