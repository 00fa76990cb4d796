/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/commit.h"

#include <stdio.h>

#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"
#include "monofs/author.h"

struct options {
	const char *message, *author;
};

static const struct option_spec options[] = {
	{"message", 'm', OPTION_STRING, "TEXT", offsetof(struct options, message),
		"what the revision is about"},
	{"author", 0, OPTION_STRING, "WHO", offsetof(struct options, author),
		"who made it; default: $MONOFS_AUTHOR, or USER@HOST"},
	{NULL},
};

static int commit(
	const struct options *o, const char *path, struct object_id *id, bool *made, struct error *err)
{
	_cleanup_free_ char *author = o->author ? text_copy(o->author, err) : author_here(err);
	_cleanup_place_ struct place p = {0};
	int r = author ? place_find(path, &p, err) : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	if (!p.live)
		return error_set(err, ERROR_NOT_FOUND,
			"%s is not mounted, so there is nothing new in it: mount it, or import something",
			p.path);
	return mount_commit(p.live, author, o->message ? o->message : "", id, made, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct object_id id;
	struct error err;
	char text[WORDS_ID];
	bool made;

	if (commit(given, count ? words[0] : NULL, &id, &made, &err) < 0)
		return cli_complain(cli, &err);
	printf(made || cli->global.quiet ? "%s\n" : "%s has the same already\n", words_id(&id, text));
	return output_finish();
}

const struct command commit_command = {
	.name = "commit",
	.arguments = "[DIR]",
	.summary = "make a revision of what was written, at once",
	.help = "The tree at DIR, or the one that we are in, becomes a revision with a message, without "
		"waiting until it "
		"does so by itself. Prints its id.",
	.examples = "monofs commit -m 'before the clean-up'",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_FILES,
};
