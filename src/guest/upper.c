/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk keeps a stack of open directories, each with its names read and sorted. A directory is announced
 * when it is entered, but one that the agent has made only when something comes to be in it.
 */
#include "guest/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/message.h"
#include "guest/made.h"

#define WHITEOUT       ".wh."
#define OPAQUE         ".wh..wh..opq"
#define OVERLAY_MARK   "trusted.overlay.opaque"
#define OVERLAY_ORIGIN "trusted.overlay.origin"
#define ROOT_MODE      0755               /* of an upper directory that bears no mark */
#define NAMES_MOST     (64 * 1024 * 1024) /* bytes of names of the directories that are open */

CLEANUP_DEFINE(directory_stream, DIR, closedir);

struct level {
	int fd;
	struct stat stat;
	bool owed;   /* its own entry has not been written */
	bool opaque; /* and is followed by that which says so */
	char *path;  /* "": the root */
	struct buffer text;
	const char **names; /* in text, sorted */
	size_t count, next;
};

struct packer {
	enum upper_form form;
	struct tree_entries entries;
	struct level *levels;
	size_t depth, room;
	size_t names_size; /* of all levels */
};

static void level_free(struct level *l)
{
	if (l->fd >= 0)
		close(l->fd);
	buffer_free(&l->text);
	free(l->names);
	free(l->path);
}

static void packer_free(struct packer *p)
{
	while (p->depth)
		level_free(&p->levels[--p->depth]);
	free(p->levels);
	tree_entries_free(&p->entries);
}

static bool is_wanted(const char *name)
{
	return !text_starts(name, "trusted.overlay.") && !text_starts(name, "trusted.monocore.");
}

static bool is_wanted_as_it_is(const char *name)
{
	return is_wanted(name) || !strcmp(name, OVERLAY_MARK) || !strcmp(name, OVERLAY_ORIGIN);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a directory, each with its NUL, in the order that the file system has. */
static int list_names(struct packer *p, struct level *l, struct error *err)
{
	int fd = openat(l->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_directory_stream) DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return error_errno(err, errno, "read directory '%s'", tree_entries_path(&p->entries));
	}
	while (errno = 0, (d = readdir(stream))) {
		size_t n = strlen(d->d_name) + 1;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		p->names_size += n + sizeof *l->names;
		if (p->names_size > NAMES_MOST)
			return error_set(err, ERROR_LIMIT,
				"'%s' and the directories around it hold too many names",
				tree_entries_path(&p->entries));
		if (!buffer_append(&l->text, d->d_name, n))
			return error_no_memory(err, "pack the changes");
		l->count++;
	}
	if (errno && errno != ENOENT)
		return error_errno(err, errno, "read directory '%s'", tree_entries_path(&p->entries));
	return 0;
}

static int read_names(struct packer *p, struct level *l, struct error *err)
{
	const char *at;
	int r = list_names(p, l, err);

	if (r < 0)
		return r;
	l->names = calloc(l->count ? l->count : 1, sizeof *l->names);
	if (!l->names)
		return error_no_memory(err, "pack the changes");
	at = (const char *)l->text.data;
	for (size_t i = 0; i < l->count; i++, at += strlen(at) + 1)
		l->names[i] = at;
	qsort(l->names, l->count, sizeof *l->names, compare_names);
	return 0;
}

/* The path of an entry: that of its directory, and behind it a prefix and a name. */
static int set_path(
	struct packer *p, const struct level *l, const char *prefix, const char *name, struct error *err)
{
	struct buffer *path = &p->entries.path;

	buffer_clear(path);
	buffer_append_text(path, l->path);
	if (path->size)
		buffer_u8(path, '/');
	buffer_append_text(path, prefix);
	buffer_append_text(path, name);
	if (!buffer_u8(path, 0))
		return error_no_memory(err, "pack the changes");
	if (path->size > MESSAGE_PATH_MAX + 1)
		return error_set(err, ERROR_LIMIT, "a name is over %d bytes long: '%.200s...'",
			MESSAGE_PATH_MAX, tree_entries_path(&p->entries));
	return 0;
}

/* An empty file that is only a sign. */
static int write_sign(
	struct packer *p, const struct level *l, const char *prefix, const char *name, struct error *err)
{
	const struct stat sign = {.st_mode = S_IFREG | 0600};
	int r = set_path(p, l, prefix, name, err);

	return r < 0 ? r : tree_entries_header(&p->entries, TAR_FILE, &sign, NULL, -1, err);
}

/* The entry of a directory. */
static int announce(struct packer *p, struct level *l, struct error *err)
{
	struct buffer *path = &p->entries.path;
	int r;

	l->owed = false;
	buffer_clear(path);
	buffer_append_text(path, *l->path ? l->path : ".");
	if (!buffer_u8(path, 0))
		return error_no_memory(err, "pack the changes");
	r = tree_entries_header(&p->entries, TAR_DIRECTORY, &l->stat, NULL, l->fd, err);
	return r == 0 && l->opaque ? write_sign(p, l, "", OPAQUE, err) : r;
}

/* Announces the directories around the next entry. */
static int announce_owed(struct packer *p, struct error *err)
{
	int r = 0;

	for (size_t i = 1; r == 0 && i < p->depth; i++)
		if (p->levels[i].owed)
			r = announce(p, &p->levels[i], err);
	return r;
}

static bool is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, OVERLAY_MARK, value, sizeof value) == 1 && value[0] == 'y';
}

/* Puts a directory on the stack, which is taken over and whose path is the one at hand. */
static int enter(struct packer *p, int fd, const struct stat *s, struct error *err)
{
	_cleanup_free_ char *path = text_copy(tree_entries_path(&p->entries), err);
	_cleanup_fd_ int owned = fd;

	if (!path)
		return -ERROR_NO_MEMORY;

	if (p->depth == p->room) {
		size_t room = p->room ? 2 * p->room : 16;
		struct level *levels = reallocarray(p->levels, room, sizeof *levels);

		if (!levels)
			return error_no_memory(err, "pack the changes");
		p->levels = levels;
		p->room = room;
	}
	p->levels[p->depth] = (struct level){.fd = TAKE_FD(owned),
		.stat = *s,
		.owed = true,
		.opaque = p->form == UPPER_LAYER && is_opaque(fd),
		.path = TAKE_PTR(path)};
	p->depth++;
	return read_names(p, &p->levels[p->depth - 1], err);
}

static int pack_directory(struct packer *p, int at, const char *name, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat s;
	bool untouched;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return tree_entries_gone(&p->entries, err);
	untouched = made_is_untouched(fd, &s);
	r = enter(p, TAKE_FD(fd), &s, err);
	return r < 0 || untouched ? r : announce_owed(p, err);
}

static bool is_whiteout(const struct stat *s)
{
	return S_ISCHR(s->st_mode) && s->st_rdev == makedev(0, 0);
}

static bool is_made_file(int at, const char *name, const struct stat *s)
{
	_cleanup_fd_ int fd =
		S_ISREG(s->st_mode) && s->st_size == 0
			? openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
			: -1;

	return fd >= 0 && made_is_untouched(fd, s);
}

static int pack_entry(struct packer *p, const char *name, struct error *err)
{
	const struct level *l = &p->levels[p->depth - 1];
	int at = l->fd, r = set_path(p, l, "", name, err);
	bool known;
	struct stat s;

	if (r < 0)
		return r;
	if (fstatat(at, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return tree_entries_gone(&p->entries, err);
	if (S_ISSOCK(s.st_mode) || is_made_file(at, name, &s))
		return 0;
	if (p->form == UPPER_LAYER && text_starts(name, WHITEOUT))
		return error_set(err, ERROR_INVALID,
			"'%s': a layer cannot hold a name that begins with '" WHITEOUT
			"', which says there that a "
			"file was removed",
			tree_entries_path(&p->entries));
	if (S_ISDIR(s.st_mode))
		return pack_directory(p, at, name, err);
	r = announce_owed(p, err);
	if (r == 0 && p->form == UPPER_LAYER && is_whiteout(&s))
		return write_sign(p, l, WHITEOUT, name, err);
	if (r == 0)
		r = set_path(p, l, "", name, err);
	return r < 0 ? r : tree_entries_object(&p->entries, at, name, &s, &known, err);
}

/* The next entry of the innermost directory, or its end. */
static int pack_next(struct packer *p, struct error *err)
{
	struct level *l = &p->levels[p->depth - 1];

	if (l->next < l->count)
		return pack_entry(p, l->names[l->next++], err);
	p->names_size -= l->text.size + l->count * sizeof *l->names;
	level_free(l);
	p->depth--;
	return 0;
}

/* The upper directory bears the image's mode and owner, and a mark (root.c): it is an entry only where the
 * sandbox has changed these. */
static bool root_is_changed(int fd, const struct stat *s)
{
	struct tar_entry none = {.path = (char *)"."};
	struct error err;
	bool changed;

	if (fgetxattr(fd, MADE_ATTRIBUTE, NULL, 0) >= 0)
		return !made_is_untouched(fd, s);
	changed = (s->st_mode & 07777) != ROOT_MODE || s->st_uid || s->st_gid ||
		  attributes_read(fd, is_wanted, &none, &err) < 0 || none.xattr_count;
	attributes_free(&none);
	return changed;
}

int upper_pack(int upper, enum upper_form form, tree_taker *take, void *context, struct error *err)
{
	_cleanup_(packer_free) struct packer p = {.form = form,
		.entries = {.take = take,
			.context = context,
			.wanted = form == UPPER_LAYER ? is_wanted : is_wanted_as_it_is,
			.may_vanish = true}};
	_cleanup_fd_ int fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return error_errno(err, errno, "open the directory of the changes");
	if (!buffer_append(&p.entries.path, "", 1))
		return error_no_memory(err, "pack the changes");
	r = enter(&p, TAKE_FD(fd), &s, err);
	if (r == 0 && root_is_changed(p.levels[0].fd, &s))
		r = announce(&p, &p.levels[0], err);
	while (r == 0 && p.depth)
		r = pack_next(&p, err);
	return r < 0 ? r : tree_entries_finish(&p.entries, err);
}

/* An archive's end is zeroes, which no entry begins with. */
static int stop_at_entry(void *context, const void *data, size_t n, struct error *err)
{
	const uint8_t *bytes = data;

	(void)context;
	return n && *bytes ? error_set(err, ERROR_EXISTS, "there is an entry") : 0;
}

bool upper_is_empty(int upper)
{
	struct error err;

	return upper_pack(upper, UPPER_AS_IT_IS, stop_at_entry, NULL, &err) == 0;
}
