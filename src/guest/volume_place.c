/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/beneath.h"
#include "guest/made.h"

static bool is_hosts(const struct message_mount *mounts, uint32_t number)
{
	const struct message_mount *around = NULL;

	for (uint32_t i = 0; i < number; i++) {
		size_t n = strlen(mounts[i].path);

		if (!strncmp(mounts[number].path, mounts[i].path, n) && mounts[number].path[n] == '/')
			around = &mounts[i];
	}
	return around && !(around->flags & MOUNT_STAGED);
}

static bool make_file(int parent, const char *name)
{
	_cleanup_fd_ int fd =
		openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd >= 0;
}

static bool make_missing(const char *path, bool hosts, bool first)
{
	char directory[MESSAGE_PATH_MAX + 1], leaf[BENEATH_LEAF_SIZE];
	_cleanup_fd_ int around = -1, parent = -1;

	snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
	around = beneath_make(AT_FDCWD, directory, BENEATH_ROOT, hosts ? mkdirat : made_maker(first));
	if (around >= 0)
		parent = beneath_parent(AT_FDCWD, path, true, leaf);
	return parent >= 0 && (hosts ? make_file(parent, leaf) : made_file(parent, leaf, first));
}

static int place_file(const char *path, bool hosts, bool first)
{
	_cleanup_fd_ int fd = beneath_open(AT_FDCWD, path, O_PATH, 0, BENEATH_ROOT);
	struct stat s;

	if (fd < 0 && errno == ENOENT && make_missing(path, hosts, first))
		fd = beneath_open(AT_FDCWD, path, O_PATH, 0, BENEATH_ROOT);
	if (fd < 0 || fstat(fd, &s) < 0)
		return -1;
	if (S_ISDIR(s.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	return TAKE_FD(fd);
}

int volume_place(const struct message_mount *mounts, uint32_t number, bool first)
{
	const struct message_mount *m = &mounts[number];
	bool hosts = is_hosts(mounts, number);

	if (m->flags & MOUNT_FILE)
		return place_file(m->path, hosts, first);
	return beneath_make(AT_FDCWD, m->path, BENEATH_ROOT, hosts ? mkdirat : made_maker(first));
}
