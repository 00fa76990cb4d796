/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

struct options {
	bool recursive, json;
};

static const struct option_spec options[] = {
	{"recursive", 'r', OPTION_FLAG, NULL, offsetof(struct options, recursive), "also what lies beneath"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json),
		"print a JSON object for each, on a line"},
	{NULL},
};

struct listing {
	struct cli *cli;
	const struct options *options;
	struct place *place;
	const struct object_id *commit;
	struct buffer path; /* of the directory that is listed, with a '/' behind it, or empty */
};

static uint64_t size_of(const struct entry *e)
{
	return e->kind == ENTRY_FILE ? e->content.size : e->kind == ENTRY_SYMLINK ? e->target_size : 0;
}

static void print_json(const struct listing *l, const char *name, const struct tree_object *o, bool link)
{
	_cleanup_buffer_ struct buffer b = {0}, path = {0};
	const struct entry *e = &o->entry;

	buffer_append(&path, l->path.data, l->path.size);
	buffer_append_text(&path, name);
	json_put_open(&b, '{');
	json_put_key(&b, "path");
	json_put_text(&b, (const char *)path.data, path.size);
	json_put_member(&b, "kind", words_kind(e->kind));
	json_put_count(&b, "mode", e->mode);
	json_put_count(&b, "uid", e->uid);
	json_put_count(&b, "gid", e->gid);
	json_put_count(&b, "size", size_of(e));
	json_put_entry_time(&b, "mtime", e->mtime);
	json_put_key(&b, "link");
	json_put_bool(&b, link);
	if (e->kind == ENTRY_SYMLINK) {
		json_put_key(&b, "target");
		json_put_text(&b, e->target, e->target_size);
	}
	if (e->kind == ENTRY_CHARACTER || e->kind == ENTRY_BLOCK) {
		json_put_count(&b, "major", e->major);
		json_put_count(&b, "minor", e->minor);
	}
	json_put_key(&b, "id");
	buffer_u8(&b, '"');
	for (size_t i = 0; i < ENTRY_ID_SIZE; i++)
		buffer_format(&b, "%02x", o->identity.id[i]);
	buffer_u8(&b, '"');
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	if (!b.failed)
		fwrite(b.data, 1, b.size, stdout);
}

static void print_plain(const struct listing *l, const char *name, const struct tree_object *o)
{
	char mode[WORDS_MODE], time[WORDS_TIME], size[32];
	const struct entry *e = &o->entry;

	if (e->kind == ENTRY_CHARACTER || e->kind == ENTRY_BLOCK)
		snprintf(size, sizeof size, "%u, %u", e->major, e->minor);
	else
		snprintf(size, sizeof size, "%llu", (unsigned long long)size_of(e));
	if (!l->cli->global.quiet)
		printf("%s %5u %5u %12s %s ", words_mode(e, mode), e->uid, e->gid, size,
			words_time(e->mtime, words_zone(), time));
	words_name(stdout, (const char *)l->path.data, l->path.size);
	words_name(stdout, name, strlen(name));
	if (e->kind == ENTRY_SYMLINK && !l->cli->global.quiet) {
		fputs(" -> ", stdout);
		words_name(stdout, e->target, e->target_size);
	}
	putchar('\n');
}

static void print(const struct listing *l, const char *name, const struct tree_object *o, bool link)
{
	if (l->options->json)
		print_json(l, name, o, link);
	else
		print_plain(l, name, o);
}

static int list(struct listing *l, const struct tree_object *directory, struct error *err);

static int list_below(struct listing *l, const char *name, const struct tree_object *o, struct error *err)
{
	size_t before = l->path.size;
	int r;

	if (before + strlen(name) > ENTRY_PATH_MAX)
		return error_set(err, ERROR_CORRUPT, "a path of the tree is too long");
	buffer_append_text(&l->path, name);
	buffer_u8(&l->path, '/');
	r = l->path.failed ? error_no_memory(err, "list a tree") : list(l, o, err);
	l->path.size = before;
	return r;
}

static int take(void *context, const struct tree_child *child, struct error *err)
{
	struct listing *l = context;
	_cleanup_tree_object_ struct tree_object followed = {0};
	struct tree_object o = {.entry = *child->entry};
	bool link = child->entry->kind == ENTRY_LINK;

	if (child->identity)
		o.identity = *child->identity;
	if (ferror(stdout))
		return 1;
	if (link) {
		_cleanup_free_ char *first =
			text_copy_bytes(child->entry->target, child->entry->target_size, err);
		int r = first ? tree_find(l->place->repository, l->commit, first, &followed, err)
			      : -ERROR_NO_MEMORY;

		if (r < 0)
			return r;
		o = followed;
	}
	print(l, child->name, &o, link);
	return l->options->recursive && o.entry.kind == ENTRY_DIRECTORY ? list_below(l, child->name, &o, err)
									: 0;
}

static int list(struct listing *l, const struct tree_object *directory, struct error *err)
{
	return tree_list(l->place->repository, directory, 0, l->options->json, take, l, err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_place_ struct place p = {0};
	_cleanup_tree_object_ struct tree_object o = {0};
	_cleanup_free_ char *path = NULL;
	struct object_id commit;
	struct listing l = {.cli = cli, .options = given, .place = &p, .commit = &commit};
	struct error err;
	int r = place_path(count > 1 ? words[1] : NULL, &path, &err);

	if (r == 0)
		r = place_open(cli, NULL, PLACE_READ, &p, &err);
	if (r == 0)
		r = place_resolve(&p, count ? words[0] : NULL, &commit, &err);
	if (r == 0)
		r = tree_find(p.repository, &commit, path, &o, &err);
	if (r == 0 && o.entry.kind == ENTRY_DIRECTORY)
		r = list(&l, &o, &err);
	else if (r == 0)
		print(&l, path, &o, false);
	buffer_free(&l.path);
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}

const struct command ls_command = {
	.name = "ls",
	.arguments = "[REV [PATH]]",
	.summary = "list what a directory of a revision has",
	.help = "Without a REV, of main. PATH begins at the tree's root. Sizes are in bytes.",
	.examples = "monofs ls main src\nmonofs ls v1 -r -q",
	.options = options,
	.size = sizeof(struct options),
	.most = 2,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
