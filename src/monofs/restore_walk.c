/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/restore_walk.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/text.h"
#include "os/attributes.h"
#include "os/fs.h"

#define PLACES_KEPT  64u /* directories in each other that stay open: those deeper are opened anew */
#define PRIVATE      0700
#define REPORT_EVERY MILLISECONDS(50)

/* A directory that the walk is in. */
struct restore_level {
	struct mst_cursor *names;
	struct work_place *place; /* NULL: to be opened anew */
	struct buffer entry;
	size_t path_size; /* of the one above */
	bool fresh;       /* made now: nothing was in it */
	struct buffer list;
	char **here; /* mirror: sorted names that are there */
	size_t here_count, here_at;
	dev_t device;
	ino_t inode;
};

static struct restore_level *top(struct restore_walk *w)
{
	return &w->levels[w->depth - 1];
}

static void level_free(struct restore_walk *w, struct restore_level *l)
{
	if (l->names)
		mst_cursor_end(l->names);
	free(l->names);
	buffer_free(&l->entry);
	buffer_free(&l->list);
	free(l->here);
	work_place_drop(w->ring, l->place);
}

void restore_walk_free(struct restore_walk *w)
{
	struct map_slot *s;

	while (w->depth)
		level_free(w, &w->levels[--w->depth]);
	free(w->levels);
	for (size_t at = 0; (s = map_next(&w->outside, &at));)
		free(s->value);
	map_free(&w->outside);
	tree_links_free(&w->links);
	map_free(&w->shared);
	buffer_free(&w->done);
}

/* What could not be made is told, and left out; or it is the end. err has why. */
static int left_out(struct restore_walk *w, const char *path, struct error *err)
{
	int r = err->code ? -(int)err->code : -(int)ERROR_SYSTEM;

	if (!w->o->skipped || r == -(int)ERROR_NO_SPACE || r == -(int)ERROR_NO_MEMORY)
		return r;
	w->o->skipped(w->o->context, path, err->text);
	return 0;
}

/* ---- what the ring gives back, in order ---- */

static int link_name(struct restore_walk *w, const struct restore_event *e, struct error *err)
{
	const char *first = (const char *)e->work.bytes.data;
	const char *slash = strrchr(first, '/'), *base = slash ? slash + 1 : first;
	_cleanup_free_ char *parent = text_copy_bytes(first, slash ? (size_t)(slash - first) : 0, err);
	_cleanup_fd_ int fd = -1;

	if (!parent)
		return -(int)ERROR_NO_MEMORY;
	fd = fs_open_beneath(w->target, *parent ? parent : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (fd < 0)
		return fd;
	if (linkat(fd, base, e->work.place->fd, e->name, 0) < 0)
		return error_errno(err, errno, "make %s a name of %s", e->name, first);
	return 0;
}

static int finish_directory(struct restore_walk *w, struct restore_event *e, struct error *err)
{
	_cleanup_entry_ struct entry entry = {0};
	int r = entry_decode(e->work.bytes.data, e->work.bytes.size, &entry, err);

	if (r < 0)
		return r;
	return restore_metadata(&w->maker, e->work.place->fd, w->done.size ? (char *)w->done.data : ".",
		&entry, w->o->mirror, err);
}

static void done_enter(struct restore_walk *w, const char *name)
{
	if (w->done.size)
		w->done.data[w->done.size - 1] = '/'; /* its NUL */
	buffer_append(&w->done, name, strlen(name) + 1);
}

static void done_leave(struct restore_walk *w)
{
	while (w->done.size && w->done.data[w->done.size - 1] != '/')
		w->done.size--;
	if (w->done.size)
		w->done.data[w->done.size - 1] = 0;
}

static void report(struct restore_walk *w)
{
	uint64_t now = clock_monotonic();
	struct progress_event e = {.task = "restore", .unit = "bytes"};

	if (now - w->reported < REPORT_EVERY)
		return;
	w->reported = now;
	e.done = __atomic_load_n(&w->written, __ATOMIC_RELAXED);
	progress_report(w->o->progress, &e);
}

int restore_walk_take(void *context, struct work_event *event, struct error *err)
{
	struct restore_walk *w = context;
	struct restore_event *e = (struct restore_event *)(void *)event;
	char path[ENTRY_PATH_MAX + 1];
	int r = event->code;

	if (w->o->progress)
		report(w);
	if (r < 0 && err)
		*err = event->err;
	if (e->kind == RESTORE_LINK)
		r = link_name(w, e, err);
	else if (e->kind == RESTORE_LEAVE)
		r = finish_directory(w, e, err);
	if (e->kind == RESTORE_ENTER && *e->name)
		done_enter(w, e->name);
	if (r < 0) {
		snprintf(path, sizeof path, "%s%s%s", w->done.size ? (char *)w->done.data : "",
			w->done.size && *e->name ? "/" : "", e->name);
		r = left_out(w, path, err);
	} else if (e->kind == RESTORE_FILE) {
		w->result->files++;
		w->result->bytes += event->weight;
	} else if (e->kind == RESTORE_LINK || e->kind == RESTORE_OTHER) {
		w->result->others++;
	}
	if (e->kind == RESTORE_LEAVE)
		done_leave(w);
	return r;
}

static int event_new(struct restore_walk *w, enum restore_event_kind kind, const char *name,
	struct restore_event **out, struct error *err)
{
	struct work_event *e = NULL;
	int r = work_ring_event(w->ring, &e, err);

	if (r < 0)
		return r;
	*out = (struct restore_event *)(void *)e;
	(*out)->kind = kind;
	e->work = kind == RESTORE_FILE;
	memcpy((*out)->name, name, strlen(name) + 1);
	if (kind != RESTORE_ENTER) {
		e->place = top(w)->place;
		work_place_use(e->place);
	}
	return 0;
}

static int push(struct restore_walk *w, struct restore_event *e, struct error *err)
{
	return work_ring_push(w->ring, &e->work, err);
}

/* ---- directories ---- */

static bool path_enter(struct restore_walk *w, const char *name)
{
	size_t n = strlen(name), slash = w->path_size > 0;

	if (w->path_size + slash + n > ENTRY_PATH_MAX)
		return false;
	if (slash)
		w->path[w->path_size] = '/';
	memcpy(w->path + w->path_size + slash, name, n + 1);
	w->path_size += slash + n;
	return true;
}

static void path_leave(struct restore_walk *w, size_t size)
{
	w->path_size = size;
	w->path[size] = 0;
}

static int grow(struct restore_walk *w, struct error *err)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct restore_level *levels;

	if (w->depth == ENTRY_DEPTH_MAX)
		return error_set(err, ERROR_CORRUPT, "%s: more than %u directories in each other", w->path,
			ENTRY_DEPTH_MAX);
	if (w->depth < w->room)
		return 0;
	levels = realloc(w->levels, room * sizeof *levels);
	if (!levels)
		return error_no_memory(err, "restore a tree");
	w->levels = levels;
	w->room = room;
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names that are there already. */
static int read_here(struct restore_level *l, int fd, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	int r = fs_list_open(fd, ".", &list, err);

	if (r < 0)
		return r;
	while ((name = fs_list_next(list))) {
		if (!buffer_append(&l->list, name, strlen(name) + 1))
			return error_no_memory(err, "list a directory");
		l->here_count++;
	}
	l->here = malloc((l->here_count + 1) * sizeof *l->here);
	if (!l->here)
		return error_no_memory(err, "list a directory");
	name = (const char *)l->list.data;
	for (size_t i = 0; i < l->here_count; i++) {
		l->here[i] = (char *)name;
		name += strlen(name) + 1;
	}
	qsort(l->here, l->here_count, sizeof *l->here, by_bytes);
	return 0;
}

static int level_begin(
	struct restore_walk *w, struct restore_level *l, int fd, const struct entry *e, struct error *err)
{
	struct stat s;
	int r;

	l->place = work_place_new(w->ring, fd, err);
	if (!l->place)
		return -(int)ERROR_NO_MEMORY;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at a directory");
	l->device = s.st_dev;
	l->inode = s.st_ino;
	l->names = malloc(sizeof *l->names);
	if (!l->names)
		return error_no_memory(err, "restore a tree");
	mst_cursor_begin(l->names, &w->map, &e->children);
	r = entry_encode(e, &l->entry, err);
	return r < 0 || l->fresh ? r : read_here(l, fd, err);
}

/* Into a directory that is open, which the callee gets. */
static int enter(struct restore_walk *w, int fd, const char *name, bool fresh, const struct entry *e,
	struct error *err)
{
	size_t above = w->path_size;
	struct restore_event *event = NULL;
	struct restore_level *l;
	int r = *name && !path_enter(w, name)
			? error_set(err, ERROR_CORRUPT, "%s/%s: a path that is too long", w->path, name)
			: grow(w, err);

	if (r < 0) {
		path_leave(w, above);
		close(fd);
		return r;
	}
	l = &w->levels[w->depth++];
	*l = (struct restore_level){.path_size = above, .fresh = fresh};
	r = level_begin(w, l, fd, e, err);
	if (r == 0)
		r = event_new(w, RESTORE_ENTER, name, &event, err);
	if (r < 0)
		return r;
	w->result->directories++;
	return push(w, event, err);
}

static int place_of(struct restore_walk *w, struct error *err)
{
	struct restore_level *l = top(w);
	struct stat s;
	int fd;

	if (l->place)
		return 0;
	fd = fs_open_beneath(w->target, w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0 || s.st_dev != l->device || s.st_ino != l->inode) {
		close(fd);
		return error_set(err, ERROR_BUSY, "%s: it was replaced while it was written", w->path);
	}
	l->place = work_place_new(w->ring, fd, err);
	return l->place ? 0 : -(int)ERROR_NO_MEMORY;
}

/* ---- what is there already ---- */

static bool is_repository(struct restore_walk *w, const struct stat *s)
{
	struct stat own;

	return fstat(repository_directory(w->r), &own) == 0 && own.st_dev == s->st_dev &&
	       own.st_ino == s->st_ino;
}

/* What is read is not removed while it is read. 1: it is the repository; an error: it has it in it. */
static int spare(struct restore_walk *w, const char *name, const struct stat *s, struct error *err)
{
	int r = S_ISDIR(s->st_mode) ? fs_lies_in(repository_directory(w->r), s, err) : 0;

	if (r <= 0 || is_repository(w, s))
		return r;
	return error_set(err, ERROR_INVALID, "%s is not removed: the repository itself is in it", name);
}

static int remove_here(struct restore_walk *w, const char *name, struct error *err)
{
	struct stat s;
	int r = fstatat(top(w)->place->fd, name, &s, AT_SYMLINK_NOFOLLOW) == 0 ? spare(w, name, &s, err) : 0;

	if (r != 0)
		return r < 0 ? r : 0;
	w->result->removed++;
	return fs_remove_tree(top(w)->place->fd, name, err);
}

/* Goes on in what is there up to a name (NULL: the end), removing what the tree does not have. 1: the name is
 * there, *s is it. */
static int here_to(struct restore_walk *w, const char *name, struct stat *s, struct error *err)
{
	struct restore_level *l = top(w);

	while (l->here_at < l->here_count) {
		int order = name ? strcmp(l->here[l->here_at], name) : -1, r;

		if (order > 0)
			return 0;
		l->here_at++;
		if (order == 0)
			return fstatat(l->place->fd, name, s, AT_SYMLINK_NOFOLLOW) == 0;
		r = remove_here(w, l->here[l->here_at - 1], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Whether what is there is the entry's file already, and so only needs its metadata. A file of several names
 * is this one's once; the tree's other names for it come as links. 1: it is. */
static int is_kept(struct restore_walk *w, const struct stat *s, const struct entry *e, struct error *err)
{
	uint64_t key[2] = {(uint64_t)s->st_dev, (uint64_t)s->st_ino};
	void *before = NULL;
	int r;

	if (!restore_is_same(s, e))
		return 0;
	if (s->st_nlink < 2)
		return 1;
	r = map_set(&w->shared, key, sizeof key, w, &before, err);
	return r < 0 ? r : !before;
}

static int keep_file(struct restore_walk *w, const char *name, const struct entry *e, struct error *err)
{
	_cleanup_fd_ int fd = openat(top(w)->place->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return 0;
	w->result->kept++;
	if (restore_metadata(&w->maker, fd, name, e, true, err) < 0)
		return -(int)err->code;
	return 1;
}

/* ---- one name ---- */

static int push_file(struct restore_walk *w, const char *name, const struct mst_item *item, uint64_t size,
	struct error *err)
{
	struct restore_event *e = NULL;
	int r = event_new(w, RESTORE_FILE, name, &e, err);

	if (r < 0)
		return r;
	e->work.weight = size;
	if (!buffer_append(&e->work.bytes, item->value, item->value_size))
		return error_no_memory(err, "restore a file");
	return push(w, e, err);
}

static int push_link(struct restore_walk *w, const char *name, const char *first, struct error *err)
{
	struct restore_event *e = NULL;
	int r = event_new(w, RESTORE_LINK, name, &e, err);

	if (r < 0)
		return r;
	if (!buffer_append(&e->work.bytes, first, strlen(first) + 1))
		return error_no_memory(err, "restore a tree");
	return push(w, e, err);
}

static int push_made(struct restore_walk *w, const char *name, struct error *err)
{
	struct restore_event *e = NULL;
	int r = event_new(w, RESTORE_OTHER, name, &e, err);

	return r < 0 ? r : push(w, e, err);
}

/* The path in the target of a first name; NULL: it lies outside of what is restored. */
static const char *inside(const struct restore_walk *w, const char *first)
{
	size_t n = strlen(w->within);

	if (n == 0)
		return first;
	return strncmp(first, w->within, n) == 0 && first[n] == '/' ? first + n + 1 : NULL;
}

/* A name whose first lies outside: the first of such names is what it is. */
static int link_outside(struct restore_walk *w, const char *name, const char *first, struct error *err)
{
	_cleanup_tree_object_ struct tree_object found = {0};
	_cleanup_buffer_ struct buffer bytes = {0};
	const char *before = map_get(&w->outside, first, strlen(first));
	struct mst_item item = {0};
	char *path;
	int r;

	if (before)
		return push_link(w, name, before, err);
	r = tree_find(w->r, &w->commit, first, &found, err);
	if (r == 0)
		r = entry_encode(&found.entry, &bytes, err);
	if (r < 0)
		return r;
	path = text_format(err, "%s%s%s", w->path, w->path_size ? "/" : "", name);
	r = path ? map_set(&w->outside, first, strlen(first), path, NULL, err) : -(int)ERROR_NO_MEMORY;
	if (r < 0) {
		free(path);
		return r;
	}
	item.value = bytes.data;
	item.value_size = bytes.size;
	if (found.entry.kind == ENTRY_FILE)
		return push_file(w, name, &item, found.entry.content.size, err);
	r = restore_other(&w->maker, top(w)->place->fd, name, &found.entry, err);
	return r < 0 ? r : push_made(w, name, err);
}

static int one_link(struct restore_walk *w, const char *name, const struct entry *e, struct error *err)
{
	_cleanup_free_ char *first = text_copy_bytes(e->target, e->target_size, err), *own = NULL;
	const char *path;
	int r;

	if (!first)
		return -(int)ERROR_NO_MEMORY;
	own = text_format(
		err, "%s%s%s%s%s", w->within, *w->within ? "/" : "", w->path, w->path_size ? "/" : "", name);
	r = own ? tree_links_require(&w->links, own, e, err) : -(int)ERROR_NO_MEMORY;
	if (r < 0)
		return r;
	path = inside(w, first);
	return path ? push_link(w, name, path, err) : link_outside(w, name, first, err);
}

static int one_directory(
	struct restore_walk *w, const char *name, bool there, const struct entry *e, struct error *err)
{
	int place, fd, r = work_places_full(w->ring) ? work_ring_drain(w->ring, err) : 0;

	if (r < 0)
		return r;
	place = top(w)->place->fd;
	if (!there && mkdirat(place, name, PRIVATE) < 0)
		return error_errno(err, errno, "make the directory %s", name);
	fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* One that keeps its owner out. */
	if (fd < 0 && errno == EACCES && there && fs_set_mode(place, name, PRIVATE, err) == 0)
		fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open the directory %s", name);
	if (there && fchmod(fd, PRIVATE) < 0) {
		close(fd);
		return error_errno(err, errno, "set the mode of %s", name);
	}
	if (w->depth >= PLACES_KEPT) {
		work_place_drop(w->ring, top(w)->place);
		top(w)->place = NULL;
	}
	return enter(w, fd, name, !there, e, err);
}

/* Makes room for what comes. 1: what is there is it; 0: nothing is there any more. */
static int settle_here(struct restore_walk *w, const char *name, const struct stat *s, const struct entry *e,
	struct error *err)
{
	bool directory = S_ISDIR(s->st_mode) && e->kind == ENTRY_DIRECTORY;
	int r = directory && !is_repository(w, s) ? 0 : spare(w, name, s, err);

	if (r == 1)
		return error_set(err, ERROR_INVALID, "%s is not replaced: it is the repository itself", name);
	if (r < 0 || directory)
		return r < 0 ? r : 1;
	r = is_kept(w, s, e, err);
	if (r == 1)
		r = keep_file(w, name, e, err);
	if (r != 0)
		return r;
	return fs_remove_tree(top(w)->place->fd, name, err);
}

static int one_object(struct restore_walk *w, const char *name, const struct mst_item *item,
	const struct entry *e, struct error *err)
{
	struct stat s;
	int there = here_to(w, name, &s, err), r;

	if (there == 1)
		there = settle_here(w, name, &s, e, err);
	if (there < 0)
		return there;
	if (e->kind == ENTRY_DIRECTORY)
		return one_directory(w, name, there == 1, e, err);
	if (there == 1)
		return 0;
	if (e->kind == ENTRY_FILE)
		return push_file(w, name, item, e->content.size, err);
	if (e->kind == ENTRY_LINK)
		return one_link(w, name, e, err);
	r = restore_other(&w->maker, top(w)->place->fd, name, e, err);
	return r < 0 ? r : push_made(w, name, err);
}

static int one_name(struct restore_walk *w, const struct mst_item *item, struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	char name[MST_NAME_MAX + 1], path[ENTRY_PATH_MAX + MST_NAME_MAX + 2];
	size_t depth = w->depth;
	int r = place_of(w, err);

	if (r < 0)
		return r;
	memcpy(name, item->name, item->name_size);
	name[item->name_size] = 0;
	r = entry_decode(item->value, item->value_size, &e, err);
	if (r == 0)
		r = one_object(w, name, item, &e, err);
	if (r >= 0 || w->depth != depth)
		return r;
	snprintf(path, sizeof path, "%s%s%s", w->path, w->path_size ? "/" : "", name);
	return left_out(w, path, err);
}

static int leave(struct restore_walk *w, struct error *err)
{
	struct restore_level *l = top(w);
	struct restore_event *e = NULL;
	int r = place_of(w, err);

	if (r == 0)
		r = here_to(w, NULL, NULL, err);
	if (r == 0)
		r = event_new(w, RESTORE_LEAVE, "", &e, err);
	if (r < 0)
		return r;
	buffer_append(&e->work.bytes, l->entry.data, l->entry.size);
	path_leave(w, l->path_size);
	level_free(w, l);
	w->depth--;
	return push(w, e, err);
}

/* One step of the walk. */
static int step(struct restore_walk *w, struct error *err)
{
	struct mst_cursor *names = top(w)->names;
	uint64_t none = 0;
	struct mst_item item;
	int r = mst_cursor_item(names, &none, err);

	if (r < 0) {
		error_prefix(err, "%s", w->path_size ? w->path : "/");
		mst_cursor_skip(names);
		/* What is there may be what cannot be read: it is not to be removed. */
		return w->o->mirror ? -(int)err->code : left_out(w, w->path, err);
	}
	if (r == 0)
		return leave(w, err);
	item = names->item;
	r = one_name(w, &item, err);
	if (r == 0)
		mst_cursor_skip(names);
	return r;
}

int restore_walk_run(struct restore_walk *w, const struct entry *entry, struct error *err)
{
	int fd = fs_open(w->target, ".", O_RDONLY | O_DIRECTORY, 0, err), r;

	if (fd < 0)
		return fd;
	r = enter(w, fd, "", !w->o->mirror, entry, err);
	while (r == 0 && w->depth)
		r = step(w, err);
	return r;
}
