/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/tar_names.h"

#include <stdlib.h>

#include "base/text.h"
#include "monofs/mst_node.h"
#include "monofs/tar_names_parts.h"

#define NAMES_MOST (64u << 20)
#define NAME_COST  192u /* a node and its place in the map above, about */

/* What names lead to. */
struct object {
	unsigned names;
	uint64_t number; /* 0: a directory */
	uint8_t *entry;
	size_t entry_size;
};

struct tar_node {
	struct object *object; /* NULL: it is a directory, of which nothing else was told in this layer */
	bool alone;
	struct map children; /* name: struct tar_node */
};

/* ---- nodes --------------------------------------------------------------------------------------------- */

static void object_drop(struct object *o)
{
	if (!o || --o->names > 0)
		return;
	free(o->entry);
	free(o);
}

static void node_free(struct tar_node *n);

static void node_remove_children(struct tar_node *n)
{
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(&n->children, &at));)
		node_free(s->value);
	map_free(&n->children);
}

static void node_free(struct tar_node *n)
{
	if (!n)
		return;
	node_remove_children(n);
	object_drop(n->object);
	free(n);
}

/* Whether an object, or its absence, is a directory. */
static bool is_directory(const struct object *o)
{
	return !o || o->number == 0;
}

static void node_lead_to(struct tar_node *n, struct object *o)
{
	object_drop(n->object);
	n->object = o;
	if (is_directory(o))
		return;
	node_remove_children(n);
	n->alone = true;
}

/* Takes the bytes. */
static int object_new(
	struct tar_names *t, uint64_t number, struct buffer *bytes, struct object **out, struct error *err)
{
	struct object *o = calloc(1, sizeof *o);

	if (!o)
		return error_no_memory(err, "import an archive");
	*o = (struct object){.names = 1, .number = number, .entry_size = bytes->size};
	o->entry = TAKE_PTR(bytes->data);
	t->bytes += sizeof *o + bytes->capacity;
	*out = o;
	return 0;
}

int tar_names_set(struct tar_names *t, struct tar_node *n, const struct entry *e, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct object *o = NULL;
	int r = entry_encode(e, &bytes, err);

	if (r == 0)
		r = object_new(t, e->kind == ENTRY_DIRECTORY ? 0 : ++t->objects, &bytes, &o, err);
	if (r == 0)
		node_lead_to(n, o);
	return r;
}

static const struct entry plain = {.kind = ENTRY_DIRECTORY, .mode = 0755};

int tar_plain_directory(struct buffer *out, struct error *err)
{
	return entry_encode(&plain, out, err);
}

/* ---- paths --------------------------------------------------------------------------------------------- */

/* The next name of a path, from *at on. Empty ones and "." are none. 1: there is one. */
static int next_name(const char *path, const char **at, const char **name, size_t *n, struct error *err)
{
	while (**at) {
		const char *fault;

		*name = *at;
		*n = strcspn(*at, "/");
		*at += *n + ((*at)[*n] == '/');
		if (*n == 0 || (*n == 1 && **name == '.'))
			continue;
		fault = mst_name_fault(*name, *n);
		return fault ? error_set(err, ERROR_INVALID, "%s: %s", path, fault) : 1;
	}
	return 0;
}

static int check_length(const char *path, struct error *err)
{
	return strlen(path) > ENTRY_PATH_MAX
		       ? error_set(err, ERROR_LIMIT, "%.64s…: a path of more than %u bytes", path,
				 ENTRY_PATH_MAX)
		       : 0;
}

static int child_of(struct tar_names *t, struct tar_node *n, const char *name, size_t size,
	struct tar_node **out, struct error *err)
{
	int r;

	*out = map_get(&n->children, name, size);
	if (*out)
		return 0;
	*out = calloc(1, sizeof **out);
	if (!*out)
		return error_no_memory(err, "import an archive");
	r = map_set(&n->children, name, size, *out, NULL, err);
	if (r < 0)
		free(*out);
	t->bytes += NAME_COST + size;
	return r;
}

static int make_node(struct tar_names *t, const char *path, struct tar_node **out, struct error *err)
{
	const char *at = path, *name;
	struct tar_node *n = t->root;
	unsigned depth = 0;
	size_t size;
	int r;

	while ((r = next_name(path, &at, &name, &size, err)) == 1) {
		if (!is_directory(n->object))
			r = tar_names_set(t, n, &plain, err);
		if (r >= 0)
			r = child_of(t, n, name, size, &n, err);
		if (r < 0)
			return r;
		if (++depth >= ENTRY_DEPTH_MAX)
			return error_set(
				err, ERROR_LIMIT, "%.64s…: too many directories in each other", path);
	}
	*out = n;
	return r;
}

static int begin_layer(struct tar_names *t, struct error *err)
{
	node_free(t->root);
	t->bytes = 0;
	t->root = calloc(1, sizeof *t->root);
	return t->root ? 0 : error_no_memory(err, "import an archive");
}

static int put_away(struct tar_names *t, struct error *err);

int tar_names_at(struct tar_names *t, const char *path, struct tar_node **out, bool *root, struct error *err)
{
	int r = check_length(path, err);

	if (r == 0 && t->bytes >= t->most) {
		r = put_away(t, err);
		if (r == 0)
			r = begin_layer(t, err);
	}
	if (r == 0)
		r = make_node(t, path, out, err);
	*root = r == 0 && *out == t->root;
	return r;
}

/* ---- links --------------------------------------------------------------------------------------------- */

struct looking {
	char path[ENTRY_PATH_MAX + 1]; /* as runs have it */
	size_t size;
	struct tar_node *node; /* in memory, NULL: not there */
	bool hidden;           /* what runs have there does not count */
};

static int look_in_memory(struct tar_names *t, const char *path, struct looking *l, struct error *err)
{
	const char *at = path, *name;
	size_t size;
	int r = check_length(path, err);

	l->size = 0;
	l->node = t->root;
	l->hidden = false;
	while (r >= 0 && (r = next_name(path, &at, &name, &size, err)) == 1) {
		if (l->size)
			l->path[l->size++] = '/';
		memcpy(l->path + l->size, name, size);
		l->size += size;
		l->node = l->node ? map_get(&l->node->children, name, size) : NULL;
		l->hidden |= l->node && l->node->alone;
	}
	return r;
}

/* Whether a directory above the path has lost in a run what runs before have in it. */
static int is_hidden(struct tar_names *t, size_t run, const struct looking *l, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->size; i++) {
		struct tar_name above;

		if (l->path[i] != '/')
			continue;
		r = tar_runs_find(t->runs, run, l->path, i, &above, err);
		if (r == 1)
			r = above.alone;
	}
	return r;
}

/* 1: *found is what the path has led to. */
static int look_in_runs(
	struct tar_names *t, const struct looking *l, struct tar_name *found, struct error *err)
{
	int r = 0;

	for (size_t run = t->runs ? tar_runs_count(t->runs) : 0; r == 0 && run > 0;) {
		r = tar_runs_find(t->runs, --run, l->path, l->size, found, err);
		if (r == 1)
			return !tar_name_is_directory(found);
		if (r == 0)
			r = is_hidden(t, run, l, err);
		if (r == 1)
			return 0;
	}
	return r;
}

/* The object of several names is known as such from now on. */
static int note_linked(struct tar_names *t, uint64_t number, struct error *err)
{
	struct tar_linked *linked;
	int r;

	if (map_get(&t->linked, &number, sizeof number))
		return 0;
	linked = calloc(1, sizeof *linked);
	if (!linked)
		return error_no_memory(err, "import an archive");
	r = map_set(&t->linked, &number, sizeof number, linked, NULL, err);
	if (r < 0)
		free(linked);
	return r;
}

static int target_of(struct tar_names *t, const char *target, struct object **out, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct tar_name found;
	struct looking l;
	int r = look_in_memory(t, target, &l, err);

	*out = NULL;
	if (r < 0)
		return r;
	if (l.node && l.node->object) {
		*out = is_directory(l.node->object) ? NULL : l.node->object;
		if (*out)
			(*out)->names++;
		return 0;
	}
	if (l.hidden || (l.node && l.node->children.size))
		return 0;
	r = look_in_runs(t, &l, &found, err);
	if (r <= 0)
		return r;
	if (!buffer_append(&bytes, found.entry, found.entry_size))
		return error_no_memory(err, "import an archive");
	return object_new(t, found.number, &bytes, out, err);
}

int tar_names_link(
	struct tar_names *t, struct tar_node *n, const char *path, const char *target, struct error *err)
{
	struct object *o;
	int r = target_of(t, target, &o, err);

	if (r == 0 && !o)
		r = error_set(err, ERROR_INVALID, "%s: a link to %s, which is not there", path, target);
	if (r < 0)
		return r;
	r = note_linked(t, o->number, err);
	if (r < 0)
		object_drop(o);
	else
		node_lead_to(n, o);
	return r;
}

/* ---- putting away -------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	const struct map_slot *x = *(struct map_slot *const *)a, *y = *(struct map_slot *const *)b;

	return mst_compare((const char *)x->key, x->key_size, (const char *)y->key, y->key_size);
}

static int put_node(struct tar_names *t, const struct tar_node *n, struct error *err)
{
	struct tar_name name = {
		.path = (const char *)t->path.data, .path_size = t->path.size, .alone = n->alone};

	if (n->object) {
		name.number = n->object->number;
		name.entry = n->object->entry;
		name.entry_size = n->object->entry_size;
	}
	return tar_runs_put(t->runs, &name, err);
}

static int put_tree(struct tar_names *t, const struct tar_node *n, struct error *err)
{
	_cleanup_free_ struct map_slot **slots = calloc(n->children.size + 1, sizeof *slots);
	struct map_slot *s;
	size_t count = 0;
	int r = slots ? put_node(t, n, err) : error_no_memory(err, "import an archive");

	for (size_t at = 0; r == 0 && (s = map_next(&n->children, &at));)
		slots[count++] = s;
	if (r == 0)
		qsort(slots, count, sizeof(struct map_slot *), by_bytes);
	for (size_t i = 0; r == 0 && i < count; i++) {
		size_t before = t->path.size;

		if (before)
			buffer_u8(&t->path, '/');
		if (!buffer_append(&t->path, slots[i]->key, slots[i]->key_size))
			return error_no_memory(err, "import an archive");
		r = put_tree(t, slots[i]->value, err);
		t->path.size = before;
	}
	return r;
}

/* All that is in memory becomes a run. */
static int put_away(struct tar_names *t, struct error *err)
{
	int r = t->runs ? 0 : tar_runs_new(t->repository, &t->runs, err);

	if (r == 0)
		r = tar_runs_begin(t->runs, err);
	if (r == 0)
		r = put_tree(t, t->root, err);
	return r < 0 ? r : tar_runs_end(t->runs, err);
}

int tar_names_end(struct tar_names *t, struct error *err)
{
	int r = put_away(t, err);

	node_free(t->root);
	t->root = NULL;
	return r;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

int tar_names_new(struct repository *r, size_t most, struct tar_names **out, struct error *err)
{
	_cleanup_(cleanup_tar_names) struct tar_names *t = calloc(1, sizeof *t);
	int code;

	if (!t)
		return error_no_memory(err, "import an archive");
	t->repository = r;
	t->most = most ? most : NAMES_MOST;
	code = begin_layer(t, err);
	if (code == 0)
		*out = TAKE_PTR(t);
	return code;
}

void tar_names_free(struct tar_names *t)
{
	struct map_slot *s;

	if (!t)
		return;
	node_free(t->root);
	tar_runs_free(t->runs);
	for (size_t at = 0; (s = map_next(&t->linked, &at));) {
		struct tar_linked *linked = s->value;

		free(linked->first);
		free(linked);
	}
	map_free(&t->linked);
	buffer_free(&t->path);
	free(t);
}
