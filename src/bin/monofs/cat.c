/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"
#include "monofs/content.h"

#define PIECE (1u << 20)

static int write_file(struct place *p, const struct content *c, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(PIECE);
	uint64_t at = 0;

	if (!bytes)
		return error_no_memory(err, "read a file");
	while (at < c->size) {
		ssize_t n = content_read(repository_store(p->repository), c, bytes, PIECE, at, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		if (fwrite(bytes, 1, (size_t)n, stdout) != (size_t)n)
			return 0; /* told by output_finish() */
		at += (uint64_t)n;
	}
	return 0;
}

static int show(struct place *p, const struct object_id *commit, const char *typed, struct error *err)
{
	_cleanup_tree_object_ struct tree_object o = {0};
	_cleanup_free_ char *path = NULL;
	int r = place_path(typed, &path, err);

	if (r == 0)
		r = tree_find(p->repository, commit, path, &o, err);
	if (r < 0)
		return r;
	if (o.entry.kind == ENTRY_SYMLINK)
		return error_set(err, ERROR_INVALID, "'%s' is a symbolic link to '%.*s'", typed,
			(int)o.entry.target_size, o.entry.target);
	if (o.entry.kind != ENTRY_FILE)
		return error_set(
			err, ERROR_INVALID, "'%s' is no file, but a %s", typed, words_kind(o.entry.kind));
	return write_file(p, &o.entry.content, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_place_ struct place p = {0};
	struct object_id commit;
	struct error err;
	int r = place_open(cli, NULL, PLACE_READ, &p, &err);

	(void)given;
	if (r == 0)
		r = place_resolve(&p, words[0], &commit, &err);
	for (int i = 1; r == 0 && i < count; i++)
		r = show(&p, &commit, words[i], &err);
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}

const struct command cat_command = {
	.name = "cat",
	.arguments = "REV PATH...",
	.summary = "write what files of a revision hold to standard output",
	.examples = "monofs cat 'main@{1 day ago}' notes.txt",
	.least = 2,
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
