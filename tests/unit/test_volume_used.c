/* SPDX-License-Identifier: Apache-2.0 */
/* What processes have in use of a volume: here a directory, and a process of ours that uses things in it. */
#include "test.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/volume_used.h"

static char place[PATH_MAX];

static const char *at(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/%s", place, name);
	return path;
}

static void make(void)
{
	static const char *const directories[] = {"way", "way/in", "way/open", "other"},
				 *const files[] = {"way/open/file", "mapped", "closed", "gone", "other/file"};
	char template[] = "/tmp/mc-used-XXXXXX";

	CHECK(mkdtemp(template) && realpath(template, place));
	for (size_t i = 0; i < 4; i++)
		CHECK(mkdir(at(directories[i]), 0755) == 0);
	for (size_t i = 0; i < 5; i++) {
		int fd = open(at(files[i]), O_WRONLY | O_CREAT, 0644);

		CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	}
}

/* Stands in one directory, has a file open that has its name and one that has none, and one mapped. */
static pid_t start_user(void)
{
	int ends[2], fd;
	char c;
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		bool good = chdir(at("way/in")) == 0 && open(at("way/open/file"), O_RDONLY) >= 0 &&
			    open(at("gone"), O_RDONLY) >= 0 && unlink(at("gone")) == 0;

		fd = open(at("mapped"), O_RDONLY);
		good = good && mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED && close(fd) == 0;
		if (!good || write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	CHECK(pid > 0 && read(ends[0], &c, 1) == 1);
	close(ends[0]);
	return pid;
}

struct seen {
	uint64_t *numbers;
	size_t count, room;
};

static void see(void *context, uint32_t volume, uint64_t number)
{
	struct seen *s = context;

	CHECK_INT(volume, 1);
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->numbers = realloc(s->numbers, s->room * sizeof *s->numbers);
		CHECK(s->numbers);
	}
	s->numbers[s->count++] = number;
}

static bool has(const struct seen *s, uint64_t number)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->numbers[i] == number)
			return true;
	return false;
}

static uint64_t number_of(const char *name)
{
	struct stat s;

	CHECK(stat(at(name), &s) == 0);
	return s.st_ino;
}

TEST(open_and_mapped_files_and_the_directories_on_the_way_to_them_are_told_and_no_others)
{
	static const char *const used[] = {"way", "way/in", "way/open", "way/open/file", "mapped"},
				 *const others[] = {"closed", "other", "other/file"};
	int mounts[2] = {-1, -1};
	struct seen seen = {0};
	uint64_t gone;
	pid_t pid;

	make();
	gone = number_of("gone");
	mounts[1] = open(place, O_PATH | O_DIRECTORY);
	CHECK(mounts[1] >= 0);
	pid = start_user();
	volume_used(&(struct volume_users){mounts, 2, see, &seen});
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (size_t i = 0; i < 5; i++)
		CHECK(has(&seen, number_of(used[i])));
	CHECK(has(&seen, gone));
	for (size_t i = 0; i < 3; i++)
		CHECK(!has(&seen, number_of(others[i])));
	free(seen.numbers);
	close(mounts[1]);
	for (size_t i = 0; i < 9; i++)
		remove(at((const char *[]){"way/open/file", "way/open", "way/in", "way", "other/file",
			"other", "mapped", "closed", "."}[i]));
	rmdir(place);
}
