/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/difference.h"
#include "bin/monofs/patch.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

#define STAT_COLUMNS 50u

struct options {
	const char *path;
	bool stat, name_only, patch, times, no_renames, json;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path), "only at or beneath this path"},
	{"stat", 0, OPTION_FLAG, NULL, offsetof(struct options, stat), "count the lines that came and went"},
	{"name-only", 0, OPTION_FLAG, NULL, offsetof(struct options, name_only), "print paths alone"},
	{"patch", 0, OPTION_FLAG, NULL, offsetof(struct options, patch),
		"print a patch of the texts, as patch(1) and git take it"},
	{"times", 0, OPTION_FLAG, NULL, offsetof(struct options, times),
		"also what differs in its times alone"},
	{"no-renames", 0, OPTION_FLAG, NULL, offsetof(struct options, no_renames),
		"what was renamed is removed and added"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct diff {
	const struct options *options;
	struct patch patch;
	uint64_t files, added, removed;
};

static void print_stat(struct diff *diff, const struct tree_difference *d, const struct patch_lines *lines)
{
	size_t n = strlen(d->path);

	putchar(' ');
	words_name(stdout, d->path, n);
	printf("%*s | ", n < STAT_COLUMNS ? (int)(STAT_COLUMNS - n) : 0, "");
	if (lines->binary)
		printf("%llu -> %llu bytes\n", (unsigned long long)lines->size_before,
			(unsigned long long)lines->size_after);
	else
		printf("+%llu -%llu\n", (unsigned long long)lines->added, (unsigned long long)lines->removed);
	diff->files++;
	diff->added += lines->added;
	diff->removed += lines->removed;
}

/* Directories have no text. */
static bool has_text(const struct tree_difference *d)
{
	return (d->before && d->before->kind != ENTRY_DIRECTORY) ||
	       (d->after && d->after->kind != ENTRY_DIRECTORY);
}

static int take_text(void *context, const struct tree_difference *d, struct error *err)
{
	struct diff *diff = context;
	_cleanup_buffer_ struct buffer out = {0};
	struct patch_lines lines;
	int r;

	if (ferror(stdout))
		return 1;
	if (!has_text(d) || (difference_is_time(d) && !diff->options->times))
		return 0;
	r = patch_one(&diff->patch, d, diff->options->patch ? &out : NULL, &lines, err);
	if (r < 0)
		return r;
	if (out.failed)
		return error_no_memory(err, "make a patch");
	if (out.size)
		fwrite(out.data, 1, out.size, stdout);
	if (diff->options->stat)
		print_stat(diff, d, &lines);
	return 0;
}

static int take_name(void *context, const struct tree_difference *d, struct error *err)
{
	struct diff *diff = context;

	(void)err;
	if (difference_is_time(d) && !diff->options->times)
		return 0;
	words_name(stdout, d->path, strlen(d->path));
	putchar('\n');
	return ferror(stdout) ? 1 : 0;
}

static int take_plain(void *context, const struct tree_difference *d, struct error *err)
{
	struct diff *diff = context;
	_cleanup_differences_ struct difference_list one = {.times = diff->options->times, .keep = 1};
	int r = difference_collect(&one, d, err);

	difference_print_list(stdout, &one, "");
	return r < 0 ? r : ferror(stdout) ? 1 : 0;
}

static int print_json(
	struct cli *cli, struct diff *diff, const struct tree_diff_options *o, struct error *err)
{
	_cleanup_differences_ struct difference_list all = {
		.times = diff->options->times, .keep = DIFFERENCES_KEPT};
	_cleanup_buffer_ struct buffer b = {0};
	const struct patch *p = &diff->patch;
	int r = tree_diff(p->place->repository, &p->before, &p->after, o, difference_collect, &all, err);

	if (r < 0)
		return r;
	json_put_open(&b, '{');
	json_put_id(&b, "before", &p->before);
	json_put_id(&b, "after", &p->after);
	json_put_count(&b, "added", all.added);
	json_put_count(&b, "changed", all.changed);
	json_put_count(&b, "removed", all.removed);
	json_put_key(&b, "changes");
	difference_put_json(&b, &all);
	json_put_count(&b, "left_out", all.left_out);
	json_put_close(&b, '}');
	return output_json(cli, &b);
}

/* A path that neither has is a slip, not the same in both. */
static int check_path(const struct diff *d, const char *path, struct error *err)
{
	const struct patch *p = &d->patch;
	const struct object_id *sides[] = {&p->before, &p->after};

	for (size_t i = 0; *path && i < ARRAY_SIZE(sides); i++) {
		_cleanup_tree_object_ struct tree_object found = {0};
		int r = tree_find_name(p->place->repository, sides[i], path, strlen(path), &found, err);

		if (r != -ERROR_NOT_FOUND)
			return r;
	}
	return *path ? error_set(err, ERROR_NOT_FOUND, "%s: neither of the revisions has it", path) : 0;
}

static int diff(struct cli *cli, struct diff *d, const struct tree_diff_options *o, struct error *err)
{
	const struct options *how = d->options;
	const struct patch *p = &d->patch;
	int r;

	if (how->json)
		return print_json(cli, d, o, err);
	r = tree_diff(p->place->repository, &p->before, &p->after, o,
		how->name_only || cli->global.quiet ? take_name
		: how->patch || how->stat           ? take_text
						    : take_plain,
		d, err);
	if (r < 0)
		return r;
	if (how->stat && d->files)
		printf(" %llu changed, %llu line%s added, %llu removed\n", (unsigned long long)d->files,
			(unsigned long long)d->added, words_plural(d->added), (unsigned long long)d->removed);
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ char *path = NULL;
	struct diff d = {.options = o, .patch.place = &p};
	struct tree_diff_options how = {.no_renames = o->no_renames};
	struct error err;
	int r = place_path(o->path, &path, &err);

	how.path = path;
	if (r == 0 && o->stat + o->name_only + o->patch + o->json > 1)
		r = error_set(
			&err, ERROR_USAGE, "one of --stat, --name-only, --patch and --json, not several");
	if (r == 0)
		r = place_open(cli, NULL, PLACE_READ, &p, &err);
	if (r == 0)
		r = place_resolve(&p, words[0], &d.patch.before, &err);
	if (r == 0)
		r = place_resolve(&p, count > 1 ? words[1] : NULL, &d.patch.after, &err);
	if (r == 0)
		r = check_path(&d, path, &err);
	if (r == 0)
		r = diff(cli, &d, &how, &err);
	return r < 0 ? cli_complain(cli, &err) : r;
}

const struct command diff_command = {
	.name = "diff",
	.arguments = "REV [REV]",
	.summary = "show what differs between two revisions",
	.help = "A line for each: A path for what was added, D removed, M changed, P other mode, owner or "
		"attributes, T "
		"other time (with --times), R old -> new renamed, which is known though the content has "
		"changed, too. "
		"The second REV is main where it is not given. It costs what differs, not what there is.",
	.examples = "monofs diff main~1\nmonofs diff v1 v2 --stat -p src\nmonofs diff v1 v2 --patch | patch "
		    "-p1 -d copy",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 2,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
