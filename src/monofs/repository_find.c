/* SPDX-License-Identifier: Apache-2.0 */
/* Which repository a user means. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "monofs/repository.h"
#include "os/fs.h"

#define SUFFIX ".monofs"

/* Whether the directory has a file `format` that begins as a repository's; whether it is whole is for
 * repository_open() to say. */
static bool is_repository(const char *path)
{
	_cleanup_free_ char *format = text_format(NULL, "%s/format", path);
	_cleanup_fd_ int fd = format ? fs_open(AT_FDCWD, format, O_RDONLY | O_NONBLOCK, 0, NULL) : -1;
	_cleanup_free_ char *packs = text_format(NULL, "%s/packs", path);
	char begin[7];

	if (fd >= 0 && read(fd, begin, sizeof begin) == (ssize_t)sizeof begin &&
		memcmp(begin, "monofs ", sizeof begin) == 0)
		return true;
	return fd >= 0 && text_ends(path, SUFFIX) && packs && access(packs, F_OK) == 0;
}

/* Without links where it can be had: a mounted tree whose process died answers nothing. Of what is not there
 * the directory counts. */
static char *absolute(const char *path, struct error *err)
{
	_cleanup_free_ char *parent = NULL, *copy = NULL;
	char *real = realpath(path, NULL), *slash;
	char here[PATH_MAX];

	if (real)
		return real;
	copy = text_copy(path, err);
	if (!copy)
		return NULL;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/';)
		copy[--n] = 0;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = 0;
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (parent)
		return text_format(
			err, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash ? slash + 1 : copy);
	if (slash)
		*slash = '/';
	if (*copy == '/')
		return TAKE_PTR(copy);
	if (!getcwd(here, sizeof here)) {
		error_errno(err, errno, "find the current directory");
		return NULL;
	}
	return text_format(err, "%s/%s", here, copy);
}

static int try_at(const char *directory, const char *rest, char **found, char **within, struct error *err)
{
	_cleanup_free_ char *beside = text_format(err, "%s" SUFFIX, directory);
	bool itself = is_repository(directory);

	if (!beside)
		return -ERROR_NO_MEMORY;
	if (!itself && !is_repository(beside))
		return 0;
	if (within) {
		*within = text_copy(itself ? "" : rest, err);
		if (!*within)
			return -ERROR_NO_MEMORY;
	}
	*found = itself ? text_copy(directory, err) : TAKE_PTR(beside);
	return *found ? 1 : -ERROR_NO_MEMORY;
}

/* Whether a directory that has a repository's name is kept from us. */
static bool is_denied(const char *path)
{
	_cleanup_free_ char *format = text_format(NULL, "%s/format", path);

	return text_ends(path, SUFFIX) && format && access(format, R_OK) < 0 && errno == EACCES;
}

static int not_found(const char *full, struct error *err)
{
	_cleanup_free_ char *beside = text_format(err, "%s" SUFFIX, full);
	const char *denied = is_denied(full) ? full : beside && is_denied(beside) ? beside : NULL;

	if (denied)
		return error_set(err, ERROR_DENIED, "open the repository %s: %s", denied, strerror(EACCES));
	return error_set(err, ERROR_NOT_FOUND,
		"there is no monofs repository: %s" SUFFIX " is none, nor is there one of a directory above: "
		"'monofs init' makes one",
		full);
}

int repository_find(const char *path, char **found, char **within, struct error *err)
{
	_cleanup_free_ char *full = absolute(path ? path : ".", err), *at = NULL;
	int r = 0;

	if (!full)
		return -(int)(err && err->code ? err->code : ERROR_NO_MEMORY);
	at = text_copy(full, err);
	if (!at)
		return -ERROR_NO_MEMORY;
	while (*at &&
		(r = try_at(at, full[strlen(at)] ? full + strlen(at) + 1 : "", found, within, err)) == 0)
		*strrchr(at, '/') = 0;
	if (r != 0)
		return r < 0 ? r : 0;
	return not_found(full, err);
}

int repository_spare(struct repository *r, const char *path, struct error *err)
{
	_cleanup_free_ char *part = text_copy(*path ? path : ".", err);
	_cleanup_fd_ int fd = -1;
	struct stat own;
	int in;

	if (!part)
		return -ERROR_NO_MEMORY;
	while ((fd = open(part, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) {
		char *slash = strrchr(part, '/');

		if (!slash || (slash == part && !slash[1]))
			break;
		slash[slash == part] = 0;
	}
	if (fd < 0 && (fd = fs_open(AT_FDCWD, *part == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0, err)) < 0)
		return fd;
	if (fstat(repository_directory(r), &own) < 0)
		return error_errno(err, errno, "look at %s", repository_path(r));
	in = fs_lies_in(fd, &own, err);
	if (in <= 0)
		return in;
	return error_set(err, ERROR_INVALID,
		"%s lies in the repository %s itself: name another place (with -C, a relative one begins "
		"there)",
		path, repository_path(r));
}
