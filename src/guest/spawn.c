/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child tells its failure through a pipe that a successful exec closes. It is born in its cgroup by
 * clone3(2): moving it there later costs an RCU grace period, which is milliseconds.
 */
#include "guest/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/bare_line.h"
#include "guest/beneath.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_LONGEST 4096

enum step { STEP_STREAMS, STEP_TERMINAL, STEP_LIMITS, STEP_USER, STEP_WORKDIR, STEP_EXEC };

struct failure {
	int step;
	int errnum;
};

static const char *const step_names[] = {[STEP_STREAMS] = "connect its streams",
	[STEP_TERMINAL] = "give it its terminal",
	[STEP_LIMITS] = "set its limits",
	[STEP_USER] = "become its user",
	[STEP_EXEC] = "execute it"};

static bool connect_streams(const struct spawn *s)
{
	for (int i = 0; i < 3; i++)
		if (dup2(s->stdio[i], i) < 0)
			return false;
	return true;
}

/* Signals as a fresh process has them: the agent blocks SIGCHLD and ignores SIGPIPE. */
static void reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool set_limits(const struct spawn *s)
{
	const struct rlimit descriptors = {1024, 524288};

	if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return false;
	for (uint32_t i = 0; i < s->rlimit_count; i++) {
		const struct rlimit limit = {s->rlimits[i].soft, s->rlimits[i].hard};

		if (setrlimit((int)s->rlimits[i].resource, &limit) < 0)
			return false;
	}
	return true;
}

/* Here and not in the agent, which must not wait for a file system that does not answer. */
static bool enter_directory(const char *path)
{
	_cleanup_fd_ int fd = beneath_make(AT_FDCWD, path, BENEATH_ROOT, mkdirat);

	return fd >= 0 && fchdir(fd) == 0;
}

static bool become_user(const struct passwd_user *u)
{
	return setgroups(u->group_count, u->groups) == 0 && setgid(u->gid) == 0 && setuid(u->uid) == 0;
}

static const char *find_path(char *const *env)
{
	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], "PATH=", 5) == 0)
			return env[i] + 5;
	return PATH_DEFAULT;
}

/* As execvpe(3), but a directory of PATH that denies access does not hide a later one, and the kernel's
 * answer is never replaced by a shell. Returns only on failure, with errno. */
static void execute(char *const *argv, char *const *env)
{
	const char *command = argv[0];
	size_t length = strlen(command);
	int answer = ENOENT;
	char path[PATH_LONGEST];

	if (strchr(command, '/')) {
		execve(command, argv, env);
		return;
	}
	for (const char *at = find_path(env);; at++) {
		size_t n = strcspn(at, ":");

		if (n + length + 2 <= sizeof path) {
			memcpy(path, at, n);
			path[n] = '/';
			/* An empty element is the working directory. */
			memcpy(path + n + (n ? 1 : 0), command, length + 1);
			execve(path, argv, env);
			if (errno != ENOENT && errno != ENOTDIR)
				answer = errno;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				break;
		}
		at += n;
		if (!*at)
			break;
	}
	errno = answer;
}

/* The environment with another variable; NULL: no memory. What is in it is borrowed. */
static char **with_variable(char *const *env, char *variable)
{
	size_t n = 0, at = 0, name = strcspn(variable, "=") + 1;
	char **copy;

	while (env[n])
		n++;
	copy = calloc(n + 2, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++)
		if (strncmp(env[i], variable, name) != 0)
			copy[at++] = env[i];
	if (copy)
		copy[at] = variable;
	return copy;
}

/* Without a shell that has nothing to do but to say where it is. What keeps the program from being executed,
 * it is to tell itself. */
static void execute_bare(const struct spawn *s)
{
	char directory[PATH_MAX + 4] = "PWD=";
	_cleanup_free_ char **env = NULL;
	struct bare_line line;

	if (!bare_line(s->argv, s->env, &line) || !getcwd(directory + 4, sizeof directory - 4))
		return;
	env = with_variable(s->env, directory);
	if (env)
		execute(line.argv, env);
}

static enum step become_command(const struct spawn *s)
{
	setsid();
	if (!connect_streams(s))
		return STEP_STREAMS;
	if (s->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		return STEP_TERMINAL;
	reset_signals();
	umask(022);
	if (!set_limits(s))
		return STEP_LIMITS;
	if (!enter_directory(s->workdir))
		return STEP_WORKDIR;
	if (!become_user(s->user))
		return STEP_USER;
	execute_bare(s);
	execute(s->argv, s->env);
	return STEP_EXEC;
}

static _Noreturn void run_child(const struct spawn *s, int report)
{
	struct failure f = {.step = (int)become_command(s)};

	f.errnum = errno;
	if (write(report, &f, sizeof f) != sizeof f)
		_exit(126);
	_exit(127);
}

int spawn(const struct spawn *s, pid_t *pid, int *status, struct error *err)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)s->cgroup};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a pipe for '%s'", s->argv[0]);
	*pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (*pid == 0)
		run_child(s, ends[1]);
	close(ends[1]);
	if (*pid > 0) {
		*status = ends[0];
		return 0;
	}
	close(ends[0]);
	if (errno == EAGAIN)
		return error_set(err, ERROR_LIMIT,
			"start '%s': the sandbox has as many processes as it may have", s->argv[0]);
	return error_errno(err, errno, "start '%s'", s->argv[0]);
}

int spawn_result(int status, const char *command, const char *workdir, struct error *err)
{
	struct failure f;
	ssize_t n = read(status, &f, sizeof f);

	if (n == 0)
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof f || f.step < 0 || f.step > STEP_EXEC)
		return error_set(err, ERROR_SYSTEM, "start '%s': no answer from its process", command);
	if (f.step == STEP_WORKDIR)
		return error_errno(err, f.errnum, "start '%s': enter or make its working directory '%s'",
			command, workdir);
	if (f.step != STEP_EXEC)
		return error_errno(err, f.errnum, "start '%s': %s", command, step_names[f.step]);
	if (f.errnum == ENOENT || f.errnum == ENOTDIR)
		return error_set(err, ERROR_NO_COMMAND,
			strchr(command, '/') ? "'%s': no such file, or its interpreter is missing"
					     : "'%s': not found in PATH",
			command);
	return error_set(err, ERROR_CANNOT_EXECUTE, "'%s': %s", command,
		f.errnum == ENOEXEC ? "the format is not one that this machine executes"
				    : strerror(f.errnum));
}
