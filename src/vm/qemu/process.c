/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/confine.h"
#include "os/fs.h"
#include "os/seccomp.h"
#include "vm/child.h"

#define END_MS         1000
#define FILE_LIMIT_MIN (64ULL << 20)

struct pairs {
	int agent, agent_theirs, volumes, volumes_theirs, qmp, qmp_theirs, words, words_theirs;
};
#define PAIRS_NONE ((struct pairs){-1, -1, -1, -1, -1, -1, -1, -1})

static void pairs_close(struct pairs *p)
{
	int *all[] = {&p->agent, &p->agent_theirs, &p->volumes, &p->volumes_theirs, &p->qmp, &p->qmp_theirs,
		&p->words, &p->words_theirs};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (*all[i] >= 0)
			close(*all[i]);
		*all[i] = -1;
	}
}

static int open_pair(int *ours, int *theirs, bool block, struct error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make sockets for QEMU");
	*ours = ends[0];
	*theirs = ends[1];
	if (!block && fcntl(*ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, errno, "make sockets for QEMU");
	return 0;
}

static int pairs_open(struct pairs *p, bool volumes, struct error *err)
{
	int words[2], r;

	*p = PAIRS_NONE;
	r = open_pair(&p->agent, &p->agent_theirs, false, err);
	if (r == 0 && volumes)
		r = open_pair(&p->volumes, &p->volumes_theirs, false, err);
	if (r == 0)
		r = open_pair(&p->qmp, &p->qmp_theirs, true, err);
	if (r < 0)
		return r;
	/* Non-blocking for QEMU as well: what nobody reads is dropped. */
	if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a pipe for QEMU");
	p->words = words[0];
	p->words_theirs = words[1];
	return 0;
}

void qemu_empty(struct qemu *q)
{
	*q = (struct qemu){
		.pid = -1, .pid_fd = -1, .agent_fd = -1, .volumes_fd = -1, .words_fd = -1, .qmp = {.fd = -1}};
}

void qemu_end(struct qemu *q)
{
	if (q->pid > 0) {
		kill(q->pid, SIGKILL);
		while (waitpid(q->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (q->pid_fd >= 0)
		close(q->pid_fd);
	if (q->agent_fd >= 0)
		close(q->agent_fd);
	if (q->volumes_fd >= 0)
		close(q->volumes_fd);
	if (q->words_fd >= 0)
		close(q->words_fd);
	qmp_close(&q->qmp);
	qemu_empty(q);
}

int qemu_explain_end(const struct qemu *q, int r, struct error *err)
{
	struct pollfd p = {.fd = q->pid_fd, .events = POLLIN};
	siginfo_t end = {0};

	/* Its sockets are closed a moment before it can be waited for. */
	if (r == -ERROR_CLOSED)
		poll(&p, 1, END_MS);
	if (r == -ERROR_CLOSED && waitid(P_PID, (id_t)q->pid, &end, WEXITED | WNOWAIT | WNOHANG) == 0 &&
		end.si_pid && end.si_code == CLD_KILLED && end.si_status == SIGBUS)
		return error_errno(err, ENOSPC, "keep the guest's memory");
	child_last_words(q->words_fd, err);
	return r;
}

static uint64_t file_limit(const struct qemu_spec *s)
{
	uint64_t limit = FILE_LIMIT_MIN;
	struct stat st;

	if (s->config->disk_fd >= 0 && fstat(s->config->disk_fd, &st) == 0 && (uint64_t)st.st_size > limit)
		limit = (uint64_t)st.st_size;
	if (s->machine->role == MACHINE_TEMPLATE && s->machine->memory > limit)
		limit = s->machine->memory;
	return limit;
}

/* The descriptors that QEMU gets, and the two that it gets for its kernel. */
struct descriptors {
	struct process_fd list[16 + VM_SHARES_MAX + VM_NICS_MAX];
	size_t count;
};

static void give(struct descriptors *d, int ours, int theirs)
{
	if (ours >= 0)
		d->list[d->count++] = (struct process_fd){ours, theirs};
}

static const struct namespace_path system_paths[] = {{.source = "/usr/lib", .optional = true},
	{.source = "/usr/lib64", .optional = true}, {.source = "/usr/local/lib", .optional = true},
	{.source = "/lib", .optional = true}, {.source = "/lib64", .optional = true},
	{.source = "/etc/ld.so.cache", .optional = true}, {.source = "/usr/share/qemu", .optional = true},
	{.source = "/usr/share/seabios", .optional = true},
	{.source = "/usr/local/share/qemu", .optional = true}};

static int spawn(const struct qemu_spec *s, const struct descriptors *d, bool notify, struct confined *c,
	struct error *err)
{
	static const char *const env[] = {"LC_ALL=C", "PATH=/nonexistent", NULL};
	struct namespace_path paths[ARRAY_SIZE(system_paths) + 2];
	size_t path_count = ARRAY_SIZE(system_paths);
	_cleanup_text_list_ char **argv = machine_arguments(s->machine, err);
	struct confine_spec spec = {.program = s->path,
		.argv = (const char *const *)argv,
		.env = env,
		.fds = d->list,
		.fd_count = d->count,
		.paths = paths,
		.notify = notify,
		.memory_limit = machine_address_space(s->machine),
		.file_limit = file_limit(s),
		.unconfined = s->config->unconfined};
	int r = argv ? child_uid(s->config->id, &spec.uid, err) : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	memcpy(paths, system_paths, sizeof system_paths);
	if (s->kernel) {
		paths[path_count++] =
			(struct namespace_path){.source = s->kernel, .target = MACHINE_KERNEL_PATH};
		paths[path_count++] =
			(struct namespace_path){.source = s->initrd, .target = MACHINE_INITRD_PATH};
	}
	spec.path_count = path_count;
	return confine_spawn(&spec, c, err);
}

/* What QEMU opens for reading and writing by a name, as it starts: its memory, and /dev/kvm. */
struct answers {
	struct seccomp_grant grants[2];
	size_t count;
};

static bool all_taken(const struct answers *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->grants[i].taken)
			return false;
	return true;
}

/* Answers QEMU's opens until it has all that it was promised. */
static int hand_over(struct answers *a, int listener, int pid_fd, uint64_t deadline, struct error *err)
{
	struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = pid_fd, .events = POLLIN}};

	while (!all_taken(a)) {
		int n = poll(p, 2, clock_poll_timeout(deadline)), r = 0;

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for QEMU");
		if (n == 0)
			return error_set(err, ERROR_TIMEOUT, "QEMU did not open its memory in time");
		if (n > 0 && p[1].revents)
			return error_set(err, ERROR_CLOSED, "QEMU ended");
		if (n > 0 && p[0].revents)
			r = seccomp_answer(listener, a->grants, a->count, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_kernel(const struct qemu_spec *s, int *kernel, int *initrd, struct error *err)
{
	if (!s->kernel)
		return 0;
	*kernel = fs_open(AT_FDCWD, s->kernel, O_RDONLY, 0, err);
	if (*kernel < 0)
		return *kernel;
	*initrd = fs_open(AT_FDCWD, s->initrd, O_RDONLY, 0, err);
	return *initrd < 0 ? *initrd : 0;
}

static int start_process(const struct qemu_spec *s, struct pairs *p, const struct answers *a,
	struct confined *c, struct error *err)
{
	_cleanup_fd_ int kernel = -1, initrd = -1;
	struct descriptors d = {0};
	int r = open_kernel(s, &kernel, &initrd, err);

	give(&d, s->config->console_fd, STDOUT_FILENO);
	give(&d, p->words_theirs, STDERR_FILENO);
	give(&d, p->qmp_theirs, MACHINE_FD_QMP);
	give(&d, p->agent_theirs, MACHINE_FD_AGENT);
	give(&d, p->volumes_theirs, MACHINE_FD_VOLUMES);
	if (s->machine->role != MACHINE_TEMPLATE) {
		give(&d, s->config->image_fd, MACHINE_FD_IMAGE);
		give(&d, s->config->disk_fd, MACHINE_FD_DISK);
		for (int i = 0; s->machine->nics && i < (int)s->machine->nic_count; i++)
			give(&d, s->machine->nics[i].listener, MACHINE_FD_NICS + i);
	}
	give(&d, kernel, MACHINE_FD_KERNEL);
	give(&d, initrd, MACHINE_FD_INITRD);
	give(&d, s->state_fd, MACHINE_FD_STATE);
	for (int i = 0; i < (int)s->machine->share_count; i++)
		give(&d, s->machine->shares[i].fd, MACHINE_FD_SHARES + i);
	return r < 0 ? r : spawn(s, &d, a->count > 0, c, err);
}

int qemu_start(const struct qemu_spec *spec, uint64_t deadline, struct qemu *q, struct error *err)
{
	_cleanup_(pairs_close) struct pairs p;
	_cleanup_fd_ int kvm = -1, listener = -1;
	struct answers a = {0};
	struct confined c;
	int r = pairs_open(&p, spec->machine->volumes, err);

	qemu_empty(q);
	if (spec->memory_fd >= 0)
		a.grants[a.count++] =
			(struct seccomp_grant){.path = MACHINE_MEMORY_PATH, .fd = spec->memory_fd};
	if (r == 0 && spec->machine->kvm) {
		kvm = r = fs_open(AT_FDCWD, "/dev/kvm", O_RDWR, 0, err);
		a.grants[a.count++] = (struct seccomp_grant){.path = "/dev/kvm", .fd = kvm};
	}
	if (r >= 0)
		r = start_process(spec, &p, &a, &c, err);
	if (r < 0)
		return r;
	q->pid = c.pid;
	q->pid_fd = c.pid_fd;
	q->layers = c.layers;
	q->agent_fd = TAKE_FD(p.agent);
	q->volumes_fd = TAKE_FD(p.volumes);
	q->qmp.fd = TAKE_FD(p.qmp);
	q->words_fd = TAKE_FD(p.words);
	pairs_close(&p);
	listener = c.listener;
	r = hand_over(&a, listener, q->pid_fd, deadline, err);
	if (r < 0) {
		r = qemu_explain_end(q, r, err);
		qemu_end(q);
	}
	return r;
}
