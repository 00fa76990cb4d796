/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/holders.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/printable.h"
#include "os/fs.h"

/* The rest of a path beneath a directory, "" for the directory itself; NULL: it is elsewhere. */
static const char *beneath(const char *directory, const char *path)
{
	size_t n = strlen(directory);

	if (strncmp(path, directory, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path[n] ? path + n + 1 : path + n;
}

/* Where a link of /proc leads, as long as that is in the directory. */
static const char *linked(int process, const char *name, const char *directory, char *path, size_t size)
{
	ssize_t n = readlinkat(process, name, path, size - 1);

	if (n <= 0)
		return NULL;
	path[n] = 0;
	return beneath(directory, path);
}

static bool holds_open(int process, const char *directory, struct holder *h)
{
	_cleanup_list_ DIR *list = NULL;
	char path[PATH_MAX], link[64], name[HOLDER_NAME - 16];
	const char *found, *fd;

	if (fs_list_open(process, "fd", &list, NULL) < 0)
		return false;
	while ((fd = fs_list_next(list))) {
		snprintf(link, sizeof link, "fd/%.32s", fd);
		found = linked(process, link, directory, path, sizeof path);
		if (!found)
			continue;
		printable_line(*found ? found : ".", *found ? strlen(found) : 1, name, sizeof name);
		snprintf(h->what, sizeof h->what, "has %s open", name);
		return true;
	}
	return false;
}

/* Lines of maps: six fields, the last of which is the path. */
static bool holds_mapped(int process, const char *directory, struct holder *h)
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	_cleanup_file_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	char name[HOLDER_NAME - 16];
	size_t room = 0;

	if (!f && fd >= 0)
		close(fd);
	while (f && getline(&line, &room, f) > 0) {
		char *path = strchr(line, '/');
		const char *found;

		line[strcspn(line, "\n")] = 0;
		found = path ? beneath(directory, path) : NULL;
		if (!found)
			continue;
		printable_line(found, strlen(found), name, sizeof name);
		snprintf(h->what, sizeof h->what, "has %s mapped", name);
		return true;
	}
	return false;
}

static bool look(int process, const char *directory, struct holder *h)
{
	static const struct {
		const char *link, *what;
	} places[] = {
		{"cwd", "works in it"}, {"root", "has its root in it"}, {"exe", "runs a program of it"}};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (linked(process, places[i].link, directory, path, sizeof path)) {
			snprintf(h->what, sizeof h->what, "%s", places[i].what);
			return true;
		}
	return holds_open(process, directory, h) || holds_mapped(process, directory, h);
}

static void read_name(int process, struct holder *h)
{
	_cleanup_buffer_ struct buffer b = {0};

	snprintf(h->name, sizeof h->name, "?");
	if (fs_read_file(process, "comm", 256, &b, NULL) == 0)
		printable_line(b.data, b.size, h->name, sizeof h->name);
}

size_t holders_find(const char *directory, struct holder *out, size_t most)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	size_t n = 0;

	if (fs_list_open(AT_FDCWD, "/proc", &list, NULL) < 0)
		return 0;
	while (n < most && (name = fs_list_next(list))) {
		_cleanup_fd_ int process = -1;
		char path[64];

		if (!isdigit((unsigned char)*name))
			continue;
		out[n].pid = (pid_t)strtol(name, NULL, 10);
		snprintf(path, sizeof path, "/proc/%.32s", name);
		if (out[n].pid == getpid() || (process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
			continue;
		if (!look(process, directory, &out[n]))
			continue;
		read_name(process, &out[n]);
		n++;
	}
	return n;
}
