/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/project.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "os/terminal.h"

/* "monocore.yaml:12:7: unknown key 'imge'; did you mean 'image'?", the line, and what points at it. */
static void tell(const struct monocore_project_mistake *m, bool colours)
{
	const char *bold = colours ? "\033[1m" : "", *plain = colours ? "\033[0m" : "";

	if (m->line)
		fprintf(stderr, "%s%s:%u:%u:%s %s\n", bold, m->file, m->line, m->column, plain, m->text);
	else
		fprintf(stderr, "%s%s:%s %s\n", bold, m->file, plain, m->text);
	fputs(m->excerpt, stderr);
}

static void tell_all(struct cli *cli, const struct monocore_project_mistakes *mistakes)
{
	progress_clear(cli->progress);
	fflush(stdout);
	for (size_t i = 0; i < mistakes->count; i++)
		tell(&mistakes->list[i], terminal_has_colours(STDERR_FILENO));
	if (mistakes->more)
		complain("monocore: and %zu more", mistakes->more);
}

int cli_fail_project(
	struct cli *cli, struct monocore_project_mistakes *mistakes, const struct monocore_error *err)
{
	if (!mistakes->count)
		return cli_fail(cli, err);
	tell_all(cli, mistakes);
	monocore_project_mistakes_free(mistakes);
	return monocore_exit_status(MONOCORE_USAGE);
}

int cli_find_file(struct cli *cli, char **file)
{
	struct monocore_error err;

	if (!cli->global.config)
		return monocore_project_find(NULL, file, &err) < 0 ? cli_fail(cli, &err) : 0;
	*file = strdup(cli->global.config);
	if (!*file) {
		complain("monocore: %s: out of memory", cli->path);
		return 1;
	}
	return 0;
}

int cli_open_project(struct cli *cli, struct monocore_project **project)
{
	struct monocore_project_options options = MONOCORE_PROJECT_OPTIONS_INIT;
	struct monocore_project_mistakes mistakes;
	struct monocore_error err;

	options.file = cli->global.config;
	if (monocore_project_open(&options, project, &mistakes, &err) == 0)
		return 0;
	*project = NULL;
	return cli_fail_project(cli, &mistakes, &err);
}

int cli_find_project(struct cli *cli, struct monocore_project **project)
{
	struct monocore_error err;
	char *file;

	*project = NULL;
	if (!cli->global.config) {
		if (monocore_project_find(NULL, &file, &err) < 0)
			return err.code == MONOCORE_NOT_FOUND ? 0 : cli_fail(cli, &err);
		monocore_free(file);
	}
	return cli_open_project(cli, project);
}
