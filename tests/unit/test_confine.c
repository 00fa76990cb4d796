/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attacker in QEMU's place, started by the code that starts QEMU, against targets of this test: a home
 * with a secret, sockets, a process beside it and this process. With all layers, and with each layer away
 * that a host may lack. As an ordinary user, and in another run as root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/confine.h"
#include "os/fs.h"
#include "test.h"
#include "vm/qemu/process.h"

#define ATTACK_TIME (20 * NANOSECONDS_PER_SECOND)
#define ATTEMPTS    52          /* of attacker.c */
#define ON_MEMORY   5           /* and those where it has one */
#define UID_ROOTS   0x70000fffu /* of the attacker, where this is root */

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
	(void)number;
	signalled = 1;
}

struct prey {
	char home[64], socket[100], abstract[100];
	int local, hidden, internet; /* listening */
	int port;
	pid_t sibling;
};

static int listen_local(const char *name, bool abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strncpy(a.sun_path + abstract, name, sizeof a.sun_path - 2);
	CHECK(bind(fd, (struct sockaddr *)&a,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name))) == 0);
	CHECK(listen(fd, 5) == 0);
	return fd;
}

static int listen_internet(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, size) == 0 && listen(fd, 5) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void prey_open(struct prey *p)
{
	char path[100];
	int fd;

	static int count;

	signalled = 0;
	signal(SIGUSR1, on_signal);
	snprintf(p->home, sizeof p->home, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->home));
	CHECK(chmod(p->home, 0755) == 0); /* nothing but the confinement keeps it out */
	snprintf(path, sizeof path, "%s/secret", p->home);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, "secret", 6) == 6 && close(fd) == 0);
	snprintf(p->socket, sizeof p->socket, "%s/socket", p->home);
	snprintf(p->abstract, sizeof p->abstract, "monocore-test-%d-%d", getpid(), count++);
	p->local = listen_local(p->socket, false);
	CHECK(chmod(p->socket, 0777) == 0);
	p->hidden = listen_local(p->abstract, true);
	p->internet = listen_internet(&p->port);
	p->sibling = fork();
	if (p->sibling == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, SIG_DFL);
		for (;;)
			pause();
	}
	CHECK(p->sibling > 0);
}

/* Nothing has happened to them. */
static void prey_close(struct prey *p)
{
	char path[100];
	struct stat st;
	int status;

	CHECK(!signalled);
	CHECK(accept(p->local, NULL, NULL) < 0 && errno == EAGAIN);
	CHECK(accept(p->hidden, NULL, NULL) < 0 && errno == EAGAIN);
	CHECK(accept(p->internet, NULL, NULL) < 0 && errno == EAGAIN);
	CHECK_INT(waitpid(p->sibling, &status, WNOHANG), 0);
	kill(p->sibling, SIGKILL);
	waitpid(p->sibling, &status, 0);
	snprintf(path, sizeof path, "%s/secret", p->home);
	CHECK(stat(path, &st) == 0 && st.st_size == 6 && (st.st_mode & 07777) == 0644 && st.st_nlink == 1);
	CHECK(access("/tmp/monocore-attacker", F_OK) < 0);
	CHECK(access("/monocore-attacker", F_OK) < 0);
	CHECK(unlink(path) == 0 && unlink(p->socket) == 0 && rmdir(p->home) == 0);
	close(p->local);
	close(p->hidden);
	close(p->internet);
}

/* Gives the attacker its targets, and reads its report to the end. */
static void hear(int fd, const struct prey *p, char *report, size_t size)
{
	uint64_t deadline = clock_monotonic() + ATTACK_TIME;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	dprintf(fd, "home %s\nsocket %s\nabstract %s\nport %d\nparent %d\nsibling %d\n\n", p->home, p->socket,
		p->abstract, p->port, getpid(), p->sibling);
	while (n < size - 1 && !memmem(report, n, "done:", 5)) {
		ssize_t got;

		CHECK(poll(&poll_fd, 1, clock_poll_timeout(deadline)) == 1);
		got = read(fd, report + n, size - 1 - n);
		CHECK(got > 0);
		n += (size_t)got;
	}
	report[n] = 0;
}

/* Every attempt was refused, and there were as many as the attacker makes. */
static void judge(char *report, int attempts)
{
	char *rest = report, *line;
	int refused = 0;

	while ((line = strsep(&rest, "\n")) && *line && strncmp(line, "done:", 5)) {
		const char *result = strrchr(line, ' ');

		if (!result || atoi(result) == 0)
			test_fail(__FILE__, __LINE__, "the attacker got through: %s", line);
		refused++;
	}
	CHECK_INT(refused, attempts);
}

static const struct namespace_path libraries[] = {{.source = "/usr/lib", .optional = true},
	{.source = "/usr/lib64", .optional = true}, {.source = "/lib", .optional = true},
	{.source = "/lib64", .optional = true}, {.source = "/etc/ld.so.cache", .optional = true}};

/* The attacker under all layers but `without`; every layer of `needed` must be in force. */
static void attack(unsigned without, unsigned needed)
{
	static const char *const argv[] = {"attacker", NULL}, *const env[] = {"LC_ALL=C", NULL};
	const char *program = getenv("MC_ATTACKER");
	struct process_fd fds[1] = {{.child = 4}};
	struct confine_spec spec = {.program = program,
		.argv = argv,
		.env = env,
		.fds = fds,
		.fd_count = 1,
		.paths = libraries,
		.path_count = ARRAY_SIZE(libraries),
		.uid = geteuid() == 0 ? UID_ROOTS : 0,
		.memory_limit = 1ULL << 30,
		.file_limit = 1 << 20,
		.without = without};
	struct confined c;
	struct error err;
	struct prey prey;
	char report[8192];
	int ends[2], status;

	CHECK(program);
	prey_open(&prey);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	fds[0].parent = ends[1];
	CHECK_OK(confine_spawn(&spec, &c, &err));
	close(ends[1]);
	CHECK_INT(c.layers & needed, needed);
	hear(ends[0], &prey, report, sizeof report);
	kill(c.pid, SIGKILL);
	CHECK_OK(process_wait(c.pid, &status, &err));
	close(c.pid_fd);
	close(ends[0]);
	judge(report, ATTEMPTS);
	prey_close(&prey);
}

#define ALWAYS (CONFINE_MOUNT | CONFINE_PID | CONFINE_NET | CONFINE_IPC | CONFINE_UTS)

TEST(with_all_layers_an_attacker_gets_nowhere)
{
	attack(0, ALWAYS | CONFINE_LANDLOCK | CONFINE_SECCOMP);
}

TEST(without_namespaces_an_attacker_gets_nowhere)
{
	attack(CONFINE_NAMESPACES, CONFINE_LANDLOCK | CONFINE_SECCOMP);
}

TEST(without_landlock_an_attacker_gets_nowhere)
{
	attack(CONFINE_LANDLOCK, ALWAYS | CONFINE_SECCOMP);
}

/* The whole of QEMU's start: its descriptors, its paths, its memory handed over by a notification. */
TEST(in_qemus_place_an_attacker_gets_nowhere)
{
	const struct vm_config config = {.image_fd = -1, .disk_fd = -1, .console_fd = -1, .id = 0xfff};
	const struct machine machine = {.role = MACHINE_CLONE, .cpus = 1, .memory = MACHINE_MEMORY_MIN};
	const struct qemu_spec spec = {.path = getenv("MC_ATTACKER"),
		.machine = &machine,
		.memory_fd = open(getenv("MC_ATTACKER"), O_RDONLY | O_CLOEXEC),
		.state_fd = -1,
		.config = &config};
	struct error err;
	struct qemu q;
	struct prey prey;
	char report[8192];

	CHECK(spec.path);
	prey_open(&prey);
	CHECK_OK(qemu_start(&spec, clock_monotonic() + ATTACK_TIME, &q, &err));
	CHECK(q.layers & CONFINE_SECCOMP);
	hear(q.agent_fd, &prey, report, sizeof report);
	qemu_end(&q);
	judge(report, ATTEMPTS + ON_MEMORY);
	prey_close(&prey);
	close(spec.memory_fd);
}

/* A program that is given one file, as "/given" where it has a root of its own, and answers what test(1) is
 * asked with `argv`: yes. The layers that were in force. */
static unsigned look_at(const char *file, const char *const argv[], unsigned without)
{
	static const char *const env[] = {NULL};
	struct namespace_path paths[ARRAY_SIZE(libraries) + 1];
	struct confine_spec spec = {.program = "/usr/bin/test",
		.argv = argv,
		.env = env,
		.paths = paths,
		.path_count = ARRAY_SIZE(paths),
		.uid = geteuid() == 0 ? UID_ROOTS : 0,
		.without = without};
	struct confined c;
	struct error err;
	int status;

	memcpy(paths, libraries, sizeof libraries);
	paths[ARRAY_SIZE(libraries)] = (struct namespace_path){.source = file, .target = "/given"};
	CHECK_OK(confine_spawn(&spec, &c, &err));
	close(c.pid_fd);
	CHECK_OK(process_wait(c.pid, &status, &err));
	CHECK_INT(status, 0);
	return c.layers;
}

/* A file in a directory that is its owner's alone. */
static void make_private(const char *in, char folder[64], char file[80])
{
	int fd;

	snprintf(folder, 64, "%s/monocore-test-XXXXXX", in);
	CHECK(mkdtemp(folder));
	snprintf(file, 80, "%s/given", folder);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, "given", 5) == 5 && close(fd) == 0);
}

TEST(what_lies_where_the_new_root_is_put_together_comes_into_it)
{
	static const char *const argv[] = {"test", "-s", "/given", NULL};
	char folder[64], file[80];

	make_private("/dev/shm", folder, file);
	CHECK_INT(look_at(file, argv, 0) & ALWAYS, ALWAYS);
	CHECK(unlink(file) == 0 && rmdir(folder) == 0);
}

TEST(without_namespaces_it_starts_with_files_that_its_user_cannot_reach)
{
	static const char *const argv[] = {"test", "-d", "/usr/lib", NULL};
	char folder[64], file[80];

	make_private("/tmp", folder, file);
	CHECK_INT(look_at(file, argv, CONFINE_NAMESPACES) & ALWAYS, 0);
	CHECK(unlink(file) == 0 && rmdir(folder) == 0);
}

TEST(a_host_that_can_confine_nothing_starts_nothing_unless_told_to)
{
	static const char *const argv[] = {"true", NULL}, *const env[] = {NULL};
	struct confine_spec spec = {.program = "/usr/bin/true",
		.argv = argv,
		.env = env,
		.paths = libraries,
		.path_count = ARRAY_SIZE(libraries),
		.without = CONFINE_NAMESPACES | CONFINE_LANDLOCK};
	struct confined c;
	struct error err;
	int status;

	CHECK_ERROR(confine_spawn(&spec, &c, &err), ERROR_UNAVAILABLE);
	CHECK(strstr(err.text, "--unconfined") && strstr(err.text, "doctor"));
	spec.unconfined = true;
	CHECK_OK(confine_spawn(&spec, &c, &err));
	close(c.pid_fd);
	CHECK_OK(process_wait(c.pid, &status, &err));
	CHECK_INT(status, 0);
}
