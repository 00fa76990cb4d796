/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/environment.h"
#include "bin/monocore/output.h"
#include "bin/monocore/streams.h"
#include "bin/monocore/verbs.h"

struct options {
	bool detach, interactive, tty, no_tty;
	char **env, **env_files;
	const char *user, *workdir;
};

static const struct option_spec options[] = {
	{"detach", 'd', OPTION_FLAG, NULL, offsetof(struct options, detach),
		"let it run in the background; its output is dropped"},
	{"env", 'e', OPTION_LIST, "KEY=VALUE", offsetof(struct options, env),
		"set a variable; KEY alone: with the value it has here"},
	{"env-file", 0, OPTION_LIST, "FILE", offsetof(struct options, env_files),
		"set the variables of FILE, one KEY=VALUE a line"},
	{"interactive", 'i', OPTION_FLAG, NULL, offsetof(struct options, interactive),
		"connect standard input; it always is in the foreground"},
	{"tty", 't', OPTION_FLAG, NULL, offsetof(struct options, tty),
		"give the command a terminal; by itself where we have one"},
	{"no-tty", 0, OPTION_FLAG, NULL, offsetof(struct options, no_tty), "give it none"},
	{"user", 'u', OPTION_STRING, "USER[:GROUP]", offsetof(struct options, user),
		"run it as this user; default: the sandbox's"},
	{"workdir", 'w', OPTION_STRING, "DIR", offsetof(struct options, workdir),
		"run it in this directory of the sandbox"},
	{NULL},
};

static int attached(struct cli *cli, const struct streams *streams, const char *name,
	const struct monocore_exec_options *exec)
{
	struct monocore_process *process = NULL;
	struct monocore_error err;
	int status = 0;

	if (monocore_exec(cli->mc, name, exec, &process, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	if (!exec->detach && streams_relay(streams, process, &status, &err) < 0)
		status = cli_fail(cli, &err);
	monocore_process_free(process);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct streams_wish wish = {o->detach, o->interactive, o->tty, o->no_tty};
	struct streams streams = streams_choose(&wish);
	struct monocore_exec_options exec = MONOCORE_EXEC_OPTIONS_INIT;
	_cleanup_text_list_ char **env = NULL;
	struct error err;
	int skip = count > 1 && !strcmp(words[1], "--") ? 2 : 1;

	if (count <= skip) {
		error_set(&err, ERROR_USAGE, "expected a command to run in '%s'", words[0]);
		return cli_complain(cli, &err);
	}
	if (environment_collect(&env, o->env_files, o->env, &err) < 0)
		return cli_complain(cli, &err);
	exec.command = (const char *const *)words + skip;
	exec.env = (const char *const *)env;
	exec.user = o->user;
	exec.workdir = o->workdir;
	exec.detach = o->detach;
	exec.tty = streams.tty;
	exec.stdin_open = !o->detach && streams.in >= 0;
	exec.rows = streams.rows;
	exec.columns = streams.columns;
	if (cli_open(cli) < 0)
		return 1;
	return attached(cli, &streams, words[0], &exec);
}

const struct command exec_command = {
	.name = "exec",
	.arguments = "NAME [--] COMMAND [ARGUMENT]...",
	.summary = "run one more command in a running sandbox",
	.help = "Options stand before NAME; what follows it belongs to the command. The exit status is the "
		"command's; 126 where it cannot be executed, 127 where there is no such command.",
	.examples = "monocore exec web sh\n"
		    "monocore exec -e DEBUG=1 -w /app web python3 manage.py check\n"
		    "tar c . | monocore exec web tar x -C /srv",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
	.stop_early = true,
};
