/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/output.h"
#include "bin/monocore/self.h"
#include "bin/monocore/verbs.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

int version_print(bool json)
{
	printf(json ? "{\"version\":\"%s\"}\n" : "monocore %s\n", monocore_version());
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;

	(void)cli;
	(void)count;
	(void)words;
	return version_print(o->json);
}

const struct command version_command = {
	.name = "version",
	.summary = "show the version",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};

const struct command self_version_command = {
	.name = "version",
	.summary = "show the version",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
