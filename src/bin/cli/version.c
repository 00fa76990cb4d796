/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/version.h"

#include <stdio.h>

#include "bin/cli/output.h"

const struct option_spec version_rows[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct version_options, json), "print JSON"},
	{NULL},
};

int version_print(const struct program *program, bool json)
{
	if (json)
		printf("{\"version\":\"%s\"}\n", program->version());
	else
		printf("%s %s\n", program->root->name, program->version());
	return output_finish();
}

int version_run(struct cli *cli, const void *given, int count, char **words)
{
	const struct version_options *o = given;

	(void)count;
	(void)words;
	return version_print(cli->program, o->json);
}
