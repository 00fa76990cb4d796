/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive as a tree: contents are stored as they come, names and what they lead to are kept in memory, as
 * an archive may tell them in any order, and more than once; then the tree is put together.
 */
#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"
#include "codec/tar.h"
#include "monofs/content.h"
#include "monofs/import.h"
#include "monofs/import_tree.h"
#include "monofs/mst_node.h"
#include "monofs/tar_stream.h"

#define LABEL "security.selinux" /* of the host where it was packed */

/* What names lead to. */
struct object {
	unsigned names;
	bool directory;
	uint8_t *entry;
	size_t entry_size;
	struct import_id id;
	char *first; /* the first name's path, when that is in the tree */
};

struct node {
	struct object *object;
	struct map children; /* name: struct node */
};

struct tar_import {
	struct repository *r;
	const struct import_options *o;
	struct import_result *result;
	struct store_writer *w, *ids;
	struct content_writer *contents;
	struct import_tree *tree;
	struct tar_stream *stream;
	struct node *root;
	struct buffer path;
	struct known_roots roots;
};

/* ---- names ---- */

static void object_drop(struct object *o)
{
	if (!o || --o->names > 0)
		return;
	free(o->entry);
	free(o->first);
	free(o);
}

static void node_free(struct node *n)
{
	struct map_slot *s;

	if (!n)
		return;
	for (size_t at = 0; (s = map_next(&n->children, &at));)
		node_free(s->value);
	map_free(&n->children);
	object_drop(n->object);
	free(n);
}

/* An entry of its own for a node, instead of what it had. */
static int node_set(struct node *n, const struct entry *e, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct object *o;
	int r = entry_encode(e, &bytes, err);

	if (r < 0)
		return r;
	o = calloc(1, sizeof *o);
	if (!o)
		return error_no_memory(err, "import an archive");
	o->names = 1;
	o->directory = e->kind == ENTRY_DIRECTORY;
	o->entry_size = bytes.size;
	o->entry = TAKE_PTR(bytes.data);
	object_drop(n->object);
	n->object = o;
	return 0;
}

/* A directory that no entry of the archive tells of (yet). */
static int node_set_plain(struct node *n, struct error *err)
{
	const struct entry e = {.kind = ENTRY_DIRECTORY, .mode = 0755};

	return node_set(n, &e, err);
}

static void node_remove_children(struct node *n)
{
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(&n->children, &at));)
		node_free(s->value);
	map_free(&n->children);
}

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

static int child_of(struct node *n, const char *name, size_t size, struct node **out, struct error *err)
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
	return r;
}

/* The node of a path. make: it is made, with the directories above it. *out NULL: it is not there. */
static int find(struct tar_import *t, const char *path, bool make, struct node **out, struct error *err)
{
	const char *at = path, *name;
	struct node *n = t->root;
	unsigned depth = 0;
	size_t size;
	int r;

	if (strlen(path) > ENTRY_PATH_MAX)
		return error_set(
			err, ERROR_LIMIT, "%.64s…: a path of more than %u bytes", path, ENTRY_PATH_MAX);
	*out = NULL;
	while ((r = next_name(path, &at, &name, &size, err)) == 1) {
		if (make && !(n->object && n->object->directory)) {
			r = node_set_plain(n, err);
			if (r < 0)
				return r;
		}
		if (make)
			r = child_of(n, name, size, &n, err);
		else
			n = map_get(&n->children, name, size);
		if (r < 0 || !n)
			return r < 0 ? r : 0;
		if (++depth >= ENTRY_DEPTH_MAX)
			return error_set(
				err, ERROR_LIMIT, "%.64s…: too many directories in each other", path);
	}
	*out = n;
	return r;
}

/* ---- contents ---- */

static ssize_t read_content(void *context, void *to, size_t n, uint64_t *hole, struct error *err)
{
	return tar_stream_read(context, to, n, hole, err);
}

/* ---- entries ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry_xattr *)a)->name, ((const struct entry_xattr *)b)->name);
}

static int take_xattrs(struct tar_import *t, const struct tar_entry *from, struct entry *e, struct error *err)
{
	e->xattrs = calloc(from->xattr_count + 1, sizeof *e->xattrs);
	e->held = e->xattrs;
	if (!e->xattrs)
		return error_no_memory(err, "import an archive");
	for (size_t i = 0; i < from->xattr_count; i++) {
		const struct tar_xattr *x = &from->xattrs[i];
		struct entry_xattr *out = &e->xattrs[e->xattr_count];
		int r = 0;

		if (strcmp(x->name, LABEL) == 0)
			continue;
		*out = (struct entry_xattr){.name = x->name, .value = x->value, .value_size = x->size};
		if (x->size > ENTRY_INLINE_MAX)
			r = store_put(t->w, OBJECT_VALUE, x->value, x->size, &out->object, NULL, err);
		if (r < 0)
			return r;
		e->xattr_count++;
	}
	qsort(e->xattrs, e->xattr_count, sizeof *e->xattrs, by_name);
	return 0;
}

static enum entry_kind kind_of(enum tar_type type)
{
	switch (type) {
	case TAR_DIRECTORY:
		return ENTRY_DIRECTORY;
	case TAR_SYMBOLIC_LINK:
		return ENTRY_SYMLINK;
	case TAR_CHARACTER_DEVICE:
		return ENTRY_CHARACTER;
	case TAR_BLOCK_DEVICE:
		return ENTRY_BLOCK;
	case TAR_FIFO:
		return ENTRY_FIFO;
	case TAR_FILE:
	case TAR_HARD_LINK:
		break;
	}
	return ENTRY_FILE;
}

static int take_entry(struct tar_import *t, const struct tar_entry *from, struct node *n, struct error *err)
{
	_cleanup_entry_ struct entry e = {.kind = kind_of(from->type),
		.mode = from->mode,
		.uid = from->uid,
		.gid = from->gid,
		.mtime = {.seconds = from->mtime, .nanoseconds = from->mtime_nanoseconds}};
	struct content_source source = {.read = read_content, .context = t->stream};
	int r = take_xattrs(t, from, &e, err);

	if (e.kind == ENTRY_SYMLINK) {
		e.mode = 0777;
		e.target = from->link;
		e.target_size = strlen(from->link);
	} else if (e.kind == ENTRY_CHARACTER || e.kind == ENTRY_BLOCK) {
		e.major = from->device_major;
		e.minor = from->device_minor;
	}
	if (r == 0 && e.kind == ENTRY_FILE) {
		r = content_write(t->contents, &source, &e.content, err);
		t->result->read_files++;
		t->result->read_bytes += e.content.size;
	}
	if (r == 0)
		r = node_set(n, &e, err);
	if (r == 0 && e.kind != ENTRY_DIRECTORY)
		node_remove_children(n);
	return r;
}

static int take_link(struct tar_import *t, const struct tar_entry *from, struct node *n, struct error *err)
{
	struct node *target;
	int r = find(t, from->link, false, &target, err);

	if (r < 0)
		return r;
	if (!target || !target->object || target->object->directory)
		return error_set(
			err, ERROR_INVALID, "%s: a link to %s, which is not there", from->path, from->link);
	if (target == n)
		return 0;
	target->object->names++;
	object_drop(n->object);
	n->object = target->object;
	node_remove_children(n);
	return 0;
}

static int take(struct tar_import *t, const struct tar_entry *from, struct error *err)
{
	struct node *n;
	int r = find(t, from->path, true, &n, err);

	if (r < 0)
		return r;
	if (n == t->root && from->type != TAR_DIRECTORY)
		return error_set(err, ERROR_INVALID, "%s: the root is a directory", from->path);
	return from->type == TAR_HARD_LINK ? take_link(t, from, n, err) : take_entry(t, from, n, err);
}

static int read_all(struct tar_import *t, struct error *err)
{
	const struct tar_entry *entry;
	int r;

	while ((r = tar_stream_next(t->stream, &entry, err)) == 1) {
		struct progress_event e = {.task = "import", .unit = "bytes", .done = t->result->read_bytes};

		r = take(t, entry, err);
		if (r < 0)
			return r;
		if (t->result->read_files % 256 == 0)
			progress_report(t->o->progress, &e);
	}
	return r;
}

/* ---- the tree ---- */

static int by_bytes(const void *a, const void *b)
{
	const struct map_slot *x = *(struct map_slot *const *)a, *y = *(struct map_slot *const *)b;

	return mst_compare((const char *)x->key, x->key_size, (const char *)y->key, y->key_size);
}

static int build(struct tar_import *t, struct node *n, const char *name, struct error *err);

static int build_object(struct tar_import *t, struct object *o, const char *name, struct error *err)
{
	_cleanup_buffer_ struct buffer link = {0};
	struct entry e = {.kind = ENTRY_LINK};
	int r;

	if (!o->first) {
		*(o->entry[0] == ENTRY_FILE ? &t->result->files : &t->result->others) += 1;
		o->first = text_copy_bytes(t->path.data, t->path.size, err);
		return o->first ? import_tree_put(t->tree, name, o->entry, o->entry_size, &o->id, err)
				: -(int)ERROR_NO_MEMORY;
	}
	t->result->others++;
	e.target = o->first;
	e.target_size = strlen(o->first);
	r = entry_encode(&e, &link, err);
	return r < 0 ? r : import_tree_put(t->tree, name, link.data, link.size, &o->id, err);
}

static int build_children(struct tar_import *t, struct node *n, struct error *err)
{
	_cleanup_free_ struct map_slot **slots = calloc(n->children.size + 1, sizeof *slots);
	struct map_slot *s;
	size_t count = 0;
	int r = slots ? 0 : error_no_memory(err, "import an archive");

	for (size_t at = 0; r == 0 && (s = map_next(&n->children, &at));)
		slots[count++] = s;
	if (r == 0)
		qsort(slots, count, sizeof *slots, by_bytes);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct node *child = slots[i]->value;
		size_t before = t->path.size;
		char name[MST_NAME_MAX + 1];

		memcpy(name, slots[i]->key, slots[i]->key_size);
		name[slots[i]->key_size] = 0;
		if (before)
			buffer_u8(&t->path, '/');
		if (!buffer_append_text(&t->path, name))
			return error_no_memory(err, "import an archive");
		r = child->object->directory ? build(t, child, name, err)
					     : build_object(t, child->object, name, err);
		t->path.size = before;
	}
	return r;
}

static int build(struct tar_import *t, struct node *n, const char *name, struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	int r = import_tree_enter(t->tree, name, false, err);

	t->result->directories++;
	if (r == 0)
		r = build_children(t, n, err);
	if (r == 0)
		r = entry_decode(n->object->entry, n->object->entry_size, &e, err);
	return r < 0 ? r : import_tree_leave(t->tree, &e, &t->roots, err);
}

static int run(struct tar_import *t, int fd, const char *name, struct error *err)
{
	struct store *s = repository_store(t->r);
	int r = tar_stream_new(fd, name, &t->stream, err);

	if (r == 0)
		r = store_writer_new(s, &t->w, err);
	if (r == 0)
		r = store_writer_new(s, &t->ids, err);
	if (r == 0)
		r = content_writer_new(t->w, repository_crypt(t->r), &t->contents, err);
	if (r == 0)
		r = node_set_plain(t->root, err);
	if (r == 0)
		r = read_all(t, err);
	if (r == 0)
		r = import_tree_new(t->r, t->o->parent, NULL, t->w, t->ids, &t->tree, err);
	if (r == 0)
		r = build(t, t->root, "", err);
	if (r == 0)
		r = store_writer_flush(t->w, err);
	return r < 0 ? r : store_writer_flush(t->ids, err);
}

int import_tar(struct repository *r, int fd, const char *name, const struct import_options *o,
	struct import_result *out, struct error *err)
{
	struct tar_import t = {.r = r, .o = o, .result = out, .root = calloc(1, sizeof *t.root)};
	struct progress_event e = {.task = "import", .unit = "bytes", .finished = true};
	int code;

	*out = (struct import_result){0};
	code = t.root ? run(&t, fd, name, err) : error_no_memory(err, "import an archive");
	out->content = t.roots.content;
	out->identity = t.roots.identity;
	out->bytes = e.done = out->read_bytes;
	store_written(repository_store(r), &out->written);
	progress_report(o->progress, &e);
	import_tree_free(t.tree);
	content_writer_free(t.contents);
	store_writer_free(t.w);
	store_writer_free(t.ids);
	tar_stream_free(t.stream);
	buffer_free(&t.path);
	node_free(t.root);
	return code;
}
