/* SPDX-License-Identifier: Apache-2.0 */
/* `run` and `start`: a script of a component, in its sandbox. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/bulk.h"
#include "bin/monocore/grants.h"
#include "bin/monocore/output.h"
#include "bin/monocore/run_in.h"
#include "bin/monocore/tmp_options.h"
#include "bin/monocore/verbs.h"

struct options {
	bool detach, interactive, tty, no_tty, grant, recover;
	const char *exec, *user, *workdir;
	char **env, **env_files;
};

#define ROWS \
	{"detach", 'd', OPTION_FLAG, NULL, offsetof(struct options, detach), \
		"let it run in the background and print the sandbox's name"}, \
		{"env", 'e', OPTION_LIST, "KEY=VALUE", offsetof(struct options, env), \
			"set a variable; KEY alone: with the value it has here"}, \
		{"env-file", 0, OPTION_LIST, "FILE", offsetof(struct options, env_files), \
			"set the variables of FILE, one KEY=VALUE a line"}, \
		{"interactive", 'i', OPTION_FLAG, NULL, offsetof(struct options, interactive), \
			"connect standard input; it always is in the foreground"}, \
		{"tty", 't', OPTION_FLAG, NULL, offsetof(struct options, tty), \
			"give the command a terminal; by itself where we have one"}, \
		{"no-tty", 0, OPTION_FLAG, NULL, offsetof(struct options, no_tty), "give it none"}, \
		{"user", 'u', OPTION_STRING, "USER[:GROUP]", offsetof(struct options, user), \
			"run it as this user; default: the sandbox's"}, \
		{"workdir", 'w', OPTION_STRING, "DIR", offsetof(struct options, workdir), \
			"run it in this directory of the sandbox"}, \
		GRANT_OPTION(struct options, grant)

static const struct option_spec run_options[] = {
	{"exec", 0, OPTION_STRING, "LINE", offsetof(struct options, exec),
		"run this line by its shell in place of a script"},
	ROWS,
	{NULL},
};

static const struct option_spec start_options[] = {
	{"recover", 0, OPTION_FLAG, NULL, offsetof(struct options, recover),
		"start all, in the background, that are to run once the host is up again"},
	ROWS,
	{NULL},
};

static int begin(struct cli *cli, const struct options *o, const char *name, const char *script,
	char *const *arguments)
{
	struct run_in wish = {.name = name,
		.script = script,
		.line = o->exec,
		.arguments = arguments,
		.streams = {o->detach, o->interactive, o->tty, o->no_tty},
		.env = o->env,
		.env_files = o->env_files,
		.user = o->user,
		.workdir = o->workdir,
		.grant = o->grant};

	return run_in_sandbox(cli, &wish);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_free_ char *name = NULL;
	const char *script;
	struct error err;

	if (tmp_split_script(words[0], &name, &script, &err) < 0)
		return cli_complain(cli, &err);
	if (o->exec && script) {
		error_set(&err, ERROR_USAGE, "--exec runs a line in place of the script '%s'", script);
		return cli_complain(cli, &err);
	}
	return begin(cli, o, name, script, count > 1 ? words + 1 : NULL);
}

static int start_one(
	struct monocore *mc, const char *name, const void *options, int *value, struct monocore_error *err)
{
	(void)options;
	(void)value;
	return monocore_start(mc, name, NULL, NULL, err);
}

static int recover(struct cli *cli)
{
	const struct bulk bulk = {.act = start_one};
	_cleanup_text_list_ char **names = NULL;
	struct monocore_sandbox_info *list;
	struct monocore_error failure;
	struct error err;
	size_t count;
	int r = 0;

	if (cli_open(cli) < 0)
		return 1;
	if (monocore_list(cli->mc, &list, &count, &failure) < 0)
		return cli_fail(cli, &failure);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (list[i].recovers)
			r = text_list_add(&names, list[i].name, &err);
	monocore_list_free(list, count);
	if (r < 0)
		return cli_complain(cli, &err);
	return names ? bulk_run(cli, &bulk, (int)text_list_size(names), names) : 0;
}

static int start(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct error err;

	if (o->recover != !count) {
		error_set(&err, ERROR_USAGE,
			count ? "--recover is for all that want it: name none"
			      : "expected NAME, or --recover");
		return cli_complain(cli, &err);
	}
	if (o->recover)
		return recover(cli);
	return begin(cli, given, words[0], "start", count > 1 ? words + 1 : NULL);
}

const struct command run_command = {
	.name = "run",
	.arguments = "NAME[~SCRIPT] [-- ARGUMENT...]",
	.summary = "run a sandbox of the project, or a script in it",
	.help = "NAME is a component of the project, or a sandbox that is there. What the component depends "
		"on is "
		"started first. Where the sandbox does not run it is started with the script as its command: "
		"in the "
		"foreground it stops when that has ended. Where it runs, the script is one more command in "
		"it; "
		"without a script, what it does is shown.\n\n"
		"A script is one of the file's, or of the image's label dev.monocore.scripts; without one it "
		"is "
		"'start', which is what the image runs where neither has it. Arguments stand behind '--'.\n\n"
		"The exit status is the command's; 125 where the sandbox could not be started, 126 where the "
		"command "
		"cannot be executed, 127 where there is none of this name.",
	.examples = "monocore run web\nmonocore run web~test -- -k login\nmonocore run -d db\n"
		    "monocore run web --exec 'python3 manage.py migrate'",
	.options = run_options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};

const struct command start_command = {
	.name = "start",
	.arguments = "NAME [-- ARGUMENT...] | --recover",
	.summary = "run a sandbox's start script",
	.help = "As 'monocore run NAME~start'.\n\n"
		"--recover is for the time when the host has come up again: it starts, as they are, all "
		"sandboxes that were running when it went down and have another restart policy than no, and "
		"those of the policy always even if they had been stopped by hand. There is no daemon that "
		"does "
		"it by itself: have it run by systemd, or by cron's @reboot.",
	.examples = "monocore start web\nmonocore start -d web\nmonocore start --recover",
	.options = start_options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = start,
	.words = WORDS_COMPONENTS,
};
