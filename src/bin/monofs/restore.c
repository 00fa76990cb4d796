/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/restore.h"

#include <stdio.h>
#include <unistd.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/cli/progress.h"
#include "bin/monofs/place.h"
#include "bin/monofs/restored.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

struct options {
	const char *path;
	bool mirror, no_owners, keep_going, json;
	uint64_t workers;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path),
		"what lies beneath this path of the tree, in place of all"},
	{"mirror", 0, OPTION_FLAG, NULL, offsetof(struct options, mirror),
		"TARGET becomes the same: what the revision has not is removed"},
	{"no-owners", 0, OPTION_FLAG, NULL, offsetof(struct options, no_owners),
		"everything belongs to the caller, also where root restores"},
	{"keep-going", 0, OPTION_FLAG, NULL, offsetof(struct options, keep_going),
		"leave out what cannot be written; the exit status is 1 then"},
	{"workers", 0, OPTION_NUMBER, "N", offsetof(struct options, workers),
		"write by so many threads; default: one for each processor, at most 8", .most = 64},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

void restored_skip(void *context, const char *path, const char *why)
{
	struct restored *r = context;

	progress_clear(r->cli->progress);
	complain("monofs: %s: %s is left out: %s", r->cli->path, path, why);
	r->skipped++;
}

static int print_json(const struct restored *r)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_count(&b, "files", r->result.files);
	json_put_count(&b, "directories", r->result.directories);
	json_put_count(&b, "others", r->result.others);
	json_put_count(&b, "bytes", r->result.bytes);
	json_put_count(&b, "kept", r->result.kept);
	json_put_count(&b, "removed", r->result.removed);
	json_put_count(&b, "skipped", r->skipped);
	json_put_close(&b, '}');
	return output_json(r->cli, &b);
}

int restored_print(const struct restored *r, const char *target, bool json)
{
	char bytes[20];
	int status;

	if (json) {
		status = print_json(r);
	} else {
		if (r->cli->global.quiet)
			printf("%s\n", target);
		else
			printf("%s: %llu file%s, %s written; %llu kept, %llu removed\n", target,
				(unsigned long long)r->result.files, words_plural(r->result.files),
				text_human_size(r->result.bytes, bytes, sizeof bytes),
				(unsigned long long)r->result.kept, (unsigned long long)r->result.removed);
		status = output_finish();
	}
	return status || r->skipped ? 1 : 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ char *path = NULL;
	struct restored restored = {.cli = cli};
	struct restore_options how = {.mirror = o->mirror,
		.owners = geteuid() == 0 && !o->no_owners,
		.workers = (unsigned)o->workers,
		.progress = &p.progress,
		.skipped = o->keep_going ? restored_skip : NULL,
		.context = &restored};
	struct object_id commit;
	struct error err;
	int r = place_path(o->path, &path, &err);

	(void)count;
	if (r == 0)
		r = place_open(cli, NULL, PLACE_READ, &p, &err);
	if (r == 0)
		r = place_resolve(&p, words[0], &commit, &err);
	how.path = path;
	if (r == 0)
		r = restore_directory(p.repository, &commit, words[1], &how, &restored.result, &err);
	return r < 0 ? cli_complain(cli, &err) : restored_print(&restored, words[1], o->json);
}

const struct command restore_command = {
	.name = "restore",
	.arguments = "REV TARGET",
	.summary = "write a revision to a directory",
	.help = "TARGET is made where it is missing; one that is not empty is refused, but with --mirror. "
		"Owners are "
		"set where root does it.",
	.examples = "monofs restore main /tmp/notes\nmonofs restore 'main@{1 day ago}' ./src -p src --mirror",
	.options = options,
	.size = sizeof(struct options),
	.least = 2,
	.most = 2,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_REVISIONS,
};
