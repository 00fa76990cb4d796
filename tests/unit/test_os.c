/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "os/landlock.h"
#include "os/process.h"
#include "os/sparse.h"

struct place {
	char path[64];
	int fd;
};

static void place_open(struct place *p)
{
	snprintf(p->path, sizeof p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->fd >= 0);
}

static void place_close(struct place *p)
{
	close(p->fd);
	fs_remove_tree(AT_FDCWD, p->path, NULL);
	CHECK(access(p->path, F_OK) < 0);
}

TEST(a_file_is_replaced_as_a_whole)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct place p;
	struct error err;
	struct stat s;

	place_open(&p);
	CHECK_OK(fs_write_atomic(p.fd, "f", "old", 3, 0600, &err));
	CHECK_OK(fs_write_atomic(p.fd, "f", "newer", 5, 0400, &err));
	CHECK_OK(fs_read_file(p.fd, "f", 100, &b, &err));
	CHECK(b.size == 5 && !memcmp(b.data, "newer", 5));
	CHECK(fstatat(p.fd, "f", &s, 0) == 0 && (s.st_mode & 0777) == 0400);
	CHECK_ERROR(fs_read_file(p.fd, "f", 4, &b, &err), ERROR_LIMIT);
	CHECK_ERROR(fs_read_file(p.fd, "none", 4, &b, &err), ERROR_NOT_FOUND);
	place_close(&p);
}

TEST(a_write_that_fails_leaves_the_old_file_and_no_other)
{
	static char big[100000];
	_cleanup_buffer_ struct buffer b = {0};
	struct place p;
	struct error err;
	int status;
	pid_t child;

	place_open(&p);
	CHECK_OK(fs_write_atomic(p.fd, "f", "old", 3, 0600, &err));
	child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096});
		signal(SIGXFSZ, SIG_IGN);
		_exit(fs_write_atomic(p.fd, "f", big, sizeof big, 0600, &err) < 0 ? 7 : 0);
	}
	waitpid(child, &status, 0);
	CHECK_INT(WEXITSTATUS(status), 7);
	CHECK_OK(fs_read_file(p.fd, "f", 100, &b, &err));
	CHECK(b.size == 3);
	CHECK(unlinkat(p.fd, "f", 0) == 0);
	CHECK(rmdir(p.path) == 0); /* nothing else was there */
	close(p.fd);
}

TEST(nothing_beneath_leads_out)
{
	static const char *const ways[] = {"../x", "/etc/passwd", "out/passwd", "up/x", "a/../../x"};
	struct place p;
	struct error err;

	place_open(&p);
	CHECK_OK(fs_make_directories(p.fd, "a/b/c", 0700, &err));
	CHECK(symlinkat("/etc", p.fd, "out") == 0);
	CHECK(symlinkat("..", p.fd, "up") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		CHECK(fs_open_beneath(p.fd, ways[i], O_RDONLY, 0, &err) < 0);
	close(fs_open_beneath(p.fd, "a/b/c/f", O_WRONLY | O_CREAT, 0600, &err));
	CHECK(faccessat(p.fd, "a/b/c/f", F_OK, 0) == 0);
	place_close(&p);
}

TEST(a_tree_is_removed_without_following_links_even_where_it_cannot_be_written)
{
	struct place p, other;
	struct error err;

	place_open(&p);
	place_open(&other);
	close(openat(other.fd, "precious", O_CREAT | O_WRONLY, 0600));
	CHECK_OK(fs_make_directories(p.fd, "t/closed/inner", 0700, &err));
	CHECK(symlinkat(other.path, p.fd, "t/link") == 0);
	CHECK(fchmodat(p.fd, "t/closed", 0500, 0) == 0);
	CHECK_OK(fs_remove_tree(p.fd, "t", &err));
	CHECK_OK(fs_remove_tree(p.fd, "t", &err));
	CHECK(faccessat(other.fd, "precious", F_OK, 0) == 0);
	place_close(&p);
	place_close(&other);
}

/* Directories in each other, with a file in each, below names that are in the way. */
static void make_deep(int at, const char *name, unsigned levels)
{
	int fd;

	CHECK(mkdirat(at, name, 0700) == 0);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY);
	CHECK(mkdirat(fd, "0", 0700) == 0 && mkdirat(fd, "0/full", 0700) == 0);
	close(openat(fd, "1", O_CREAT | O_WRONLY, 0600));
	while (levels--) {
		int below;

		CHECK(mkdirat(fd, "d", 0700) == 0);
		close(openat(fd, "f", O_CREAT | O_WRONLY, 0600));
		below = openat(fd, "d", O_RDONLY | O_DIRECTORY);
		if (levels % 100 == 0)
			CHECK(fchmod(fd, 0500) == 0);
		close(fd);
		fd = below;
	}
	close(fd);
}

TEST(a_tree_is_removed_however_deep_with_few_descriptors)
{
	struct rlimit before, few = {80, 80};
	struct place p;
	struct error err;

	place_open(&p);
	make_deep(p.fd, "deep", 3000);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few.rlim_max = before.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK_OK(fs_remove_tree(p.fd, "deep", &err));
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(faccessat(p.fd, "deep", F_OK, 0) < 0);
	place_close(&p);
}

TEST(a_lock_excludes_and_dies_with_its_process)
{
	struct place p;
	struct error err;
	int fd, status, ready[2];
	pid_t child;
	char byte;

	place_open(&p);
	CHECK(pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		if (fs_lock(p.fd, "l", FS_LOCK_EXCLUSIVE, true, &fd, &err) < 0 ||
			write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	CHECK_ERROR(fs_lock(p.fd, "l", FS_LOCK_SHARED, false, &fd, &err), ERROR_BUSY);
	CHECK(fs_is_locked(p.fd, "l"));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	CHECK_OK(fs_lock(p.fd, "l", FS_LOCK_EXCLUSIVE, false, &fd, &err));
	close(fd);
	close(ready[0]);
	close(ready[1]);
	place_close(&p);
}

TEST(a_lock_on_a_file_that_was_removed_is_taken_again)
{
	struct place p;
	struct error err;
	int first, second, status;
	pid_t child;

	place_open(&p);
	CHECK_OK(fs_lock(p.fd, "l", FS_LOCK_EXCLUSIVE, true, &first, &err));
	child = fork();
	if (child == 0) { /* waits for a file that is gone when its turn comes */
		close(first);
		_exit(fs_lock(p.fd, "l", FS_LOCK_EXCLUSIVE, true, &second, &err) == 0 &&
					faccessat(p.fd, "l", F_OK, 0) == 0
				? 0
				: 1);
	}
	usleep(50000);
	CHECK(unlinkat(p.fd, "l", 0) == 0);
	close(first);
	waitpid(child, &status, 0);
	CHECK_INT(WEXITSTATUS(status), 0);
	place_close(&p);
}

TEST(a_sparse_copy_keeps_bytes_and_holes)
{
	struct place p;
	struct error err;
	struct stat s;
	char bytes[6] = "";
	int from, to;

	place_open(&p);
	from = openat(p.fd, "from", O_RDWR | O_CREAT, 0600);
	to = openat(p.fd, "to", O_RDWR | O_CREAT, 0600);
	CHECK(ftruncate(from, 1LL << 32) == 0 && pwrite(from, "hello", 5, 1LL << 31) == 5);
	CHECK_OK(sparse_copy(from, to, "from", &err));
	CHECK(fstat(to, &s) == 0 && s.st_size == 1LL << 32 && s.st_blocks * 512 < 1 << 20);
	CHECK(pread(to, bytes, 5, 1LL << 31) == 5 && !strcmp(bytes, "hello"));
	close(from);
	close(to);
	place_close(&p);
}

TEST(zeroes_become_holes_and_the_digest_does_not_see_it)
{
	static char zeroes[1 << 20];
	char before[SHA256_HEX_SIZE], after[SHA256_HEX_SIZE], bytes[5] = "";
	struct place p;
	struct error err;
	struct stat s;
	int fd, to;

	place_open(&p);
	fd = openat(p.fd, "file", O_RDWR | O_CREAT, 0600);
	to = openat(p.fd, "to", O_RDWR | O_CREAT, 0600);
	CHECK(pwrite(fd, zeroes, sizeof zeroes, 0) == sizeof zeroes &&
		pwrite(fd, "tail", 4, sizeof zeroes) == 4);
	CHECK_OK(sparse_digest(fd, "file", before, &err));
	CHECK_OK(sparse_copy(fd, to, "file", &err));
	CHECK_OK(sparse_punch(fd, "file", &err));
	CHECK(fstat(fd, &s) == 0 && s.st_size == sizeof zeroes + 4 && s.st_blocks * 512 < 1 << 18);
	CHECK_OK(sparse_digest(fd, "file", after, &err));
	CHECK_TEXT(after, before);
	CHECK(fstat(to, &s) == 0 && s.st_size == sizeof zeroes + 4 && s.st_blocks * 512 < 1 << 18);
	CHECK(pread(to, bytes, 4, sizeof zeroes) == 4 && !strcmp(bytes, "tail"));
	CHECK(pwrite(fd, "x", 1, 4096) == 1);
	CHECK_OK(sparse_digest(fd, "file", after, &err));
	CHECK(strcmp(after, before));
	close(fd);
	close(to);
	place_close(&p);
}

static int run(const char *const *argv, struct buffer *out, size_t limit, uint64_t timeout, struct error *err)
{
	return process_run(
		argv, &(struct process_run_options){.out = out, .limit = limit, .timeout = timeout}, err);
}

TEST(a_child_has_only_the_descriptors_that_were_named)
{
	const char *const argv[] = {"sh", "-c", "ls /proc/self/fd; readlink /proc/self/fd/0", NULL};
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;
	int stray = open("/etc/passwd", O_RDONLY); /* not close-on-exec */

	CHECK_OK(run(argv, &out, 1000, 10 * NANOSECONDS_PER_SECOND, &err));
	CHECK(buffer_u8(&out, 0));
	CHECK_TEXT((const char *)out.data, "0\n1\n2\n3\n/dev/null\n"); /* 3: ls reading the directory */
	close(stray);
}

TEST(a_command_that_is_not_there_is_an_error_of_the_start)
{
	const char *const argv[] = {"/nonexistent/program", NULL};
	struct error err;

	CHECK_ERROR(run(argv, NULL, 0, NANOSECONDS_PER_SECOND, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "/nonexistent/program"));
}

TEST(a_command_is_bounded_in_time_and_output)
{
	const char *const slow[] = {"sleep", "100", NULL};
	const char *const loud[] = {"yes", NULL};
	const char *const bad[] = {"sh", "-c", "exit 3", NULL};
	_cleanup_buffer_ struct buffer out = {0};
	struct error err;

	CHECK_ERROR(run(slow, NULL, 0, NANOSECONDS_PER_SECOND / 10, &err), ERROR_TIMEOUT);
	CHECK_ERROR(run(loud, &out, 100000, 10 * NANOSECONDS_PER_SECOND, &err), ERROR_LIMIT);
	CHECK_ERROR(run(bad, NULL, 0, 10 * NANOSECONDS_PER_SECOND, &err), ERROR_SYSTEM);
	CHECK(strstr(err.text, "status 3"));
}

TEST(a_command_that_writes_for_ever_or_closes_its_output_has_no_more_time)
{
	const char *const loud[] = {"yes", NULL};
	const char *const mute[] = {"sh", "-c", "exec >&- sleep 100", NULL};
	struct error err;

	CHECK_ERROR(run(loud, NULL, 0, NANOSECONDS_PER_SECOND / 5, &err), ERROR_TIMEOUT);
	CHECK_ERROR(run(mute, NULL, 0, NANOSECONDS_PER_SECOND / 5, &err), ERROR_TIMEOUT);
}

TEST(a_command_gets_its_input_and_one_that_does_not_read_it_harms_nobody)
{
	const char *const copy[] = {"sh", "-c", "cat; exit 7", NULL};
	const char *const lazy[] = {"true", NULL};
	_cleanup_buffer_ struct buffer in = {0}, out = {0};
	struct process_run_options o = {
		.out = &out, .limit = 1 << 20, .timeout = 10 * NANOSECONDS_PER_SECOND};
	struct error err;
	int status = 0;

	while (in.size < (1 << 20))
		CHECK(buffer_u32(&in, (uint32_t)in.size));
	o.input = in.data;
	o.input_size = in.size;
	CHECK_OK(process_run(lazy, &o, &err));
	CHECK_INT(out.size, 0);
	o.status = &status;
	CHECK_OK(process_run(copy, &o, &err));
	CHECK_INT(status, 7);
	CHECK(out.size == in.size && memcmp(in.data, out.data, in.size) == 0);
	o.input = "";
	o.input_size = 0;
	buffer_clear(&out);
	CHECK_OK(process_run(copy, &o, &err));
	CHECK_INT(out.size, 0);
}

static int try_under_landlock(const char *inside, const char *outside)
{
	char path[96];
	int rules = landlock_new(landlock_abi(), 0);

	if (rules < 0 || landlock_allow(rules, inside, LANDLOCK_READ | LANDLOCK_WRITE) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_enter(rules) < 0)
		return 1;
	snprintf(path, sizeof path, "%s/new", inside);
	if (mkdir(path, 0700) < 0 || rmdir(path) < 0)
		return 2;
	if (open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) < 0 || rename(path, path) < 0 || unlink(path) < 0)
		return 3;
	if (open(outside, O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 4;
	snprintf(path, sizeof path, "%s/new", outside);
	if (open(path, O_WRONLY | O_CREAT, 0600) >= 0 || mkdir(path, 0700) == 0)
		return 5;
	return execl("/bin/true", "true", NULL) < 0 && errno == EACCES ? 0 : 6;
}

TEST(what_is_allowed_to_be_written_can_be_and_nothing_else)
{
	char inside[] = "/tmp/monocore-test-XXXXXX", outside[] = "/tmp/monocore-test-XXXXXX";
	int status;
	pid_t pid;

	CHECK(landlock_abi() > 0);
	CHECK(mkdtemp(inside) && mkdtemp(outside));
	pid = fork();
	if (pid == 0)
		_exit(try_under_landlock(inside, outside));
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	CHECK(rmdir(inside) == 0 && rmdir(outside) == 0);
}
