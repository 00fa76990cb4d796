/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems for a long time: random operations on files and trees for MC_SOAK_MINUTES, from seeds that are
 * printed (MC_SEED is the first), and MC_SOAK_FILES files that are known with 1,024 descriptors. `make soak`
 * runs it; it is no part of `make test`.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fsx_systems.h"
#include "os/fs.h"
#include "vfs/native/native.h"
#include "vfs_exercise.h"
#include "vfs_make.h"

#define OPERATIONS  20000u
#define TREE_CALLS  5000u
#define EACH        1000u /* files of a directory */
#define DESCRIPTORS 1024u

static struct error err;

static uint32_t number_from(const char *name, uint32_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static bool goes_on(uint64_t started)
{
	return clock_monotonic() - started <
	       number_from("MC_SOAK_MINUTES", 10) * 60ull * NANOSECONDS_PER_SECOND;
}

static int open_new(char *path)
{
	int fd;

	CHECK(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void try_tree(uint32_t seed)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	int fd = open_new(path);
	struct vfs *fs = fsx_new_memory();

	printf("# trees: seed %u\n", seed);
	vfs_exercise_tree(fs, fd, seed, TREE_CALLS);
	vfs_destroy(fs);
	close(fd);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

TEST(random_operations_find_nothing_that_differs)
{
	uint32_t seed = number_from("MC_SEED", (uint32_t)time(NULL));

	for (uint64_t started = clock_monotonic(); goes_on(started); seed++) {
		for (const struct fsx_system *s = fsx_systems; s->name && goes_on(started); s++) {
			printf("# %s: seed %u\n", s->name, seed);
			fsx_on(s->name, seed, OPERATIONS);
		}
		try_tree(seed);
	}
}

/* ---- a million files ------------------------------------------------------------------------------------
 */

struct walk {
	struct vfs *fs;
	uint64_t *files; /* their numbers; the size of each tells which it is */
	uint32_t count, room;
};

static void make_files(int at, uint32_t count)
{
	char name[32];
	int directory = -1, fd;

	for (uint32_t i = 0; i < count; i++) {
		if (i % EACH == 0) {
			if (directory >= 0)
				close(directory);
			snprintf(name, sizeof name, "directory-%u", i / EACH);
			CHECK(mkdirat(at, name, 0755) == 0);
			directory = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		snprintf(name, sizeof name, "file-%u", i);
		fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		CHECK(fd >= 0 && ftruncate(fd, i) == 0 && close(fd) == 0);
	}
	close(directory);
}

/* As READDIRPLUS does: each entry is looked up, and stays so. */
static int take(void *context, const struct vfs_entry *e)
{
	struct walk *w = context;
	const struct vfs_attributes *a = e->attributes;

	if (!a)
		return 0;
	if (!S_ISREG(a->mode))
		return vfs_readdir(w->fs, a->ino, VFS_NO_HANDLE, 0, true, take, w) < 0;
	if (w->count < w->room && a->size < w->room)
		w->files[a->size] = a->ino;
	w->count++;
	return 0;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 65536; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static size_t memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void come_back(struct walk *w)
{
	char byte;

	for (uint32_t i = 0; i < w->room; i += 97) {
		struct vfs_attributes a;

		CHECK_CALL(vfs_getattr(w->fs, w->files[i], VFS_NO_HANDLE, &a));
		CHECK_INT(a.size, i);
		CHECK_INT(vfs_read(w->fs, w->files[i], VFS_NO_HANDLE, &byte, 1, 0), i > 0);
	}
}

static void forget_all(struct walk *w)
{
	for (uint32_t i = 0; i < w->room; i++)
		vfs_forget(w->fs, w->files[i], 1);
}

TEST(a_million_files_are_known_with_1024_descriptors)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct native_options options = {.directory = open_new(path)};
	struct walk w = {.room = number_from("MC_SOAK_FILES", 1000000)};
	_cleanup_free_ uint64_t *files = w.files = calloc(w.room, sizeof *w.files);
	struct rlimit before, few = {DESCRIPTORS, DESCRIPTORS};
	size_t memory;

	make_files(options.directory, w.room);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few.rlim_max = before.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK_OK(native_new(&options, &w.fs, &err));
	memory = memory_used();
	CHECK_CALL(vfs_readdir(w.fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, take, &w));
	CHECK_INT(w.count, w.room);
	printf("# %u files: %zu bytes of memory for each, %u descriptors\n", w.count,
		(memory_used() - memory) / w.count, open_descriptors());
	CHECK(open_descriptors() < DESCRIPTORS / 2);
	CHECK(memory_used() - memory < w.count * 300ull);
	come_back(&w);
	forget_all(&w);
	CHECK(memory_used() - memory < w.count * 20ull + (1u << 20));
	vfs_destroy(w.fs);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	close(options.directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}
