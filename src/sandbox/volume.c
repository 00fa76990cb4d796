/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/monofs_uri.h"
#include "os/fs.h"
#include "sandbox/directory.h"
#include "sandbox/records.h"
#include "sandbox/volume_fill.h"
#include "sandbox/volume_monofs.h"
#include "sandbox/volume_owner.h"

#define VOLUMES "volumes"
#define LOCK    ".lock"

/* ---- what was typed -------------------------------------------------------------------------------------
 */

static bool is_path(const char *source)
{
	return *source == '/' || *source == '~' || !strcmp(source, ".") || !strcmp(source, "..") ||
	       text_starts(source, "./") || text_starts(source, "../");
}

int volume_expand_home(const char *source, char **path, struct error *err)
{
	const char *home = getenv("HOME");

	if (source[1] && source[1] != '/')
		return error_set(
			err, ERROR_USAGE, "'%s': only '~' and '~/...' are known: write the path", source);
	if (!home || *home != '/')
		return error_set(err, ERROR_USAGE, "'%s': HOME is not set", source);
	*path = text_format(err, "%s%s", home, source + 1);
	return *path ? 0 : -ERROR_NO_MEMORY;
}

static int check_kind(const struct stat *s, const char *path, struct error *err)
{
	if (S_ISDIR(s->st_mode) || S_ISREG(s->st_mode))
		return 0;
	return error_set(err, ERROR_INVALID, "%s is neither a directory nor a regular file", path);
}

/* As realpath(3): a later start finds the same object, whatever the working directory is then. */
static int absolute_source(const char *source, char **path, struct error *err)
{
	_cleanup_free_ char *expanded = NULL;
	struct stat s;

	if (*source == '~' && volume_expand_home(source, &expanded, err) < 0)
		return -ERROR_USAGE;
	*path = realpath(expanded ? expanded : source, NULL);
	if (!*path && errno == ENOENT)
		return error_set(err, ERROR_NOT_FOUND, "%s is not there: make it first", source);
	if (!*path || stat(*path, &s) < 0)
		return error_errno(err, errno, "%s", source);
	return check_kind(&s, source, err);
}

static int set_source(struct record_mount *m, const char *source, struct error *err)
{
	bool path = is_path(source);

	if (monofs_uri_is(source))
		return volume_monofs_set(m, source, err);
	m->type = text_copy(path ? "bind" : "volume", err);
	if (!m->type)
		return -ERROR_NO_MEMORY;
	if (path && m->nocopy)
		return error_set(err, ERROR_USAGE, "nocopy is for volumes that have names");
	if (path)
		return absolute_source(source, &m->source, err);
	if (!sandbox_name_valid(source))
		return error_set(err, ERROR_USAGE,
			"'%s' is neither a path (./%s would be one) nor a volume's name: letters, digits, "
			"'_', '.' "
			"and '-', at most 63",
			source, source);
	m->source = text_copy(source, err);
	return m->source ? 0 : -ERROR_NO_MEMORY;
}

/* Without double slashes, "." and a slash at the end. */
static int set_target(struct record_mount *m, const char *target, struct error *err)
{
	size_t used = 0;

	if (*target != '/')
		return error_set(
			err, ERROR_USAGE, "'%s': the place in the sandbox is no absolute path", target);
	if (strlen(target) > MESSAGE_PATH_MAX)
		return error_set(err, ERROR_USAGE, "the place in the sandbox is too long");
	m->target = calloc(1, strlen(target) + 2);
	if (!m->target)
		return error_no_memory(err, "read --volume");
	for (const char *at = target; *at;) {
		size_t slashes = strspn(at, "/"), n = strcspn(at + slashes, "/");

		at += slashes;
		if (n == 2 && !memcmp(at, "..", 2))
			return error_set(
				err, ERROR_USAGE, "'%s': the place in the sandbox has a '..'", target);
		if (n && !(n == 1 && *at == '.')) {
			m->target[used++] = '/';
			memcpy(m->target + used, at, n);
			used += n;
		}
		at += n;
	}
	return used ? 0 : error_set(err, ERROR_USAGE, "a volume cannot be the root of the sandbox");
}

static int set_option(struct record_mount *m, const char *option, size_t n, struct error *err)
{
	if (n == 2 && !memcmp(option, "ro", n))
		m->read_only = true;
	else if (n == 6 && !memcmp(option, "squash", n))
		m->squash = true;
	else if (n == 6 && !memcmp(option, "nocopy", n))
		m->nocopy = true;
	else if (n == 5 && !memcmp(option, "stage", n))
		m->stage = true;
	else if (n != 2 || memcmp(option, "rw", n) != 0)
		return error_set(err, ERROR_USAGE,
			"'%.*s' is no option of a volume: there is ro, rw, squash, stage and nocopy, several "
			"with commas between",
			(int)n, option);
	return m->stage && m->read_only
		       ? error_set(err, ERROR_USAGE,
				 "either ro, nothing is written, or stage, what is written is kept apart")
		       : 0;
}

static int parse(const char *text, struct record_mount *m, struct error *err)
{
	const char *scheme = monofs_uri_is(text) ? text + strlen(MONOFS_URI) : text;
	const char *colon = strchr(scheme, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
	_cleanup_free_ char *source = NULL, *target = NULL;
	int r;

	if (!colon || colon == text || !colon[1])
		return error_set(err, ERROR_USAGE, "write SOURCE:PATH[:OPTIONS]");
	source = strndup(text, (size_t)(colon - text));
	target = strndup(colon + 1, second ? (size_t)(second - colon - 1) : strlen(colon + 1));
	if (!source || !target)
		return error_no_memory(err, "read --volume");
	r = set_target(m, target, err);
	for (const char *at = second ? second + 1 : NULL; r == 0 && at;) {
		size_t n = strcspn(at, ",");

		r = set_option(m, at, n, err);
		at = at[n] ? at + n + 1 : NULL;
	}
	return r < 0 ? r : set_source(m, source, err);
}

int volume_parse(const char *text, struct record_mount *m, struct error *err)
{
	int r;

	*m = (struct record_mount){0};
	r = parse(text, m, err);
	if (r < 0) {
		record_mount_free(m);
		return error_prefix(err, "volume '%s'", text);
	}
	return 0;
}

int volume_driver_parse(const char *text, enum volume_driver *driver, struct error *err)
{
	*driver = VOLUME_DRIVER_SERIAL;
	if (!text || !*text || !strcmp(text, "fuse") || !strcmp(text, "serial"))
		return 0;
	if (!strcmp(text, "virtiofs"))
		*driver = VOLUME_DRIVER_VIRTIOFS;
	else if (!strcmp(text, "nfs"))
		*driver = VOLUME_DRIVER_NFS;
	else
		return error_set(
			err, ERROR_USAGE, "volume driver '%s': there is fuse, virtiofs and nfs", text);
	return 0;
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct record_mount *)a)->target, ((const struct record_mount *)b)->target);
}

static bool is_at_or_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return !strncmp(path, directory, n) && (!path[n] || path[n] == '/');
}

int volume_check_targets(struct record_mount *mounts, uint32_t count, struct error *err)
{
	static const char *const taken[] = {"/proc", "/sys", "/dev"};
	static const char *const users[] = {"/etc", "/etc/passwd", "/etc/group"};

	if (count)
		qsort(mounts, count, sizeof *mounts, by_target);
	for (uint32_t i = 0; i < count; i++) {
		if (i && !strcmp(mounts[i].target, mounts[i - 1].target))
			return error_set(err, ERROR_USAGE, "there are two volumes for %s", mounts[i].target);
		/* The agent reads users there, and waits for no volume. */
		for (size_t u = 0; u < ARRAY_SIZE(users); u++)
			if (!strcmp(mounts[i].target, users[u]))
				return error_set(err, ERROR_USAGE,
					"volume %s: the sandbox's users are looked up there; mount what you "
					"need elsewhere",
					users[u]);
		for (size_t t = 0; t < ARRAY_SIZE(taken); t++)
			if (is_at_or_below(mounts[i].target, taken[t]))
				return error_set(err, ERROR_USAGE, "volume %s: %s is the sandbox's kernel's",
					mounts[i].target, taken[t]);
	}
	return 0;
}

/* ---- its directory --------------------------------------------------------------------------------------
 */

int volume_directory(const struct home *home, int *fd, struct error *err)
{
	if (mkdirat(home->fd, VOLUMES, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s/" VOLUMES, home->path);
	*fd = fs_open(home->fd, VOLUMES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	return *fd < 0 ? *fd : 0;
}

static int open_named(const struct home *home, const char *name, struct error *err)
{
	_cleanup_fd_ int volumes = -1;
	int r = sandbox_name_valid(name) ? volume_directory(home, &volumes, err)
					 : error_set(err, ERROR_INVALID, "'%s' is not a volume's name", name);

	if (r == 0)
		r = volume_fill_make(volumes, name, err);
	return r < 0 ? r : fs_open(volumes, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, err);
}

/* A guest must not be able to write what the host reads next: `path`, which is in `directory` or is that, is
 * not monocore's own. */
static int check_outside(const struct home *home, const char *path, int directory, struct error *err)
{
	struct stat ours;
	int r;

	if (fstat(home->fd, &ours) < 0)
		return error_errno(err, errno, "look at %s", home->path);
	r = fs_lies_in(directory, &ours, err);
	if (r > 0)
		return error_set(err, ERROR_DENIED,
			"%s lies in %s, where monocore keeps its own: it cannot be a volume", path,
			home->path);
	return r < 0 ? error_prefix(err, "%s", path) : 0;
}

static int check_apart(const struct home *home, const char *path, int fd, struct error *err)
{
	struct stat theirs;
	int r;

	if (fstat(fd, &theirs) < 0)
		return error_errno(err, errno, "look at %s", path);
	r = fs_lies_in(home->fd, &theirs, err);
	if (r > 0)
		return error_set(err, ERROR_DENIED,
			"%s is or holds %s, where monocore keeps its own: it cannot be a volume", path,
			home->path);
	return r < 0 ? r : check_outside(home, path, fd, err);
}

static int open_directory(const struct home *home, const char *path, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0, err);
	int r = fd < 0 ? fd : check_apart(home, path, fd, err);

	return r < 0 ? r : TAKE_FD(fd);
}

/* By the directory that it is in, which is the one that is judged. */
static int open_file(const struct home *home, const char *path, struct error *err)
{
	const char *name = strrchr(path, '/') + 1;
	_cleanup_free_ char *parent = text_format(err, "%.*s", (int)(name - path), path);
	_cleanup_fd_ int directory = -1, fd = -1;
	struct stat s;
	int r;

	if (!parent)
		return -ERROR_NO_MEMORY;
	directory = r = fs_open(AT_FDCWD, parent, O_PATH | O_DIRECTORY, 0, err);
	if (r >= 0)
		r = check_outside(home, path, directory, err);
	if (r >= 0)
		fd = r = fs_open(directory, name, O_PATH | O_NOFOLLOW, 0, err);
	if (r < 0)
		return r;
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", path);
	r = check_kind(&s, path, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int volume_open(const struct home *home, const struct record_mount *m, struct error *err)
{
	struct stat s;
	int fd;

	if (!strcmp(m->type, "volume"))
		return open_named(home, m->source, err);
	if (!strcmp(m->type, VOLUME_MONOFS))
		return volume_monofs_open(m, err);
	if (stat(m->source, &s) < 0 || S_ISDIR(s.st_mode) || *m->source != '/')
		fd = open_directory(home, m->source, err);
	else if (m->stage)
		fd = error_set(err, ERROR_USAGE, "%s is a file: only a directory can be staged", m->source);
	else
		fd = open_file(home, m->source, err);
	return fd < 0 ? error_prefix(err, "volume %s", m->target) : fd;
}

/* ---- named ones ------------------------------------------------------------------------------------------
 */

int volume_lock(const struct home *home, bool alone, int *lock, struct error *err)
{
	_cleanup_fd_ int volumes = -1;
	int r = volume_directory(home, &volumes, err);

	return r < 0 ? r
		     : fs_lock(volumes, LOCK, alone ? FS_LOCK_EXCLUSIVE : FS_LOCK_SHARED, true, lock, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int volume_list(const struct home *home, char ***names, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	_cleanup_fd_ int fd = -1;
	int r = volume_directory(home, &fd, err);

	if (r == 0)
		r = fs_list_open(fd, ".", &list, err);
	for (const char *name; r == 0 && (name = fs_list_next(list));)
		if (sandbox_name_valid(name))
			r = text_list_add(names, name, err);
	if (*names)
		qsort(*names, text_list_size(*names), sizeof **names, by_name);
	return r;
}

struct asking {
	const char *name;
	char ***users;
};

static int ask_record(void *context, const struct record *record, struct error *err)
{
	const struct asking *a = context;

	for (uint32_t i = 0; i < record->mount_count; i++)
		if (!strcmp(record->mounts[i].type, "volume") && !strcmp(record->mounts[i].source, a->name))
			return text_list_add(a->users, record->name, err);
	return 0;
}

int volume_users(const struct home *home, const char *name, char ***users, struct error *err)
{
	struct asking a = {name, users};
	int r;

	*users = NULL;
	r = records_each(home, ask_record, &a, err);
	return r == 0 ? records_each_saved(home, ask_record, &a, err) : r;
}

static int remove_unused(const struct home *home, const char *name, struct error *err)
{
	_cleanup_text_list_ char **users = NULL;
	_cleanup_fd_ int volumes = -1;
	int r = volume_directory(home, &volumes, err);

	if (r == 0 && faccessat(volumes, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = error_set(err, ERROR_NOT_FOUND, "there is no volume '%s'", name);
	if (r == 0)
		r = volume_users(home, name, &users, err);
	if (r == 0 && users)
		r = error_set(err, ERROR_BUSY, "volume '%s' is in use by the sandbox %s%s: remove that first",
			name, users[0], users[1] ? " and others" : "");
	if (r == 0)
		r = fs_remove_tree(volumes, name, err);
	if (r == 0)
		volume_fill_forget(volumes, name);
	if (r == 0)
		volume_owner_forget(volumes, name);
	return r;
}

int volume_remove(const struct home *home, const char *name, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int r = sandbox_name_valid(name) ? volume_lock(home, true, &lock, err)
					 : error_set(err, ERROR_INVALID, "'%s' is not a volume's name", name);

	return r < 0 ? r : remove_unused(home, name, err);
}
