/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/output.h"
#include "bin/monocore/self.h"
#include "monocore_project.h"

struct options {
	bool markdown;
};

static const struct option_spec options[] = {
	{"markdown", 0, OPTION_FLAG, NULL, offsetof(struct options, markdown), "print it as a page to read"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;
	char *text;

	(void)count;
	(void)words;
	if (monocore_project_schema(o->markdown, &text, &err) < 0)
		return cli_fail(cli, &err);
	fputs(text, stdout);
	monocore_free(text);
	return output_finish();
}

const struct command self_schema_command = {
	.name = "schema",
	.summary = "print the schema of monocore.yaml, for editors",
	.help = "A JSON Schema (draft 2020-12). An editor with a language server for YAML finds it by a line "
		"at the top "
		"of the file: # yaml-language-server: $schema=FILE",
	.examples = "monocore self schema > ~/.config/monocore.schema.json\n"
		    "monocore self schema --markdown",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
