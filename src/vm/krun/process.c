/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/krun/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/confine.h"
#include "os/seccomp.h"
#include "vm/child.h"
#include "vm/engine.h"
#include "vm/krun/mckrun.h"

#define MIB            (1024ULL * 1024)
#define FILE_LIMIT_MIN (64 * MIB)
/* Libraries, libkrunfw's kernel, the window of libkrun's own root (512 MiB), stacks. */
#define LIBRARY_SPACE (4096 * MIB)
#define CPU_SPACE     (128 * MIB)

_Static_assert(MCKRUN_FD_NICS + VM_NICS_MAX <= 64, "numbers that a child can be given");

#define KRUN_PROCESS_NONE \
	((struct krun_process){.pid = -1, .pid_fd = -1, .agent_fd = -1, .volumes_fd = -1, .words_fd = -1})

/* Before the process is there: its sockets, and what it is started with. */
struct start {
	const struct krun_spec *spec;
	int agent, agent_theirs, volumes, volumes_theirs, words, words_theirs;
	int nics[VM_NICS_MAX]; /* connected streams */
	char macs[VM_NICS_MAX][2 * 6 + 1];
	size_t nic_count;
	struct process_fd fds[8 + VM_NICS_MAX];
	size_t fd_count;
	struct namespace_path paths[16];
	size_t path_count;
	struct seccomp_grant grants[8];
	size_t grant_count;
	char image_path[PATH_MAX];
	uid_t uid;
	bool granted;
};

static void start_close(struct start *s)
{
	const int all[] = {
		s->agent, s->agent_theirs, s->volumes, s->volumes_theirs, s->words, s->words_theirs};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			close(all[i]);
	for (size_t i = 0; i < s->nic_count; i++)
		close(s->nics[i]);
}

static int open_pair(int *ours, int *theirs, struct error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "make a socket for libkrun");
	*ours = ends[0];
	*theirs = ends[1];
	if (fcntl(*ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a socket for libkrun");
	return 0;
}

static int open_sockets(struct start *s, struct error *err)
{
	int words[2], r = open_pair(&s->agent, &s->agent_theirs, err);

	if (r == 0 && s->spec->config->volumes)
		r = open_pair(&s->volumes, &s->volumes_theirs, err);
	if (r < 0)
		return r;
	/* Non-blocking for libkrun as well: what nobody reads is dropped. */
	if (pipe2(words, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, errno, "make a pipe for libkrun");
	s->words = words[0];
	s->words_theirs = words[1];
	return 0;
}

/* libkrun has a stream for good: the connection that waits at the listener. */
static int accept_nics(struct start *s, struct error *err)
{
	const struct vm_config *c = s->spec->config;

	for (size_t i = 0; c->nics && i < c->nic_count; i++) {
		struct pollfd waits = {.fd = c->nics[i].listener, .events = POLLIN};
		const uint8_t *m = c->nics[i].mac;
		size_t n = s->nic_count;

		if (waits.fd < 0)
			continue;
		s->nics[n] = poll(&waits, 1, 0) == 1 ? accept4(waits.fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (s->nics[n] < 0)
			return error_set(err, ERROR_START, "no network waits for the guest's device %zu", i);
		snprintf(s->macs[n], sizeof s->macs[n], "%02x%02x%02x%02x%02x%02x", m[0], m[1], m[2], m[3],
			m[4], m[5]);
		s->nic_count++;
	}
	return 0;
}

static void give(struct start *s, int ours, int theirs)
{
	if (ours >= 0)
		s->fds[s->fd_count++] = (struct process_fd){ours, theirs};
}

static void grant(struct start *s, const char *path, int fd)
{
	s->grants[s->grant_count++] = (struct seccomp_grant){.path = path, .fd = fd};
}

static void show(struct start *s, const char *source, const char *target, bool optional)
{
	s->paths[s->path_count++] =
		(struct namespace_path){.source = source, .target = target, .optional = optional};
}

/* The name of the file behind fd, which must still be that file's. */
static int name_of(int fd, char *path, size_t size, struct error *err)
{
	char link[32];
	struct stat here, there;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, size - 1);
	if (n < 0)
		return error_errno(err, errno, "find the image's file");
	path[n] = 0;
	if (fstat(fd, &here) < 0 || stat(path, &there) < 0 || here.st_dev != there.st_dev ||
		here.st_ino != there.st_ino)
		return error_set(
			err, ERROR_NOT_FOUND, "the image's file is no longer where it was opened: %s", path);
	return 0;
}

/* libkrun opens its disks by names. A root disk and an image are files of this user's that nobody else may
 * read: where the process will be somebody else, opens of them are answered with our descriptors instead. */
static int plan_disks(struct start *s, struct error *err)
{
	const struct vm_config *c = s->spec->config;
	int r;

	give(s, s->spec->root_fd, MCKRUN_FD_ROOT);
	give(s, c->image_fd, MCKRUN_FD_IMAGE);
	give(s, c->disk_fd, MCKRUN_FD_DISK);
	if (c->disk_fd >= 0)
		grant(s, MCKRUN_PATH_DISK, c->disk_fd);
	s->granted = s->uid != 0;
	if (s->granted) {
		grant(s, MCKRUN_PATH_ROOT, s->spec->root_fd);
		grant(s, MCKRUN_PATH_IMAGE, c->image_fd);
		return 0;
	}
	r = name_of(c->image_fd, s->image_path, sizeof s->image_path, err);
	show(s, s->spec->root_path, MCKRUN_PATH_ROOT, false);
	show(s, s->image_path, MCKRUN_PATH_IMAGE, false);
	return r;
}

static int plan(struct start *s, struct error *err)
{
	static const char *const libraries[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
		"/usr/local/lib64", "/lib", "/lib64", "/etc/ld.so.cache"};
	int r = child_uid(s->spec->config->id, &s->uid, err);

	if (r == 0)
		r = open_sockets(s, err);
	if (r == 0)
		r = accept_nics(s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		show(s, libraries[i], NULL, true);
	if (s->spec->by_path)
		show(s, s->spec->library->path, s->spec->library->path, false);
	give(s, s->spec->config->console_fd, STDOUT_FILENO);
	give(s, s->words_theirs, STDERR_FILENO);
	give(s, s->agent_theirs, MCKRUN_FD_AGENT);
	give(s, s->volumes_theirs, MCKRUN_FD_VOLUMES);
	for (int i = 0; i < (int)s->nic_count; i++)
		give(s, s->nics[i], MCKRUN_FD_NICS + i);
	grant(s, "/dev/kvm", s->spec->kvm_fd);
	return plan_disks(s, err);
}

static uint64_t file_limit(const struct vm_config *c)
{
	struct stat st;

	if (c->disk_fd >= 0 && fstat(c->disk_fd, &st) == 0 && (uint64_t)st.st_size > FILE_LIMIT_MIN)
		return (uint64_t)st.st_size;
	return FILE_LIMIT_MIN;
}

static char *program_beside(const char *agent_path, struct error *err)
{
	const char *slash = strrchr(agent_path, '/');

	return text_format(err, "%.*s" MCKRUN_PROGRAM, slash ? (int)(slash + 1 - agent_path) : 0, agent_path);
}

static int spawn(const struct start *s, struct confined *c, struct error *err)
{
	const struct vm_config *config = s->spec->config;
	_cleanup_free_ char *program = program_beside(config->agent_path, err);
	_cleanup_free_ char *library =
		s->spec->by_path ? text_format(err, MCKRUN_LIBRARY_ENV "=%s", s->spec->library->path)
				 : text_format(err, "LD_LIBRARY_PATH=%s", s->spec->library->directory);
	char cpus[16], mebibytes[24];
	const char *argv[6 + VM_NICS_MAX] = {MCKRUN_PROGRAM, cpus, mebibytes,
		s->granted ? "granted" : "fixed", config->disk_fd >= 0 ? "disk" : "-"};
	const char *const env[] = {"LC_ALL=C", "PATH=/nonexistent", library, NULL};
	const struct confine_spec spec = {.program = program,
		.argv = argv,
		.env = env,
		.fds = s->fds,
		.fd_count = s->fd_count,
		.paths = s->paths,
		.path_count = s->path_count,
		.notify = true,
		.uid = s->uid,
		.memory_limit = s->spec->memory + LIBRARY_SPACE + CPU_SPACE * config->cpus,
		.file_limit = file_limit(config),
		.unconfined = config->unconfined};

	if (!program || !library)
		return -ERROR_NO_MEMORY;
	for (size_t i = 0; i < s->nic_count; i++)
		argv[5 + i] = s->macs[i];
	snprintf(cpus, sizeof cpus, "%u", config->cpus);
	snprintf(mebibytes, sizeof mebibytes, "%llu", (unsigned long long)(s->spec->memory / MIB));
	if (access(program, X_OK) < 0)
		return error_set(err, ERROR_UNAVAILABLE,
			"the program %s is not there: is monocore installed as a whole?", program);
	return confine_spawn(&spec, c, err);
}

/* Answers the opens of the process until its agent speaks, or it ends, which closes the agent's socket. */
static int answer_until_heard(
	struct start *s, int listener, int agent_fd, uint64_t deadline, struct error *err)
{
	struct pollfd p[] = {{.fd = agent_fd, .events = POLLIN}, {.fd = listener, .events = POLLIN}};

	for (;;) {
		int n = poll(p, ARRAY_SIZE(p), clock_poll_timeout(deadline)), r;

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for the guest's agent");
		if (n == 0)
			return error_set(err, ERROR_TIMEOUT, "the guest's agent did not come up in time");
		if (n > 0 && p[0].revents)
			return 0;
		if (n > 0 && (p[1].revents & POLLIN)) {
			r = seccomp_answer(listener, s->grants, s->grant_count, err);
			if (r < 0)
				return r;
		} else if (n > 0) {
			p[1].fd = -1; /* nobody is left to ask */
		}
	}
}

/* Ends what did not come up, and says why in *err. */
static int end_failed(struct krun_process *p, int r, struct error *err)
{
	int status = 0;

	kill(p->pid, SIGKILL); /* what has ended by itself keeps its own status */
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = -1;
	if (r == -ERROR_CLOSED && WIFEXITED(status) && WEXITSTATUS(status) == MCKRUN_UNAVAILABLE)
		r = error_set(err, ERROR_UNAVAILABLE, "start a VM by libkrun");
	child_last_words(p->words_fd, err);
	krun_process_end(p, NULL);
	return r;
}

int krun_process_start(const struct krun_spec *spec, uint64_t deadline, struct krun_process *p,
	uint8_t **hello, size_t *hello_size, struct error *err)
{
	_cleanup_(start_close) struct start s = {.spec = spec,
		.agent = -1,
		.agent_theirs = -1,
		.volumes = -1,
		.volumes_theirs = -1,
		.words = -1,
		.words_theirs = -1};
	_cleanup_fd_ int listener = -1;
	struct confined c;
	int r = plan(&s, err);

	*p = KRUN_PROCESS_NONE;
	if (r == 0)
		r = spawn(&s, &c, err);
	if (r < 0)
		return r;
	*p = (struct krun_process){c.pid, c.pid_fd, TAKE_FD(s.agent), TAKE_FD(s.volumes), TAKE_FD(s.words)};
	listener = c.listener;
	close(TAKE_FD(s.agent_theirs)); /* so that its end is heard */
	close(TAKE_FD(s.words_theirs));
	r = answer_until_heard(&s, listener, p->agent_fd, deadline, err);
	if (r == 0)
		r = agent_read_hello(p->agent_fd, p->pid_fd, deadline, hello, hello_size, err);
	return r < 0 ? end_failed(p, r, err) : 0;
}

void krun_process_end(struct krun_process *p, int *status)
{
	int ended = 0;

	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, &ended, 0) < 0 && errno == EINTR)
			;
	}
	if (status)
		*status = ended;
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	if (p->agent_fd >= 0)
		close(p->agent_fd);
	if (p->volumes_fd >= 0)
		close(p->volumes_fd);
	if (p->words_fd >= 0)
		close(p->words_fd);
	*p = KRUN_PROCESS_NONE;
}
