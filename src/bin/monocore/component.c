/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/component.h"

#include <stdlib.h>

#include "base/text.h"
#include "bin/monocore/output.h"
#include "monocore_project.h"

/* Where there is no project, nothing is opened for it. */
static bool is_in_project(const struct cli *cli)
{
	struct monocore_error err;
	char *file;

	if (cli->global.config)
		return true;
	if (monocore_project_find(NULL, &file, &err) < 0)
		return false;
	monocore_free(file);
	return true;
}

int component_sandbox(struct cli *cli, const char *word, char **name)
{
	struct monocore_error failure;
	struct error err;

	*name = NULL;
	if (is_in_project(cli)) {
		if (cli_open(cli) < 0)
			return 1;
		if (monocore_project_made(cli->mc, cli->global.config, word, name, &failure) < 0)
			return cli_fail(cli, &failure);
	}
	if (!*name && !(*name = text_copy(word, &err)))
		return cli_complain(cli, &err);
	return 0;
}

int component_words(struct cli *cli, const struct command *command, int count, char **words, char ***names)
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
