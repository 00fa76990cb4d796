/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

struct options {
	const char *path;
	bool remove, force, json;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path),
		"say that the tag is about this path"},
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force), "also move a tag that there is"},
	{"remove", 0, OPTION_FLAG, NULL, offsetof(struct options, remove), "remove the tags that are named"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int set(struct place *p, const char *name, const struct object_id *commit, const char *path,
	const struct object_id *expected, struct error *err)
{
	_cleanup_free_ char *reference = text_format(err, REFERENCE_TAG "%s", name);

	if (!reference)
		return -ERROR_NO_MEMORY;
	return references_set(repository_directory(p->repository), repository_crypt(p->repository), reference,
		commit, path, expected, err);
}

static int add(struct cli *cli, const struct options *o, char **words, struct error *err)
{
	static const struct object_id none;
	_cleanup_place_ struct place p = {0};
	_cleanup_free_ char *path = NULL;
	struct object_id commit;
	char id[WORDS_ID];
	int r = reference_name_check(words[1], err);

	if (r == 0)
		r = place_path(o->path, &path, err);
	if (r == 0)
		r = place_open(cli, NULL, PLACE_FRESH, &p, err);
	if (r == 0)
		r = place_resolve(&p, words[0], &commit, err);
	if (r == 0)
		r = set(&p, words[1], &commit, path, o->force ? NULL : &none, err);
	if (r == -ERROR_BUSY && !o->force)
		return error_set(err, ERROR_EXISTS, "there is a tag '%s'; -f moves it", words[1]);
	if (r < 0)
		return r;
	printf("%s %s\n", words_id(&commit, id), words[1]);
	return output_finish();
}

static int no_such_tag(const struct references *list, const char *name, struct error *err)
{
	const char *nearest = references_nearest(list, name);

	if (nearest && strcmp(nearest, REFERENCE_MAIN) != 0)
		return error_set(
			err, ERROR_NOT_FOUND, "there is no tag '%s'; did you mean '%s'?", name, nearest);
	return error_set(err, ERROR_NOT_FOUND, "there is no tag '%s': 'monofs tag' lists them", name);
}

static int remove_all(struct cli *cli, int count, char **words, struct error *err)
{
	_cleanup_place_ struct place p = {0};
	int r = place_open(cli, NULL, 0, &p, err);

	for (int i = 0; r == 0 && i < count; i++) {
		_cleanup_references_ struct references list = {0};
		_cleanup_free_ char *reference = text_format(err, REFERENCE_TAG "%s", words[i]);

		r = reference ? references_read(repository_directory(p.repository),
					repository_crypt(p.repository), &list, err)
			      : -ERROR_NO_MEMORY;
		if (r == 0 && !references_find(&list, reference))
			r = no_such_tag(&list, words[i], err);
		if (r == 0)
			r = set(&p, words[i], NULL, NULL, NULL, err);
		if (r == 0)
			printf("%s\n", words[i]);
	}
	return r < 0 ? r : output_finish();
}

static void put_json(struct buffer *b, const struct reference *r, const char *name)
{
	json_put_open(b, '{');
	json_put_member(b, "name", name);
	json_put_id(b, "revision", &r->commit);
	json_put_member(b, "path", r->path);
	json_put_close(b, '}');
}

static int list(struct cli *cli, const struct options *o, struct error *err)
{
	_cleanup_place_ struct place p = {0};
	_cleanup_references_ struct references list = {0};
	_cleanup_buffer_ struct buffer b = {0};
	char id[WORDS_ID];
	int r = place_open(cli, NULL, PLACE_READ, &p, err);

	if (r == 0)
		r = references_read(
			repository_directory(p.repository), repository_crypt(p.repository), &list, err);
	if (r < 0)
		return r;
	json_put_open(&b, '[');
	for (size_t i = 0; i < list.count; i++) {
		const struct reference *ref = &list.list[i];
		const char *name = ref->name + strlen(REFERENCE_TAG);

		if (!text_starts(ref->name, REFERENCE_TAG))
			continue;
		if (o->json)
			put_json(&b, ref, name);
		else if (cli->global.quiet)
			printf("%s\n", name);
		else
			printf("%s %s%s%s\n", words_id(&ref->commit, id), name, *ref->path ? "  " : "",
				ref->path);
	}
	json_put_close(&b, ']');
	return o->json ? output_json(cli, &b) : output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct error err;
	int r;

	if (o->remove && count)
		r = remove_all(cli, count, words, &err);
	else if (!o->remove && count == 2)
		r = add(cli, o, words, &err);
	else if (!o->remove && count == 0)
		r = list(cli, o, &err);
	else
		r = error_set(
			&err, ERROR_USAGE, "expected REV and NAME, or --remove and names, or nothing at all");
	return r < 0 ? cli_complain(cli, &err) : r;
}

const struct command tag_command = {
	.name = "tag",
	.arguments = "[REV NAME]",
	.summary = "give a revision a name; list and remove such names",
	.help = "Without words, the tags there are. Of a mounted tree what was written becomes a revision "
		"first, so that "
		"'monofs tag main NAME' names the tree as it is. What has a tag is kept, whatever gc "
		"removes.",
	.examples = "monofs tag main v1\nmonofs tag main~3 good -p src\nmonofs tag --remove good\nmonofs tag",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
