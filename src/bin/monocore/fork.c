/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "monocore_snapshot.h"

struct options {
	uint64_t count;
	const char *pattern, *group;
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
	{"group", 'g', OPTION_STRING, "GROUP", offsetof(struct options, group),
		"clone all running sandboxes of this group, into a group of their own"},
	{NULL},
};

static int print_names(struct cli *cli, char **names)
{
	progress_clear(cli->progress);
	for (char **name = names; name && *name; name++)
		puts(*name);
	monocore_free_strings(names);
	return output_finish();
}

static int run_group(struct cli *cli, const struct options *o, int count)
{
	struct monocore_error failure;
	char **names = NULL;
	struct error err;

	if (count || o->count || o->pattern) {
		error_set(&err, ERROR_USAGE,
			"--group clones each of its sandboxes once: no SANDBOX, no --count, "
			"no --name");
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_fork_group(cli->mc, o->group, NULL, &names, &failure) < 0)
		return cli_fail(cli, &failure);
	return print_names(cli, names);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_fork_options options = MONOCORE_FORK_OPTIONS_INIT;
	struct monocore_error err;
	char **names = NULL;
	struct error usage;

	if (o->group)
		return run_group(cli, o, count);
	if (!count) {
		error_set(&usage, ERROR_USAGE, "expected SANDBOX, got nothing; see 'monocore help'");
		return cli_complain(cli, &usage);
	}
	options.count = o->count ? (unsigned)o->count : 1;
	options.pattern = o->pattern;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_fork(cli->mc, words[0], &options, &names, &err) < 0)
		return cli_fail(cli, &err);
	return print_names(cli, names);
}

const struct command fork_command = {
	.name = "fork",
	.arguments = "SANDBOX | --group GROUP",
	.summary = "clone a running sandbox",
	.help = "Each clone goes on where SANDBOX is at this moment, on a copy of its disk, and shares its "
		"memory until "
		"one of them writes to it; SANDBOX goes on as well. Each has a name, a host name, addresses, "
		"a "
		"clock and random numbers of its own, is in the groups of SANDBOX, and has its published "
		"ports on "
		"ports of this host that are chosen anew. Connections over the network that were open are "
		"gone. "
		"The names are printed; where one clone cannot be started, none is left.\n\n"
		"With --group all running sandboxes of GROUP are stopped at one moment and cloned, into "
		"groups of their "
		"own, whose names have the same number behind them as the clones'. Among themselves the "
		"clones go by "
		"the names of those that they were made of, too, and nothing leads back to these.",
	.examples = "monocore fork web\n"
		    "monocore fork --count 8 --name worker-{} warm\n"
		    "monocore fork -g backend",
	.options = rows,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOXES,
};
