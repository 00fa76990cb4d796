/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/home.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"

static char *default_path(struct error *err)
{
	const char *set = getenv("MONOCORE_HOME"), *home = getenv("HOME");
	char bytes[4096];
	struct passwd entry, *found = NULL;

	if (set && *set)
		return text_copy(set, err);
	if (home && *home == '/')
		return text_format(err, "%s/.monocore", home);
	if (getpwuid_r(getuid(), &entry, bytes, sizeof bytes, &found) == 0 && found &&
		found->pw_dir[0] == '/')
		return text_format(err, "%s/.monocore", found->pw_dir);
	error_set(err, ERROR_NOT_FOUND, "no home directory: set MONOCORE_HOME to a directory of yours");
	return NULL;
}

static char *absolute_path(const char *path, struct error *err)
{
	_cleanup_free_ char *here = NULL;

	if (*path == '/')
		return text_copy(path, err);
	here = getcwd(NULL, 0);
	if (!here) {
		error_errno(err, errno, "find the working directory");
		return NULL;
	}
	return text_format(err, "%s/%s", here, path);
}

static int check_owner(const struct home *home, struct error *err)
{
	struct stat s;

	if (fstat(home->fd, &s) < 0)
		return error_errno(err, errno, "examine %s", home->path);
	if (s.st_uid != geteuid())
		return error_set(err, ERROR_DENIED,
			"%s belongs to user %u, not to you: set MONOCORE_HOME to a directory of your own",
			home->path, (unsigned)s.st_uid);
	/* Root's MONOCORE_HOME=/tmp would take it from everybody. */
	if (s.st_mode & (S_ISVTX | S_IWOTH))
		return error_set(err, ERROR_DENIED,
			"%s is a directory that all users write to: set MONOCORE_HOME to one of your own",
			home->path);
	if ((s.st_mode & 0077) && fchmod(home->fd, 0700) < 0)
		return error_errno(err, errno, "make %s private (mode 0700)", home->path);
	return 0;
}

static int open_part(const struct home *home, const char *name, int *fd, struct error *err)
{
	if (mkdirat(home->fd, name, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s/%s", home->path, name);
	*fd = fs_open(home->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return *fd < 0 ? error_prefix(err, "%s", home->path) : 0;
}

static int open_all(struct home *home, struct error *err)
{
	int r = fs_make_directories(AT_FDCWD, home->path, 0700, err);

	if (r < 0)
		return error_prefix(err, "MONOCORE_HOME %s", home->path);
	home->fd = fs_open(AT_FDCWD, home->path, O_RDONLY | O_DIRECTORY, 0, err);
	if (home->fd < 0)
		return error_prefix(err, "MONOCORE_HOME");
	r = check_owner(home, err);
	if (r == 0)
		r = open_part(home, "sandboxes", &home->sandboxes, err);
	if (r == 0)
		r = open_part(home, "names", &home->names, err);
	if (r == 0)
		r = open_part(home, "events", &home->events, err);
	if (r == 0)
		r = open_part(home, "snapshots", &home->snapshots, err);
	return r;
}

int home_open(const char *path, struct home *home, struct error *err)
{
	_cleanup_free_ char *wanted = path ? text_copy(path, err) : default_path(err);
	int r;

	*home = (struct home){.fd = -1, .sandboxes = -1, .names = -1, .events = -1, .snapshots = -1};
	if (!wanted)
		return -(int)(err ? err->code : ERROR_NOT_FOUND);
	home->path = absolute_path(wanted, err);
	r = home->path ? open_all(home, err) : -ERROR_NO_MEMORY;
	if (r < 0)
		home_close(home);
	return r;
}

void home_close(struct home *home)
{
	int *fds[] = {&home->fd, &home->sandboxes, &home->names, &home->events, &home->snapshots};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(TAKE_FD(*fds[i]));
	free(home->path);
	home->path = NULL;
}

int home_check_space(const struct home *home, struct error *err)
{
	const char *reserve = getenv("MONOCORE_DISK_RESERVE");
	uint64_t free_bytes, total, need;
	char have[32], want[32];
	int r = fs_space(home->fd, &free_bytes, &total, err);

	if (r < 0)
		return r;
	need = total / 20 > 1ULL << 30 ? total / 20 : 1ULL << 30;
	if (reserve && (r = text_parse_size(reserve, 1, "MONOCORE_DISK_RESERVE", &need, err)) < 0)
		return r;
	if (free_bytes < need)
		return error_set(err, ERROR_NO_SPACE,
			"only %s are free on the disk of %s, and a start wants %s (5 %%, at least 1 GiB): "
			"make room, "
			"or set MONOCORE_DISK_RESERVE",
			text_human_size(free_bytes, have, sizeof have), home->path,
			text_human_size(need, want, sizeof want));
	return 0;
}
