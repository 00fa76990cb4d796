/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/tree_renames.h"

#include <stdlib.h>

#include "base/text.h"
#include "monofs/mst_cursor.h"

#define IDS_MOST 200000u

/* A directory that is in one of the trees only, as far as is known. */
struct moved {
	char *path;
	struct identity identity;
	bool paired;
};

struct list {
	struct moved *all;
	size_t count, room;
};

struct search {
	struct tree_renames *t;
	struct mst map;
	struct list gone, come; /* directories */
	unsigned depth;
};

static void map_clear(struct map *m)
{
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(m, &at));)
		free(s->value);
	map_free(m);
}

void tree_renames_free(struct tree_renames *t)
{
	map_clear(&t->gone);
	map_clear(&t->come);
}

const char *tree_renames_gone(const struct tree_renames *t, const struct identity *id)
{
	return map_get(&t->gone, id->id, ENTRY_ID_SIZE);
}

const char *tree_renames_come(const struct tree_renames *t, const struct identity *id)
{
	return map_get(&t->come, id->id, ENTRY_ID_SIZE);
}

static int list_add(struct list *l, const char *path, const struct identity *identity, struct error *err)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct moved *all = realloc(l->all, room * sizeof *all);

		if (!all)
			return error_no_memory(err, "compare trees");
		l->all = all;
		l->room = room;
	}
	l->all[l->count] = (struct moved){.path = text_copy(path, err), .identity = *identity};
	if (!l->all[l->count].path)
		return -(int)ERROR_NO_MEMORY;
	l->count++;
	return 0;
}

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->all[i].path);
	free(l->all);
}

/* An id that one tree has at this path and the other has not. Of a file of several names, the first counts.
 */
static int add(struct search *s, struct map *m, struct list *l, const char *path,
	const struct identity *identity, struct error *err)
{
	char *copy;
	int r;

	if (map_get(m, identity->id, ENTRY_ID_SIZE))
		return 0;
	if (s->t->gone.size + s->t->come.size >= IDS_MOST) {
		s->t->given_up = true;
		return 0;
	}
	copy = text_copy(path, err);
	r = copy ? map_set(m, identity->id, ENTRY_ID_SIZE, copy, NULL, err) : -(int)ERROR_NO_MEMORY;
	if (r < 0) {
		free(copy);
		return r;
	}
	return object_id_is_none(&identity->children) ? 0 : list_add(l, path, identity, err);
}

static int compare(struct search *s, const char *path_a, const char *path_b, const struct object_id *a,
	const struct object_id *b, struct error *err);

static char *join(const char *path, const struct mst_item *item, struct error *err)
{
	if (strlen(path) + 1 + item->name_size > ENTRY_PATH_MAX) {
		error_set(err, ERROR_CORRUPT, "%s: a path that is too long", path);
		return NULL;
	}
	return text_format(err, "%s%s%.*s", path, *path ? "/" : "", (int)item->name_size, item->name);
}

static int compare_names(struct search *s, const char *path_a, const char *path_b, const struct mst_item *a,
	const struct mst_item *b, struct error *err)
{
	_cleanup_free_ char *at_a = join(path_a, a ? a : b, err), *at_b = join(path_b, a ? a : b, err);
	struct identity before, after;
	int r = at_a && at_b ? 0 : -(int)ERROR_CORRUPT;

	if (r == 0 && a)
		r = identity_decode(a->value, a->value_size, &before, err);
	if (r == 0 && b)
		r = identity_decode(b->value, b->value_size, &after, err);
	if (r < 0)
		return r;
	if (a && b && memcmp(before.id, after.id, ENTRY_ID_SIZE) == 0)
		return compare(s, at_a, at_b, &before.children, &after.children, err);
	if (a)
		r = add(s, &s->t->gone, &s->gone, at_a, &before, err);
	return r == 0 && b ? add(s, &s->t->come, &s->come, at_b, &after, err) : r;
}

static int compare(struct search *s, const char *path_a, const char *path_b, const struct object_id *a,
	const struct object_id *b, struct error *err)
{
	struct mst_difference *d;
	int r;

	if (object_id_equal(a, b))
		return 0;
	d = malloc(sizeof *d);
	if (!d)
		return error_no_memory(err, "compare trees");
	mst_difference_begin(d, &s->map, a, b);
	while ((r = mst_difference_next(d, err)) == 1 && !s->t->given_up) {
		r = compare_names(s, path_a, path_b, d->a, d->b, err);
		if (r < 0)
			break;
	}
	mst_difference_end(d);
	free(d);
	return r < 0 ? r : 0;
}

static struct moved *list_find(const struct list *l, const struct identity *id)
{
	for (size_t i = 0; i < l->count; i++) {
		if (memcmp(l->all[i].identity.id, id->id, ENTRY_ID_SIZE) == 0)
			return &l->all[i];
	}
	return NULL;
}

/* Directories that are in one tree only are gone through, but for those that are in the other elsewhere: of
 * these what differs. */
static int expand(struct search *s, struct list *l, struct list *other, const struct map *others, bool come,
	struct error *err)
{
	static const struct object_id none;

	for (size_t i = 0; i < l->count && !s->t->given_up; i++) {
		struct moved m = l->all[i], *pair = NULL;
		const struct object_id *before, *after;
		int r;

		if (m.paired)
			continue;
		if (map_get(others, m.identity.id, ENTRY_ID_SIZE))
			pair = list_find(other, &m.identity);
		l->all[i].paired = true;
		if (pair)
			pair->paired = true;
		before = pair ? &pair->identity.children : &none;
		after = &m.identity.children;
		/* What is called may move the lists: the ids are copied. */
		struct object_id x = *before, y = *after;
		_cleanup_free_ char *path = text_copy(pair ? pair->path : m.path, err);
		_cleanup_free_ char *own = text_copy(m.path, err);

		if (!path || !own)
			return -(int)ERROR_NO_MEMORY;
		r = come ? compare(s, path, own, &x, &y, err) : compare(s, own, path, &y, &x, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tree_renames_find(struct tree_renames *t, struct repository *r, const char *path,
	const struct object_id *a, const struct object_id *b, struct error *err)
{
	struct search s = {.t = t, .map = tree_map(r, OBJECT_IDENTITY)};
	int code = compare(&s, path, path, a, b, err);

	/* Else nothing has moved, and what lies in new directories need not be read. */
	bool moved = t->gone.size && t->come.size;

	if (code == 0 && moved)
		code = expand(&s, &s.come, &s.gone, &t->gone, true, err);
	if (code == 0 && moved)
		code = expand(&s, &s.gone, &s.come, &t->come, false, err);
	list_free(&s.gone);
	list_free(&s.come);
	if (t->given_up) {
		tree_renames_free(t);
		t->given_up = true;
	}
	return code;
}
