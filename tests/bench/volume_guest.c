/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures a directory from within a guest, and prints lines of a name, a value and its unit.
 *
 *     volume_guest DIRECTORY
 *
 * As PID 1 it loads the kernel's modules, mounts the virtiofs share "bench" and measures that, on the serial
 * console: so QEMU's own server is measured. It makes what it needs and removes it again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>

#include "modules.h"

#define MIB        (1u << 20)
#define LARGE      128u /* MiB */
#define WRITTEN    64u
#define FILES      2000
#define FILE_BYTES 3000u

static char block[MIB] __attribute__((aligned(4096)));

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_AUTOBOOT);
	exit(1);
}

static long must(long result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

/* Nothing of files is in the guest's memory behind it. */
static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	must(fd, "open drop_caches");
	must(write(fd, "3", 1), "drop caches");
	close(fd);
}

static void report(const char *name, double value, const char *unit)
{
	printf("%s\t%.3f\t%s\n", name, value, unit);
	fflush(stdout);
}

static void write_large(const char *name, unsigned size)
{
	int fd =
		(int)must(open("large", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "make a large file");
	double began = now();

	for (unsigned i = 0; i < size; i++)
		if (must(write(fd, block, MIB), "write") != MIB)
			fail("write all");
	must(fsync(fd), "fsync");
	close(fd);
	if (name)
		report(name, size / (now() - began), "MB/s");
}

static void read_large(const char *name, int flags)
{
	double began;
	ssize_t n;
	int fd;

	drop_caches();
	began = now();
	fd = (int)must(open("large", O_RDONLY | O_CLOEXEC | flags), "open the large file");
	while ((n = must(read(fd, block, MIB), "read")) > 0)
		;
	close(fd);
	report(name, LARGE / (now() - began), "MB/s");
}

static void name_of(char path[32], int i)
{
	snprintf(path, 32, "many/%d/%d", i % 20, i);
}

static void make_small(void)
{
	double began = now();
	char path[32];

	must(mkdir("many", 0755), "mkdir");
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof path, "many/%d", i);
		must(mkdir(path, 0755), "mkdir");
	}
	for (int i = 0; i < FILES; i++) {
		int fd;

		name_of(path, i);
		fd = (int)must(
			open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "make a small file");
		must(write(fd, block, FILE_BYTES), "write a small file");
		close(fd);
	}
	report("create, write and close 2,000 files", (now() - began) * 1e3, "ms");
}

static void stat_small(const char *name)
{
	double began = now();
	struct stat s;
	char path[32];

	for (int i = 0; i < FILES; i++) {
		name_of(path, i);
		must(stat(path, &s), "stat");
	}
	if (name)
		report(name, (now() - began) * 1e3, "ms");
}

static void read_small(const char *name)
{
	double began = now();
	char path[32];

	for (int i = 0; i < FILES; i++) {
		int fd;

		name_of(path, i);
		fd = (int)must(open(path, O_RDONLY | O_CLOEXEC), "open a small file");
		if (must(read(fd, block, MIB), "read a small file") != FILE_BYTES)
			fail("read all of a small file");
		close(fd);
	}
	report(name, (now() - began) * 1e3, "ms");
}

static void remove_small(void)
{
	double began = now();
	char path[32];

	for (int i = 0; i < FILES; i++) {
		name_of(path, i);
		must(unlink(path), "unlink");
	}
	report("remove 2,000 files", (now() - began) * 1e3, "ms");
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof path, "many/%d", i);
		must(rmdir(path), "rmdir");
	}
	must(rmdir("many"), "rmdir");
}

static void measure(void)
{
	for (unsigned i = 0; i < MIB; i++)
		block[i] = (char)(i * 2654435761u >> 13);
	write_large("write 1 MiB blocks, fsync", WRITTEN);
	write_large(NULL, LARGE);
	read_large("read, buffered", 0);
	read_large("read, direct", O_DIRECT);
	must(unlink("large"), "unlink");
	make_small();
	drop_caches();
	stat_small("stat 2,000 files, not cached");
	stat_small("stat 2,000 files, cached");
	read_small("read 2,000 files, not cached");
	read_small("read 2,000 files, cached");
	remove_small();
}

static void become_init(void)
{
	int tty;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/bench", 0755);
	load_modules();
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	tty = open("/dev/ttyS0", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(tty, fd);
	must(mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
	must(mount("bench", "/bench", "virtiofs", 0, NULL), "mount the share");
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		become_init();
	must(chdir(argc > 1 ? argv[1] : "/bench"), "enter the directory");
	measure();
	if (getpid() == 1)
		reboot(RB_AUTOBOOT);
	return 0;
}
