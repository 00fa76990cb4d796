/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/release_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/monocore/output.h"
#include "bin/monocore/release_reader.h"
#include "os/fs.h"
#include "os/process.h"

#define NEW      ".new"
#define PAGE_MAX ((size_t)4 << 20)

int release_lock(const struct own_place *place, char **path, int *lock, struct error *err)
{
	_cleanup_free_ char *releases = text_format(err, "%s/" OWN_RELEASES, place->prefix);
	_cleanup_fd_ int fd = -1;
	int r = releases ? fs_make_directories(AT_FDCWD, releases, 0755, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		fd = fs_open(AT_FDCWD, releases, O_RDONLY | O_DIRECTORY, 0, err);
	if (r == 0 && fd < 0)
		r = fd;
	if (r == 0)
		r = fs_lock(fd, ".lock", FS_LOCK_EXCLUSIVE, false, lock, err);
	if (r == -ERROR_BUSY)
		return error_set(err, ERROR_BUSY, "%s is being upgraded already", place->program);
	if (r == 0)
		*path = TAKE_PTR(releases);
	return r;
}

/* ---- unpack ----------------------------------------------------------------------------------------- */

/* A library that this host lacks shows before anything is switched. */
static int try_program(const char *directory, const struct release *release, struct error *err)
{
	_cleanup_free_ char *program = text_format(err, "%s/bin/monocore", directory), *expected = NULL;
	_cleanup_buffer_ struct buffer out = {0};
	const char *const argv[] = {program, "version", NULL};
	int status;
	const struct process_run_options o = {
		.out = &out, .limit = 4096, .timeout = 30 * NANOSECONDS_PER_SECOND, .status = &status};

	expected = text_format(err, "monocore %s\n", release->version);
	if (!program || !expected)
		return -ERROR_NO_MEMORY;
	if (process_run(argv, &o, err) < 0)
		return error_prefix(err, "the new program does not run here");
	if (status == 0 && out.size == strlen(expected) && !memcmp(out.data, expected, out.size))
		return 0;
	return error_set(err, ERROR_UNAVAILABLE,
		"the new program does not run here, or is not version %s: nothing was changed",
		release->version);
}

static int unpack(
	int fd, const uint8_t *key, const char *directory, struct release *release, struct error *err)
{
	_cleanup_fd_ int target = -1;
	struct release_reading reading = {.key = key};
	int r = fs_make_directories(AT_FDCWD, directory, 0755, err);

	if (r < 0)
		return r;
	target = fs_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, err);
	if (target < 0)
		return target;
	reading.directory = target;
	r = release_read(fd, &reading, release, err);
	if (r == 0 && syncfs(target) < 0)
		r = error_errno(err, errno, "write %s", directory);
	return r < 0 ? r : try_program(directory, release, err);
}

/* ---- switch ----------------------------------------------------------------------------------------- */

/* A version that is there already stays: it may run. */
static int give_name(
	const char *releases, const char *from, const char *version, char **name, struct error *err)
{
	for (unsigned i = 0; i < 1000; i++) {
		_cleanup_free_ char *to = NULL, *candidate = i ? text_format(err, "%s+%u", version, i)
							       : text_copy(version, err);

		to = candidate ? text_format(err, "%s/%s", releases, candidate) : NULL;
		if (!to)
			return -ERROR_NO_MEMORY;
		if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
			*name = TAKE_PTR(candidate);
			return 0;
		}
		if (errno != EEXIST && errno != ENOTEMPTY)
			return error_errno(err, errno, "name %s", to);
	}
	return error_set(err, ERROR_LIMIT, "%s has version %s a thousand times", releases, version);
}

static int sync_directory(const char *path, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? error_errno(err, errno, "write %s", path) : 0;
}

/* bin/PROGRAM, which `path` is, leads into the release from now on. */
static int switch_link(const struct own_place *place, const char *name, const char *program, const char *path,
	struct error *err)
{
	_cleanup_free_ char *target = text_format(err, "../" OWN_RELEASES "/%s/bin/%s", name, program),
			    *link = text_format(
				    err, "%s/bin/.%s-%ld", place->prefix, program, (long)getpid());

	if (!target || !link)
		return -ERROR_NO_MEMORY;
	unlink(link);
	if (symlink(target, link) < 0)
		return error_errno(err, errno, "write %s", link);
	if (rename(link, path) < 0) {
		int errnum = errno;

		unlink(link);
		return error_errno(err, errnum, "switch %s", path);
	}
	return 0;
}

static bool has_file(const struct release *release, const char *path)
{
	for (size_t i = 0; i < release->count; i++)
		if (!strcmp(release->files[i].path, path))
			return true;
	return false;
}

/* This program is the last: with it the release is the one that is installed. */
static int switch_programs(
	const struct own_place *place, const char *name, const struct release *release, struct error *err)
{
	_cleanup_free_ char *bin = text_format(err, "%s/bin", place->prefix),
			    *monofs = text_format(err, "%s/bin/monofs", place->prefix);
	int r = bin && monofs ? 0 : -ERROR_NO_MEMORY;

	if (r == 0 && has_file(release, "bin/monofs"))
		r = switch_link(place, name, "monofs", monofs, err);
	if (r == 0)
		r = switch_link(place, name, "monocore", place->program, err);
	return r < 0 ? r : sync_directory(bin, err);
}

static int copy_page(const char *from, const char *prefix, const char *path, struct error *err)
{
	_cleanup_free_ char *source = text_format(err, "%s/%s", from, path), *above = NULL;
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_fd_ int directory = -1;
	int r;

	above = text_format(err, "%s/%s", prefix, path);
	if (!source || !above)
		return -ERROR_NO_MEMORY;
	*strrchr(above, '/') = 0;
	r = fs_read_file(AT_FDCWD, source, PAGE_MAX, &text, err);
	if (r == 0)
		r = fs_make_directories(AT_FDCWD, above, 0755, err);
	if (r == 0)
		directory = fs_open(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0, err);
	if (r < 0 || directory < 0)
		return r < 0 ? r : directory;
	return fs_write_atomic(directory, strrchr(path, '/') + 1, text.data, text.size, 0644, err);
}

/* Manual pages and completion, where shells and man look for them. The program does without. */
static void copy_pages(const char *from, const char *prefix, const struct release *release)
{
	struct error err;

	for (size_t i = 0; i < release->count; i++)
		if (text_starts(release->files[i].path, "share/") &&
			copy_page(from, prefix, release->files[i].path, &err) < 0) {
			complain("monocore: self upgrade: %s", err.text);
			return;
		}
}

int release_install(
	const struct own_place *place, int fd, const uint8_t *key, const char *releases, struct error *err)
{
	_cleanup_free_ char *directory = text_format(err, "%s/" NEW, releases), *name = NULL, *final = NULL;
	_cleanup_release_ struct release release = {0};
	int r = directory ? fs_remove_tree(AT_FDCWD, directory, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = unpack(fd, key, directory, &release, err);
	if (r == 0)
		r = give_name(releases, directory, release.version, &name, err);
	if (r == 0)
		r = sync_directory(releases, err);
	if (r == 0)
		r = switch_programs(place, name, &release, err);
	if (r < 0) {
		if (directory)
			fs_remove_tree(AT_FDCWD, directory, NULL);
		return r;
	}
	final = text_format(err, "%s/%s", releases, name);
	if (final)
		copy_pages(final, place->prefix, &release);
	return 0;
}

/* ---- sweep ------------------------------------------------------------------------------------------ */

/* Whether a process runs a program below the directory; of those that we may not look at nothing is known. */
static bool is_run(const char *directory)
{
	_cleanup_list_ DIR *list = NULL;
	_cleanup_free_ char *below = text_format(NULL, "%s/", directory);
	const char *name;

	if (!below || fs_list_open(AT_FDCWD, "/proc", &list, NULL) < 0)
		return true;
	while ((name = fs_list_next(list))) {
		char link[64], target[PATH_MAX];
		ssize_t n;

		if (*name < '0' || *name > '9')
			continue;
		snprintf(link, sizeof link, "/proc/%.20s/exe", name);
		n = readlink(link, target, sizeof target - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (text_starts(target, below))
			return true;
	}
	return false;
}

static bool is_current(const struct own_place *place, const char *directory)
{
	_cleanup_free_ char *leads = realpath(place->program, NULL),
			    *below = text_format(NULL, "%s/", directory);

	return !leads || !below || text_starts(leads, below) ||
	       (place->release && !strcmp(place->release, directory));
}

void release_sweep(const struct own_place *place, const char *releases)
{
	_cleanup_free_ char *whole = realpath(releases, NULL);
	_cleanup_list_ DIR *list = NULL;
	const char *name;

	if (!whole || fs_list_open(AT_FDCWD, whole, &list, NULL) < 0)
		return;
	while ((name = fs_list_next(list))) {
		_cleanup_free_ char *directory = text_format(NULL, "%s/%s", whole, name);

		if (directory && strcmp(name, ".lock") != 0 && !is_current(place, directory) &&
			!is_run(directory))
			fs_remove_tree(AT_FDCWD, directory, NULL);
	}
}
