/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import_walk.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/text.h"
#include "os/fs.h"

#define PLACES_KEPT 64u /* directories in each other that stay open: those deeper are opened anew */

/* A directory that the walk is in. */
struct import_level {
	struct buffer list; /* names, each with its NUL */
	char **names;       /* sorted */
	size_t count, at;
	struct work_place *place; /* NULL: to be opened anew */
	bool known;               /* the next record is of what is in it */
	size_t path_size;         /* of the one above */
	struct buffer metadata;   /* its entry; empty: as it is known */
	dev_t device;
	ino_t inode;
};

static struct import_level *top(struct import_walk *w)
{
	return &w->levels[w->depth - 1];
}

static void level_free(struct import_walk *w, struct import_level *l)
{
	buffer_free(&l->list);
	buffer_free(&l->metadata);
	free(l->names);
	work_place_drop(w->ring, l->place);
}

static void names_free(struct import_names *n)
{
	free(n->path);
	free(n);
}

void import_walk_free(struct import_walk *w)
{
	struct map_slot *s;

	while (w->depth)
		level_free(w, &w->levels[--w->depth]);
	free(w->levels);
	for (size_t at = 0; (s = map_next(&w->names, &at));)
		names_free(s->value);
	map_free(&w->names);
}

int import_left_out(const struct import_options *o, const char *path, struct error *err)
{
	int r = err && err->code ? -(int)err->code : -(int)ERROR_SYSTEM;

	/* What is full or gone stays so for the rest, too. */
	if (!o->skipped || r == -(int)ERROR_NO_SPACE || r == -(int)ERROR_NO_MEMORY ||
		r == -(int)ERROR_CORRUPT)
		return r;
	o->skipped(o->context, path, err->text);
	return 0;
}

bool import_is_gone(int directory, const char *name, int code)
{
	struct stat s;

	return code == -(int)ERROR_NOT_FOUND && fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/* w->path with a name behind it, for as long as the walk does not go on; NULL: too long. */
static const char *path_of(struct import_walk *w, const char *name)
{
	size_t n = strlen(name), slash = w->path_size > 0;

	if (w->path_size + slash + n > ENTRY_PATH_MAX)
		return NULL;
	if (slash)
		w->path[w->path_size] = '/';
	memcpy(w->path + w->path_size + slash, name, n + 1);
	return w->path;
}

static void path_restore(struct import_walk *w)
{
	w->path[w->path_size] = 0;
}

/* ---- directories ---- */

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(struct import_level *l, int fd, const char *path, struct error *err)
{
	int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	_cleanup_list_ DIR *list = again < 0 ? NULL : fdopendir(again);
	const char *name;

	if (!list) {
		if (again >= 0)
			close(again);
		return error_errno(err, errno, "list %s", path);
	}
	while ((name = fs_list_next(list))) {
		if (!buffer_append(&l->list, name, strlen(name) + 1))
			return error_no_memory(err, "list a directory");
		l->count++;
	}
	l->names = malloc((l->count + 1) * sizeof *l->names);
	if (!l->names)
		return error_no_memory(err, "list a directory");
	name = (const char *)l->list.data;
	for (size_t i = 0; i < l->count; i++) {
		l->names[i] = (char *)name;
		name += strlen(name) + 1;
	}
	qsort(l->names, l->count, sizeof *l->names, by_bytes);
	return 0;
}

static int grow(struct import_walk *w, struct error *err)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct import_level *levels;

	if (w->depth == ENTRY_DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "%s: more than %u directories in each other", w->path,
			ENTRY_DEPTH_MAX);
	if (w->depth < w->room)
		return 0;
	levels = realloc(w->levels, room * sizeof *levels);
	if (!levels)
		return error_no_memory(err, "walk a directory");
	w->levels = levels;
	w->room = room;
	return 0;
}

/* The walk goes into a directory that is open, for which there is room (grow()). s: as it is; known: its
 * record, NULL: there is none, which was taken. w->path is its path. The descriptor is the callee's. */
static int enter(struct import_walk *w, int fd, const char *name, size_t above, const struct stat *s,
	const struct known_key *known, struct error *err)
{
	struct import_level *l = &w->levels[w->depth++];
	struct import_event *e = NULL;
	struct known_key key = known_key_of(s, w->started);
	int r;

	*l = (struct import_level){
		.known = known != NULL, .path_size = above, .device = s->st_dev, .inode = s->st_ino};
	l->place = work_place_new(w->ring, fd, err);
	if (!l->place)
		return -(int)ERROR_NO_MEMORY;
	w->path_size = strlen(w->path);
	r = read_names(l, fd, w->path, err);
	if (r == 0 && !(known && known_key_same(&key, known)))
		r = import_metadata(w->reader, fd, w->path, s, &l->metadata, err);
	if (r < 0)
		return r;
	w->result->directories++;
	r = import_event_new(w->ring, IMPORT_ENTER, name, &e, err);
	if (r < 0)
		return r;
	e->known = KNOWN_DIRECTORY;
	e->key = key;
	e->changes = known && w->changes;
	return work_ring_push(w->ring, &e->work, err);
}

/* The directory's descriptor, for the walk; opened anew where it lies too deep to stay so. */
static int place_of(struct import_walk *w, struct import_level *l, struct error *err)
{
	struct stat s;
	int fd;

	if (l->place)
		return 0;
	path_restore(w);
	fd = fs_open_beneath(w->root, w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0 || s.st_dev != l->device || s.st_ino != l->inode) {
		close(fd);
		return error_set(err, ERROR_BUSY, "%s: it was replaced while it was imported", w->path);
	}
	l->place = work_place_new(w->ring, fd, err);
	return l->place ? 0 : -(int)ERROR_NO_MEMORY;
}

static void forget_place(struct import_walk *w, struct import_level *l)
{
	work_place_drop(w->ring, l->place);
	l->place = NULL;
}

/* ---- what is known ---- */

static int push_removed(struct import_walk *w, const char *name, struct error *err)
{
	struct import_event *e = NULL;
	int r;

	if (!top(w)->known || !w->changes)
		return 0;
	r = import_event_new(w->ring, IMPORT_REMOVE, name, &e, err);
	return r < 0 ? r : work_ring_push(w->ring, &e->work, err);
}

/* Goes on in what is known up to a name (NULL: to the directory's end); what is before is not there any more.
 * *record: the name's, or NULL. */
static int known_to(
	struct import_walk *w, const char *name, const struct known_record **record, struct error *err)
{
	const struct known_record *k;
	int r = 0;

	*record = NULL;
	if (!top(w)->known)
		return 0;
	while (r == 0 && (k = known_peek(w->known)) && k->kind != KNOWN_END) {
		int order = name ? strcmp(k->name, name) : -1;

		if (order == 0)
			*record = k;
		if (order >= 0)
			return 0;
		r = push_removed(w, k->name, err);
		known_skip(w->known);
	}
	if (r == 0 && known_failed(w->known))
		r = error_set(err, ERROR_CORRUPT, "what is known of earlier imports cannot be read");
	return r;
}

/* ---- one name ---- */

/* What has several names: *first is set where this is the first of them. */
static int names_of(struct import_walk *w, const struct stat *s, const char *path, struct import_names **out,
	bool *first, struct error *err)
{
	uint64_t key[2] = {(uint64_t)s->st_dev, (uint64_t)s->st_ino};
	struct import_names *n = map_get(&w->names, key, sizeof key);
	int r;

	*first = !n;
	*out = n;
	if (n)
		return 0;
	n = calloc(1, sizeof *n);
	if (!n)
		return error_no_memory(err, "import a file of several names");
	n->path = text_copy(path, err);
	r = n->path ? map_set(&w->names, key, sizeof key, n, NULL, err) : -(int)ERROR_NO_MEMORY;
	if (r < 0) {
		names_free(n);
		return r;
	}
	*out = n;
	return 0;
}

/* Of a file of several names, all but the first are others. */
static void count(struct import_walk *w, const struct stat *s, bool first)
{
	if (!first || !S_ISREG(s->st_mode)) {
		w->result->others++;
		return;
	}
	w->result->files++;
	w->result->bytes += (uint64_t)s->st_size;
}

/* An event for what is no directory: kept, where it is known as it is; or with its entry; or to be read. */
static int push_object(struct import_walk *w, const char *name, const char *path, const struct stat *s,
	const struct known_record *known, struct error *err)
{
	struct known_key key = known_key_of(s, w->started);
	struct import_names *names = NULL;
	struct import_event *e = NULL;
	bool first = true, keep;
	int r = s->st_nlink > 1 ? names_of(w, s, path, &names, &first, err) : 0;

	if (r < 0)
		return r;
	keep = first && known && known->kind == KNOWN_OBJECT && known_key_same(&key, &known->key);
	r = import_event_new(w->ring,
		keep                           ? IMPORT_KEEP
		: first && S_ISREG(s->st_mode) ? IMPORT_FILE
					       : IMPORT_PUT,
		name, &e, err);
	if (r < 0)
		return r;
	e->known = first ? KNOWN_OBJECT : KNOWN_LINK;
	e->key = key;
	e->names = names;
	e->stat = *s;
	if (e->kind == IMPORT_FILE) {
		e->work.place = top(w)->place;
		work_place_use(e->work.place);
		e->work.weight = (uint64_t)s->st_size;
		w->result->read_files++;
		w->result->read_bytes += (uint64_t)s->st_size;
	} else if (e->kind == IMPORT_PUT) {
		r = first ? import_other(top(w)->place->fd, name, s, &e->work.bytes, err)
			  : import_link(names->path, &e->work.bytes, err);
	}
	if (r < 0) {
		if (first && names)
			names->failed = true;
		return r;
	}
	count(w, s, first);
	return work_ring_push(w->ring, &e->work, err);
}

/* A directory is opened and entered. w->path is its path. *known was not taken yet. */
static int push_directory(struct import_walk *w, const char *name, const struct stat *s,
	const struct known_record *known, struct error *err)
{
	size_t above = w->path_size;
	struct known_key key;
	bool same_kind = known && known->kind == KNOWN_DIRECTORY;
	int fd, r = work_places_full(w->ring) ? work_ring_drain(w->ring, err) : 0;

	if (r == 0)
		r = grow(w, err);
	if (r < 0)
		return r;
	fd = openat(top(w)->place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open %s", w->path);
	if (same_kind) {
		key = known->key;
		known_next(w->known);
	} else if (known) {
		known_skip(w->known);
	}
	if (w->depth >= PLACES_KEPT)
		forget_place(w, top(w));
	return enter(w, fd, name, above, s, same_kind ? &key : NULL, err);
}

/* The name is left out; if it is known, it is not there any more. */
static int leave_out(
	struct import_walk *w, const char *name, const struct known_record *known, struct error *err)
{
	int r = known ? push_removed(w, name, err) : 0;

	if (known)
		known_skip(w->known);
	return r;
}

static bool is_own(const struct import_walk *w, const struct stat *s)
{
	return s->st_dev == w->own_device && s->st_ino == w->own_inode;
}

static int one_name(struct import_walk *w, const char *name, struct error *err)
{
	const struct known_record *known;
	size_t depth = w->depth;
	const char *path;
	struct stat s;
	int r = known_to(w, name, &known, err);

	if (r == 0)
		r = place_of(w, top(w), err);
	if (r < 0)
		return r;
	path = path_of(w, name);
	if (!path)
		r = error_set(err, ERROR_LIMIT, "%s/%s: a path of more than %u bytes", w->path, name,
			ENTRY_PATH_MAX);
	else if (fstatat(top(w)->place->fd, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 1 : error_errno(err, errno, "%s", path);
	else if (S_ISDIR(s.st_mode))
		r = is_own(w, &s) ? 1 : push_directory(w, name, &s, known, err);
	else {
		r = push_object(w, name, path, &s, known, err);
		if (r == 0 && known)
			known_skip(w->known);
	}
	/* What was entered and then failed is the end: the tree has been told of it. */
	if (w->depth == depth && top(w)->place && import_is_gone(top(w)->place->fd, name, r))
		r = 1;
	if (r < 0 && w->depth == depth)
		r = import_left_out(w->o, path ? path : w->path, err) < 0 ? r : 1;
	if (w->depth == depth)
		path_restore(w);
	return r == 1 ? leave_out(w, name, known, err) : r;
}

static int leave(struct import_walk *w, struct error *err)
{
	struct import_level *l = top(w);
	const struct known_record *none;
	struct import_event *e = NULL;
	int r = known_to(w, NULL, &none, err);

	if (r < 0)
		return r;
	if (l->known)
		known_next(w->known);
	r = import_event_new(w->ring, IMPORT_LEAVE, "", &e, err);
	if (r < 0)
		return r;
	e->known = KNOWN_END;
	buffer_append(&e->work.bytes, l->metadata.data, l->metadata.size);
	w->path_size = l->path_size;
	path_restore(w);
	level_free(w, l);
	w->depth--;
	return work_ring_push(w->ring, &e->work, err);
}

static int enter_root(struct import_walk *w, struct error *err)
{
	const struct known_record *known = w->known ? known_peek(w->known) : NULL;
	struct known_key key = {0};
	struct stat s;
	int r, fd = fs_open(w->root, ".", O_RDONLY | O_DIRECTORY, 0, err);

	if (fd < 0)
		return fd;
	if (fstat(fd, &s) < 0) {
		close(fd);
		return error_errno(err, errno, "look at the directory");
	}
	if (is_own(w, &s)) {
		close(fd);
		return error_set(err, ERROR_INVALID,
			"import %s: this is the repository itself, which goes into no revision of its own",
			repository_path(w->r));
	}
	if (known && known->kind != KNOWN_DIRECTORY)
		known = NULL;
	if (known) {
		key = known->key;
		known_next(w->known);
	}
	r = grow(w, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	return enter(w, fd, "", 0, &s, known ? &key : NULL, err);
}

int import_walk_run(struct import_walk *w, int root, struct error *err)
{
	struct stat own;
	int r;

	if (fstat(repository_directory(w->r), &own) < 0)
		return error_errno(err, errno, "look at %s", repository_path(w->r));
	w->own_device = own.st_dev;
	w->own_inode = own.st_ino;
	w->root = root;
	w->started = clock_realtime();
	r = enter_root(w, err);
	while (r == 0 && w->depth) {
		struct import_level *l = top(w);

		r = l->at < l->count ? one_name(w, l->names[l->at++], err) : leave(w, err);
	}
	return r;
}
