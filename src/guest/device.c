/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#define PORTS_DIRECTORY "/sys/class/virtio-ports"
#define PORT_DEADLINE   MILLISECONDS(20000)

CLEANUP_DEFINE(directory, DIR, closedir);

/* The start of a small file, as text. False: not readable. */
static bool read_text(const char *path, char *out, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (n < 0)
		return false;
	out[n] = '\0';
	return true;
}

/* The port `name`, where that is how it is labelled. */
static int open_port(const char *name, const char *wanted, int flags)
{
	char path[300], label[128];

	snprintf(path, sizeof path, PORTS_DIRECTORY "/%s/name", name);
	if (!read_text(path, label, sizeof label))
		return -1;
	label[strcspn(label, "\n")] = '\0';
	if (strcmp(label, wanted) != 0)
		return -1;
	snprintf(path, sizeof path, "/dev/%s", name);
	return open(path, O_RDWR | O_CLOEXEC | flags);
}

static int look_for_port(const char *wanted, int flags)
{
	_cleanup_(cleanup_directory) DIR *ports = opendir(PORTS_DIRECTORY);
	int fd = -1;

	for (struct dirent *e; fd < 0 && ports && (e = readdir(ports));)
		if (e->d_name[0] != '.')
			fd = open_port(e->d_name, wanted, flags);
	return fd;
}

/* A port and its name come one after the other over the device's control queue, some time after the module
 * was loaded. */
int device_find_port(const char *name, int flags, int *fd, struct error *err)
{
	uint64_t deadline = clock_monotonic() + PORT_DEADLINE;

	while ((*fd = look_for_port(name, flags)) < 0) {
		if (clock_monotonic() > deadline)
			return error_set(
				err, ERROR_TIMEOUT, "this machine has no virtio-serial port named %s", name);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return 0;
}

/* Words stand between blanks; libkrun puts each of them in quotes besides. */
static void find_word(const char *line, const char *key, const char *otherwise, char *out, size_t size)
{
	size_t n = strlen(key);

	snprintf(out, size, "%s", otherwise);
	for (const char *word = line; *word; word += strspn(word, " \n\"")) {
		size_t length = strcspn(word, " \n\"");

		if (length > n && length - n < size && memcmp(word, key, n) == 0)
			snprintf(out, size, "%.*s", (int)(length - n), word + n);
		word += length;
	}
}

void device_find_disks(char *image, char *disk, size_t size)
{
	char line[4096] = "";

	read_text("/proc/cmdline", line, sizeof line);
	find_word(line, "monocore.image=", "/dev/vda", image, size);
	find_word(line, "monocore.disk=", "/dev/vdb", disk, size);
}

static void flush_device(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		ioctl(fd, BLKFLSBUF, 0);
}

void device_forget_blocks(const char *image, const char *disk)
{
	_cleanup_fd_ int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "3", 1) != 1)
		return;
	flush_device(image);
	flush_device(disk);
}
