/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/component.h"

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
