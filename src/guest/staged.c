/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/staged.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "guest/beneath.h"
#include "guest/made.h"
#include "guest/replace.h"
#include "guest/upper.h"

#define STAGED    "staged"
#define PATH_SIZE 32

/* Opens staged/NUMBER/NAME, made where it is missing. */
static int open_own(int storage, uint32_t number, const char *name, bool *made)
{
	char path[PATH_SIZE];
	int n = snprintf(path, sizeof path, STAGED "/%u", number);

	if (mkdirat(storage, STAGED, 0700) < 0 && errno != EEXIST)
		return -1;
	if (mkdirat(storage, path, 0700) < 0 && errno != EEXIST)
		return -1;
	snprintf(path + n, sizeof path - (size_t)n, "/%s", name);
	*made = mkdirat(storage, path, 0755) == 0;
	if (!*made && errno != EEXIST)
		return -1;
	return beneath_open(storage, path, O_RDONLY | O_DIRECTORY, 0, BENEATH_FLAT);
}

/* The root of an overlay is its upper directory as to owner, mode and time. */
static int adopt(int upper, int lower)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat s;

	if (fstat(lower, &s) < 0 || fchown(upper, s.st_uid, s.st_gid) < 0 ||
		fchmod(upper, s.st_mode & 07777) < 0)
		return -1;
	times[1] = s.st_mtim;
	futimens(upper, times);
	made_mark(upper);
	return 0;
}

static int set_option(int fs, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static int set_directory(int fs, const char *key, int directory)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
	return set_option(fs, key, path);
}

/* With the options of the root's overlay (root.c): nothing is renamed by reference, so that the upper
 * directory tells all. */
static int make_overlay(int lower, int upper, int work)
{
	_cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);

	if (fs < 0 || set_option(fs, "source", "monocore") < 0 || set_directory(fs, "lowerdir", lower) < 0 ||
		set_directory(fs, "upperdir", upper) < 0 || set_directory(fs, "workdir", work) < 0 ||
		set_option(fs, "redirect_dir", "off") < 0 || set_option(fs, "index", "off") < 0 ||
		set_option(fs, "metacopy", "off") < 0 ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
}

int staged_mount(int storage, uint32_t number, int lower, struct error *err)
{
	bool first = false, made = false;
	_cleanup_fd_ int upper = open_own(storage, number, "upper", &first);
	_cleanup_fd_ int work = open_own(storage, number, "work", &made);
	int mount;

	if (upper < 0 || work < 0)
		return error_errno(err, errno, "make the directory for what is staged");
	if (first && adopt(upper, lower) < 0)
		return error_errno(err, errno, "take over the owner and the mode of the volume's root");
	mount = make_overlay(lower, upper, work);
	return mount < 0 ? error_errno(err, errno, "lay an overlay over the volume") : mount;
}

int staged_open(int storage, uint32_t number)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, STAGED "/%u/upper", number);
	return beneath_open(storage, path, O_RDONLY | O_DIRECTORY, 0, BENEATH_FLAT);
}

bool staged_any(int storage, uint32_t numbers)
{
	for (uint32_t i = 0; i < VOLUMES_MAX; i++) {
		_cleanup_fd_ int upper = numbers >> i & 1 ? staged_open(storage, i) : -1;

		if (upper >= 0 && !upper_is_empty(upper))
			return true;
	}
	return false;
}

static int open_storage(int storage, struct error *err)
{
	char path[PATH_SIZE];
	struct statvfs s;

	snprintf(path, sizeof path, "/proc/self/fd/%d", storage);
	if (fstatvfs(storage, &s) == 0 && !(s.f_flag & ST_RDONLY))
		return 0;
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_NOATIME, NULL) < 0)
		return error_errno(err, errno, "mount the sandbox's disk for writing");
	return 0;
}

int staged_remove(int storage, uint32_t number, const char *path, struct error *err)
{
	_cleanup_fd_ int upper = staged_open(storage, number), parent = -1;
	char leaf[BENEATH_LEAF_SIZE], own[PATH_SIZE];
	int r;

	if (upper < 0 && errno == ENOENT)
		return 0;
	if (upper < 0)
		return error_errno(err, errno, "open what is staged");
	r = open_storage(storage, err);
	if (r < 0)
		return r;
	if (!strcmp(path, ".")) {
		snprintf(own, sizeof own, STAGED "/%u", number);
		r = replace_remove(storage, own, "what is staged", err);
	} else {
		parent = beneath_parent(upper, path, false, leaf);
		if (parent < 0)
			return errno == ENOENT ? 0 : error_errno(err, errno, "find '%s'", path);
		r = replace_remove(parent, leaf, path, err);
	}
	if (r == 0 && syncfs(storage) < 0)
		r = error_errno(err, errno, "sync the sandbox's disk");
	return r;
}
