/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define DEPTH_MAX 200u /* each level holds a descriptor open */

CLEANUP_DEFINE(directory, DIR, closedir);

struct walker {
	const char *name;
	dev_t device;
	walk_call call;
	void *context;
	unsigned depth;
	size_t size; /* of path */
	char path[PATH_MAX];
};

struct names {
	char **list;
	size_t count, room;
};

static void names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
}

int walk_failed(struct error *err, int errnum, const char *top, const char *path)
{
	if (errnum == EACCES || errnum == EPERM)
		return error_set(err, ERROR_DENIED,
			"read %s/%s: %s: make it readable for you, or run as its owner", top, path,
			strerror(errnum));
	return error_errno(err, errnum, "read %s/%s", top, path);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct names *n, const char *name, struct error *err)
{
	if (n->count == n->room) {
		size_t room = n->room ? n->room * 2 : 64;
		char **list = reallocarray(n->list, room, sizeof *list);

		if (!list)
			return error_no_memory(err, "read a directory");
		n->list = list;
		n->room = room;
	}
	n->list[n->count] = text_copy(name, err);
	return n->list[n->count] ? (n->count++, 0) : -ERROR_NO_MEMORY;
}

static int read_names(struct walker *w, DIR *d, struct names *names, struct error *err)
{
	for (;;) {
		const struct dirent *entry;
		int r;

		errno = 0;
		entry = readdir(d);
		if (!entry)
			break;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = add_name(names, entry->d_name, err);
		if (r < 0)
			return r;
	}
	if (errno)
		return walk_failed(err, errno, w->name, w->path);
	if (names->count)
		qsort(names->list, names->count, sizeof *names->list, compare_names);
	return 0;
}

static int walk_directory(struct walker *w, int directory, const char *name, struct error *err);

static int walk_file(struct walker *w, int directory, const char *name, struct error *err)
{
	struct stat s;
	struct walk_file file = {.path = w->path, .directory = directory, .name = name, .stat = &s};
	int r;

	if (fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return walk_failed(err, errno, w->name, w->path);
	r = w->call(w->context, &file, err);
	if (r < 0 || !S_ISDIR(s.st_mode) || s.st_dev != w->device)
		return r;
	return walk_directory(w, directory, name, err);
}

static int walk_children(struct walker *w, DIR *d, const struct names *names, struct error *err)
{
	size_t size = w->size;
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		size_t n = strlen(names->list[i]);

		if (size + n + 2 > sizeof w->path)
			return error_set(err, ERROR_LIMIT, "read %s/%s: a path of over %d bytes", w->name,
				w->path, PATH_MAX - 1);
		if (size)
			w->path[size] = '/';
		memcpy(w->path + size + (size > 0), names->list[i], n + 1);
		w->size = size + n + (size > 0);
		r = walk_file(w, dirfd(d), names->list[i], err);
	}
	w->size = size;
	w->path[size] = 0;
	return r;
}

static int walk_directory(struct walker *w, int directory, const char *name, struct error *err)
{
	_cleanup_(cleanup_directory) DIR *d = NULL;
	_cleanup_(names_free) struct names names = {0};
	int fd, r;

	if (++w->depth > DEPTH_MAX)
		return error_set(err, ERROR_LIMIT, "read %s/%s: directories are nested deeper than %u",
			w->name, w->path, DEPTH_MAX);
	fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return walk_failed(err, errno, w->name, w->path);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return error_no_memory(err, "read a directory");
	}
	r = read_names(w, d, &names, err);
	if (r == 0)
		r = walk_children(w, d, &names, err);
	w->depth--;
	return r;
}

int walk_tree(int top, const char *name, walk_call call, void *context, struct error *err)
{
	struct walker w = {.name = name, .call = call, .context = context};
	struct stat s;
	struct walk_file file = {.path = ".", .directory = top, .name = ".", .stat = &s};
	int r;

	if (fstat(top, &s) < 0)
		return error_errno(err, errno, "read %s", name);
	w.device = s.st_dev;
	r = call(context, &file, err);
	return r < 0 ? r : walk_directory(&w, top, ".", err);
}
