/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions, newest first. Those that wait to be printed are kept by their clocks; a commit's clock is above
 * those of its parents, so the largest one that waits is the newest of all that are left, and one that two
 * others name comes twice in a row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/cli/json.h"
#include "bin/cli/output.h"
#include "bin/monofs/difference.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"
#include "bin/monofs/words.h"

#define WAITING_MOST 100000u

struct options {
	const char *path;
	uint64_t count;
	bool json;
};

static const struct option_spec options[] = {
	{"path", 'p', OPTION_STRING, "PATH", offsetof(struct options, path),
		"those alone that changed something at or beneath this path, and what"},
	{"count", 'n', OPTION_NUMBER, "N", offsetof(struct options, count), "at most so many; default: all"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

struct waiting {
	struct object_id id;
	struct commit commit;
};

struct history {
	struct cli *cli;
	const struct options *options;
	struct place place;
	char *path;
	struct references references;
	struct waiting *list;
	size_t count, room;
	struct buffer json;
	uint64_t printed;
};

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->count; i++)
		commit_free(&h->list[i].commit);
	free(h->list);
	free(h->path);
	references_free(&h->references);
	buffer_free(&h->json);
	place_close(&h->place);
}

static int wait_for(struct history *h, const struct object_id *id, struct error *err)
{
	for (size_t i = 0; i < h->count; i++)
		if (object_id_equal(&h->list[i].id, id))
			return 0;
	if (h->count == WAITING_MOST)
		return error_set(err, ERROR_LIMIT, "more than %u lines of history at once", WAITING_MOST);
	if (h->count == h->room) {
		size_t room = h->room ? 2 * h->room : 16;
		struct waiting *grown = reallocarray(h->list, room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "list revisions");
		h->list = grown;
		h->room = room;
	}
	h->list[h->count] = (struct waiting){.id = *id};
	return commit_get(repository_store(h->place.repository), id, &h->list[h->count++].commit, err);
}

static struct waiting take_newest(struct history *h)
{
	size_t newest = 0;
	struct waiting taken;

	for (size_t i = 1; i < h->count; i++)
		if (h->list[i].commit.clock > h->list[newest].commit.clock)
			newest = i;
	taken = h->list[newest];
	h->list[newest] = h->list[--h->count];
	return taken;
}

/* ---- what is printed of one ------------------------------------------------------------------------- */

static const char *first_line(const char *text, size_t *n)
{
	*n = strcspn(text, "\n");
	return text;
}

static void print_references(const struct history *h, const struct object_id *id)
{
	const char *before = " [";

	for (size_t i = 0; i < h->references.count; i++) {
		const struct reference *r = &h->references.list[i];

		if (!object_id_equal(&r->commit, id))
			continue;
		printf("%s%s", before,
			text_starts(r->name, REFERENCE_TAG) ? r->name + strlen(REFERENCE_TAG) : r->name);
		before = ", ";
	}
	if (*before == ',')
		putchar(']');
}

static void print_plain(
	const struct history *h, const struct waiting *w, const struct difference_list *changes)
{
	char id[WORDS_ID], time[WORDS_TIME];
	size_t n;
	const char *line;

	if (h->cli->global.quiet) {
		puts(words_id(&w->id, id));
		return;
	}
	printf("%s  %s  ", words_id(&w->id, id), words_time(w->commit.time, w->commit.zone, time));
	line = first_line(*w->commit.author ? w->commit.author : "-", &n);
	words_name(stdout, line, n);
	printf("  +%llu ~%llu -%llu", (unsigned long long)changes->added,
		(unsigned long long)changes->changed, (unsigned long long)changes->removed);
	print_references(h, &w->id);
	line = first_line(w->commit.message, &n);
	if (n)
		printf("  ");
	words_name(stdout, line, n);
	putchar('\n');
	if (h->options->path)
		difference_print_list(stdout, changes, "    ");
}

static void put_json(struct history *h, const struct waiting *w, const struct difference_list *changes)
{
	struct buffer *b = &h->json;
	const struct commit *c = &w->commit;
	char hex[OBJECT_HEX_SIZE];

	json_put_open(b, '{');
	json_put_id(b, "revision", &w->id);
	json_put_key(b, "parents");
	json_put_open(b, '[');
	for (size_t i = 0; i < c->parent_count; i++)
		json_put_string(b, object_id_hex(&c->parents[i], hex));
	json_put_close(b, ']');
	json_put_id(b, "content", &c->content);
	json_put_id(b, "identity", &c->identity);
	json_put_entry_time(b, "time", c->time);
	json_put_key(b, "zone");
	json_put_number(b, c->zone);
	json_put_key(b, "replica");
	buffer_format(b, "\"%016llx\"", (unsigned long long)c->replica);
	json_put_count(b, "generation", c->generation);
	json_put_key(b, "automatic");
	json_put_bool(b, c->automatic);
	json_put_member(b, "author", c->author);
	json_put_member(b, "message", c->message);
	json_put_key(b, "names");
	json_put_open(b, '[');
	for (size_t i = 0; i < h->references.count; i++)
		if (object_id_equal(&h->references.list[i].commit, &w->id))
			json_put_string(b, h->references.list[i].name);
	json_put_close(b, ']');
	json_put_count(b, "added", changes->added);
	json_put_count(b, "changed", changes->changed);
	json_put_count(b, "removed", changes->removed);
	if (h->options->path) {
		json_put_key(b, "changes");
		difference_put_json(b, changes);
	}
	json_put_close(b, '}');
}

static int show(struct history *h, const struct waiting *w, struct error *err)
{
	_cleanup_differences_ struct difference_list changes = {
		.keep = h->options->path ? DIFFERENCES_KEPT : 0};
	static const struct object_id none;
	struct tree_diff_options o = {.path = h->path, .shallow = true};
	bool counted = h->options->path || h->options->json || !h->cli->global.quiet;
	int r = !counted ? 0
			 : tree_diff(h->place.repository,
				   w->commit.parent_count ? &w->commit.parents[0] : &none, &w->id, &o,
				   difference_collect, &changes, err);

	if (r < 0)
		return r;
	if (h->options->path && *h->path && !changes.added && !changes.changed && !changes.removed)
		return 0;
	if (h->options->json)
		put_json(h, w, &changes);
	else
		print_plain(h, w, &changes);
	h->printed++;
	return 0;
}

static int walk(struct history *h, const char *from, struct error *err)
{
	struct object_id id;
	int r = place_resolve(&h->place, from, &id, err);

	if (r == 0)
		r = wait_for(h, &id, err);
	while (r == 0 && h->count && (!h->options->count || h->printed < h->options->count) &&
		!ferror(stdout)) {
		struct waiting w = take_newest(h);

		r = show(h, &w, err);
		for (size_t i = 0; r == 0 && i < w.commit.parent_count; i++)
			r = wait_for(h, &w.commit.parents[i], err);
		commit_free(&w.commit);
	}
	return r;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(history_free) struct history h = {.cli = cli, .options = o};
	struct error err;
	int r = place_path(o->path, &h.path, &err);

	if (r == 0)
		r = place_open(cli, NULL, PLACE_READ, &h.place, &err);
	if (r == 0)
		r = references_read(repository_directory(h.place.repository),
			repository_crypt(h.place.repository), &h.references, &err);
	if (o->json)
		json_put_open(&h.json, '[');
	if (r == 0)
		r = walk(&h, count ? words[0] : NULL, &err);
	if (r == 0 && *h.path && !h.printed)
		r = error_set(&err, ERROR_NOT_FOUND, "%s: no revision up to there has it", h.path);
	if (r < 0)
		return cli_complain(cli, &err);
	if (!o->json)
		return output_finish();
	json_put_close(&h.json, ']');
	return output_json(cli, &h.json);
}

const struct command rev_command = {
	.name = "rev",
	.arguments = "[REV]",
	.summary = "list revisions, newest first",
	.help = "Of each: its id, when and by whom it was made, how much it added, changed and removed, its "
		"names, and "
		"the first line of what it is about. A directory that came or went as a whole counts once. "
		"With -p the "
		"list has what was changed there. With a REV, it begins there.",
	.examples = "monofs rev -n 10\nmonofs rev -p src/main.c\nmonofs rev v1 --json",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_REVISIONS,
	.words = WORDS_REVISIONS,
};
