/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/self.h"

struct options {
	uint64_t cpus, memory;
};

static const struct option_spec options[] = {
	{"cpus", 0, OPTION_NUMBER, "N", offsetof(struct options, cpus), "processors; default: 1",
		.most = 255},
	{"ram", 0, OPTION_SIZE, "SIZE", offsetof(struct options, memory),
		"memory, such as 512M or 1G; a bare number counts MiB; default: 512M"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_template_prepare(cli->mc, (unsigned)o->cpus, o->memory, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	return 0;
}

const struct command self_template_command = {
	.name = "template",
	.summary = "boot the machine that sandboxes are cloned from, if it is missing",
	.help = "Otherwise the first sandbox with as many processors and as much memory does it.",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
