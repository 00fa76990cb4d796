/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "bin/cli/progress.h"
#include "bin/cli/prompt.h"
#include "bin/monocore/output.h"
#include "os/terminal.h"

static void show(struct cli *cli, const struct monocore_project_reach *list, size_t count)
{
	progress_clear(cli->progress);
	fflush(stdout);
	complain("The project reaches out of its directory:");
	for (size_t i = 0; i < count; i++)
		complain("  %s:%u:%u: %s %s", list[i].file, list[i].line, list[i].column,
			*list[i].component ? list[i].component : "the project", list[i].text);
}

/* Only a plain yes is one. */
static int ask(struct cli *cli, bool *yes)
{
	struct error err;
	char *answer;

	*yes = false;
	if (prompt_line("Allow it, from now on? [y/N]", false, &answer, &err) < 0)
		return cli_complain(cli, &err);
	*yes = !strcasecmp(answer, "y") || !strcasecmp(answer, "yes");
	free(answer);
	return 0;
}

static int decide(struct cli *cli, bool grant, bool *yes)
{
	struct error err;
	int status = 0;

	*yes = grant;
	if (grant)
		return 0;
	if (terminal_is(STDIN_FILENO) && terminal_is(STDERR_FILENO)) {
		status = ask(cli, yes);
		if (status || *yes)
			return status;
		error_set(&err, ERROR_DENIED, "nothing was allowed, and nothing started");
	} else {
		error_set(&err, ERROR_DENIED,
			"this was not allowed yet: look at it, and then run the same with --grant");
	}
	return cli_complain(cli, &err);
}

int cli_grants(struct cli *cli, const struct monocore_project *project, bool grant)
{
	struct monocore_project_reach *list;
	struct monocore_error err;
	size_t count;
	bool yes;
	int status;

	if (monocore_project_reaches(cli->mc, project, &list, &count, &err) < 0)
		return cli_fail(cli, &err);
	if (count)
		show(cli, list, count);
	monocore_project_reaches_free(list, count);
	if (!count)
		return 0;
	status = decide(cli, grant, &yes);
	if (status == 0 && yes && monocore_project_grant(cli->mc, project, &err) < 0)
		status = cli_fail(cli, &err);
	return status;
}
