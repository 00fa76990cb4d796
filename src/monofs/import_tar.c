/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive as a tree: contents are stored as they come, names and what they lead to are kept, as an archive
 * may tell them in any order, and more than once; then the tree is put together.
 */
#include <stdlib.h>

#include "base/text.h"
#include "codec/tar.h"
#include "monofs/content.h"
#include "monofs/import.h"
#include "monofs/import_file.h"
#include "monofs/import_tree.h"
#include "monofs/tar_names.h"
#include "monofs/tar_stream.h"

#define LABEL "security.selinux" /* of the host where it was packed */

struct tar_import {
	struct repository *r;
	const struct import_options *o;
	struct import_result *result;
	struct store_writer *w, *ids;
	struct content_writer *contents;
	struct import_tree *tree;
	struct tar_stream *stream;
	struct tar_names *names;
	struct known_roots roots;
};

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

static int take_entry(
	struct tar_import *t, const struct tar_entry *from, struct tar_node *n, struct error *err)
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
		r = tar_names_set(t->names, n, &e, err);
	return r < 0 ? error_prefix(err, "%s", from->path) : 0;
}

static int take(struct tar_import *t, const struct tar_entry *from, struct error *err)
{
	struct tar_node *n;
	bool root;
	int r = tar_names_at(t->names, from->path, &n, &root, err);

	if (r < 0)
		return r;
	if (root && from->type != TAR_DIRECTORY)
		return error_set(err, ERROR_INVALID, "%s: the root is a directory", from->path);
	return from->type == TAR_HARD_LINK ? tar_names_link(t->names, n, from->path, from->link, err)
					   : take_entry(t, from, n, err);
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

static int enter(void *context, const char *name, struct error *err)
{
	struct tar_import *t = context;

	t->result->directories++;
	return import_tree_enter(t->tree, name, false, err);
}

static int leave(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct tar_import *t = context;
	_cleanup_entry_ struct entry e = {0};
	int r = entry_decode(bytes, n, &e, err);

	return r < 0 ? r : import_tree_leave(t->tree, &e, &t->roots, err);
}

/* What has several names is what it is under the first of them, and a link to that under the others. */
static int put(void *context, const char *path, const char *name, const uint8_t *bytes, size_t n,
	struct tar_linked *linked, struct error *err)
{
	struct tar_import *t = context;
	_cleanup_buffer_ struct buffer link = {0};
	int r;

	if (!linked || !linked->first) {
		*(bytes[0] == ENTRY_FILE ? &t->result->files : &t->result->others) += 1;
		if (linked && !(linked->first = text_copy(path, err)))
			return -(int)ERROR_NO_MEMORY;
		return import_tree_put(t->tree, name, bytes, n, linked ? &linked->id : NULL, err);
	}
	t->result->others++;
	r = import_link(linked->first, &link, err);
	return r < 0 ? r : import_tree_put(t->tree, name, link.data, link.size, &linked->id, err);
}

static int run(struct tar_import *t, int fd, const char *name, struct error *err)
{
	const struct tar_walk walk = {.context = t, .enter = enter, .leave = leave, .put = put};
	struct store *s = repository_store(t->r);
	int r = tar_stream_new(fd, name, &t->stream, err);

	if (r == 0)
		r = store_writer_new(s, &t->w, err);
	if (r == 0)
		r = store_writer_new(s, &t->ids, err);
	if (r == 0)
		r = content_writer_new(t->w, repository_crypt(t->r), &t->contents, err);
	if (r == 0)
		r = tar_names_new(t->r, t->o->names_most, &t->names, err);
	if (r == 0)
		r = read_all(t, err);
	if (r == 0)
		r = import_tree_new(t->r, t->o->parent, NULL, t->w, t->ids, &t->tree, err);
	if (r == 0)
		r = tar_names_walk(t->names, &walk, err);
	if (r == 0)
		r = store_writer_flush(t->w, err);
	return r < 0 ? r : store_writer_flush(t->ids, err);
}

int import_tar(struct repository *r, int fd, const char *name, const struct import_options *o,
	struct import_result *out, struct error *err)
{
	struct tar_import t = {.r = r, .o = o, .result = out};
	struct progress_event e = {.task = "import", .unit = "bytes", .finished = true};
	int code;

	*out = (struct import_result){0};
	code = run(&t, fd, name, err);
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
	tar_names_free(t.names);
	return code;
}
