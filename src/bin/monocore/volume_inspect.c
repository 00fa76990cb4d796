/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, as always"},
	{NULL},
};

static void put(struct buffer *b, const struct monocore_volume_info *v)
{
	json_put_open(b, '{');
	json_put_key(b, "name");
	json_put_string(b, v->name);
	json_put_key(b, "directory");
	json_put_string(b, v->path);
	json_put_key(b, "changed");
	json_put_time(b, v->changed);
	json_put_key(b, "project");
	json_put_string(b, *v->project ? v->project : NULL);
	json_put_key(b, "sandboxes");
	json_put_list(b, v->sandboxes);
	json_put_close(b, '}');
}

static bool put_named(
	struct buffer *b, const struct monocore_volume_info *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, name)) {
			put(b, &list[i]);
			return true;
		}
	return false;
}

int volumes_print_json(
	struct cli *cli, const struct monocore_volume_info *list, size_t count, char *const *names)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct error err;
	int status = 0, failed;

	json_put_open(&b, '[');
	for (size_t i = 0; !names && i < count; i++)
		put(&b, &list[i]);
	for (; names && *names; names++)
		if (!put_named(&b, list, count, *names)) {
			error_set(&err, ERROR_NOT_FOUND, "there is no volume '%s'", *names);
			status = cli_complain(cli, &err);
		}
	json_put_close(&b, ']');
	failed = output_json(cli, &b);
	return failed ? failed : status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_text_list_ char **names = NULL;
	struct monocore_volume_info *list;
	struct monocore_error err;
	struct error failure;
	size_t size;
	int status;

	(void)given;
	for (int i = 0; i < count; i++)
		if (text_list_add(&names, words[i], &failure) < 0)
			return cli_complain(cli, &failure);
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_volumes(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	status = volumes_print_json(cli, list, size, names);
	monocore_volumes_free(list, size);
	return status;
}

const struct command volume_inspect_command = {
	.name = "inspect",
	.arguments = "NAME...",
	.summary = "show where volumes are and which sandboxes have them",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
};
