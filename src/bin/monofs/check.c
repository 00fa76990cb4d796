/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/check.h"

#include <stdio.h>
#include <string.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/cli/progress.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

struct options {
	bool read_data, json;
};

static const struct option_spec options[] = {
	{"read-data", 0, OPTION_FLAG, NULL, offsetof(struct options, read_data),
		"read every byte of the packs, and verify every object"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct checking {
	struct cli *cli;
	bool json;
	struct buffer damages;
	uint64_t count;
};

static void print_damage(const char *what, const char *revision, const char *path, const char *why)
{
	printf("damaged: %s: %s", what, why);
	if (revision)
		printf("; needed by %s%s", revision, path ? ": " : "");
	if (path)
		words_name(stdout, *path ? path : "/", *path ? strlen(path) : 1);
	putchar('\n');
}

static void damaged(void *context, const char *what, const char *revision, const char *path, const char *why)
{
	struct checking *c = context;

	progress_clear(c->cli->progress);
	c->count++;
	if (!c->json) {
		print_damage(what, revision, path, why);
		return;
	}
	json_put_open(&c->damages, '{');
	json_put_member(&c->damages, "what", what);
	json_put_member(&c->damages, "why", why);
	json_put_member(&c->damages, "revision", revision);
	json_put_member(&c->damages, "path", path);
	json_put_close(&c->damages, '}');
}

static int print_json(struct checking *c, const struct check_result *result)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_close(&c->damages, ']');
	buffer_u8(&c->damages, 0);
	json_put_open(&b, '{');
	json_put_count(&b, "commits", result->commits);
	json_put_count(&b, "objects", result->objects);
	json_put_count(&b, "files", result->files);
	json_put_count(&b, "packs", result->packs);
	json_put_count(&b, "bytes", result->bytes);
	json_put_key(&b, "damaged");
	json_put_raw(&b, c->damages.failed ? "null" : (const char *)c->damages.data);
	json_put_close(&b, '}');
	return output_json(c->cli, &b);
}

static int print(struct checking *c, const struct check_result *result)
{
	char bytes[20];

	if (c->json)
		return print_json(c, result);
	if (!c->cli->global.quiet)
		printf("%llu revision%s, %llu object%s, %llu pack%s: %s%s\n",
			(unsigned long long)result->commits, words_plural(result->commits),
			(unsigned long long)result->objects, words_plural(result->objects),
			(unsigned long long)result->packs, words_plural(result->packs),
			text_human_size(result->bytes, bytes, sizeof bytes),
			c->count ? "; there is damage" : ", all whole");
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	struct checking c = {.cli = cli, .json = o->json};
	struct check_options how = {
		.read_data = o->read_data, .progress = &p.progress, .damaged = damaged, .context = &c};
	struct check_result result = {0};
	struct error err;
	int status;

	json_put_open(&c.damages, '[');
	if (place_open(cli, count ? words[0] : NULL, PLACE_READ, &p, &err) < 0 ||
		check_repository(p.repository, &how, &result, &err) < 0)
		status = cli_complain(cli, &err);
	else
		status = print(&c, &result) || c.count || result.damaged ? 1 : 0;
	buffer_free(&c.damages);
	return status;
}

const struct command check_command = {
	.name = "check",
	.arguments = "[DIR]",
	.summary = "verify that a repository is whole",
	.help = "Follows all revisions and what they need. Each damage is told on a line, with the revision "
		"and the path "
		"that need what is lost; the exit status is 1 where there is any. Without --read-data what "
		"packs say "
		"of themselves is believed; with it every byte is read.",
	.examples = "monofs check\nmonofs check --read-data /mnt/disk/notes.monofs",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_REPOSITORY,
	.words = WORDS_FILES,
};
