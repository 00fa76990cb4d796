/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stage/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/text.h"

#define PATH_MOST 4095
#define NAME_MOST 255
#define MARK      "trusted.overlay."

/* A directory that is open: in r->path it ends at `end`. */
struct level {
	size_t end;
	char last[NAME_MOST + 1]; /* name in it; "": none yet */
};

struct stage_reader {
	const struct stage_calls *calls;
	void *context;
	struct tar_reader *tar;
	struct buffer path; /* of the entry at hand, with a NUL */
	struct buffer link;
	struct level *levels; /* the root is the first */
	size_t depth, room;
	struct map files;  /* paths, for hard links */
	size_t paths_size; /* of all entries */
	uint64_t count;
	bool is_directory; /* the entry at hand */
};

struct stage_reader *stage_reader_new(const struct stage_calls *calls, void *context, struct error *err)
{
	struct stage_reader *r = calloc(1, sizeof *r);

	if (!r) {
		error_no_memory(err, "read what is staged");
		return NULL;
	}
	r->calls = calls;
	r->context = context;
	r->tar = tar_reader_new(NULL, err);
	r->levels = calloc(16, sizeof *r->levels);
	r->room = 16;
	r->depth = 1;
	if (r->tar && r->levels)
		return r;
	stage_reader_free(r);
	error_no_memory(err, "read what is staged");
	return NULL;
}

void stage_reader_free(struct stage_reader *r)
{
	if (!r)
		return;
	tar_reader_free(r->tar);
	buffer_free(&r->path);
	buffer_free(&r->link);
	map_free(&r->files);
	free(r->levels);
	free(r);
}

/* ---- names ------------------------------------------------------------------------------------------- */

/* A path without "./" in front, each part a name. "." is "". */
static int tidy(const char *path, struct buffer *out, struct error *err)
{
	buffer_clear(out);
	while (text_starts(path, "./"))
		path += 2;
	if (!strcmp(path, "."))
		path++;
	if (strlen(path) > PATH_MOST)
		return error_set(err, ERROR_INVALID, "a path of over %d bytes", PATH_MOST);
	for (const char *at = path; *path;) {
		size_t n = strcspn(at, "/");

		if (!n || n > NAME_MOST || (n == 1 && *at == '.') || (n == 2 && !memcmp(at, "..", 2)))
			return error_set(err, ERROR_INVALID, "'%s' is no path in a volume", path);
		at += n;
		if (!*at++)
			break;
	}
	buffer_append_text(out, path);
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "read what is staged");
}

/* ---- directories ------------------------------------------------------------------------------------- */

static int leave(struct stage_reader *r, struct error *err)
{
	r->depth--;
	return r->calls->leave(r->context, err);
}

static int enter(struct stage_reader *r, struct error *err)
{
	if (r->depth == r->room) {
		struct level *grown = reallocarray(r->levels, 2 * r->room, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "read what is staged");
		r->levels = grown;
		r->room *= 2;
	}
	r->levels[r->depth++] = (struct level){.end = r->path.size - 1};
	return 0;
}

/* Leaves directories until the innermost is the one around the path `before` becomes r->path's: `shared`
 * bytes of both are the same. */
static int leave_to(struct stage_reader *r, size_t end, size_t shared, struct error *err)
{
	int result = 0;

	while (result == 0 && r->depth > 1 &&
		(r->levels[r->depth - 1].end > end || r->levels[r->depth - 1].end > shared))
		result = leave(r, err);
	return result;
}

static size_t shared_bytes(const struct buffer *a, const struct buffer *b)
{
	size_t most = a->size < b->size ? a->size : b->size, n = 0;

	while (n < most && a->data[n] == b->data[n])
		n++;
	return n;
}

/* The new path takes the place of the old one. *name: the last part of it. */
static int take_path(struct stage_reader *r, struct buffer *fresh, const char **name, struct error *err)
{
	const char *text = (const char *)fresh->data, *slash = strrchr(text, '/');
	size_t end = slash ? (size_t)(slash - text) : 0, shared;
	struct buffer old = r->path;
	struct level *l;
	int result;

	/* The directory around is known by where it ends; what comes before must be as it was. */
	shared = old.size ? shared_bytes(&old, fresh) : 0;
	result = leave_to(r, end, shared, err);
	r->path = *fresh;
	*fresh = old;
	if (result < 0)
		return result;
	text = (const char *)r->path.data;
	l = &r->levels[r->depth - 1];
	*name = text + end + (end > 0);
	if (l->end != end)
		return error_set(err, ERROR_INVALID, "'%s' comes without the directory around it", text);
	if (strcmp(*name, l->last) <= 0)
		return error_set(err, ERROR_INVALID, "'%s' comes out of order", text);
	memcpy(l->last, *name, strlen(*name) + 1);
	return 0;
}

/* ---- entries ----------------------------------------------------------------------------------------- */

static uint32_t type_of(enum tar_type type)
{
	switch (type) {
	case TAR_FILE:
	case TAR_HARD_LINK:
		return S_IFREG;
	case TAR_SYMBOLIC_LINK:
		return S_IFLNK;
	case TAR_CHARACTER_DEVICE:
		return S_IFCHR;
	case TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_DIRECTORY:
		return S_IFDIR;
	default:
		return S_IFIFO;
	}
}

static bool has_mark(const struct tar_entry *t, const char *name, const char *value)
{
	for (size_t i = 0; i < t->xattr_count; i++)
		if (!strcmp(t->xattrs[i].name, name) &&
			(!value || (t->xattrs[i].size == 1 && *t->xattrs[i].value == (uint8_t)*value)))
			return true;
	return false;
}

/* A link and its target, which was told before. */
static int take_link(struct stage_reader *r, struct stage_entry *e, struct error *err)
{
	int result = tidy(e->tar->link, &r->link, err);

	if (result < 0)
		return result;
	if (!map_get(&r->files, r->link.data, r->link.size))
		return error_set(err, ERROR_INVALID,
			"'%s' is a link to '%s', which is no file that came before", e->path, e->tar->link);
	e->linked = (const char *)r->link.data;
	return 0;
}

static int take_root(struct stage_reader *r, const struct tar_entry *t, struct error *err)
{
	return r->count == 1 && t->type == TAR_DIRECTORY
		       ? 0
		       : error_set(err, ERROR_INVALID, "the root comes out of order");
}

/* Whoever takes the entries may keep all their paths. */
static int count(struct stage_reader *r, size_t path, struct error *err)
{
	r->paths_size += path;
	if (r->count > STAGE_ENTRIES_MAX)
		return error_set(err, ERROR_LIMIT, "over %u entries", STAGE_ENTRIES_MAX);
	if (r->paths_size > STAGE_PATHS_MAX)
		return error_set(err, ERROR_LIMIT, "the paths have over %u bytes", STAGE_PATHS_MAX);
	return 0;
}

static int take_entry(struct stage_reader *r, struct error *err)
{
	const struct tar_entry *t = tar_reader_entry(r->tar);
	struct stage_entry e = {
		.tar = t, .number = r->count++, .mode = type_of(t->type) | t->mode, .name = ""};
	_cleanup_buffer_ struct buffer fresh = {0};
	int result = tidy(t->path, &fresh, err);

	if (result == 0)
		result = count(r, fresh.size, err);
	if (result < 0)
		return result;
	e.path = "";
	if (fresh.size == 1)
		result = take_root(r, t, err);
	else {
		result = take_path(r, &fresh, &e.name, err);
		e.path = (const char *)r->path.data;
	}
	e.removed = t->type == TAR_CHARACTER_DEVICE && !t->device_major && !t->device_minor;
	e.opaque = t->type == TAR_DIRECTORY && *e.path && has_mark(t, MARK "opaque", "y");
	e.copied = has_mark(t, MARK "origin", NULL);
	if (result == 0 && t->type == TAR_HARD_LINK)
		result = take_link(r, &e, err);
	if (result == 0 && t->type == TAR_FILE)
		result = map_set(&r->files, r->path.data, r->path.size, r, NULL, err);
	if (result == 0)
		result = r->calls->entry(r->context, &e, err);
	r->is_directory = t->type == TAR_DIRECTORY && *e.path;
	return result;
}

static int end_entry(struct stage_reader *r, struct error *err)
{
	int result = r->calls->end(r->context, err);

	return result == 0 && r->is_directory ? enter(r, err) : result;
}

/* Of a hard link's data, which are its target's, nothing is told. */
static int take_data(struct stage_reader *r, struct error *err)
{
	return tar_reader_entry(r->tar)->type == TAR_FILE
		       ? r->calls->data(r->context, tar_reader_data(r->tar), err)
		       : 0;
}

int stage_reader_feed(struct stage_reader *r, const void *bytes, size_t n, struct error *err)
{
	const uint8_t *in = bytes;
	enum tar_event event;

	if (!n)
		return 0;
	for (;;) {
		int result = tar_reader_step(r->tar, &in, &n, &event, err);

		if (result == 0 && event == TAR_MORE)
			return 0;
		if (result == 0 && event == TAR_ENTRY)
			result = take_entry(r, err);
		else if (result == 0 && event == TAR_DATA)
			result = take_data(r, err);
		else if (result == 0 && event == TAR_ENTRY_END)
			result = end_entry(r, err);
		if (result < 0)
			return result;
	}
}

int stage_reader_finish(struct stage_reader *r, struct error *err)
{
	int result = tar_reader_finish(r->tar, err);

	while (result == 0 && r->depth > 1)
		result = leave(r, err);
	return result;
}
