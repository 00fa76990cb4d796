/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/patch.h"

#include <stdlib.h>
#include <string.h>

#include "bin/monofs/lines.h"
#include "monofs/content.h"

#define KIND       0170000
#define TEXT_START 8000 /* bytes in which a text has no zero, as git has it */

/* One side: what a file holds, or where a link leads; nothing where there is no object. */
struct version {
	struct tree_object object;
	bool there;
	uint32_t mode; /* as git has it: 100644 in octal, of the kind and the rights; a link has none */
	uint8_t *bytes;
	size_t size;
	uint64_t whole; /* bytes of it; more than size where it is too large */
};

static void version_free(struct version *v)
{
	tree_object_free(&v->object);
	free(v->bytes);
}
#define _cleanup_version_ _cleanup_(version_free)

static uint32_t mode_of(const struct entry *e)
{
	static const uint32_t kinds[] = {[ENTRY_FILE] = 0100000,
		[ENTRY_DIRECTORY] = 0040000,
		[ENTRY_SYMLINK] = 0120000,
		[ENTRY_FIFO] = 0010000,
		[ENTRY_SOCKET] = 0140000,
		[ENTRY_CHARACTER] = 0020000,
		[ENTRY_BLOCK] = 0060000,
		[ENTRY_LINK] = 0100000};

	return kinds[e->kind] | (e->kind == ENTRY_SYMLINK ? 0 : e->mode);
}

static int read_content(const struct patch *p, const struct content *c, struct version *v, struct error *err)
{
	v->whole = c->size;
	if (c->size > PATCH_FILE_MOST)
		return 0;
	v->bytes = malloc((size_t)c->size + 1);
	if (!v->bytes)
		return error_no_memory(err, "compare files");
	while (v->size < c->size) {
		ssize_t n = content_read(repository_store(p->place->repository), c, v->bytes + v->size,
			(size_t)c->size - v->size, v->size, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return error_set(err, ERROR_CORRUPT, "a file ends before its size says so");
		v->size += (size_t)n;
	}
	return 0;
}

static int read_version(const struct patch *p, const struct object_id *commit, const char *path,
	struct version *v, struct error *err)
{
	const struct entry *e = &v->object.entry;
	int r = tree_find(p->place->repository, commit, path, &v->object, err);

	if (r < 0)
		return r;
	v->there = e->kind != ENTRY_DIRECTORY; /* which has no text, and is in no patch */
	v->mode = mode_of(e);
	if (e->kind == ENTRY_FILE)
		return read_content(p, &e->content, v, err);
	if (e->kind != ENTRY_SYMLINK)
		return 0;
	v->bytes = malloc(e->target_size + 1);
	if (!v->bytes)
		return error_no_memory(err, "compare links");
	memcpy(v->bytes, e->target, e->target_size);
	v->size = e->target_size;
	v->whole = v->size;
	return 0;
}

static bool is_text(const struct version *v)
{
	return v->size == v->whole && !memchr(v->size ? v->bytes : (const uint8_t *)"", 0,
					      v->size < TEXT_START ? v->size : TEXT_START);
}

/* A path as git writes it: between quotes, with escapes, where it has control bytes, quotes or backslashes.
 */
static void put_path(struct buffer *out, const char *prefix, const char *path)
{
	bool quoted = false;

	for (const char *c = path; *c; c++)
		quoted |= (unsigned char)*c < 0x20 || *c == 0x7f || *c == '"' || *c == '\\';
	if (quoted)
		buffer_u8(out, '"');
	buffer_append_text(out, prefix);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			buffer_format(out, "\\%03o", (unsigned)(unsigned char)*c);
		else if (*c == '"' || *c == '\\')
			buffer_format(out, "\\%c", *c);
		else
			buffer_u8(out, (uint8_t)*c);
	if (quoted)
		buffer_u8(out, '"');
}

static void put_head(struct buffer *out, const char *old, const char *new, const struct version *a,
	const struct version *b)
{
	buffer_append_text(out, "diff --git ");
	put_path(out, "a/", old);
	buffer_u8(out, ' ');
	put_path(out, "b/", new);
	buffer_u8(out, '\n');
	if (!a->there)
		buffer_format(out, "new file mode %06o\n", b->mode);
	else if (!b->there)
		buffer_format(out, "deleted file mode %06o\n", a->mode);
	else if (a->mode != b->mode)
		buffer_format(out, "old mode %06o\nnew mode %06o\n", a->mode, b->mode);
	if (strcmp(old, new) != 0) {
		buffer_append_text(out, "rename from ");
		put_path(out, "", old);
		buffer_append_text(out, "\nrename to ");
		put_path(out, "", new);
		buffer_u8(out, '\n');
	}
}

static void put_name(struct buffer *out, const char *before, const char *prefix, const char *path, bool there)
{
	buffer_append_text(out, before);
	if (there)
		put_path(out, prefix, path);
	else
		buffer_append_text(out, "/dev/null");
}

/* The same to the end of the line: where there are spaces in the name, a tab says that it has ended. */
static void put_name_line(
	struct buffer *out, const char *before, const char *prefix, const char *path, bool there)
{
	put_name(out, before, prefix, path, there);
	buffer_append_text(out, there && strchr(path, ' ') ? "\t\n" : "\n");
}

static int compare(const char *old, const char *new, const struct version *a, const struct version *b,
	struct buffer *out, struct patch_lines *lines, struct error *err)
{
	struct lines_compared c = {0};
	int r;

	lines->size_before = a->whole;
	lines->size_after = b->whole;
	lines->binary = !is_text(a) || !is_text(b);
	if (lines->binary) {
		if (!out)
			return 0;
		put_name(out, "Binary files ", "a/", old, a->there);
		put_name(out, " and ", "b/", new, b->there);
		buffer_append_text(out, " differ\n");
		return 0;
	}
	r = lines_compare(a->bytes, a->size, b->bytes, b->size, &c, err);
	if (r < 0)
		return r;
	lines->added = c.added;
	lines->removed = c.removed;
	if (out && (c.added || c.removed)) {
		put_name_line(out, "--- ", "a/", old, a->there);
		put_name_line(out, "+++ ", "b/", new, b->there);
		lines_write_hunks(&c, out);
	}
	lines_free(&c);
	return 0;
}

/* What was there is removed, what is there is made: also where both are, but of another kind. */
static int replace(const char *old, const char *new, const struct version *a, const struct version *b,
	struct buffer *out, struct patch_lines *lines, struct error *err)
{
	const struct version none = {0};
	struct patch_lines made = {0};
	int r = 0;

	if (a->there && out)
		put_head(out, old, old, a, &none);
	if (a->there)
		r = compare(old, old, a, &none, out, lines, err);
	if (b->there && r == 0 && out)
		put_head(out, new, new, &none, b);
	if (b->there && r == 0)
		r = compare(new, new, &none, b, out, &made, err);
	lines->binary |= made.binary;
	lines->added = made.added;
	lines->size_after = made.size_after;
	return r;
}

int patch_one(const struct patch *p, const struct tree_difference *d, struct buffer *out,
	struct patch_lines *lines, struct error *err)
{
	const char *old = d->change == TREE_RENAMED && d->old_path ? d->old_path : d->path;
	_cleanup_version_ struct version a = {0}, b = {0};
	int r = 0;

	*lines = (struct patch_lines){0};
	if (d->change != TREE_ADDED)
		r = read_version(p, &p->before, old, &a, err);
	if (r == 0 && d->change != TREE_REMOVED)
		r = read_version(p, &p->after, d->path, &b, err);
	if (r < 0)
		return r;
	if (!a.there || !b.there || (a.mode ^ b.mode) & KIND)
		return replace(old, d->path, &a, &b, out, lines, err);
	if (out)
		put_head(out, old, d->path, &a, &b);
	return d->what & TREE_CONTENT ? compare(old, d->path, &a, &b, out, lines, err) : 0;
}
