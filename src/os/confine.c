/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child gives up what it has in the order of child_confine(), which reads as a list; the parent, behind
 * a socket pair, maps the ids, takes the seccomp listener and hears which step failed. Where the steps that
 * need namespaces fail, the start is tried once more with landlock alone.
 */
#include "os/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/landlock.h"
#include "os/seccomp.h"

#define CHILD_FD_MAX 64
#define FDS_MAX      48
#define OPEN_FILES   256
#define START_TIME   MILLISECONDS(20000)

enum step {
	STEP_WAIT,
	STEP_DESCRIPTORS,
	STEP_ROOT,
	STEP_LIMITS,
	STEP_USER,
	STEP_CAPABILITIES,
	STEP_LANDLOCK,
	STEP_SECCOMP,
	STEP_EXEC,
	STEP_READY /* not a failure: what comes with it is the listener */
};

static const char *const step_names[] = {[STEP_WAIT] = "wait for its ids",
	[STEP_DESCRIPTORS] = "set up its descriptors",
	[STEP_ROOT] = "make its root directory",
	[STEP_LIMITS] = "set its limits",
	[STEP_USER] = "change its user",
	[STEP_CAPABILITIES] = "drop its capabilities",
	[STEP_LANDLOCK] = "put it under landlock",
	[STEP_SECCOMP] = "filter its system calls",
	[STEP_EXEC] = "execute it"};

struct report {
	int step, errnum;
};

/* What the child needs, prepared before the fork. */
struct child {
	const struct confine_spec *spec;
	unsigned layers;
	int abi;
	int talk;   /* to the parent */
	int parent; /* a pidfd of it */
	int rules;  /* of landlock */
	int moved[FDS_MAX];
	struct namespace_path program;
};

_Noreturn static void child_fail(const struct child *c, enum step step)
{
	struct report r = {.step = (int)step, .errnum = errno};

	if (write(c->talk, &r, sizeof r) < 0)
		_exit(126);
	_exit(127);
}

static int child_descriptors(struct child *c)
{
	const struct confine_spec *s = c->spec;
	int null;

	c->talk = fcntl(c->talk, F_DUPFD_CLOEXEC, CHILD_FD_MAX);
	c->parent = fcntl(c->parent, F_DUPFD_CLOEXEC, CHILD_FD_MAX);
	for (size_t i = 0; i < s->fd_count; i++)
		if ((c->moved[i] = fcntl(s->fds[i].parent, F_DUPFD_CLOEXEC, CHILD_FD_MAX)) < 0)
			return -1;
	syscall(SYS_close_range, 0u, (unsigned)CHILD_FD_MAX - 1, 0u);
	null = open("/dev/null", O_RDWR);
	if (null != 0 || dup2(0, 1) < 0 || dup2(0, 2) < 0)
		return -1;
	for (size_t i = 0; i < s->fd_count; i++)
		if (dup2(c->moved[i], s->fds[i].child) < 0)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned)CHILD_FD_MAX, ~0u, (unsigned)CLOSE_RANGE_CLOEXEC);
}

static int child_root(const struct child *c)
{
	struct namespace_path all[NAMESPACE_PATHS_MAX];

	if (c->spec->path_count >= ARRAY_SIZE(all)) {
		errno = E2BIG;
		return -1;
	}
	memcpy(all, c->spec->paths, c->spec->path_count * sizeof *all);
	all[c->spec->path_count] = c->program;
	return namespaces_change_root(all, c->spec->path_count + 1);
}

static int limit(int what, uint64_t value)
{
	struct rlimit now, r;

	if (getrlimit((__rlimit_resource_t)what, &now) < 0)
		return -1;
	r.rlim_cur = r.rlim_max = value < now.rlim_max ? value : now.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &r);
}

static int child_limits(const struct confine_spec *s)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NOFILE, OPEN_FILES) < 0)
		return -1;
	if (s->memory_limit && limit(RLIMIT_AS, s->memory_limit) < 0)
		return -1;
	return limit(RLIMIT_FSIZE, s->file_limit);
}

static int child_user(const struct confine_spec *s)
{
	if (!s->uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(s->uid, s->uid, s->uid) < 0)
		return -1;
	return setresuid(s->uid, s->uid, s->uid);
}

static int child_bounding_set(void)
{
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return -1;
	return 0;
}

static int child_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return (int)syscall(SYS_capset, &header, none);
}

/* The rules, made while this process still is who may look at all that they name. */
static int child_rules(struct child *c)
{
	const struct confine_spec *s = c->spec;
	int rules = c->rules = landlock_new(c->abi, LANDLOCK_ALONE);

	if (rules < 0 || landlock_allow(rules, s->program, LANDLOCK_READ | LANDLOCK_EXECUTE) < 0)
		return -1;
	for (size_t i = 0; i < s->path_count; i++) {
		const struct namespace_path *p = &s->paths[i];
		/* Without a root of its own, the program sees the path where it really is. */
		const char *name = p->target && (c->layers & CONFINE_MOUNT) ? p->target : p->source;

		if (landlock_allow(rules, name, LANDLOCK_READ | LANDLOCK_EXECUTE) < 0 && !p->optional)
			return -1;
	}
	return 0;
}

/* The parent may have died before PR_SET_PDEATHSIG; its pidfd tells so in every pid namespace. */
static void child_follow_parent(const struct child *c)
{
	struct pollfd p = {.fd = c->parent, .events = POLLIN};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&p, 1, 0) != 0)
		_exit(126);
}

static int child_send_listener(const struct child *c, int listener)
{
	struct report r = {.step = STEP_READY};
	struct iovec part = {.iov_base = &r, .iov_len = sizeof r};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&m);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof listener);
	memcpy(CMSG_DATA(header), &listener, sizeof listener);
	if (sendmsg(c->talk, &m, 0) < 0)
		return -1;
	return close(listener);
}

static int child_seccomp(const struct child *c)
{
	struct seccomp_filter filter;
	int listener = -1;

	seccomp_filter_build(&filter, getpid(), c->spec->notify);
	if (seccomp_filter_enter(&filter, c->spec->notify ? &listener : NULL) < 0)
		return -1;
	return listener >= 0 ? child_send_listener(c, listener) : 0;
}

static void child_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of the write, not the end */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
}

_Noreturn static void child_confine(struct child *c)
{
	char go;

	if (read(c->talk, &go, 1) != 1)
		_exit(126);
	child_signals();
	if (child_descriptors(c) < 0)
		child_fail(c, STEP_DESCRIPTORS);
	if ((c->layers & CONFINE_MOUNT) && child_root(c) < 0)
		child_fail(c, STEP_ROOT);
	if ((c->layers & CONFINE_LANDLOCK) && child_rules(c) < 0)
		child_fail(c, STEP_LANDLOCK);
	if (child_limits(c->spec) < 0)
		child_fail(c, STEP_LIMITS);
	if (child_bounding_set() < 0)
		child_fail(c, STEP_CAPABILITIES);
	if (child_user(c->spec) < 0)
		child_fail(c, STEP_USER);
	if (child_capabilities() < 0)
		child_fail(c, STEP_CAPABILITIES);
	if ((c->layers & CONFINE_LANDLOCK) && landlock_enter(c->rules) < 0)
		child_fail(c, STEP_LANDLOCK);
	child_follow_parent(c);
	if ((c->layers & CONFINE_SECCOMP) && child_seccomp(c) < 0)
		child_fail(c, STEP_SECCOMP);
	execve(c->spec->program, (char *const *)c->spec->argv, (char *const *)c->spec->env);
	child_fail(c, STEP_EXEC);
}

static unsigned long clone_flags(unsigned layers)
{
	static const struct {
		unsigned layer;
		unsigned long flag;
	} table[] = {{CONFINE_USER, CLONE_NEWUSER}, {CONFINE_MOUNT, CLONE_NEWNS}, {CONFINE_PID, CLONE_NEWPID},
		{CONFINE_NET, CLONE_NEWNET}, {CONFINE_IPC, CLONE_NEWIPC}, {CONFINE_UTS, CLONE_NEWUTS}};
	unsigned long flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (layers & table[i].layer)
			flags |= table[i].flag;
	return flags;
}

/* One message of the child. 1: *r is filled (and *listener, where one came); 0: it has executed or died. */
static int hear(int talk, uint64_t deadline, struct report *r, int *listener)
{
	struct iovec part = {.iov_base = r, .iov_len = sizeof *r};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	struct pollfd p = {.fd = talk, .events = POLLIN};
	struct cmsghdr *header;
	ssize_t n;
	int ready;

	while ((ready = poll(&p, 1, clock_poll_timeout(deadline))) < 0 && errno == EINTR)
		;
	if (ready == 0)
		errno = ETIMEDOUT;
	if (ready <= 0)
		return -1;
	while ((n = recvmsg(talk, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return n < 0 && errno != ECONNRESET ? -1 : 0;
	header = CMSG_FIRSTHDR(&m);
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof *listener))
		memcpy(listener, CMSG_DATA(header), sizeof *listener);
	return n == sizeof *r ? 1 : 0;
}

/* Follows the child to its exec. *failed tells the step. */
static int parent_follow(int talk, pid_t pid, unsigned layers, int *listener, int *failed)
{
	struct report r = {0};
	int got;

	*failed = STEP_WAIT;
	if ((layers & CONFINE_USER) && namespaces_map_self(pid) < 0)
		return -1;
	if (send(talk, "g", 1, MSG_NOSIGNAL) < 0)
		return -1;
	do
		got = hear(talk, clock_monotonic() + START_TIME, &r, listener);
	while (got == 1 && r.step == STEP_READY);
	if (got == 0)
		return 0;
	if (got == 1) {
		*failed = r.step >= 0 && r.step < (int)STEP_READY ? r.step : STEP_EXEC;
		errno = r.errnum;
	}
	return -1;
}

static void give_up(pid_t pid)
{
	int e = errno;

	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = e;
}

/* One try with these layers. *retry is set where fewer layers may do better. */
static int spawn_with(
	const struct confine_spec *spec, unsigned layers, struct confined *c, bool *retry, struct error *err)
{
	_cleanup_fd_ int ours = -1, theirs = -1, self = -1, listener = -1;
	struct child child = {
		.spec = spec, .layers = layers, .abi = landlock_abi(), .program = {.source = spec->program}};
	int ends[2], failed = STEP_WAIT;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "start %s", spec->program);
	ours = ends[0];
	child.talk = theirs = ends[1];
	child.parent = self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (self < 0)
		return error_errno(err, errno, "start %s", spec->program);
	pid = namespaces_fork(clone_flags(layers));
	if (pid < 0) {
		*retry = true;
		return error_errno(err, errno, "start %s in namespaces of its own", spec->program);
	}
	if (pid == 0) {
		close(ours);
		child_confine(&child);
	}
	close(TAKE_FD(theirs));
	c->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->pid_fd < 0 || parent_follow(ours, pid, layers, &listener, &failed) < 0) {
		give_up(pid);
		if (c->pid_fd < 0)
			return error_errno(err, errno, "start %s", spec->program);
		close(TAKE_FD(c->pid_fd));
		*retry = failed == STEP_WAIT || failed == STEP_ROOT;
		return error_errno(err, errno, "start %s: %s", spec->program, step_names[failed]);
	}
	c->pid = pid;
	c->layers = layers;
	c->listener = TAKE_FD(listener);
	return 0;
}

static unsigned wanted_layers(const struct confine_spec *spec)
{
	unsigned layers = CONFINE_NAMESPACES | CONFINE_SECCOMP;

	if (landlock_abi() > 0)
		layers |= CONFINE_LANDLOCK;
	if (geteuid() == 0)
		layers &= ~(
			unsigned)CONFINE_USER; /* root has the right to the others, and its children a uid */
	else if (spec->without & CONFINE_USER)
		layers &= ~(unsigned)CONFINE_NAMESPACES;
	return layers & ~spec->without;
}

int confine_spawn(const struct confine_spec *spec, struct confined *c, struct error *err)
{
	unsigned layers = wanted_layers(spec);
	bool retry = false, namespaces = layers & CONFINE_NAMESPACES;
	struct error first = {0};
	int r;

	*c = (struct confined){.pid = -1, .pid_fd = -1, .listener = -1};
	if (spec->fd_count > FDS_MAX)
		return error_set(err, ERROR_LIMIT, "start %s: too many descriptors", spec->program);
	if (!namespaces && !(layers & CONFINE_LANDLOCK) && !spec->unconfined)
		return error_set(err, ERROR_UNAVAILABLE,
			"start %s confined: this host has neither landlock nor user namespaces: see "
			"'monocore "
			"self doctor', or start with --unconfined",
			spec->program);
	r = spawn_with(spec, layers, c, &retry, &first);
	if (r < 0 && retry && namespaces && ((layers & CONFINE_LANDLOCK) || spec->unconfined))
		return spawn_with(spec, layers & ~(unsigned)CONFINE_NAMESPACES, c, &retry, err);
	if (r < 0 && err)
		*err = first;
	if (r < 0 && retry && namespaces)
		return error_set(err, ERROR_UNAVAILABLE,
			"%s, and this host has no landlock: see 'monocore self doctor', or start with "
			"--unconfined",
			first.text);
	return r;
}

int confine_examine(unsigned *layers, struct error *err)
{
	static const char *const argv[] = {"true", NULL}, *const env[] = {NULL};
	static const struct namespace_path paths[] = {{.source = "/usr/lib64", .optional = true},
		{.source = "/usr/lib", .optional = true}, {.source = "/lib", .optional = true},
		{.source = "/lib64", .optional = true}};
	struct confine_spec spec = {.program = "/usr/bin/true",
		.argv = argv,
		.env = env,
		.paths = paths,
		.path_count = ARRAY_SIZE(paths),
		.unconfined = true};
	struct confined c;
	int r = confine_spawn(&spec, &c, err), status;

	if (r < 0)
		return r;
	close(c.pid_fd);
	*layers = c.layers;
	return process_wait(c.pid, &status, err);
}
