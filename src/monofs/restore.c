/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "base/text.h"
#include "monofs/restore_walk.h"
#include "os/fs.h"

/* ---- workers ---- */

static int worker_begin(void *context, void **worker, struct error *err)
{
	(void)err;
	*worker = context;
	return 0;
}

static void worker_work(void *worker, struct work_event *event)
{
	struct restore_walk *w = worker;
	struct restore_event *e = (struct restore_event *)(void *)event;
	_cleanup_entry_ struct entry entry = {0};

	event->code = entry_decode(event->bytes.data, event->bytes.size, &entry, &event->err);
	if (event->code == 0)
		event->code = restore_file(&w->maker, event->place->fd, e->name, &entry, &event->err);
}

static int worker_end(void *worker, struct error *err)
{
	(void)worker;
	(void)err;
	return 0;
}

static void worker_free(void *worker)
{
	(void)worker;
}

static int run(struct restore_walk *w, const struct entry *entry, struct error *err)
{
	const struct work_ring_options ring = {.event_size = sizeof(struct restore_event),
		.workers = w->o->workers,
		.begin = worker_begin,
		.work = worker_work,
		.end = worker_end,
		.free = worker_free,
		.take = restore_walk_take,
		.context = w};
	struct progress_event finished = {.task = "restore", .unit = "bytes", .finished = true};
	int r = work_ring_new(&ring, &w->ring, err);

	if (r < 0)
		return r;
	r = restore_walk_run(w, entry, err);
	if (r == 0)
		r = work_ring_finish(w->ring, err);
	restore_walk_free(w);
	work_ring_free(w->ring);
	finished.done = w->written;
	progress_report(w->o->progress, &finished);
	return r;
}

/* ---- the target ---- */

static int is_empty(int fd, const char *target, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(fd, ".", &list, err);

	if (r == 0 && fs_list_next(list))
		return error_set(err, ERROR_EXISTS, "%s is not empty", target);
	return r;
}

static int restore_tree(
	struct restore_walk *w, const char *target, const struct entry *entry, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = fs_make_directories(AT_FDCWD, target, 0755, err);

	if (r < 0)
		return r;
	fd = fs_open(AT_FDCWD, target, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	if (!w->o->mirror)
		r = is_empty(fd, target, err);
	if (r < 0)
		return r;
	w->target = fd;
	return run(w, entry, err);
}

/* One object that is no directory: the target is its name. */
static int restore_object(
	struct restore_walk *w, const char *target, const struct entry *entry, struct error *err)
{
	const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
	_cleanup_free_ char *parent =
		slash ? text_copy_bytes(target, (size_t)(slash - target) + 1, err) : text_copy(".", err);
	_cleanup_fd_ int fd = -1;
	int r;

	if (!parent)
		return -(int)ERROR_NO_MEMORY;
	fd = fs_open(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	if (w->o->mirror && unlinkat(fd, name, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "replace %s", target);
	r = entry->kind == ENTRY_FILE ? restore_file(&w->maker, fd, name, entry, err)
				      : restore_other(&w->maker, fd, name, entry, err);
	if (r < 0)
		return r;
	*(entry->kind == ENTRY_FILE ? &w->result->files : &w->result->others) = 1;
	w->result->bytes = entry->kind == ENTRY_FILE ? entry->content.size : 0;
	return 0;
}

int restore_directory(struct repository *r, const struct object_id *commit, const char *target,
	const struct restore_options *o, struct restore_result *out, struct error *err)
{
	_cleanup_tree_object_ struct tree_object found = {0};
	struct restore_walk w = {.r = r,
		.commit = *commit,
		.o = o,
		.result = out,
		.maker = {.s = repository_store(r), .owners = o->owners && geteuid() == 0},
		.map = tree_map(r, OBJECT_CONTENT),
		.within = o->path ? o->path : ""};
	struct error unused;
	int code;

	err = err ? err : &unused;
	*out = (struct restore_result){0};
	w.maker.written = &w.written;
	code = repository_spare(r, target, err);
	if (code == 0)
		code = tree_links_of(&w.links, r, commit, err);
	if (code == 0)
		code = tree_find(r, commit, w.within, &found, err);
	if (code < 0)
		return code;
	if (found.entry.kind == ENTRY_DIRECTORY)
		return restore_tree(&w, target, &found.entry, err);
	return restore_object(&w, target, &found.entry, err);
}
