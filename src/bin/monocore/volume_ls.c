/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static void write_row(struct table *t, const struct monocore_volume_info *v)
{
	_cleanup_buffer_ struct buffer users = {0};

	for (size_t i = 0; v->sandboxes[i]; i++)
		buffer_format(&users, "%s%s", i ? ", " : "", v->sandboxes[i]);
	if (!v->sandboxes[0])
		buffer_u8(&users, '-');
	buffer_u8(&users, 0);
	table_row(t);
	table_cell(t, 0, v->name, 0, COLOUR_NONE);
	table_cell(t, 1, users.failed ? "?" : (const char *)users.data, 0, COLOUR_NONE);
	table_cell(t, 2, *v->project ? v->project : "-", 0, COLOUR_NONE);
	table_cell(t, 3, v->path, 0, COLOUR_NONE);
}

static int print_table(struct cli *cli, const struct monocore_volume_info *list, size_t count)
{
	static const char *const titles[] = {"NAME", "SANDBOXES", "PROJECT", "DIRECTORY"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i]);
	return output_table(cli, &t);
}

static int print_names(const struct monocore_volume_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s\n", list[i].name);
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_volume_info *list;
	struct monocore_error err;
	size_t size;
	int status;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_volumes(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = volumes_print_json(cli, list, size, NULL);
	else
		status = cli->global.quiet ? print_names(list, size) : print_table(cli, list, size);
	monocore_volumes_free(list, size);
	return status;
}

const struct command volume_ls_command = {
	.name = "ls",
	.summary = "list volumes, which sandboxes have them, and of which project they are",
	.examples = "monocore volume ls --json",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
