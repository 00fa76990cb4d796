/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/output.h"
#include "bin/monocore/progress.h"
#include "bin/monocore/verbs.h"
#include "monocore_snapshot.h"

struct options {
	uint64_t count;
	const char *pattern;
};

static const struct option_spec rows[] = {
	{.name = "count",
		.kind = OPTION_NUMBER,
		.argument = "NUMBER",
		.offset = offsetof(struct options, count),
		.help = "how many clones; default: 1",
		.most = 1000},
	{"name", 0, OPTION_STRING, "PATTERN", offsetof(struct options, pattern),
		"how they are called: {} is the number of each, which else is put behind; default: the name "
		"of "
		"SANDBOX and numbers that are free"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_fork_options options = MONOCORE_FORK_OPTIONS_INIT;
	struct monocore_error err;
	char **names = NULL;

	(void)count;
	options.count = o->count ? (unsigned)o->count : 1;
	options.pattern = o->pattern;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_fork(cli->mc, words[0], &options, &names, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	for (char **name = names; name && *name; name++)
		puts(*name);
	monocore_free_strings(names);
	return output_finish();
}

const struct command fork_command = {
	.name = "fork",
	.arguments = "SANDBOX",
	.summary = "clone a running sandbox",
	.help = "Each clone goes on where SANDBOX is at this moment, on a copy of its disk, and shares its "
		"memory until "
		"one of them writes to it; SANDBOX goes on as well. Each has a name, a host name, addresses, "
		"a "
		"clock and random numbers of its own, is in the groups of SANDBOX, and has its published "
		"ports on "
		"ports of this host that are chosen anew. Connections over the network that were open are "
		"gone. "
		"The names are printed; where one clone cannot be started, none is left.",
	.examples = "monocore fork web\n"
		    "monocore fork --count 8 --name worker-{} warm",
	.options = rows,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
