/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as an archive, in the order of a walk. */
#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"
#include "codec/tar.h"
#include "monofs/content.h"
#include "monofs/restore.h"
#include "monofs/tree_links.h"
#include "os/fs.h"

#define BUFFER_SIZE (1u << 20)
#define PARTS_MOST  65536u /* of one file; its holes are zeroes where it has more */

struct tar_restore {
	struct repository *r;
	const struct object_id *commit;
	const struct restore_options *o;
	struct restore_result *result;
	int fd;
	struct buffer out;
	const char *within;
	struct tree_links links;
	struct map outside; /* first names that lie outside of that: the path that they have in the archive */
	struct map sockets; /* paths that the archive does not have, as it has no sockets */
	unsigned depth;
	struct tar_part *parts; /* of the file that is written, and room; none: it has no holes */
	size_t part_count, part_room;
};

static int flush(struct tar_restore *t, size_t least, struct error *err)
{
	int r;

	if (t->out.failed)
		return error_no_memory(err, "write an archive");
	if (t->out.size < least)
		return 0;
	r = fs_write_all(t->fd, t->out.data, t->out.size, "the archive", err);
	buffer_clear(&t->out);
	return r;
}

/* ---- holes ---- */

static int add_part(struct tar_restore *t, uint64_t offset, uint64_t size, struct error *err)
{
	if (t->part_count == t->part_room) {
		size_t room = t->part_room ? 2 * t->part_room : 64;
		struct tar_part *parts = reallocarray(t->parts, room, sizeof *parts);

		if (!parts)
			return error_no_memory(err, "write an archive");
		t->parts = parts;
		t->part_room = room;
	}
	t->parts[t->part_count++] = (struct tar_part){offset, size};
	return 0;
}

/* 1: they are more than are told. */
static int find_part(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	struct tar_restore *t = context;
	struct tar_part *last = t->part_count ? &t->parts[t->part_count - 1] : NULL;

	if (object_id_is_none(&ref->id))
		return 0;
	if (last && last->offset + last->size == offset) {
		last->size += ref->size;
		return 0;
	}
	return t->part_count == PARTS_MOST ? 1 : add_part(t, offset, ref->size, err);
}

/* What of a file the archive is to have, where that is not all. */
static int find_parts(struct tar_restore *t, const struct content *c, struct error *err)
{
	const struct tar_part *last;
	int r;

	t->part_count = 0;
	r = c->ref_count ? content_walk(repository_store(t->r), c, find_part, NULL, t, err) : 1;
	if (r < 0)
		return r;
	last = t->part_count ? &t->parts[t->part_count - 1] : NULL;
	if (r == 1 || (last && last->offset == 0 && last->size == c->size)) {
		t->part_count = 0;
		return 0;
	}
	return last && last->offset + last->size == c->size ? 0 : add_part(t, c->size, 0, err);
}

/* ---- contents ---- */

static int put_zeroes(struct tar_restore *t, uint64_t n, struct error *err)
{
	static const uint8_t zeroes[65536];

	while (n > 0) {
		size_t part = n < sizeof zeroes ? (size_t)n : sizeof zeroes;
		int r;

		buffer_append(&t->out, zeroes, part);
		r = flush(t, BUFFER_SIZE, err);
		if (r < 0)
			return r;
		n -= part;
	}
	return 0;
}

static int put_chunk(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	struct tar_restore *t = context;
	struct store_bytes chunk = {0};
	int r;

	(void)offset;
	if (object_id_is_none(&ref->id))
		return t->part_count ? 0 : put_zeroes(t, ref->size, err);
	r = content_chunk(repository_store(t->r), ref, &chunk, err);
	if (r < 0)
		return r;
	buffer_append(&t->out, chunk.bytes, chunk.size);
	store_release(repository_store(t->r), &chunk);
	return flush(t, BUFFER_SIZE, err);
}

static int put_content(struct tar_restore *t, const struct content *c, struct error *err)
{
	uint64_t stored = t->part_count ? 0 : c->size;
	int r = 0;

	for (size_t i = 0; i < t->part_count; i++)
		stored += t->parts[i].size;
	if (c->ref_count)
		r = content_walk(repository_store(t->r), c, put_chunk, NULL, t, err);
	else if (c->size)
		buffer_append(&t->out, c->bytes, (size_t)c->size);
	return r < 0 ? r : put_zeroes(t, tar_padding(stored), err);
}

/* ---- headers ---- */

static enum tar_type type_of(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_DIRECTORY:
		return TAR_DIRECTORY;
	case ENTRY_SYMLINK:
		return TAR_SYMBOLIC_LINK;
	case ENTRY_FIFO:
		return TAR_FIFO;
	case ENTRY_CHARACTER:
		return TAR_CHARACTER_DEVICE;
	case ENTRY_BLOCK:
		return TAR_BLOCK_DEVICE;
	case ENTRY_LINK:
		return TAR_HARD_LINK;
	case ENTRY_FILE:
	case ENTRY_SOCKET:
		break;
	}
	return TAR_FILE;
}

/* Values that are objects are copied; names are the entry's. */
static int take_xattrs(struct tar_restore *t, const struct entry *e, struct tar_entry *out, struct error *err)
{
	out->xattrs = calloc(e->xattr_count + 1, sizeof *out->xattrs);
	if (!out->xattrs)
		return error_no_memory(err, "write an archive");
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		struct store_bytes held = {.bytes = x->value, .size = x->value_size};
		int r = object_id_is_none(&x->object)
				? 0
				: store_get(repository_store(t->r), OBJECT_VALUE, &x->object, &held, err);

		if (r < 0)
			return r;
		out->xattrs[i].name = (char *)x->name;
		out->xattrs[i].size = held.size;
		out->xattrs[i].value = malloc(held.size + 1);
		out->xattr_count++;
		if (out->xattrs[i].value && held.size)
			memcpy(out->xattrs[i].value, held.bytes, held.size);
		if (held.held)
			store_release(repository_store(t->r), &held);
		if (!out->xattrs[i].value)
			return error_no_memory(err, "write an archive");
	}
	return 0;
}

/* link: target of a link, in the archive or of a symbolic one. */
static int put_entry(
	struct tar_restore *t, const char *path, const char *link, const struct entry *e, struct error *err)
{
	struct tar_entry out = {.type = type_of(e->kind),
		.path = (char *)path,
		.link = (char *)link,
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.size = e->kind == ENTRY_FILE ? e->content.size : 0,
		.mtime = e->mtime.seconds,
		.mtime_nanoseconds = e->mtime.nanoseconds,
		.device_major = e->major,
		.device_minor = e->minor};
	int r = take_xattrs(t, e, &out, err);

	t->part_count = 0;
	if (r == 0 && e->kind == ENTRY_FILE)
		r = find_parts(t, &e->content, err);
	if (r == 0)
		r = t->part_count ? tar_write_sparse(&t->out, &out, t->parts, t->part_count, err)
				  : tar_write_entry(&t->out, &out, err);
	for (size_t i = 0; i < out.xattr_count; i++)
		free(out.xattrs[i].value);
	free(out.xattrs);
	if (r == 0 && e->kind == ENTRY_FILE) {
		t->result->files++;
		t->result->bytes += e->content.size;
		return put_content(t, &e->content, err);
	}
	*(e->kind == ENTRY_DIRECTORY ? &t->result->directories : &t->result->others) += 1;
	return r;
}

/* ---- the tree ---- */

struct place {
	struct tar_restore *t;
	const char *path;
};

/* Where a file's first name is in the archive. NULL: it is not, and this one is the first that is. */
static const char *first_of(struct tar_restore *t, const char *first, const char *path, struct error *err)
{
	size_t n = strlen(t->within);
	const char *before;
	char *copy;

	if (n == 0)
		return first;
	if (strncmp(first, t->within, n) == 0 && first[n] == '/')
		return first + n + 1;
	before = map_get(&t->outside, first, strlen(first));
	copy = before ? NULL : text_copy(path, err);
	if (copy && map_set(&t->outside, first, strlen(first), copy, NULL, err) < 0)
		free(copy);
	return before;
}

static int leave_out_socket(struct tar_restore *t, const char *path, struct error *err)
{
	if (t->o->skipped)
		t->o->skipped(t->o->context, path, "an archive has no sockets");
	return map_set(&t->sockets, path, strlen(path), t, NULL, err);
}

static int judge_link(struct tar_restore *t, const char *path, const struct entry *e, struct error *err)
{
	_cleanup_free_ char *own = text_format(err, "%s%s%s", t->within, *t->within ? "/" : "", path);

	return own ? tree_links_require(&t->links, own, e, err) : -(int)ERROR_NO_MEMORY;
}

static int put_link(struct tar_restore *t, const char *path, const struct entry *e, struct error *err)
{
	_cleanup_free_ char *target = text_copy_bytes(e->target, e->target_size, err), *link = NULL;
	_cleanup_tree_object_ struct tree_object found = {0};
	const char *first;
	int r;

	if (!target)
		return -(int)ERROR_NO_MEMORY;
	if (e->kind == ENTRY_SYMLINK)
		return put_entry(t, path, target, e, err);
	r = judge_link(t, path, e, err);
	if (r < 0)
		return r;
	first = first_of(t, target, path, err);
	if (first && map_get(&t->sockets, first, strlen(first)))
		return leave_out_socket(t, path, err);
	if (first)
		return put_entry(t, path, first, e, err);
	r = tree_find(t->r, t->commit, target, &found, err);
	if (r == 0 && found.entry.kind == ENTRY_SYMLINK) {
		link = text_copy_bytes(found.entry.target, found.entry.target_size, err);
		r = link ? 0 : -(int)ERROR_NO_MEMORY;
	}
	if (r == 0 && found.entry.kind == ENTRY_SOCKET)
		return leave_out_socket(t, path, err);
	return r < 0 ? r : put_entry(t, path, link, &found.entry, err);
}

static int put_directory(struct tar_restore *t, const char *path, const struct entry *e, struct error *err);

static int put_one(struct tar_restore *t, const char *path, const struct entry *e, struct error *err)
{
	if (e->kind == ENTRY_DIRECTORY)
		return put_directory(t, path, e, err);
	if (e->kind == ENTRY_SOCKET)
		return leave_out_socket(t, path, err);
	if (e->kind == ENTRY_LINK || e->kind == ENTRY_SYMLINK)
		return put_link(t, path, e, err);
	return put_entry(t, path, NULL, e, err);
}

static int take_child(void *context, const struct tree_child *child, struct error *err)
{
	const struct place *p = context;
	struct progress_event e = {.task = "export", .unit = "bytes", .done = p->t->result->bytes};
	_cleanup_free_ char *path = NULL;
	int r;

	if (strlen(p->path) + 1 + strlen(child->name) > ENTRY_PATH_MAX)
		return error_set(err, ERROR_CORRUPT, "%s: a path that is too long", p->path);
	path = text_format(err, "%s%s%s", p->path, *p->path ? "/" : "", child->name);
	if (!path)
		return -(int)ERROR_NO_MEMORY;
	r = put_one(p->t, path, child->entry, err);
	if (r == 0 && p->t->result->files % 256 == 0)
		progress_report(p->t->o->progress, &e);
	return r;
}

static int put_directory(struct tar_restore *t, const char *path, const struct entry *e, struct error *err)
{
	struct tree_object directory = {.entry = *e};
	struct place p = {.t = t, .path = path};
	int r;

	if (t->depth >= ENTRY_DEPTH_MAX)
		return error_set(err, ERROR_CORRUPT, "%s: too many directories in each other", path);
	r = put_entry(t, *path ? path : ".", NULL, e, err);
	if (r < 0)
		return r;
	t->depth++;
	r = tree_list(t->r, &directory, 0, false, take_child, &p, err);
	t->depth--;
	return r;
}

int restore_tar(struct repository *r, const struct object_id *commit, int fd, const struct restore_options *o,
	struct restore_result *out, struct error *err)
{
	_cleanup_tree_object_ struct tree_object found = {0};
	struct tar_restore t = {
		.r = r, .commit = commit, .o = o, .result = out, .fd = fd, .within = o->path ? o->path : ""};
	struct progress_event e = {.task = "export", .unit = "bytes", .finished = true};
	struct map_slot *s;
	const char *slash = strrchr(t.within, '/');
	int code;

	*out = (struct restore_result){0};
	code = tree_links_of(&t.links, r, commit, err);
	if (code == 0)
		code = tree_find(r, commit, t.within, &found, err);
	if (code == 0)
		code = put_one(&t,
			found.entry.kind == ENTRY_DIRECTORY ? ""
			: slash                             ? slash + 1
							    : t.within,
			&found.entry, err);
	if (code == 0 && !tar_write_end(&t.out))
		code = error_no_memory(err, "write an archive");
	if (code == 0)
		code = flush(&t, 0, err);
	for (size_t at = 0; (s = map_next(&t.outside, &at));)
		free(s->value);
	map_free(&t.outside);
	tree_links_free(&t.links);
	map_free(&t.sockets);
	free(t.parts);
	buffer_free(&t.out);
	e.done = out->bytes;
	progress_report(o->progress, &e);
	return code;
}
