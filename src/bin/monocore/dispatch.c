/* SPDX-License-Identifier: Apache-2.0 */
/* From the words of the command line to the command they name, with its options read. */
#include "bin/monocore/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/component.h"
#include "bin/monocore/help_page.h"
#include "bin/monocore/output.h"
#include "bin/monocore/root.h"

static int check_words(const struct command *command, int count, char **words, struct error *err)
{
	if ((unsigned)count < command->least)
		return error_set(err, ERROR_USAGE, "expected %s, got %s; see 'monocore help'",
			command->arguments, count ? "too few words" : "nothing");
	if ((unsigned)count > command->most && command->most == 0)
		return error_set(err, ERROR_USAGE, "takes no words, got '%s'", words[0]);
	if ((unsigned)count > command->most)
		return error_set(err, ERROR_USAGE, "expected %s, got one word more: '%s'", command->arguments,
			words[command->most]);
	return 0;
}

/* Puts sandboxes in place of the components that words name. *names keeps them. */
static int resolve_words(
	struct cli *cli, const struct command *command, int count, char **words, char ***names)
{
	int last = command->words == WORDS_SANDBOXES || command->words == WORDS_NAMES ? count
		   : command->words == WORDS_SANDBOX && count                         ? 1
										      : 0;
	int status = 0;

	*names = calloc((size_t)count + 1, sizeof **names);
	for (int i = 0; *names && status == 0 && i < last; i++) {
		status = component_sandbox(cli, words[i], &(*names)[i]);
		if (status == 0)
			words[i] = (*names)[i];
	}
	return *names ? status : 1;
}

static int run_parsed(
	struct cli *cli, const struct command *command, const void *options, int count, char **words)
{
	_cleanup_text_list_ char **names = NULL;
	struct error err;
	int status;

	if (check_words(command, count, words, &err) < 0)
		return cli_complain(cli, &err);
	status = resolve_words(cli, command, count, words, &names);
	return status ? status : command->run(cli, options, count, words);
}

static int dispatch_child(
	struct cli *cli, const struct command *command, const char *path, int argc, char **argv)
{
	const struct command *child;
	struct error err;
	char below[128];

	if (argc == 0)
		return help_print(command, path);
	child = command_find(command, argv[0]);
	if (!child) {
		command_unknown(command, path, argv[0], &err);
		return cli_complain(cli, &err);
	}
	snprintf(below, sizeof below, "%s%s%s", path, *path ? " " : "", child->name);
	if (child->later) {
		complain("monocore %s: not yet available in this version", below);
		return 1;
	}
	return command_dispatch(cli, child, below, argc, argv);
}

int command_dispatch(struct cli *cli, const struct command *command, const char *path, int argc, char **argv)
{
	_cleanup_free_ void *options = calloc(1, command->size + 1);
	struct options_request request = {.own = command->options,
		.shared = global_options,
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
		status = help_print(command, path);
	else if (cli_apply_globals(cli, command, &err) < 0)
		status = cli_complain(cli, &err);
	else if (command == &monocore_root && ((struct root_options *)options)->version)
		status = version_print(false);
	else if (command->children)
		status = dispatch_child(cli, command, path, argc - first, argv + first);
	else
		status = run_parsed(cli, command, options, argc - first, argv + first);
	options_release(command->options, options);
	return status;
}
