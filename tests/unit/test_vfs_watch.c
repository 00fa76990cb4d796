/* SPDX-License-Identifier: Apache-2.0 */
/* What a native file system tells of the doings of others: processes that these tests fork. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fs.h"
#include "vfs/native/native.h"

#define WATCHES_MOST 8192

struct place {
	char path[32];
	int directory;
	struct vfs *fs;
	pthread_mutex_t lock;
	char heard[65536]; /* "name PARENT NAME;", "object INO;", "contents INO;" */
	size_t size;
};

static void hear(struct place *p, const char *text)
{
	pthread_mutex_lock(&p->lock);
	if (p->size + strlen(text) < sizeof p->heard)
		p->size += (size_t)sprintf(p->heard + p->size, "%s", text);
	pthread_mutex_unlock(&p->lock);
}

static void hear_name(void *context, uint64_t parent, const char *name)
{
	char text[512];

	snprintf(text, sizeof text, "name %ju %s;", (uintmax_t)parent, name);
	hear(context, text);
}

static void hear_object(void *context, uint64_t ino, bool contents)
{
	char text[64];

	snprintf(text, sizeof text, "%s %ju;", contents ? "contents" : "object", (uintmax_t)ino);
	hear(context, text);
}

static bool heard(struct place *p, const char *text)
{
	bool found;

	pthread_mutex_lock(&p->lock);
	found = strstr(p->heard, text);
	pthread_mutex_unlock(&p->lock);
	return found;
}

static void await(struct place *p, const char *text)
{
	uint64_t deadline = clock_monotonic() + 60 * NANOSECONDS_PER_SECOND;

	while (!heard(p, text)) {
		CHECK(clock_monotonic() < deadline);
		poll(NULL, 0, 10);
	}
}

static void await_name(struct place *p, uint64_t parent, const char *name)
{
	char text[512];

	snprintf(text, sizeof text, "name %ju %s;", (uintmax_t)parent, name);
	await(p, text);
}

static void await_number(struct place *p, const char *what, uint64_t ino)
{
	char text[64];

	snprintf(text, sizeof text, "%s %ju;", what, (uintmax_t)ino);
	await(p, text);
}

static void place_open(struct place *p)
{
	const struct vfs_watcher watcher = {.context = p, .name = hear_name, .object = hear_object};
	struct native_options options = {.owners = NATIVE_OVERRIDE};
	struct error err;

	*p = (struct place){.lock = PTHREAD_MUTEX_INITIALIZER};
	strcpy(p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->directory = options.directory = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(native_new(&options, &p->fs, &err));
	CHECK_INT(vfs_watch(p->fs, &watcher), 0);
}

static void place_close(struct place *p)
{
	struct error err;

	vfs_destroy(p->fs);
	close(p->directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

/* In another process. */
#define ELSEWHERE(p, statement) \
	do { \
		int status_; \
		pid_t pid_ = fork(); \
		if (pid_ == 0) { \
			if (fchdir((p)->directory) < 0) \
				_exit(1); \
			statement; \
			_exit(0); \
		} \
		CHECK(pid_ > 0 && waitpid(pid_, &status_, 0) == pid_ && status_ == 0); \
	} while (0)

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(1);
	close(fd);
}

static struct vfs_attributes look(struct place *p, uint64_t parent, const char *name)
{
	struct vfs_attributes a;

	CHECK_INT(vfs_lookup(p->fs, parent, name, &a), 0);
	return a;
}

TEST(what_others_change_is_told_and_what_the_file_system_does_itself_is_not)
{
	const struct vfs_caller who = {0};
	struct vfs_attributes d, f, own;
	vfs_handle handle;
	struct place p;

	place_open(&p);
	ELSEWHERE(&p, mkdir("d", 0755); put("d/f", "one"));
	await_name(&p, VFS_ROOT, "d");
	d = look(&p, VFS_ROOT, "d");
	f = look(&p, d.ino, "f");
	CHECK(d.told && f.told && vfs_watched(p.fs, VFS_ROOT) && vfs_watched(p.fs, d.ino));

	p.size = 0;
	p.heard[0] = 0;
	CHECK_INT(vfs_create(p.fs, &who, d.ino, "own", 0644, VFS_WRITE, &own, &handle), 0);
	CHECK_INT(vfs_write(p.fs, own.ino, handle, "abc", 3, 0), 3);
	vfs_release(p.fs, own.ino, handle);
	CHECK_INT(vfs_rename(p.fs, d.ino, "own", VFS_ROOT, "moved", 0), 0);
	CHECK_INT(vfs_unlink(p.fs, VFS_ROOT, "moved"), 0);
	ELSEWHERE(&p, put("d/sentinel", "x"));
	await_name(&p, d.ino, "sentinel");
	CHECK(!heard(&p, "own") && !heard(&p, "moved"));

	ELSEWHERE(&p, put("d/f", "two"));
	await_number(&p, "contents", f.ino);
	ELSEWHERE(&p, chmod("d/f", 0600));
	await_number(&p, "object", f.ino);
	ELSEWHERE(&p, chmod("d", 0700));
	await_number(&p, "object", d.ino);
	ELSEWHERE(&p, rename("d/f", "g"));
	await_name(&p, d.ino, "f");
	await_name(&p, VFS_ROOT, "g");
	ELSEWHERE(&p, unlink("g"));
	place_close(&p);
}

/* By a mapping nobody is told of each write, but when it ends. */
TEST(what_is_written_to_a_mapped_file_is_told_when_its_last_user_lets_go)
{
	struct vfs_attributes f;
	struct place p;

	place_open(&p);
	ELSEWHERE(&p, put("f", "one"));
	f = look(&p, VFS_ROOT, "f");
	ELSEWHERE(&p, {
		int fd = open("f", O_RDWR | O_CLOEXEC);

		(void)fd; /* closed at the end */
	});
	await_number(&p, "contents", f.ino);
	place_close(&p);
}

TEST(what_cannot_be_watched_is_not_said_to_be_told)
{
	struct vfs_attributes d, f;
	struct place p;

	place_open(&p);
	ELSEWHERE(&p, mkdir("d", 0755); put("d/f", "one"); put("single", ""));
	d = look(&p, VFS_ROOT, "d");
	f = look(&p, d.ino, "f");
	CHECK(f.told);
	/* From a directory that nobody watches it could be written to. */
	ELSEWHERE(&p, mkdir("e", 0755); if (link("d/f", "e/f") < 0) _exit(1));
	CHECK_INT(vfs_getattr(p.fs, f.ino, VFS_NO_HANDLE, &f), 0);
	CHECK_INT(f.links, 2);
	CHECK(!f.told);
	CHECK(look(&p, VFS_ROOT, "single").told);
	place_close(&p);
}

TEST(as_many_directories_are_watched_as_may_be_and_those_that_go_make_room)
{
	const struct vfs_caller who = {0};
	struct vfs_attributes a, last;
	uint64_t deadline;
	struct place p;
	char name[16];

	place_open(&p);
	for (unsigned i = 0; i < WATCHES_MOST; i++) {
		snprintf(name, sizeof name, "%u", i);
		CHECK_INT(vfs_mkdir(p.fs, &who, VFS_ROOT, name, 0755, &a), 0);
		vfs_forget(p.fs, a.ino, 1);
	}
	CHECK_INT(vfs_mkdir(p.fs, &who, VFS_ROOT, "last", 0755, &last), 0);
	CHECK(!last.told && !vfs_watched(p.fs, last.ino));
	CHECK_INT(vfs_rmdir(p.fs, VFS_ROOT, "0"), 0);
	deadline = clock_monotonic() + 60 * NANOSECONDS_PER_SECOND;
	while (!look(&p, VFS_ROOT, "last").told) {
		CHECK(clock_monotonic() < deadline);
		poll(NULL, 0, 20);
	}
	place_close(&p);
}
