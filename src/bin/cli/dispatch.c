/* SPDX-License-Identifier: Apache-2.0 */
/* From the words of the command line to the command they name, with its options read. */
#include "bin/cli/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/help_page.h"
#include "bin/cli/output.h"
#include "bin/cli/version.h"

static int check_words(
	const struct cli *cli, const struct command *command, int count, char **words, struct error *err)
{
	if ((unsigned)count < command->least)
		return error_set(err, ERROR_USAGE, "expected %s, got %s; see '%s help %s'",
			command->arguments, count ? "too few words" : "nothing", cli->program->root->name,
			cli->path);
	if ((unsigned)count > command->most && command->most == 0)
		return error_set(err, ERROR_USAGE, "takes no words, got '%s'", words[0]);
	if ((unsigned)count > command->most)
		return error_set(err, ERROR_USAGE, "expected %s, got one word more: '%s'", command->arguments,
			words[command->most]);
	return 0;
}

static int run_parsed(
	struct cli *cli, const struct command *command, const void *options, int count, char **words)
{
	_cleanup_text_list_ char **names = NULL;
	struct error err;
	int status = 0;

	if (check_words(cli, command, count, words, &err) < 0)
		return cli_complain(cli, &err);
	if (cli->program->resolve)
		status = cli->program->resolve(cli, command, count, words, &names);
	return status ? status : command->run(cli, options, count, words);
}

static int dispatch_child(
	struct cli *cli, const struct command *command, const char *path, int argc, char **argv)
{
	const struct command *child;
	struct error err;
	char below[128];

	if (argc == 0)
		return help_print(cli->program, command, path);
	child = command_find(command, argv[0]);
	if (!child) {
		command_unknown(cli->program, command, path, argv[0], &err);
		return cli_complain(cli, &err);
	}
	snprintf(below, sizeof below, "%s%s%s", path, *path ? " " : "", child->name);
	if (child->later) {
		complain("%s %s: not yet available in this version", cli->program->root->name, below);
		return 1;
	}
	return command_dispatch(cli, child, below, argc, argv);
}

int command_dispatch(struct cli *cli, const struct command *command, const char *path, int argc, char **argv)
{
	_cleanup_free_ void *options = calloc(1, command->size + 1);
	struct options_request request = {.own = command->options,
		.shared = cli->program->shared,
		.own_target = options,
		.shared_target = &cli->global,
		.help_offset = offsetof(struct global_options, help),
		.stop_early = command->stop_early || command->children};
	struct error err;
	int first, status;

	cli->path = path;
	if (!options) {
		error_no_memory(&err, "read the options");
		return cli_complain(cli, &err);
	}
	if (command->defaults)
		memcpy(options, command->defaults, command->size);
	if (options_parse(&request, argc, argv, &first, &err) < 0)
		status = cli_complain(cli, &err);
	else if (cli->global.help)
		status = help_print(cli->program, command, path);
	else if (cli_apply_globals(cli, command, &err) < 0)
		status = cli_complain(cli, &err);
	else if (command == cli->program->root && ((struct root_options *)options)->version)
		status = version_print(cli->program, false);
	else if (command->children)
		status = dispatch_child(cli, command, path, argc - first, argv + first);
	else
		status = run_parsed(cli, command, options, argc - first, argv + first);
	options_release(command->options, options);
	return status;
}
