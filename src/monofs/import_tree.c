/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import_tree.h"

#include <sodium.h>

#include "base/text.h"
#include "monofs/mst_cursor.h"

#define CHANGES_MOST 4096u /* that are kept in memory before they go into the maps */

/* One map of a directory that is made: of all its names, or by changes of an old one. */
struct sink {
	struct store_writer *w;
	struct mst map;
	struct mst_builder *builder; /* NULL: changes */
	struct object_id root;       /* of the old map, with the changes that did not find room any more */
	bool flushed;                /* the root is of this import */
	struct change {
		size_t name, name_size, value, value_size; /* in bytes */
		bool removed;
	} * changes;
	size_t count;
	struct buffer bytes;
};

/* A directory as another tree has it. */
struct old {
	bool looked, there;
	struct tree_object object;
	struct mst_cursor *content, *identity; /* where it is asked for the next name */
};

struct level {
	char *name;
	bool changes;
	bool changed; /* something was told */
	struct old parent, known;
	struct sink content, identity;
};

struct import_tree {
	struct repository *r;
	struct store_writer *w, *ids;
	struct mst content, identity;
	struct tree_object parent, known; /* roots */
	bool has_parent, has_known, same;
	uint64_t replica, clock;
	struct level *levels;
	size_t depth, room;
	struct buffer value; /* an encoded identity */
	struct buffer entry;
};

/* ---- sinks ---- */

static void sink_free(struct sink *s)
{
	mst_builder_free(s->builder);
	free(s->changes);
	buffer_free(&s->bytes);
}

static int sink_begin(struct sink *s, const struct mst *map, struct store_writer *w, bool changes,
	const struct object_id *root, struct error *err)
{
	*s = (struct sink){.w = w, .map = *map, .root = *root};
	return changes ? 0 : mst_builder_new(map, w, &s->builder, err);
}

static int sink_apply(struct sink *s, struct error *err)
{
	_cleanup_free_ struct mst_item *items = NULL;
	int r = 0;

	if (s->count == 0)
		return 0;
	items = calloc(s->count, sizeof *items);
	if (!items)
		return error_no_memory(err, "put a directory together");
	for (size_t i = 0; i < s->count; i++) {
		const struct change *c = &s->changes[i];

		items[i].name = (const char *)s->bytes.data + c->name;
		items[i].name_size = c->name_size;
		items[i].value = c->removed ? NULL : s->bytes.data + c->value;
		items[i].value_size = c->value_size;
	}
	if (s->flushed)
		r = store_writer_flush(s->w, err);
	if (r == 0)
		r = mst_update(&s->map, s->w, &s->root, items, s->count, &s->root, NULL, err);
	s->flushed = true;
	s->count = 0;
	buffer_clear(&s->bytes);
	return r;
}

/* value NULL: it is removed. */
static int sink_put(struct sink *s, const char *name, const void *value, size_t value_size, struct error *err)
{
	struct mst_item item = {
		.name = name, .name_size = strlen(name), .value = value, .value_size = value_size};
	struct change *c;
	int r = 0;

	if (s->builder)
		return mst_builder_add(s->builder, &item, err);
	if (s->count == CHANGES_MOST)
		r = sink_apply(s, err);
	if (r == 0 && !s->changes) {
		s->changes = malloc(CHANGES_MOST * sizeof *s->changes);
		if (!s->changes)
			return error_no_memory(err, "put a directory together");
	}
	if (r < 0)
		return r;
	c = &s->changes[s->count++];
	*c = (struct change){.name = s->bytes.size, .name_size = item.name_size, .removed = !value};
	buffer_append(&s->bytes, name, item.name_size);
	c->value = s->bytes.size;
	c->value_size = value_size;
	if (value_size)
		buffer_append(&s->bytes, value, value_size);
	return s->bytes.failed ? error_no_memory(err, "put a directory together") : 0;
}

static int sink_end(struct sink *s, struct object_id *root, struct error *err)
{
	int r = s->builder ? mst_builder_finish(s->builder, &s->root, NULL, err) : sink_apply(s, err);

	*root = s->root;
	return r;
}

/* ---- old trees ---- */

static void old_free(struct old *o)
{
	if (o->content)
		mst_cursor_end(o->content);
	if (o->identity)
		mst_cursor_end(o->identity);
	free(o->content);
	free(o->identity);
	tree_object_free(&o->object);
}

/* The directory at this depth in the parent's tree or the known one: looked for where it is needed first. */
static int old_look(struct import_tree *t, size_t depth, bool known, struct error *err)
{
	struct level *l = &t->levels[depth];
	struct old *o = known ? &l->known : &l->parent, *above;
	int r;

	if (o->looked)
		return 0;
	if (depth == 0) {
		struct tree_object *root = known ? &t->known : &t->parent;

		o->there = known ? t->has_known : t->has_parent;
		o->object = *root;
		o->object.entry.held = NULL; /* the tree's */
		o->looked = true;
		return 0;
	}
	r = old_look(t, depth - 1, known, err);
	if (r < 0)
		return r;
	above = known ? &t->levels[depth - 1].known : &t->levels[depth - 1].parent;
	r = above->there ? tree_child(t->r, &above->object, l->name, strlen(l->name), &o->object, err) : 0;
	if (r < 0)
		return r;
	o->there = r == 1 && o->object.entry.kind == ENTRY_DIRECTORY;
	o->looked = true;
	return 0;
}

static int cursor_find(struct mst_cursor **cursor, const struct mst *map, const struct object_id *root,
	const char *name, const struct mst_item **found, struct error *err)
{
	int r;

	*found = NULL;
	if (!*cursor) {
		*cursor = malloc(sizeof **cursor);
		if (!*cursor)
			return error_no_memory(err, "look for a name");
		mst_cursor_begin(*cursor, map, root);
	}
	r = mst_cursor_seek(*cursor, name, strlen(name), err);
	if (r == 1)
		*found = &(*cursor)->item;
	return r < 0 ? r : 0;
}

/* What a name has there; NULL: nothing. Names are asked for in order. */
static int old_find(struct import_tree *t, bool known, const char *name, const struct mst_item **content,
	const struct mst_item **identity, struct error *err)
{
	struct level *l = &t->levels[t->depth - 1];
	struct old *o = known ? &l->known : &l->parent;
	int r = old_look(t, t->depth - 1, known, err);

	*content = *identity = NULL;
	if (r < 0 || !o->there)
		return r;
	r = cursor_find(&o->content, &t->content, &o->object.entry.children, name, content, err);
	if (r < 0 || !*content)
		return r;
	return cursor_find(&o->identity, &t->identity, &o->object.identity.children, name, identity, err);
}

/* ---- the tree ---- */

static int load_roots(
	struct import_tree *t, const struct known_roots *roots, struct tree_object *out, struct error *err)
{
	struct store *s = repository_store(t->r);
	int r = root_get_content(s, &roots->content, &out->entry, err);

	return r < 0 ? r : root_get_identity(s, &roots->identity, &out->identity, err);
}

int import_tree_new(struct repository *r, const struct object_id *parent, const struct known_roots *known,
	struct store_writer *w, struct store_writer *ids, struct import_tree **out, struct error *err)
{
	_cleanup_(cleanup_import_tree) struct import_tree *t = calloc(1, sizeof *t);
	_cleanup_commit_ struct commit c = {0};
	int code = 0;

	if (!t)
		return error_no_memory(err, "put a tree together");
	t->r = r;
	t->w = w;
	t->ids = ids;
	t->content = tree_map(r, OBJECT_CONTENT);
	t->identity = tree_map(r, OBJECT_IDENTITY);
	t->replica = repository_replica(r);
	t->has_parent = parent != NULL;
	t->has_known = known != NULL;
	if (parent)
		code = commit_get(repository_store(r), parent, &c, err);
	if (parent && code == 0) {
		struct known_roots roots = {.content = c.content, .identity = c.identity};

		repository_saw(r, c.clock);
		t->same = known && object_id_equal(&known->content, &c.content) &&
			  object_id_equal(&known->identity, &c.identity);
		code = load_roots(t, &roots, &t->parent, err);
	}
	if (known && code == 0)
		code = load_roots(t, known, &t->known, err);
	if (code < 0)
		return code;
	t->clock = repository_clock(r);
	*out = TAKE_PTR(t);
	return 0;
}

static void level_free(struct level *l)
{
	free(l->name);
	old_free(&l->parent);
	old_free(&l->known);
	sink_free(&l->content);
	sink_free(&l->identity);
	*l = (struct level){0};
}

void import_tree_free(struct import_tree *t)
{
	if (!t)
		return;
	while (t->depth)
		level_free(&t->levels[--t->depth]);
	free(t->levels);
	tree_object_free(&t->parent);
	tree_object_free(&t->known);
	buffer_free(&t->value);
	buffer_free(&t->entry);
	free(t);
}

bool import_tree_takes_changes(const struct import_tree *t)
{
	return t->same;
}

static int grow(struct import_tree *t, struct error *err)
{
	size_t room = t->room ? 2 * t->room : 16;
	struct level *levels;

	if (t->depth == ENTRY_DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "more than %u directories in each other", ENTRY_DEPTH_MAX);
	if (t->depth < t->room)
		return 0;
	levels = realloc(t->levels, room * sizeof *levels);
	if (!levels)
		return error_no_memory(err, "put a tree together");
	t->levels = levels;
	t->room = room;
	return 0;
}

/* Where changes are told, the old maps are needed as soon as there is one. */
static int begin_sinks(struct import_tree *t, struct error *err)
{
	struct level *l = &t->levels[t->depth - 1];
	int r = 0;

	if (l->changed)
		return 0;
	l->changed = true;
	if (l->changes)
		r = old_look(t, t->depth - 1, false, err);
	if (r == 0)
		r = sink_begin(
			&l->content, &t->content, t->w, l->changes, &l->parent.object.entry.children, err);
	return r < 0 ? r
		     : sink_begin(&l->identity, &t->identity, t->ids, l->changes,
			       &l->parent.object.identity.children, err);
}

int import_tree_enter(struct import_tree *t, const char *name, bool changes, struct error *err)
{
	int r = grow(t, err);

	if (r < 0)
		return r;
	t->levels[t->depth] = (struct level){.name = text_copy(name, err), .changes = changes && t->same};
	if (!t->levels[t->depth].name)
		return -(int)ERROR_NO_MEMORY;
	t->depth++;
	return t->levels[t->depth - 1].changes ? 0 : begin_sinks(t, err);
}

static int encode_identity(struct import_tree *t, const struct identity *i, struct error *err)
{
	buffer_clear(&t->value);
	return identity_encode(i, &t->value, err);
}

/* What a name is given as identity: the one that it had, and with it the last writer where nothing is new.
 * *same: all is as it was. */
static int identity_for(struct import_tree *t, const char *name, const uint8_t *entry, size_t entry_size,
	const struct import_id *id, struct identity *out, bool *same, struct error *err)
{
	const struct mst_item *content, *identity;
	struct identity before = {0};
	int r = old_find(t, false, name, &content, &identity, err);

	*same = false;
	if (r == 0 && identity)
		r = identity_decode(identity->value, identity->value_size, &before, err);
	if (r < 0)
		return r;
	*out = (struct identity){.replica = t->replica, .clock = t->clock};
	if (id && id->set)
		memcpy(out->id, id->bytes, ENTRY_ID_SIZE);
	else if (identity && content->value_size > 0 && *(const uint8_t *)content->value != ENTRY_DIRECTORY)
		memcpy(out->id, before.id, ENTRY_ID_SIZE);
	else
		randombytes_buf(out->id, ENTRY_ID_SIZE);
	if (identity && content->value_size == entry_size && memcmp(content->value, entry, entry_size) == 0 &&
		memcmp(out->id, before.id, ENTRY_ID_SIZE) == 0) {
		*same = object_id_is_none(&before.children);
		out->replica = before.replica;
		out->clock = before.clock;
	}
	return 0;
}

static int put_both(struct import_tree *t, const char *name, const uint8_t *entry, size_t entry_size,
	const struct identity *identity, struct error *err)
{
	struct level *l = &t->levels[t->depth - 1];
	int r = begin_sinks(t, err);

	if (r == 0)
		r = encode_identity(t, identity, err);
	if (r == 0)
		r = sink_put(&l->content, name, entry, entry_size, err);
	return r < 0 ? r : sink_put(&l->identity, name, t->value.data, t->value.size, err);
}

static void set_id(struct import_id *id, const uint8_t bytes[ENTRY_ID_SIZE])
{
	if (!id)
		return;
	id->set = true;
	memcpy(id->bytes, bytes, ENTRY_ID_SIZE);
}

int import_tree_put(struct import_tree *t, const char *name, const uint8_t *entry, size_t entry_size,
	struct import_id *id, struct error *err)
{
	struct identity identity;
	bool same;
	int r = identity_for(t, name, entry, entry_size, id, &identity, &same, err);

	if (r < 0)
		return r;
	set_id(id, identity.id);
	if (same && t->levels[t->depth - 1].changes)
		return 0;
	return put_both(t, name, entry, entry_size, &identity, err);
}

int import_tree_keep(struct import_tree *t, const char *name, struct import_id *id, struct error *err)
{
	const struct mst_item *content, *identity;
	struct identity is;
	int r;

	if (t->levels[t->depth - 1].changes && !id)
		return 0;
	r = old_find(t, true, name, &content, &identity, err);
	if (r == 0 && !identity)
		r = error_set(
			err, ERROR_CORRUPT, "%s: it is known, and not in the tree that was imported", name);
	if (r < 0)
		return r;
	if (!t->levels[t->depth - 1].changes)
		return import_tree_put(t, name, content->value, content->value_size, id, err);
	r = identity_decode(identity->value, identity->value_size, &is, err);
	if (r == 0)
		set_id(id, is.id);
	return r;
}

bool import_tree_is_changes(const struct import_tree *t)
{
	return t->levels[t->depth - 1].changes;
}

int import_tree_remove(struct import_tree *t, const char *name, struct error *err)
{
	struct level *l = &t->levels[t->depth - 1];
	int r = begin_sinks(t, err);

	if (r == 0)
		r = sink_put(&l->content, name, NULL, 0, err);
	return r < 0 ? r : sink_put(&l->identity, name, NULL, 0, err);
}

/* Whether a directory's own metadata is what it was, whatever its children are. */
static bool same_metadata(struct entry *now, const struct entry *before)
{
	_cleanup_buffer_ struct buffer a = {0}, b = {0};
	struct entry x = *now, y = *before;

	x.children = y.children = (struct object_id){0};
	return entry_encode(&x, &a, NULL) == 0 && entry_encode(&y, &b, NULL) == 0 && buffer_equal(&a, &b);
}

/* The directory that was left is given to the one above, or is the root. */
static int put_directory(struct import_tree *t, const char *name, const struct entry *entry,
	const struct identity *identity, struct known_roots *roots, struct error *err)
{
	int r;

	if (t->depth == 0) {
		r = root_put_content(t->w, entry, &roots->content, err);
		return r < 0 ? r : root_put_identity(t->ids, identity, &roots->identity, err);
	}
	buffer_clear(&t->entry);
	r = entry_encode(entry, &t->entry, err);
	return r < 0 ? r : put_both(t, name, t->entry.data, t->entry.size, identity, err);
}

/* Its entry and identity as they are now. */
static int end_directory(struct import_tree *t, struct level *l, const struct entry *meta,
	struct entry *entry, struct identity *identity, struct error *err)
{
	struct old *o = &l->parent;
	int r = old_look(t, t->depth - 1, false, err);

	if (r == 0 && !meta)
		r = old_look(t, t->depth - 1, true, err);
	if (r < 0)
		return r;
	if (!meta && !l->known.there)
		return error_set(err, ERROR_CORRUPT, "%s: it is known, and not in the tree that was imported",
			l->name);
	*entry = meta ? *meta : l->known.object.entry;
	*identity = (struct identity){.replica = t->replica, .clock = t->clock};
	if (o->there) {
		memcpy(identity->id, o->object.identity.id, ENTRY_ID_SIZE);
		entry->children = o->object.entry.children;
		identity->children = o->object.identity.children;
	} else {
		randombytes_buf(identity->id, ENTRY_ID_SIZE);
	}
	if (o->there && same_metadata(entry, &o->object.entry)) {
		identity->replica = o->object.identity.replica;
		identity->clock = o->object.identity.clock;
	}
	if (l->changed)
		r = sink_end(&l->content, &entry->children, err);
	if (r == 0 && l->changed)
		r = sink_end(&l->identity, &identity->children, err);
	return r;
}

int import_tree_leave(struct import_tree *t, struct entry *meta, struct known_roots *roots, struct error *err)
{
	struct level left, *l = &t->levels[t->depth - 1];
	struct entry entry;
	struct identity identity;
	int r;

	/* Nothing was told of it at all, so the one above has it as it is; the root is always made. */
	if (t->depth > 1 && l->changes && !l->changed && !meta) {
		level_free(&t->levels[--t->depth]);
		return 0;
	}
	r = end_directory(t, l, meta, &entry, &identity, err);
	left = t->levels[--t->depth];
	if (r == 0)
		r = put_directory(t, left.name, &entry, &identity, roots, err);
	level_free(&left);
	return r;
}
