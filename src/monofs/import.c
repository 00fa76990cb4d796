/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "monofs/import_walk.h"
#include "os/fs.h"

#define ANCESTORS_MOST 4096u /* commits that are looked at for the tree of what is known */
#define REPORT_EVERY   MILLISECONDS(50)

struct import {
	struct repository *r;
	const struct import_options *o;
	struct import_result *result;
	struct store_writer *entries, *ids;
	struct import_tree *tree;
	struct known_writer *known;
	bool news; /* what is known would change */
	struct known_roots roots;
	struct buffer path; /* of the directory that the tree is in, for messages */
	uint64_t reported;
	struct work_ring *ring;
	uint64_t read; /* bytes that workers have read */
};

static void import_end(struct import *i)
{
	import_tree_free(i->tree);
	known_discard(i->known);
	store_writer_free(i->entries);
	store_writer_free(i->ids);
	buffer_free(&i->path);
}
#define _cleanup_import_ _cleanup_(import_end)

/* ---- the tree gets what the walk has met ---- */

static void record(struct import *i, const struct import_event *e)
{
	struct known_record k = {.kind = e->known, .name = e->name, .key = e->key};

	if (i->known)
		known_put(i->known, &k);
}

static int path_enter(struct import *i, const char *name, struct error *err)
{
	if (i->path.size)
		buffer_u8(&i->path, '/');
	buffer_append_text(&i->path, name);
	return i->path.failed ? error_no_memory(err, "import a directory") : 0;
}

static void path_leave(struct import *i)
{
	while (i->path.size && i->path.data[i->path.size - 1] != '/')
		i->path.size--;
	if (i->path.size)
		i->path.size--;
}

/* A file that could not be read is not in the tree. */
static int left_out(struct import *i, struct import_event *e, struct error *err)
{
	char path[ENTRY_PATH_MAX + 1];
	int r;

	snprintf(path, sizeof path, "%.*s%s%s", (int)i->path.size, i->path.data ? (char *)i->path.data : "",
		i->path.size ? "/" : "", e->name);
	if (err)
		*err = e->work.err;
	r = e->work.place && import_is_gone(e->work.place->fd, e->name, e->work.code)
		    ? 0
		    : import_left_out(i->o, path, &e->work.err);
	if (r < 0)
		return r;
	if (e->names)
		e->names->failed = true;
	i->result->files--;
	i->news = true;
	return import_tree_is_changes(i->tree) ? import_tree_remove(i->tree, e->name, err) : 0;
}

static int put(struct import *i, struct import_event *e, struct error *err)
{
	int r;

	if (e->work.code < 0)
		return left_out(i, e, err);
	if (e->names && e->names->failed) {
		e->work.code = error_set(
			&e->work.err, ERROR_NOT_FOUND, "%s: it was not read under its first name", e->name);
		return left_out(i, e, err);
	}
	r = import_tree_put(i->tree, e->name, e->work.bytes.data, e->work.bytes.size,
		e->names ? &e->names->id : NULL, err);
	i->news = true;
	record(i, e);
	return r;
}

static int enter(struct import *i, struct import_event *e, struct error *err)
{
	int r = import_tree_enter(i->tree, e->name, e->changes, err);

	record(i, e);
	i->news |= !e->changes;
	return r < 0 ? r : path_enter(i, e->name, err);
}

static int leave(struct import *i, struct import_event *e, struct error *err)
{
	_cleanup_entry_ struct entry meta = {0};
	int r = 0;

	if (e->work.bytes.size) {
		i->news = true;
		r = entry_decode(e->work.bytes.data, e->work.bytes.size, &meta, err);
	}
	record(i, e);
	path_leave(i);
	return r < 0 ? r : import_tree_leave(i->tree, e->work.bytes.size ? &meta : NULL, &i->roots, err);
}

static void report(struct import *i, bool finished)
{
	uint64_t now = clock_monotonic();
	struct progress_event e = {.task = "import", .unit = "bytes", .finished = finished};

	if (!finished && now - i->reported < REPORT_EVERY)
		return;
	i->reported = now;
	e.done = __atomic_load_n(&i->read, __ATOMIC_RELAXED);
	progress_report(i->o->progress, &e);
}

static int take(void *context, struct work_event *event, struct error *err)
{
	struct import *i = context;
	struct import_event *e = (struct import_event *)(void *)event;

	if (i->o->progress)
		report(i, false);
	switch (e->kind) {
	case IMPORT_ENTER:
		return enter(i, e, err);
	case IMPORT_LEAVE:
		return leave(i, e, err);
	case IMPORT_PUT:
	case IMPORT_FILE:
		return put(i, e, err);
	case IMPORT_KEEP:
		record(i, e);
		return import_tree_keep(i->tree, e->name, e->names ? &e->names->id : NULL, err);
	case IMPORT_REMOVE:
		i->news = true;
		return import_tree_remove(i->tree, e->name, err);
	}
	return 0;
}

/* ---- what it begins with ---- */

/* Whether the tree that is known is still there as a whole: then it is that of the parent or of one before.
 */
static int is_ancestor(struct repository *r, const struct object_id *parent, const struct known_roots *roots,
	struct error *err)
{
	struct object_id at = *parent;

	for (unsigned n = 0; n < ANCESTORS_MOST; n++) {
		_cleanup_commit_ struct commit c = {0};
		int code = commit_get(repository_store(r), &at, &c, err);

		if (code < 0)
			return code;
		if (object_id_equal(&c.content, &roots->content) &&
			object_id_equal(&c.identity, &roots->identity))
			return 1;
		if (c.parent_count == 0)
			return 0;
		at = c.parents[0];
	}
	return 0;
}

static int open_known(struct import *i, const char *path, struct known_reader **known,
	struct known_roots *roots, struct error *err)
{
	int r;

	*known = NULL;
	if (i->o->all || !i->o->parent)
		return 0;
	r = known_open(i->r, path, known, roots, err);
	if (r < 0 || !*known)
		return r;
	r = is_ancestor(i->r, i->o->parent, roots, err);
	if (r == 1)
		return 0;
	known_close(*known);
	*known = NULL;
	return r;
}

static int begin(struct import *i, const struct known_roots *known, struct error *err)
{
	int r = store_writer_new(repository_store(i->r), &i->entries, err);

	if (r == 0)
		r = store_writer_new(repository_store(i->r), &i->ids, err);
	return r < 0 ? r : import_tree_new(i->r, i->o->parent, known, i->entries, i->ids, &i->tree, err);
}

static int finish(struct import *i, struct error *err)
{
	int r = work_ring_finish(i->ring, err);

	if (r == 0)
		r = store_writer_flush(i->entries, err);
	if (r == 0)
		r = store_writer_flush(i->ids, err);
	if (r < 0)
		return r;
	i->result->content = i->roots.content;
	i->result->identity = i->roots.identity;
	store_written(repository_store(i->r), &i->result->written);
	report(i, true);
	/* The next import would only be slower without it. */
	if (i->known && i->news)
		known_finish(i->known, &i->roots, NULL);
	return 0;
}

/* ---- workers ---- */

static int worker_begin(void *context, void **worker, struct error *err)
{
	struct import *i = context;
	struct import_reader *reader = malloc(sizeof *reader);
	int r = reader ? import_reader_init(reader, i->r, err) : error_no_memory(err, "import a directory");

	if (r < 0) {
		free(reader);
		return r;
	}
	reader->reading = &i->read;
	*worker = reader;
	return 0;
}

static void worker_work(void *worker, struct work_event *event)
{
	struct import_event *e = (struct import_event *)(void *)event;
	bool whole = true;

	event->code =
		import_file(worker, event->place->fd, e->name, &e->stat, &event->bytes, &whole, &event->err);
	if (!whole)
		e->key.ctime = 0;
}

static int worker_end(void *worker, struct error *err)
{
	return store_writer_flush(((struct import_reader *)worker)->w, err);
}

static void worker_free(void *worker)
{
	import_reader_free(worker);
	free(worker);
}

static int run(struct import *i, int root, struct known_reader *known, struct error *err)
{
	const struct work_ring_options ring = {.event_size = sizeof(struct import_event),
		.workers = i->o->workers,
		.begin = worker_begin,
		.work = worker_work,
		.end = worker_end,
		.free = worker_free,
		.take = take,
		.context = i};
	/* For attributes of directories, by the walk. */
	struct import_reader reader = {.r = i->r, .w = i->entries};
	struct import_walk walk = {
		.r = i->r, .o = i->o, .known = known, .reader = &reader, .result = i->result};
	int r = work_ring_new(&ring, &i->ring, err);

	if (r < 0)
		return r;
	walk.ring = i->ring;
	walk.changes = import_tree_takes_changes(i->tree);
	r = import_walk_run(&walk, root, err);
	if (r == 0)
		r = finish(i, err);
	/* Workers look at events alone, and these lose what the walk has only when all have ended. */
	import_walk_free(&walk);
	work_ring_free(i->ring);
	reader.w = NULL;
	import_reader_free(&reader);
	return r;
}

int import_directory(struct repository *r, const char *path, const struct import_options *o,
	struct import_result *out, struct error *err)
{
	_cleanup_import_ struct import i = {.r = r, .o = o, .result = out};
	_cleanup_(cleanup_known_reader) struct known_reader *known = NULL;
	_cleanup_fd_ int root = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	_cleanup_free_ char *absolute = realpath(path, NULL);
	struct known_roots roots;
	struct error unused;
	int code;

	err = err ? err : &unused;
	*out = (struct import_result){0};
	if (root < 0)
		return root;
	if (!absolute)
		return error_errno(err, errno, "find %s", path);
	code = open_known(&i, absolute, &known, &roots, err);
	if (code == 0)
		code = begin(&i, known ? &roots : NULL, err);
	if (code == 0)
		code = known_create(r, absolute, &i.known, err);
	return code < 0 ? code : run(&i, root, known, err);
}
