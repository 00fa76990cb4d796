/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/restored.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"
#include "monofs/author.h"

struct options {
	const char *path, *to;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path),
		"this path of the tree, in place of all"},
	{"to", 0, OPTION_STRING, "DIR", offsetof(struct options, to),
		"write it to DIR, and leave the tree as it is"},
	{NULL},
};

struct checkout {
	struct cli *cli;
	struct place place;
	char *path;
	struct object_id commit;
	const char *revision;
};

static void checkout_free(struct checkout *c)
{
	free(c->path);
	place_close(&c->place);
}

/* Makes a directory the same as the revision; *status is what was told. */
static int write_to(struct checkout *c, const char *target, bool mirror, int *status, struct error *err)
{
	struct restored restored = {.cli = c->cli};
	struct restore_options o = {
		.path = c->path, .mirror = mirror, .owners = geteuid() == 0, .progress = &c->place.progress};
	int r = restore_directory(c->place.repository, &c->commit, target, &o, &restored.result, err);

	if (r == 0)
		*status = restored_print(&restored, target, false);
	return r;
}

/* The whole tree of one that is not mounted: a new revision with the same roots, so nothing is copied. */
static int move_main(struct checkout *c, int *status, struct error *err)
{
	_cleanup_(cleanup_store_writer) struct store_writer *w = NULL;
	_cleanup_commit_ struct commit old = {0}, new = {0};
	struct store *s = repository_store(c->place.repository);
	_cleanup_fd_ int lock = -1;
	struct object_id id;
	char text[WORDS_ID];
	int r = place_claim(&c->place, "a checkout", &lock, err);

	if (r == 0)
		r = place_resolve(&c->place, NULL, &new.parents[0], err);
	if (r == 0)
		r = commit_get(s, &c->commit, &old, err);
	if (r == 0)
		r = store_writer_new(s, &w, err);
	if (r < 0)
		return r;
	new.parent_count = 1;
	new.content = old.content;
	new.identity = old.identity;
	new.zone = words_zone();
	new.author = author_here(err);
	new.message = text_format(err, "checkout of %s", c->revision);
	if (!new.author || !new.message)
		return -ERROR_NO_MEMORY;
	r = repository_commit(c->place.repository, w, &new, &id, err);
	if (r < 0)
		return r;
	printf("%s\n", words_id(&id, text));
	*status = output_finish();
	return 0;
}

static int write_mounted(struct checkout *c, int *status, struct error *err)
{
	_cleanup_free_ char *target = text_format(
		err, "%s%s%s", mount_state(c->place.live)->directory, *c->path ? "/" : "", c->path);
	_cleanup_free_ char *author = author_here(err), *message = text_format(err, "checkout of %s%s%s",
								c->revision, *c->path ? " -p " : "", c->path);
	struct object_id id;
	bool made;
	int r = target && author && message ? write_to(c, target, true, status, err) : -ERROR_NO_MEMORY;

	return r < 0 ? r : mount_commit(c->place.live, author, message, &id, &made, err);
}

static int checkout(struct checkout *c, const struct options *o, int *status, struct error *err)
{
	int r = place_path(o->path, &c->path, err);

	/* What was written and is in no revision yet must not be lost: it becomes one first. */
	if (r == 0)
		r = place_open(c->cli, NULL, o->to ? PLACE_READ : PLACE_FRESH, &c->place, err);
	if (r == 0)
		r = place_resolve(&c->place, c->revision, &c->commit, err);
	if (r < 0)
		return r;
	if (o->to)
		return write_to(c, o->to, false, status, err);
	if (c->place.live)
		return write_mounted(c, status, err);
	if (*c->path)
		return error_set(err, ERROR_UNAVAILABLE,
			"%s is not mounted: mount it to take one path back, or say --to where",
			c->place.path);
	return move_main(c, status, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_(checkout_free) struct checkout c = {.cli = cli, .revision = words[0]};
	struct error err;
	int status = 1;

	(void)count;
	return checkout(&c, given, &status, &err) < 0 ? cli_complain(cli, &err) : status;
}

const struct command checkout_command = {
	.name = "checkout",
	.arguments = "REV",
	.summary = "take the tree, or one path of it, back to a revision",
	.help = "History goes on: the tree becomes as it was then, by a new revision; what it had before is "
		"one, too. "
		"With --to, what was is written to another directory, which is made, and the tree stays as "
		"it is.",
	.examples = "monofs checkout main~1\nmonofs checkout 'main@{1h}' -p notes.txt\nmonofs checkout v1 "
		    "--to /tmp/v1",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
