/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/cli/progress.h"
#include "bin/monocore/component.h"
#include "bin/monocore/copy_place.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "os/terminal.h"

static int refuse(struct cli *cli, const char *text)
{
	struct error err;

	error_set(&err, ERROR_USAGE, "%s", text);
	return cli_complain(cli, &err);
}

/* A component stands for its sandbox. */
static int resolve(struct cli *cli, struct copy_place *place)
{
	char *name;
	int status = place->name ? component_sandbox(cli, place->name, &name) : 0;

	if (place->name && status == 0) {
		free(place->name);
		place->name = name;
	}
	return status;
}

static int copy(struct cli *cli, struct copy_place *from, struct copy_place *to)
{
	struct monocore_error err;
	int r = resolve(cli, from);

	if (r == 0)
		r = resolve(cli, to);
	if (r)
		return r;
	if (cli_open(cli) < 0)
		return 1;
	if (from->stream)
		r = monocore_copy_in_tar(cli->mc, to->name, STDIN_FILENO, to->path, &err);
	else if (to->stream)
		r = monocore_copy_out_tar(cli->mc, from->name, from->path, STDOUT_FILENO, &err);
	else if (to->name)
		r = monocore_copy_in(cli->mc, to->name, from->path, to->path, &err);
	else
		r = monocore_copy_out(cli->mc, from->name, from->path, to->path, &err);
	if (r < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_(copy_place_release) struct copy_place from = {0}, to = {0};
	struct error err;

	(void)given;
	(void)count;
	if (copy_place_parse(words[0], &from, &err) < 0 || copy_place_parse(words[1], &to, &err) < 0)
		return cli_complain(cli, &err);
	if (from.name && to.name)
		return refuse(cli, "copies between two sandboxes are not possible; copy to this host first");
	if (!from.name && !to.name)
		return refuse(cli,
			"one side must be in a sandbox: NAME:PATH (a file here whose name has a ':': "
			"./FILE)");
	if (from.stream && terminal_is(STDIN_FILENO))
		return refuse(cli, "'-' reads a tar from standard input, which is a terminal");
	if (to.stream && terminal_is(STDOUT_FILENO))
		return refuse(cli, "'-' writes a tar to standard output, which is a terminal");
	return copy(cli, &from, &to);
}

const struct command cp_command = {
	.name = "cp",
	.arguments = "SOURCE TARGET",
	.summary = "copy files between this host and a sandbox",
	.help = "One of SOURCE and TARGET is NAME:PATH. SOURCE is copied to TARGET, and into it where TARGET "
		"is a "
		"directory; a SOURCE that ends in '/.' means its contents. '-' on the other side is a tar "
		"stream "
		"on standard input or output.\n\n"
		"What comes out of a sandbox belongs to the caller, and carries neither setuid bits nor "
		"devices.",
	.examples = "monocore cp ./site web:/srv/www\n"
		    "monocore cp web:/var/log/app.log .\n"
		    "monocore cp web:/etc - | tar tv",
	.least = 2,
	.most = 2,
	.run = run,
	.words = WORDS_FILES,
};
