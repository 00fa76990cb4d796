/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/self.h"

struct list_options {
	bool json;
};

static const struct option_spec list_rows[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct list_options, json), "print JSON"},
	{NULL},
};

static void print_json(char *const *versions)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (; versions && *versions; versions++)
		json_put_string(&b, *versions);
	json_put_close(&b, ']');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
}

static int run_list(struct cli *cli, const void *given, int count, char **words)
{
	const struct list_options *o = given;
	struct monocore_error err;
	char **versions;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_kernel_list(cli->mc, &versions, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		print_json(versions);
	else
		for (char **v = versions; v && *v; v++)
			printf("%s\n", *v);
	monocore_free_strings(versions);
	return output_finish();
}

static const struct command list_command = {
	.name = "list",
	.summary = "list the guest kernels that are installed, newest first",
	.options = list_rows,
	.size = sizeof(struct list_options),
	.run = run_list,
	.group = GROUP_HOST,
};

struct install_options {
	const char *directory;
};

static const struct option_spec install_rows[] = {
	{"directory", 'C', OPTION_STRING, "DIR", offsetof(struct install_options, directory),
		"install into DIR; default: kernels in $MONOCORE_HOME"},
	{NULL},
};

static int run_install(struct cli *cli, const void *given, int count, char **words)
{
	const struct install_options *o = given;
	struct monocore_error err;
	char *version;

	if (cli_open(cli) < 0)
		return 1;
	if (monocore_kernel_install(cli->mc, o->directory, count ? words[0] : NULL, &version, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	printf("%s\n", version);
	monocore_free(version);
	return output_finish();
}

static const struct command install_command = {
	.name = "install",
	.arguments = "[PACKAGE]",
	.summary = "install a guest kernel and print its version",
	.help = "From PACKAGE, a .deb file of a kernel, or else from the distribution's package.",
	.options = install_rows,
	.size = sizeof(struct install_options),
	.most = 1,
	.run = run_install,
	.group = GROUP_HOST,
	.words = WORDS_FILES,
};

static const struct command *const children[] = {&list_command, &install_command, NULL};

const struct command self_kernel_command = {
	.name = "kernel",
	.summary = "the kernels that sandboxes boot",
	.children = children,
	.group = GROUP_HOST,
};
