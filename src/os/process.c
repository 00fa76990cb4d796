/* SPDX-License-Identifier: Apache-2.0 */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"

#define CHILD_FD_MAX  64
#define SPAWN_FDS_MAX 64

/* Tells the parent why the child could not become the program, and ends it. */
_Noreturn static void child_fail(int report)
{
	int e = errno;

	if (write(report, &e, sizeof e) < 0)
		_exit(126);
	_exit(127);
}

/* The child's side of process_spawn(); only async-signal-safe calls. The report pipe closes by itself when
 * the exec succeeds. */
_Noreturn static void child_exec(const struct process_spec *spec, int report)
{
	int moved[SPAWN_FDS_MAX];
	sigset_t none;
	int null;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	if (spec->new_session)
		setsid();
	report = fcntl(report, F_DUPFD_CLOEXEC, CHILD_FD_MAX);
	for (size_t i = 0; i < spec->fd_count; i++)
		if ((moved[i] = fcntl(spec->fds[i].parent, F_DUPFD_CLOEXEC, CHILD_FD_MAX)) < 0)
			child_fail(report);
	syscall(SYS_close_range, 0u, (unsigned)CHILD_FD_MAX - 1, 0u);
	null = open("/dev/null", O_RDWR);
	if (null != 0 || dup2(0, 1) < 0 || dup2(0, 2) < 0)
		child_fail(report);
	for (size_t i = 0; i < spec->fd_count; i++)
		if (dup2(moved[i], spec->fds[i].child) < 0)
			child_fail(report);
	syscall(SYS_close_range, (unsigned)CHILD_FD_MAX, ~0u, (unsigned)CLOSE_RANGE_CLOEXEC);
	if (spec->env)
		execvpe(spec->path, (char *const *)spec->argv, (char *const *)spec->env);
	else
		execvp(spec->path, (char *const *)spec->argv);
	child_fail(report);
}

int process_spawn(const struct process_spec *spec, pid_t *pid, int *pidfd, struct error *err)
{
	_cleanup_fd_ int read_end = -1, write_end = -1, watch = -1;
	int ends[2], reason = 0;
	ssize_t n;
	pid_t child;

	if (spec->fd_count > SPAWN_FDS_MAX)
		return error_set(err, ERROR_LIMIT, "start %s: too many descriptors", spec->path);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "start %s", spec->path);
	read_end = ends[0];
	write_end = ends[1];
	child = fork();
	if (child < 0)
		return error_errno(err, errno, "start %s", spec->path);
	if (child == 0)
		child_exec(spec, write_end);
	watch = (int)syscall(SYS_pidfd_open, child, 0);
	close(TAKE_FD(write_end));
	do
		n = read(read_end, &reason, sizeof reason);
	while (n < 0 && errno == EINTR);
	if (n == sizeof reason || watch < 0) {
		if (n != sizeof reason) {
			reason = errno;
			kill(child, SIGKILL);
		}
		waitpid(child, NULL, 0);
		return error_errno(err, reason, "start %s", spec->path);
	}
	*pid = child;
	if (pidfd)
		*pidfd = TAKE_FD(watch);
	return 0;
}

int process_wait(pid_t pid, int *status, struct error *err)
{
	int raw;

	while (waitpid(pid, &raw, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "wait for process %d", (int)pid);
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return 0;
}

static int wait_readable(int fd, const char *name, uint64_t deadline, struct error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ready;

	do
		ready = poll(&p, 1, clock_poll_timeout(deadline));
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return error_errno(err, errno, "wait for %s", name);
	/* Something to read, but too late: a child that never stops writing does not get on either. */
	if (ready == 0 || clock_monotonic() >= deadline)
		return error_set(err, ERROR_TIMEOUT, "%s: no end in time", name);
	return 0;
}

/* Reads the child's output until its end or the deadline, straight to where it belongs: it may be a secret.
 */
static int collect(
	int fd, const char *name, const struct process_run_options *o, uint64_t deadline, struct error *err)
{
	struct buffer *out = o->out;
	char dropped[4096];

	for (;;) {
		size_t room = out && o->limit - out->size < 65536 ? o->limit - out->size + 1 : 65536;
		int r = wait_readable(fd, name, deadline, err);
		ssize_t n;

		if (r < 0)
			return r;
		if (out && !buffer_reserve(out, room))
			return error_no_memory(err, name);
		n = out ? read(fd, out->data + out->size, room) : read(fd, dropped, sizeof dropped);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read from %s", name);
		if (n == 0)
			return 0;
		if (!out)
			continue;
		out->size += (size_t)n;
		if (out->size > o->limit)
			return error_set(err, ERROR_LIMIT, "%s: over %zu bytes of output", name, o->limit);
	}
}

/* The input as a file of memory: however late or little the child reads, nobody waits for it, and nobody gets
 * a SIGPIPE. Returns its descriptor. */
static int input_file(const char *name, const struct process_run_options *o, struct error *err)
{
	_cleanup_fd_ int fd = memfd_create("input", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "run %s", name);
	r = fs_write_all(fd, o->input, o->input_size, name, err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, errno, "run %s", name);
	return TAKE_FD(fd);
}

int process_run(const char *const *argv, const struct process_run_options *o, struct error *err)
{
	_cleanup_fd_ int input = o->input ? input_file(argv[0], o, err) : -1;
	_cleanup_fd_ int read_end = -1, write_end = -1, ended = -1;
	uint64_t deadline = clock_monotonic() + o->timeout;
	struct process_fd fds[] = {
		{-1, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}, {input, STDIN_FILENO}};
	struct process_spec spec = {.path = argv[0], .argv = argv, .fds = fds, .fd_count = o->input ? 3 : 2};
	int ends[2], status = 0, r;
	pid_t pid;

	if (o->input && input < 0)
		return input;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "run %s", argv[0]);
	read_end = ends[0];
	fds[0].parent = write_end = ends[1];
	r = process_spawn(&spec, &pid, &ended, err);
	if (r < 0)
		return r;
	close(TAKE_FD(write_end));
	r = collect(read_end, argv[0], o, deadline, err);
	if (r == 0)
		r = wait_readable(ended, argv[0], deadline, err);
	if (r < 0)
		kill(pid, SIGKILL);
	if (process_wait(pid, &status, r < 0 ? NULL : err) < 0 || r < 0)
		return r < 0 ? r : -ERROR_SYSTEM;
	if (o->status)
		*o->status = status;
	else if (status)
		return error_set(err, ERROR_SYSTEM, "%s ended with status %d", argv[0], status);
	return 0;
}

bool process_is_installed(const char *name)
{
	const char *paths = getenv("PATH") ?: "/usr/bin:/bin";
	char path[PATH_MAX];

	while (*paths) {
		size_t n = strcspn(paths, ":");
		int size = snprintf(path, sizeof path, "%.*s/%s", (int)n, paths, name);

		if (n && size < (int)sizeof path && access(path, X_OK) == 0)
			return true;
		paths += n + (paths[n] == ':');
	}
	return false;
}
