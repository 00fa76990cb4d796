/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/volume_fill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "os/fs.h"
#include "sandbox/directory.h"
#include "sandbox/volume.h"

#define MAKING      ".making" /* locked while one is made */
#define BEGUN       "begun\n"
#define MARKER_SIZE 128

struct fill {
	char name[MARKER_SIZE];
	uint32_t mount;
	bool copies;  /* the guest fills it */
	bool settles; /* it is new no more once the start has succeeded */
	int marker;   /* open and locked */
};

struct volume_fills {
	int volumes;
	uint32_t count;
	struct fill fills[VOLUMES_MAX];
};

CLEANUP_DEFINE(volume_fills, struct volume_fills, volume_fills_close);

static const char *marker_of(const char *name, char marker[MARKER_SIZE])
{
	snprintf(marker, MARKER_SIZE, ".new-%s", name);
	return marker;
}

static bool is_there(int volumes, const char *name)
{
	return faccessat(volumes, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The marker first, so that no volume is taken for one that has been filled. */
int volume_fill_make(int volumes, const char *name, struct error *err)
{
	_cleanup_fd_ int lock = -1, marker = -1;
	char path[MARKER_SIZE];
	int r;

	if (is_there(volumes, name))
		return 0;
	r = fs_lock(volumes, MAKING, FS_LOCK_EXCLUSIVE, true, &lock, err);
	if (r < 0 || is_there(volumes, name))
		return r;
	marker = r = fs_open(volumes, marker_of(name, path), O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (r >= 0 && mkdirat(volumes, name, 0700) < 0 && errno != EEXIST)
		r = error_errno(err, errno, "make the volume %s", name);
	return r < 0 ? r : 0;
}

void volume_fill_forget(int volumes, const char *name)
{
	char path[MARKER_SIZE];

	unlinkat(volumes, marker_of(name, path), 0);
}

/* ---- a start --------------------------------------------------------------------------------------------
 */

/* -1: it is not new. */
static int lock_marker(int volumes, const char *name, int *marker, struct error *err)
{
	char path[MARKER_SIZE];
	_cleanup_fd_ int fd = openat(volumes, marker_of(name, path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat s;

	*marker = -1;
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? error_set(err, ERROR_BUSY,
						      "the volume %s is new, and another sandbox is being "
						      "started with it",
						      name)
					    : error_errno(err, errno, "lock %s", path);
	if (fstat(fd, &s) < 0)
		return error_errno(err, errno, "look at %s", path);
	if (s.st_nlink) /* otherwise somebody was faster */
		*marker = TAKE_FD(fd);
	return 0;
}

static bool is_listed(const struct volume_fills *f, const char *name)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (!strcmp(f->fills[i].name, name))
			return true;
	return false;
}

static int lock_all(struct volume_fills *f, const struct record *r, struct error *err)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < r->mount_count; i++) {
		const struct record_mount *m = &r->mounts[i];
		struct fill *fill = &f->fills[f->count];

		if (strcmp(m->type, "volume") != 0 || is_listed(f, m->source))
			continue;
		if (!sandbox_name_valid(m->source))
			return error_set(err, ERROR_INVALID, "'%s' is not a volume's name", m->source);
		*fill = (struct fill){.mount = i, .marker = -1};
		snprintf(fill->name, sizeof fill->name, "%s", m->source);
		result = lock_marker(f->volumes, m->source, &fill->marker, err);
		f->count += fill->marker >= 0;
	}
	return result;
}

/* Whether there is anything in the volume; or removes all that is. */
static int look_into(int volumes, const char *name, bool remove, bool *any, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(volumes, name, &list, err);

	*any = false;
	for (const char *in; r == 0 && (in = fs_list_next(list));) {
		*any = true;
		if (remove)
			r = fs_remove_tree(dirfd(list), in, err);
	}
	return r;
}

/* Half a copy is removed, and the new one begins. Nothing is copied into a volume that is not to be filled,
 * or has something in it that no start has put there; one that cannot be written to stays new. */
static int prepare(struct volume_fills *f, struct fill *fill, const struct record_mount *m, struct error *err)
{
	struct stat s;
	bool any;
	int r;

	if (fstat(fill->marker, &s) < 0)
		return error_errno(err, errno, "look at the volume %s", fill->name);
	r = look_into(f->volumes, fill->name, s.st_size > 0, &any, err);
	if (r == 0 && s.st_size > 0 && ftruncate(fill->marker, 0) < 0)
		r = error_errno(err, errno, "clear the volume %s", fill->name);
	fill->settles = !m->read_only && !m->stage;
	fill->copies = fill->settles && !m->nocopy && (s.st_size > 0 || !any);
	if (r < 0 || !fill->copies)
		return r;
	r = fs_write_all(fill->marker, BEGUN, strlen(BEGUN), fill->name, err);
	if (r == 0 && fdatasync(fill->marker) < 0)
		r = error_errno(err, errno, "begin to fill the volume %s", fill->name);
	return r;
}

static bool has_named(const struct record *r)
{
	for (uint32_t i = 0; i < r->mount_count; i++)
		if (!strcmp(r->mounts[i].type, "volume"))
			return true;
	return false;
}

int volume_fills_open(
	const struct home *home, const struct record *r, struct volume_fills **fills, struct error *err)
{
	_cleanup_(cleanup_volume_fills) struct volume_fills *f = NULL;
	int result;

	*fills = NULL;
	if (!has_named(r))
		return 0;
	f = calloc(1, sizeof *f);
	if (!f)
		return error_no_memory(err, "fill volumes");
	f->volumes = -1;
	result = volume_directory(home, &f->volumes, err);
	if (result == 0)
		result = lock_all(f, r, err);
	for (uint32_t i = 0; result == 0 && i < f->count; i++)
		result = prepare(f, &f->fills[i], &r->mounts[f->fills[i].mount], err);
	if (result == 0 && f->count)
		*fills = TAKE_PTR(f);
	return result;
}

bool volume_fills_has(const struct volume_fills *f, uint32_t number)
{
	for (uint32_t i = 0; f && i < f->count; i++)
		if (f->fills[i].mount == number)
			return f->fills[i].copies;
	return false;
}

bool volume_fills_any(const struct volume_fills *f)
{
	for (uint32_t i = 0; f && i < f->count; i++)
		if (f->fills[i].copies)
			return true;
	return false;
}

static int finish(struct volume_fills *f, const struct fill *fill, struct error *err)
{
	char path[MARKER_SIZE];

	if (fill->copies) {
		_cleanup_fd_ int fd = fs_open(f->volumes, fill->name, O_RDONLY | O_DIRECTORY, 0, err);
		bool any;
		int r = fd < 0 ? fd : look_into(f->volumes, fill->name, false, &any, err);

		if (r < 0)
			return r;
		if (any && syncfs(fd) < 0)
			return error_errno(err, errno, "write out the volume %s", fill->name);
	}
	if (fill->settles && unlinkat(f->volumes, marker_of(fill->name, path), 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove %s", path);
	return 0;
}

int volume_fills_done(struct volume_fills *f, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; f && r == 0 && i < f->count; i++)
		r = finish(f, &f->fills[i], err);
	return r;
}

void volume_fills_close(struct volume_fills *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->count; i++)
		close(f->fills[i].marker);
	if (f->volumes >= 0)
		close(f->volumes);
	free(f);
}
