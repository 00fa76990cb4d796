/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs are gone through side by side. What a path is, its layers say from the oldest to the newest; of what
 * is beneath it, those count that are not older than the last one in which it was something else.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "monofs/tar_names_parts.h"

/* A path that the walk is in or at. */
struct level {
	size_t path_size;
	size_t oldest; /* layer that counts beneath it */
	bool directory;
	struct buffer entry;
};

struct walk {
	struct tar_names *names;
	struct tar_runs *runs;
	const struct tar_walk *to;
	char path[ENTRY_PATH_MAX + 1];
	size_t path_size;
	struct level *levels;
	size_t depth, room;
	/* what is found out of the path */
	struct level now;
	uint64_t number; /* of the object */
	bool there;
};

static void walk_end(struct walk *w)
{
	for (size_t i = 0; i < w->room; i++)
		buffer_free(&w->levels[i].entry);
	free(w->levels);
	buffer_free(&w->now.entry);
}

/* The least path that a run is at. 0: there is none. */
static int next_path(struct walk *w)
{
	const struct tar_name *least = NULL;

	for (size_t run = 0; run < tar_runs_count(w->runs); run++) {
		const struct tar_name *n = tar_runs_at(w->runs, run);

		if (n && (!least ||
				 tar_path_compare(n->path, n->path_size, least->path, least->path_size) < 0))
			least = n;
	}
	if (!least)
		return 0;
	memcpy(w->path, least->path, least->path_size);
	w->path[least->path_size] = 0;
	w->path_size = least->path_size;
	return 1;
}

/* One layer's word. */
static int take_layer(struct walk *w, size_t run, const struct tar_name *n, struct error *err)
{
	struct level *l = &w->now;

	if (run < l->oldest)
		return 0;
	if (n->alone)
		l->oldest = run;
	if (n->entry_size == 0 && w->there && l->directory)
		return 0;
	w->there = true;
	w->number = n->number;
	l->directory = tar_name_is_directory(n);
	buffer_clear(&l->entry);
	if (n->entry_size == 0)
		return tar_plain_directory(&l->entry, err);
	return buffer_append(&l->entry, n->entry, n->entry_size) ? 0
								 : error_no_memory(err, "import an archive");
}

static int take_layers(struct walk *w, struct error *err)
{
	int r = 0;

	w->there = false;
	for (size_t run = 0; r == 0 && run < tar_runs_count(w->runs); run++) {
		const struct tar_name *n = tar_runs_at(w->runs, run);

		if (!n || n->path_size != w->path_size || memcmp(n->path, w->path, w->path_size) != 0)
			continue;
		r = take_layer(w, run, n, err);
		if (r == 0)
			r = tar_runs_next(w->runs, run, err);
	}
	return r;
}

static int leave(struct walk *w, struct error *err)
{
	const struct level *l = &w->levels[--w->depth];

	return l->directory ? w->to->leave(w->to->context, l->entry.data, l->entry.size, err) : 0;
}

/* Whether the path is beneath a level, whose own the walk's was before. */
static bool is_beneath(const struct walk *w, const char *before, const struct level *l)
{
	return l->path_size == 0 || (w->path_size > l->path_size && w->path[l->path_size] == '/' &&
					    memcmp(w->path, before, l->path_size) == 0);
}

/* The level gets what was found out, and gives its memory for the next. */
static int enter(struct walk *w, struct error *err)
{
	struct buffer spare;
	struct level *l;

	if (w->depth == w->room) {
		size_t room = w->room ? 2 * w->room : 16;
		struct level *more = reallocarray(w->levels, room, sizeof *more);

		if (!more)
			return error_no_memory(err, "import an archive");
		memset(more + w->room, 0, (room - w->room) * sizeof *more);
		w->levels = more;
		w->room = room;
	}
	l = &w->levels[w->depth++];
	w->now.path_size = w->path_size;
	spare = l->entry;
	*l = w->now;
	w->now = (struct level){.entry = spare};
	return 0;
}

static int give(struct walk *w, struct error *err)
{
	const char *slash = strrchr(w->path, '/'), *name = slash ? slash + 1 : w->path;
	const struct level *l = &w->levels[w->depth - 1];

	if (l->directory)
		return w->to->enter(w->to->context, name, err);
	return w->to->put(w->to->context, w->path, name, l->entry.data, l->entry.size,
		map_get(&w->names->linked, &w->number, sizeof w->number), err);
}

static int one_path(struct walk *w, const char *before, struct error *err)
{
	int r = 0;

	while (r == 0 && w->depth && !is_beneath(w, before, &w->levels[w->depth - 1]))
		r = leave(w, err);
	w->now.oldest = w->depth ? w->levels[w->depth - 1].oldest : 0;
	if (r == 0)
		r = take_layers(w, err);
	if (r < 0 || !w->there)
		return r;
	r = enter(w, err);
	return r < 0 ? r : give(w, err);
}

int tar_names_walk(struct tar_names *t, const struct tar_walk *to, struct error *err)
{
	_cleanup_(walk_end) struct walk w = {.names = t, .to = to};
	char before[ENTRY_PATH_MAX + 1];
	int r = tar_names_end(t, err);

	w.runs = t->runs;
	for (size_t run = 0; r == 0 && run < tar_runs_count(w.runs); run++)
		r = tar_runs_rewind(w.runs, run, err);
	while (r == 0) {
		memcpy(before, w.path, w.path_size + 1);
		if (next_path(&w) == 0)
			break;
		r = one_path(&w, before, err);
	}
	while (r == 0 && w.depth)
		r = leave(&w, err);
	return r;
}
