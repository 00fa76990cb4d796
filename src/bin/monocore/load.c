/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "os/terminal.h"

struct options {
	const char *input;
};

static const struct option_spec options[] = {
	{"input", 0, OPTION_STRING, "FILE", offsetof(struct options, input),
		"read FILE, or the layout in the directory FILE; default: standard input"},
	{NULL},
};

static int load(struct cli *cli, const struct options *o, const char *name, int fd)
{
	struct monocore_image_load_options load = MONOCORE_IMAGE_LOAD_OPTIONS_INIT;
	struct monocore_error err;
	char **names;
	int status = 0;

	load.name = name;
	load.path = o->input ? o->input : "standard input";
	if (monocore_image_load(cli->mc, fd, &load, &names, &err) < 0)
		status = cli_fail(cli, &err);
	progress_clear(cli->progress);
	for (char **n = names; n && *n; n++)
		printf("%s%s\n", cli->global.quiet ? "" : "Loaded image: ", *n);
	monocore_free_strings(names);
	return output_finish() ? 1 : status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_fd_ int fd = -1;
	struct error err;

	if (!o->input && terminal_is(STDIN_FILENO)) {
		error_set(&err, ERROR_USAGE,
			"standard input is a terminal: redirect it, or name a file by --input");
		return cli_complain(cli, &err);
	}
	if (o->input)
		fd = open(o->input, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (o->input && fd < 0) {
		error_errno(&err, errno, "open %s", o->input);
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	return load(cli, o, count ? words[0] : NULL, o->input ? fd : STDIN_FILENO);
}

const struct command load_command = {
	.name = "load",
	.arguments = "[NAME]",
	.summary = "read images from a file",
	.help = "Reads what 'monocore save', docker, podman and skopeo write: a docker archive or an OCI "
		"image "
		"layout, as a tar, compressed by gzip or zstd or not, or as a directory. Each image gets the "
		"names that it has there; NAME is for the only one, whatever it is called there. Every "
		"digest "
		"is checked before a name leads to an image.",
	.examples = "monocore load --input alpine.tar\n"
		    "docker save acme/web | monocore load\n"
		    "monocore load --input ./layout acme/web:2",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.words = WORDS_FILES,
	.group = GROUP_IMAGES,
};
