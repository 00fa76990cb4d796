/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "guest/spawn.h"
#include "guest/user.h"

void exec_ends_close(struct exec_ends *e)
{
	for (size_t i = 0; i < 3; i++) {
		if (e->ours[i] >= 0)
			close(TAKE_FD(e->ours[i]));
		if (e->theirs[i] >= 0)
			close(TAKE_FD(e->theirs[i]));
	}
}

/* A pipe whose end `ours` (0: for reading) is the agent's. The other belongs to the process's user, so that
 * it can open /dev/stdout. */
static int open_pipe(int reads, int *ours, int *theirs, uint32_t uid, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe");
	*ours = ends[reads ? 0 : 1];
	*theirs = ends[reads ? 1 : 0];
	if (fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 || (uid && fchown(*theirs, uid, (gid_t)-1) < 0))
		return error_errno(err, errno, "prepare a pipe");
	return 0;
}

static int open_pipes(const struct message_exec *m, uint32_t uid, struct exec_ends *e, struct error *err)
{
	int r = 0;

	if (m->flags & EXEC_STDIN) {
		r = open_pipe(false, &e->ours[0], &e->theirs[0], uid, err);
	} else {
		e->theirs[0] = fcntl(0, F_DUPFD_CLOEXEC, 3); /* /dev/null as it was at boot */
		if (e->theirs[0] < 0)
			return error_errno(err, errno, "open /dev/null");
	}
	for (size_t i = 1; r == 0 && i < 3; i++)
		r = open_pipe(true, &e->ours[i], &e->theirs[i], uid, err);
	return r;
}

/* The terminal's two ends; input and output of ours are two descriptors, so that each can be watched. */
static int open_terminal(const struct message_exec *m, uint32_t uid, struct exec_ends *e, struct error *err)
{
	const struct winsize size = {.ws_row = m->rows, .ws_col = m->columns};
	int locked = 0;

	e->ours[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (e->ours[1] < 0 || ioctl(e->ours[1], TIOCSPTLCK, &locked) < 0)
		return error_errno(err, errno, "open a terminal");
	e->theirs[0] = ioctl(e->ours[1], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (e->theirs[0] < 0 || fchown(e->theirs[0], uid, (gid_t)-1) < 0)
		return error_errno(err, errno, "open a terminal");
	if (m->rows && m->columns)
		ioctl(e->theirs[0], TIOCSWINSZ, &size);
	for (size_t i = 1; i < 3; i++)
		e->theirs[i] = fcntl(e->theirs[0], F_DUPFD_CLOEXEC, 3);
	if (m->flags & EXEC_STDIN)
		e->ours[0] = fcntl(e->ours[1], F_DUPFD_CLOEXEC, 3);
	return e->theirs[1] < 0 || e->theirs[2] < 0 ? error_errno(err, errno, "open a terminal") : 0;
}

static bool has_variable(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return true;
	return false;
}

static int add_variable(char ***env, const char *name, const char *value, struct error *err)
{
	_cleanup_free_ char *text = has_variable(*env, name) ? NULL : text_format(err, "%s=%s", name, value);

	if (has_variable(*env, name))
		return 0;
	return text ? text_list_add(env, text, err) : -ERROR_NO_MEMORY;
}

/* env as it was asked for, with the variables that programs expect where it lacks them. */
static char **make_environment(const struct message_exec *m, const struct passwd_user *u, struct error *err)
{
	_cleanup_text_list_ char **env = text_list_copy(m->env, err);
	char hostname[256] = "";
	int r = env ? 0 : -ERROR_NO_MEMORY;

	if (r < 0 || !(m->flags & EXEC_DEFAULT_ENV))
		return r < 0 ? NULL : TAKE_PTR(env);
	gethostname(hostname, sizeof hostname - 1);
	r = add_variable(&env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", err);
	if (r == 0)
		r = add_variable(&env, "HOSTNAME", hostname, err);
	if (r == 0)
		r = add_variable(&env, "HOME", u->home, err);
	if (r == 0 && m->flags & EXEC_TTY)
		r = add_variable(&env, "TERM", "xterm", err);
	return r < 0 ? NULL : TAKE_PTR(env);
}

static int spawn_as(struct agent *a, const struct message_exec *m, const struct passwd_user *u,
	struct exec_ends *ends, pid_t *pid, int *status, struct error *err)
{
	_cleanup_text_list_ char **env = make_environment(m, u, err);
	struct spawn s = {.argv = m->argv,
		.env = env,
		.user = u,
		.rlimits = m->rlimits,
		.rlimit_count = m->rlimit_count,
		.workdir = *m->workdir ? m->workdir : "/",
		.tty = m->flags & EXEC_TTY,
		.cgroup = a->boot.cgroup};
	int r;

	if (!env)
		return -ERROR_NO_MEMORY;
	r = s.tty ? open_terminal(m, u->uid, ends, err) : open_pipes(m, u->uid, ends, err);
	if (r < 0)
		return r;
	memcpy(s.stdio, ends->theirs, sizeof s.stdio);
	return spawn(&s, pid, status, err);
}

int exec_spawn(struct agent *a, const struct message_exec *m, struct exec_ends *ends, pid_t *pid, int *status,
	struct error *err)
{
	struct passwd_user u;
	int r = user_find(m->user, &u, err);

	if (r == 0)
		r = spawn_as(a, m, &u, ends, pid, status, err);
	passwd_user_free(&u);
	for (size_t i = 0; i < 3; i++)
		if (ends->theirs[i] >= 0)
			close(TAKE_FD(ends->theirs[i]));
	return r;
}
