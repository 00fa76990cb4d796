/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/extract_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Appends the parts of a path, joined by single slashes, and a NUL. */
static int tidy(const char *path, struct buffer *out, struct error *err)
{
	size_t start = out->size;

	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && !memcmp(p, "..", 2))
			return error_set(
				err, ERROR_INVALID, "the sandbox sent a name that leads out: '%s'", path);
		if (n && !(n == 1 && *p == '.')) {
			if (out->size > start)
				buffer_u8(out, '/');
			buffer_append(out, p, n);
		}
		p += n + (p[n] == '/');
	}
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "unpack");
}

void path_map_free(struct path_map *m)
{
	buffer_free(&m->root);
}

int path_map_start(struct path_map *m, const char *name, const char *root, struct error *err)
{
	m->name = name;
	buffer_clear(&m->root);
	return tidy(root, &m->root, err);
}

int path_map_find(const struct path_map *m, const char *path, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer tidied = {0};
	const char *rest, *root = (const char *)m->root.data;
	size_t n = strlen(root);
	int r = tidy(path, &tidied, err);

	if (r < 0)
		return r;
	rest = (const char *)tidied.data;
	if (strncmp(rest, root, n) != 0 || (n && rest[n] && rest[n] != '/'))
		return error_set(
			err, ERROR_INVALID, "the sandbox sent '%s', which is not below '%s'", path, root);
	rest += n + (rest[n] == '/');
	buffer_clear(out);
	if (m->name)
		buffer_append_text(out, m->name);
	if (m->name && *rest)
		buffer_u8(out, '/');
	buffer_append_text(out, rest);
	return buffer_u8(out, 0) ? 0 : error_no_memory(err, "unpack");
}

/* One part below `at`, which stays open. */
static int step(int at, const char *part, bool make)
{
	int fd = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT || !make || mkdirat(at, part, 0777) < 0)
		return fd;
	return openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int path_open_directory(int directory, const char *path, bool make, struct error *err)
{
	_cleanup_fd_ int at = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char part[256];

	while (at >= 0 && *path) {
		size_t n = strcspn(path, "/");
		int next = -1;

		if (n < sizeof part) {
			memcpy(part, path, n);
			part[n] = 0;
			next = step(at, part, make);
		} else
			errno = ENAMETOOLONG;
		if (next < 0 && errno == ENOTDIR)
			return error_set(err, ERROR_EXISTS,
				"'%s' is no directory here, or a link: remove it first", part);
		if (next < 0)
			return error_errno(err, errno, "open directory '%.255s'", path);
		close(at);
		at = next;
		path += n + (path[n] == '/');
	}
	return at < 0 ? error_errno(err, errno, "open the target's directory") : TAKE_FD(at);
}

int path_open_readable(int directory, const char *path, struct error *err)
{
	_cleanup_fd_ int at = path_open_directory(directory, path, false, err);
	int fd;

	if (at < 0)
		return at;
	fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, errno, "open directory '%s'", path) : fd;
}
