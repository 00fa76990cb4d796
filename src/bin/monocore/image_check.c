/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/monocore/images.h"
#include "bin/monocore/output.h"

struct options {
	bool repair, json;
};

static const struct option_spec options[] = {
	{"repair", 0, OPTION_FLAG, NULL, offsetof(struct options, repair),
		"remove what is damaged, and pull again what images lack"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON, an object a line"},
	{NULL},
};

struct check {
	struct cli *cli;
	const struct options *o;
	unsigned found, left;
};

static const char *const states[] = {"found", "mended", "left"};

static void print_json(const struct monocore_image_problem *p)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "state");
	json_put_string(&b, states[p->state]);
	json_put_key(&b, "image");
	json_put_string(&b, *p->image ? p->image : NULL);
	json_put_key(&b, "digest");
	json_put_string(&b, *p->digest ? p->digest : NULL);
	json_put_key(&b, "text");
	json_put_string(&b, p->text);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
}

static void tell(void *context, const struct monocore_image_problem *p)
{
	struct check *c = context;

	c->found += p->state == MONOCORE_PROBLEM_FOUND;
	c->left += p->state == MONOCORE_PROBLEM_LEFT;
	progress_clear(c->cli->progress);
	if (c->o->json)
		print_json(p);
	else
		printf("%s%s%s%s%s\n", p->image, *p->image ? ": " : "", p->digest, *p->digest ? ": " : "",
			p->text);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct check c = {.cli = cli, .o = given};
	struct monocore_error err;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_image_check(cli->mc, c.o->repair, tell, &c, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	if (!c.found && !c.o->json && !cli->global.quiet)
		puts("Everything is whole.");
	if (c.found && !c.o->repair && !cli->global.quiet)
		complain(
			"monocore: 'monocore image check --repair' removes what is damaged, and pulls again");
	return output_finish() || (c.o->repair ? c.left : c.found) > 0;
}

const struct command image_check_command = {
	.name = "check",
	.summary = "check the digests of all that is kept of images",
	.help = "Reads every layer, manifest and config, and follows every name. A line for each thing that "
		"is "
		"wrong; the exit status is 1 then.\n\n"
		"With --repair what is damaged is removed, and images that lack something are pulled again "
		"from where they came; the exit status tells whether some could not be.",
	.examples = "monocore image check\nmonocore image check --repair",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_IMAGES,
};
