/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"

#include <stdio.h>

#include "bin/cli/progress.h"

int cli_fail(struct cli *cli, const struct monocore_error *err)
{
	progress_clear(cli->progress);
	complain("monocore: %s", err->text);
	return monocore_exit_status(err->code);
}

int cli_each(struct cli *cli, int count, char **words,
	int (*act)(struct monocore *mc, const char *name, struct monocore_error *err))
{
	int status = 0;

	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct monocore_error err;

		if (act(cli->mc, words[i], &err) < 0)
			status = cli_fail(cli, &err);
		else
			printf("%s\n", words[i]);
	}
	return output_finish() ? 1 : status;
}

int cli_fail_start(struct cli *cli, const struct monocore_error *err)
{
	int status = cli_fail(cli, err);

	return status == 126 || status == 127 ? status : STATUS_NOT_STARTED;
}

int output_described(struct cli *cli, output_describe *describe, const void *options, int count, char **words)
{
	const char *before = "[";
	int status = 0;

	for (int i = 0; i < count; i++) {
		struct monocore_error err;
		char *json;

		if (describe(cli, options, words[i], &json, &err) < 0) {
			cli_fail(cli, &err);
			status = 1;
			continue;
		}
		printf("%s%s", before, json);
		before = ",\n";
		monocore_free(json);
	}
	printf("%s]\n", *before == '[' ? "[" : "");
	return output_finish() ? 1 : status;
}

int cli_open(struct cli *cli)
{
	struct monocore_open_options options = MONOCORE_OPEN_OPTIONS_INIT;
	struct monocore_error err;

	if (cli->mc)
		return 0;
	options.progress.report = cli_progress;
	options.progress.context = cli;
	if (monocore_open(&options, &cli->mc, &err) < 0) {
		cli->mc = NULL;
		cli_fail(cli, &err);
		return -1;
	}
	return 0;
}

void cli_close(struct cli *cli)
{
	if (cli->mc)
		monocore_close(cli->mc);
	cli->mc = NULL;
}
