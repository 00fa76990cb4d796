/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "bin/monofs/collect.h"
#include "bin/monofs/verbs.h"

#define ALL 101 /* percent: no pack is needed by as much */

struct options {
	uint64_t grace, needed;
	bool all, dry_run, json;
};

static const struct options defaults = {.grace = 3600 * NANOSECONDS_PER_SECOND, .needed = 75};

static const struct option_spec options[] = {
	{"needed", 0, OPTION_NUMBER, "PERCENT", offsetof(struct options, needed),
		"packs of which less than this is needed are written anew; default: 75", .most = 100},
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"all packs are, as behind 'monofs key rotate'"},
	{"grace", 0, OPTION_DURATION, "TIME", offsetof(struct options, grace),
		"remove what was found to be needless so long ago; default: 1h"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run), "change nothing"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct collect_options how = {.grace = o->grace / NANOSECONDS_PER_SECOND,
		.keep_percent = o->all ? ALL : (unsigned)o->needed,
		.dry_run = o->dry_run};

	return collect_run(cli, count ? words[0] : NULL, &how, o->json);
}

const struct command repack_command = {
	.name = "repack",
	.arguments = "[DIR]",
	.summary = "write packs anew that are needed in part",
	.help = "What is needed of them moves to new packs; the old ones are condemned as by 'monofs gc', "
		"which this does, "
		"too.",
	.examples = "monofs repack --needed 50\nmonofs repack --all",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.most = 1,
	.run = run,
	.group = GROUP_REPOSITORY,
	.words = WORDS_FILES,
};
