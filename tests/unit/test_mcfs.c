/* SPDX-License-Identifier: Apache-2.0 */
/* What a server of a volume can do once it has given up what it does not need: by a process that tries. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bin/mcfs/confine.h"
#include "os/fs.h"
#include "os/landlock.h"

static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static const char *in_folder(const char *name)
{
	static char path[4][512];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
	return path[turn];
}

static void make_file(const char *name)
{
	int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, "as it was", 9) == 9 && close(fd) == 0);
}

static void set_up(void)
{
	static bool once;

	remove_folder();
	if (!once && (once = true))
		atexit(remove_folder);
	snprintf(folder, sizeof folder, "/tmp/mc-mcfs-XXXXXX");
	CHECK(mkdtemp(folder));
	CHECK(mkdir(in_folder("served"), 0755) == 0 && mkdir(in_folder("outside"), 0755) == 0);
	make_file("served/file");
	make_file("outside/file");
	CHECK(symlink("../outside", in_folder("served/link")) == 0);
}

/* Runs `attempt` as a server would run, with a descriptor of the directory; its answer is a bit for each
 * thing that it could do. 255: it could not be confined. */
static int confined_to(const char *served, unsigned rights, int (*attempt)(int directory))
{
	int directory = open(in_folder(served), O_PATH | O_CLOEXEC), status = -1;
	struct error err;
	pid_t pid = fork();

	CHECK(directory >= 0 && pid >= 0);
	if (pid == 0) {
		directory = mcfs_isolate(directory);
		_exit(mcfs_confine(&(struct mcfs_tree){directory, rights}, 1, &err) < 0 ? 255
											: attempt(directory));
	}
	close(directory);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int confined(unsigned rights, int (*attempt)(int directory))
{
	return confined_to("served", rights, attempt);
}

static bool can_open(int at, const char *path, int flags)
{
	int fd = openat(at, path, flags | O_CLOEXEC, 0644);

	return fd >= 0 && close(fd) == 0;
}

static int use_what_is_served(int directory)
{
	return (can_open(directory, "file", O_RDWR) ? 1 : 0) |
	       (can_open(directory, "new", O_WRONLY | O_CREAT) ? 2 : 0) |
	       (fchmodat(directory, "file", 0600, 0) == 0 ? 4 : 0) |
	       (mkdirat(directory, "d", 0755) == 0 ? 8 : 0) |
	       (renameat(directory, "new", directory, "d/new") == 0 ? 16 : 0) |
	       (can_open(directory, "file", O_RDONLY) ? 32 : 0) |
	       (unlinkat(directory, "file", 0) == 0 ? 64 : 0);
}

/* Where the kernel has no user namespaces for us, landlock leaves modes and times to the owner. */
static int change_others(int directory)
{
	const struct timespec times[2] = {{1, 0}, {1, 0}};

	return (fchmodat(directory, "../outside/file", 0777, 0) == 0 ? 1 : 0) |
	       (fchmodat(AT_FDCWD, in_folder("outside/file"), 0777, 0) == 0 ? 2 : 0) |
	       (fchmodat(directory, "link/file", 0777, 0) == 0 ? 4 : 0) |
	       (utimensat(directory, "../outside/file", times, 0) == 0 ? 8 : 0) |
	       (utimensat(AT_FDCWD, in_folder("outside"), times, 0) == 0 ? 16 : 0) |
	       (setxattr(in_folder("outside/file"), "user.x", "x", 1, 0) == 0 ? 32 : 0) |
	       (fchmodat(directory, "../../..", 0755, 0) == 0 &&
				       fchmodat(directory, "../served", 0755, 0) == 0
			       ? 64
			       : 0);
}

static int open_others(int directory)
{
	return (can_open(directory, "../outside/file", O_RDONLY) ? 1 : 0) |
	       (can_open(AT_FDCWD, in_folder("outside/file"), O_WRONLY) ? 2 : 0) |
	       (can_open(directory, "link/file", O_RDONLY) ? 4 : 0) |
	       (can_open(AT_FDCWD, "/etc/passwd", O_RDONLY) ? 8 : 0) |
	       (can_open(AT_FDCWD, "/proc/1/environ", O_RDONLY) ? 16 : 0) |
	       (unlinkat(directory, "../outside/file", 0) == 0 ? 32 : 0) |
	       (linkat(directory, "../outside/file", directory, "stolen", 0) == 0 ? 64 : 0);
}

static int leave(int directory)
{
	char path[64];

	(void)directory;
	snprintf(path, sizeof path, "/proc/%d/root/etc/passwd", (int)getppid());
	return (socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 0) |
	       (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 2 : 0) | (kill(getppid(), 0) == 0 ? 4 : 0) |
	       (can_open(AT_FDCWD, path, O_RDONLY) ? 8 : 0) |
	       (setuid(0) == 0 && geteuid() == 0 && access("/etc", F_OK) == 0 ? 16 : 0);
}

static bool is_as_it_was(const char *name)
{
	struct stat s;

	return stat(in_folder(name), &s) == 0 && (s.st_mode & 07777) == 0644 && s.st_size == 9 &&
	       s.st_mtime > 1000;
}

TEST(what_is_served_can_be_changed)
{
	set_up();
	CHECK_INT(confined(LANDLOCK_READ | LANDLOCK_WRITE, use_what_is_served), 127);
}

TEST(what_is_served_read_only_can_be_read)
{
	set_up();
	CHECK_INT(confined(LANDLOCK_READ, use_what_is_served), 32);
	CHECK(is_as_it_was("served/file"));
}

static bool can_reopen(int file, int flags)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	return can_open(AT_FDCWD, path, flags);
}

static int use_a_file(int file)
{
	return (can_reopen(file, O_RDONLY) ? 1 : 0) | (can_reopen(file, O_RDWR) ? 2 : 0) |
	       (can_reopen(file, O_WRONLY | O_TRUNC) ? 4 : 0) |
	       (can_open(AT_FDCWD, in_folder("served/file"), O_RDONLY) &&
				       can_open(AT_FDCWD, in_folder("served/other"), O_RDONLY)
			       ? 8
			       : 0) |
	       (can_open(AT_FDCWD, in_folder("outside/file"), O_RDONLY) ? 16 : 0) |
	       (can_open(file, "../other", O_RDONLY) ? 32 : 0) |
	       (unlinkat(AT_FDCWD, in_folder("served/other"), 0) == 0 ? 64 : 0);
}

TEST(a_file_that_is_served_is_all_that_can_be_opened)
{
	set_up();
	make_file("served/other");
	CHECK_INT(confined_to("served/file", LANDLOCK_READ, use_a_file), 1);
	CHECK(is_as_it_was("served/file"));
	CHECK_INT(confined_to("served/file", LANDLOCK_READ | LANDLOCK_WRITE, use_a_file), 7);
	CHECK(is_as_it_was("served/other"));
}

TEST(nothing_else_can_be_opened_or_removed)
{
	set_up();
	CHECK_INT(confined(LANDLOCK_READ | LANDLOCK_WRITE, open_others), 0);
	CHECK(is_as_it_was("outside/file"));
}

TEST(modes_and_times_of_nothing_else_can_be_changed)
{
	struct stat s;

	set_up();
	CHECK_INT(confined(LANDLOCK_READ | LANDLOCK_WRITE, change_others), 0);
	CHECK(is_as_it_was("outside/file"));
	CHECK(stat(folder, &s) == 0 && (s.st_mode & 07777) == 0700);
}

TEST(there_are_no_sockets_signals_and_other_processes)
{
	set_up();
	CHECK_INT(confined(LANDLOCK_READ | LANDLOCK_WRITE, leave), 0);
}
