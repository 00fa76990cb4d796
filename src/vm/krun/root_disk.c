/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/krun/root_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "disk/ext4.h"
#include "os/fs.h"

#define DIRECTORY  "krun"
#define LOCK       "lock"
#define TEMPORARY  "new.img"
#define AGENT_MAX  (8u << 20)
#define DISK_BYTES (16u << 20) /* the smallest that our ext4 comes in; sparse */

/* What libkrun's init and the agent mount on: they cannot make directories there. */
static int fill(int fd, const struct buffer *agent, struct error *err)
{
	const struct ext4_entry entries[] = {{.name = "dev", .mode = S_IFDIR | 0755},
		{.name = "proc", .mode = S_IFDIR | 0755}, {.name = "sys", .mode = S_IFDIR | 0755},
		{.name = "run", .mode = S_IFDIR | 0755},
		{.name = "init", .mode = S_IFREG | 0755, .bytes = agent->data, .size = agent->size}};
	const struct ext4_options options = {
		.size = DISK_BYTES, .entries = entries, .entry_count = ARRAY_SIZE(entries)};

	return ext4_create(fd, &options, err);
}

/* Under the lock. What a killed process left at the temporary name goes. */
static int make(int dir, const char *name, const struct buffer *agent, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (unlinkat(dir, TEMPORARY, 0) < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove an unfinished disk");
	fd = fs_open(dir, TEMPORARY, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return fd;
	r = fill(fd, agent, err);
	if (r == 0 && (fchmod(fd, 0400) < 0 || fsync(fd) < 0))
		r = error_errno(err, errno, "write");
	if (r == 0 && (renameat(dir, TEMPORARY, dir, name) < 0 || fsync(dir) < 0))
		r = error_errno(err, errno, "rename");
	if (r < 0)
		unlinkat(dir, TEMPORARY, 0);
	return r;
}

static int open_or_make(int dir, const char *name, const struct buffer *agent, int *fd, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int r;

	*fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd >= 0)
		return 0;
	r = fs_lock(dir, LOCK, FS_LOCK_EXCLUSIVE, true, &lock, err);
	if (r == 0 && faccessat(dir, name, F_OK, 0) < 0) /* others may have made it meanwhile */
		r = make(dir, name, agent, err);
	if (r < 0)
		return r;
	*fd = fs_open(dir, name, O_RDONLY | O_NOFOLLOW, 0, err);
	return *fd < 0 ? *fd : 0;
}

int krun_root_disk(const char *home, const char *agent_path, int *fd, char **path, struct error *err)
{
	_cleanup_free_ char *directory = text_format(err, "%s/" DIRECTORY, home);
	_cleanup_buffer_ struct buffer agent = {0};
	char hex[SHA256_HEX_SIZE], name[SHA256_HEX_SIZE + 8];
	_cleanup_fd_ int dir = -1, disk = -1;
	uint8_t hash[SHA256_SIZE];
	int r = directory ? fs_read_file(AT_FDCWD, agent_path, AGENT_MAX, &agent, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = sha256_of(agent.data, agent.size, hash, err);
	if (r == 0)
		r = fs_make_directories(AT_FDCWD, directory, 0700, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "%s.img", sha256_hex(hash, hex));
	dir = fs_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, err);
	if (dir < 0)
		return dir;
	r = open_or_make(dir, name, &agent, &disk, err);
	if (r < 0)
		return error_prefix(
			err, "make the disk that libkrun boots the agent from, %s/%s", directory, name);
	*path = text_format(err, "%s/%s", directory, name);
	if (!*path)
		return -ERROR_NO_MEMORY;
	*fd = TAKE_FD(disk);
	return 0;
}

void krun_root_disk_sweep(const char *home)
{
	_cleanup_free_ char *directory = text_format(NULL, "%s/" DIRECTORY, home);
	_cleanup_fd_ int dir = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1,
			 lock = -1;

	if (dir < 0 || faccessat(dir, TEMPORARY, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (fs_lock(dir, LOCK, FS_LOCK_EXCLUSIVE, false, &lock, NULL) == 0)
		unlinkat(dir, TEMPORARY, 0);
}
