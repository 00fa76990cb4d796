/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_model.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX  256
#define MARKS_MAX   64
#define ENTRIES_MAX 9
#define IMPLIED     010000u /* a directory's mode: no entry told of it */

struct place {
	char path[16];
	char type;   /* d, f, s, p */
	unsigned id; /* of the file: hard links share it; also a directory's mode */
};

struct tree {
	struct place places[PLACES_MAX];
	size_t count;
};

struct mark {
	char path[16];
	bool opaque;
};

struct layer {
	struct tree own;
	struct mark marks[MARKS_MAX];
	size_t mark_count;
	char *text;
	size_t size;
};

struct maker {
	uint64_t random;
	unsigned next_id;
	struct tree merged;
	struct layer layer;
};

static unsigned pick(struct maker *m, unsigned below)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->random >> 33) % below;
}

/* ---- trees ------------------------------------------------------------------------------------------ */

static bool is_beneath(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return !strncmp(path, directory, n) && path[n] == '/';
}

static struct place *find(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->count; i++)
		if (!strcmp(t->places[i].path, path))
			return &t->places[i];
	return NULL;
}

static void drop(struct tree *t, const char *path, bool itself)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++)
		if (!is_beneath(t->places[i].path, path) && !(itself && !strcmp(t->places[i].path, path)))
			t->places[kept++] = t->places[i];
	t->count = kept;
}

static void put(struct tree *t, const char *path, char type, unsigned id)
{
	struct place *p = find(t, path);

	if (type != 'd')
		drop(t, path, false);
	p = find(t, path);
	if (!p) {
		assert(t->count < PLACES_MAX);
		p = &t->places[t->count++];
	}
	*p = (struct place){.type = type, .id = id};
	snprintf(p->path, sizeof p->path, "%s", path);
}

/* Directories that the path implies, where there is none. */
static void put_parents(struct tree *t, const char *path)
{
	char parent[16];

	for (size_t i = 0; path[i]; i++) {
		const struct place *p;

		if (path[i] != '/')
			continue;
		snprintf(parent, sizeof parent, "%.*s", (int)i, path);
		p = find(t, parent);
		if (!p || p->type != 'd')
			put(t, parent, 'd', IMPLIED | 0755);
	}
}

static bool through_file(struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->places[i].type != 'd' && is_beneath(path, t->places[i].path))
			return true;
	return false;
}

/* '/' sorts before all else, so that what is in a directory follows it. */
static int compare(const void *a, const void *b)
{
	const unsigned char *x = (const void *)((const struct place *)a)->path;
	const unsigned char *y = (const void *)((const struct place *)b)->path;

	while (*x && *x == *y)
		x++, y++;
	return (*x == '/' ? 1 : *x) - (*y == '/' ? 1 : *y);
}

static void sort(struct tree *t)
{
	qsort(t->places, t->count, sizeof *t->places, compare);
}

/* ---- one layer -------------------------------------------------------------------------------------- */

static void random_path(struct maker *m, char *out, size_t size, bool leaf)
{
	unsigned depth = pick(m, 3);
	size_t n = 0;

	for (unsigned i = 0; i < depth; i++)
		n += (size_t)snprintf(out + n, size - n, "%c/", 'a' + pick(m, 3));
	snprintf(out + n, size - n, "%c", leaf ? 's' : 'a' + pick(m, 3));
}

static void write_line(struct layer *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void write_line(struct layer *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	l->size += (size_t)vsnprintf(l->text + l->size, MERGE_MODEL_BYTES - l->size, format, args);
	va_end(args);
}

static void add_mark(struct maker *m, const char *path, bool opaque)
{
	struct layer *l = &m->layer;
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash - path) + 1 : 0;

	if (opaque)
		write_line(l, "f %s/.wh..wh..opq\n", path);
	if (opaque && !find(&l->own, path))
		put(&l->own, path, 'd', IMPLIED | 0755);
	if (opaque)
		put_parents(&l->own, path);
	else
		write_line(l, "f %.*s.wh.%s\n", directory, path, path + directory);
	l->marks[l->mark_count].opaque = opaque;
	snprintf(l->marks[l->mark_count++].path, sizeof l->marks->path, "%s", path);
}

static void drop_marks_beneath(struct layer *l, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->mark_count; i++)
		if (!is_beneath(l->marks[i].path, path))
			l->marks[kept++] = l->marks[i];
	l->mark_count = kept;
}

static void add_file(struct maker *m, const char *path, char type)
{
	struct layer *l = &m->layer;
	unsigned id = m->next_id++;

	if (type == 'd') {
		id = 0700 + pick(m, 64);
		write_line(l, "d %s %o\n", path, id);
	} else if (type == 'f') {
		write_line(l, "f %s %u\n", path, id);
	} else if (type == 's') {
		write_line(l, "s %s t%u\n", path, id);
	} else {
		write_line(l, "p %s\n", path);
	}
	if (type != 'd')
		drop_marks_beneath(l, path);
	put(&l->own, path, type, id);
	put_parents(&l->own, path);
}

/* A hard link to what the layer has, or what older ones have, whatever the layer hides of that. */
static void add_link(struct maker *m, const char *path)
{
	struct layer *l = &m->layer;
	char target[16];
	struct place *p;

	random_path(m, target, sizeof target, pick(m, 6) == 0);
	if (through_file(&l->own, target))
		return;
	p = find(&l->own, target);
	if (!p)
		p = find(&m->merged, target);
	if (!p || p->type == 'd' || (p->type == 's' && path[strlen(path) - 1] != 's'))
		return;
	write_line(l, "h %s %s\n", path, target);
	if (strcmp(path, target) || !find(&l->own, path)) {
		struct place copy = *p;

		drop_marks_beneath(l, path);
		put(&l->own, path, copy.type, copy.id);
		put_parents(&l->own, path);
	}
}

static void add_entry(struct maker *m)
{
	unsigned kind = pick(m, 16);
	char path[16];

	random_path(m, path, sizeof path, kind == 9);
	if (through_file(&m->layer.own, path))
		return;
	if (kind < 5)
		add_file(m, path, 'f');
	else if (kind < 9)
		add_file(m, path, 'd');
	else if (kind == 9)
		add_file(m, path, 's');
	else if (kind == 10)
		add_file(m, path, 'p');
	else if (kind < 13)
		add_link(m, path);
	else if (kind < 15)
		add_mark(m, path, false);
	else if (!find(&m->layer.own, path) || find(&m->layer.own, path)->type == 'd')
		add_mark(m, path, true);
}

/* ---- over the older ones ---------------------------------------------------------------------------- */

static void apply_layer(struct maker *m)
{
	struct layer *l = &m->layer;

	for (size_t i = 0; i < l->mark_count; i++)
		drop(&m->merged, l->marks[i].path, !l->marks[i].opaque);
	sort(&l->own);
	for (size_t i = 0; i < l->own.count; i++) {
		const struct place *p = &l->own.places[i], *old = find(&m->merged, p->path);

		if (old && old->type == 'd' && p->type == 'd' && p->id & IMPLIED)
			continue;
		if (old && (old->type == 'd') != (p->type == 'd'))
			drop(&m->merged, p->path, true);
		put(&m->merged, p->path, p->type, p->id);
	}
}

static void write_tree(struct tree *t, char *out, size_t size)
{
	size_t n = 0;

	sort(t);
	for (size_t i = 0; i < t->count; i++) {
		const struct place *p = &t->places[i], *first = p;

		for (size_t k = 0; k < i && first == p && p->type != 'd'; k++)
			if (t->places[k].id == p->id && t->places[k].type == p->type)
				first = &t->places[k];
		if (first != p)
			n += (size_t)snprintf(out + n, size - n, "h %s %s\n", p->path, first->path);
		else if (p->type == 'd')
			n += (size_t)snprintf(out + n, size - n, "d %s %04o\n", p->path, p->id & 07777);
		else if (p->type == 'p')
			n += (size_t)snprintf(out + n, size - n, "p %s\n", p->path);
		else
			n += (size_t)snprintf(out + n, size - n, "%c %s %s%u\n", p->type, p->path,
				p->type == 's' ? "t" : "", p->id);
		assert(n < size);
	}
	out[n] = 0;
}

void merge_model_random(struct merge_model *model, uint64_t seed)
{
	struct maker m = {.random = seed * 0x9e3779b97f4a7c15u + 1, .next_id = 1};
	unsigned layers = 1 + pick(&m, MERGE_MODEL_LAYERS);

	*model = (struct merge_model){.layers = {NULL}};
	for (unsigned i = 0; i < layers; i++) {
		unsigned entries = 1 + pick(&m, ENTRIES_MAX);

		m.layer = (struct layer){.text = model->text[i]};
		model->layers[i] = model->text[i];
		while (entries-- > 0)
			add_entry(&m);
		apply_layer(&m);
	}
	write_tree(&m.merged, model->expected, sizeof model->expected);
}
