/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/man_page.h"
#include "bin/monocore/self.h"

const struct command self_man_command = {
	.name = "man",
	.arguments = "DIR",
	.summary = "write the sources of the manual pages, for scdoc, into a directory",
	.least = 1,
	.most = 1,
	.run = man_run,
	.group = GROUP_HOST,
	.words = WORDS_FILES,
	.hidden = true, /* for the build */
};
