/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/grants.h"
#include "bin/monocore/run_in.h"
#include "bin/monocore/verbs.h"

struct options {
	const char *user, *workdir;
	char **env, **env_files;
	bool grant;
};

static const struct option_spec options[] = {
	{"env", 'e', OPTION_LIST, "KEY=VALUE", offsetof(struct options, env),
		"set a variable; KEY alone: with the value it has here"},
	{"env-file", 0, OPTION_LIST, "FILE", offsetof(struct options, env_files),
		"set the variables of FILE, one KEY=VALUE a line"},
	{"user", 'u', OPTION_STRING, "USER[:GROUP]", offsetof(struct options, user),
		"be this user; default: the sandbox's"},
	{"workdir", 'w', OPTION_STRING, "DIR", offsetof(struct options, workdir),
		"begin in this directory of the sandbox"},
	GRANT_OPTION(struct options, grant),
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	const struct run_in wish = {.name = words[0],
		.shell = true,
		.arguments = count > 1 ? words + 1 : NULL,
		.env = o->env,
		.env_files = o->env_files,
		.user = o->user,
		.workdir = o->workdir,
		.grant = o->grant};

	return run_in_sandbox(cli, &wish);
}

const struct command shell_command = {
	.name = "shell",
	.arguments = "NAME [-- ARGUMENT...]",
	.summary = "open a shell in a sandbox of the project",
	.help = "NAME is a component of the project, or a sandbox that is there. The shell is the "
		"component's, or "
		"/bin/sh. Where the sandbox does not run, it and what it depends on are started for the "
		"shell, and "
		"it stops with it.\n\n"
		"From a terminal the shell has one; else it reads what to do from standard input.",
	.examples = "monocore shell web\necho 'ps ax' | monocore shell web",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};
