/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "bin/monofs/collect.h"
#include "bin/monofs/verbs.h"

struct options {
	uint64_t grace;
	bool dry_run, json;
};

static const struct options defaults = {.grace = 3600 * NANOSECONDS_PER_SECOND};

static const struct option_spec options[] = {
	{"grace", 0, OPTION_DURATION, "TIME", offsetof(struct options, grace),
		"remove what was found to be needless so long ago; default: 1h"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run), "change nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct collect_options how = {.grace = o->grace / NANOSECONDS_PER_SECOND, .dry_run = o->dry_run};

	return collect_run(cli, count ? words[0] : NULL, &how, o->json);
}

const struct command gc_command = {
	.name = "gc",
	.arguments = "[DIR]",
	.summary = "remove what no revision needs",
	.help = "What no revision of main and no tag leads to is condemned, and removed by a later gc, when "
		"nobody who "
		"works in the repository could have begun before. Others may read and write meanwhile. A "
		"pack goes "
		"when nothing in it is needed; 'monofs repack' takes apart the others.",
	.examples = "monofs gc --dry-run\nmonofs gc --grace 2d",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.most = 1,
	.run = run,
	.group = GROUP_REPOSITORY,
	.words = WORDS_FILES,
};
