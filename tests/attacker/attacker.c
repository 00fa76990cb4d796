/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in QEMU's place that the guest has taken over: it tries all that would do harm to the host, and
 * tells how each attempt ended. It is started by the code that starts QEMU, with the same descriptors: 3 is
 * QMP, 4 is the agent's socket, on which it is told its targets, a line each ("home PATH"), and answers with
 * a line for each attempt ("open home: 13", an errno; 0 where it succeeded).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define QMP   3
#define AGENT 4

static struct {
	char home[256], socket[100], abstract[100];
	int port, parent, sibling;
} target;

/* In QEMU's place it opens the memory, as QEMU does. */
static int play_qemu(void)
{
	return fcntl(QMP, F_GETFD) < 0 ? -1 : open("/memory", O_RDWR);
}

static void read_targets(void)
{
	char text[2048], *rest = text, *line;
	size_t n = 0;
	ssize_t got;

	while (n < sizeof text - 1 && !memmem(text, n, "\n\n", 2)) {
		got = read(AGENT, text + n, sizeof text - 1 - n);
		if (got <= 0)
			exit(1);
		n += (size_t)got;
	}
	text[n] = 0;
	while ((line = strsep(&rest, "\n"))) {
		sscanf(line, "home %255s", target.home);
		sscanf(line, "socket %99s", target.socket);
		sscanf(line, "abstract %99s", target.abstract);
		sscanf(line, "port %d", &target.port);
		sscanf(line, "parent %d", &target.parent);
		sscanf(line, "sibling %d", &target.sibling);
	}
}

static void tell(const char *attempt, long result)
{
	dprintf(AGENT, "%s: %d\n", attempt, result < 0 ? errno : 0);
}

/* What all clones share can be read, and no more. */
static void attack_memory(int memory)
{
	char path[32];

	tell("write to the memory", write(memory, "x", 1));
	tell("map the memory", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED ? -1 : 0);
	tell("cut the memory", ftruncate(memory, 0));
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	tell("open the memory for writing", open(path, O_RDWR));
	tell("open the memory again", open("/memory", O_RDWR));
}

static void attack_files(void)
{
	char path[300], root[] = "/";

	tell("open home", open(target.home, O_RDONLY));
	snprintf(path, sizeof path, "%s/secret", target.home);
	tell("open secret", open(path, O_RDONLY));
	tell("cut secret", truncate(path, 0));
	tell("open secret to all", chmod(path, 0666));
	tell("give secret a time", utimensat(AT_FDCWD, path, NULL, 0));
	tell("give secret an attribute", setxattr(path, "user.attacker", "x", 1, 0));
	tell("remove secret", unlink(path));
	tell("link secret", link(path, "/tmp/monocore-attacker-link"));
	snprintf(path, sizeof path, "%s/new", target.home);
	tell("create in home", open(path, O_WRONLY | O_CREAT, 0600));
	tell("create in tmp", open("/tmp/monocore-attacker", O_WRONLY | O_CREAT, 0600));
	tell("open the password file", open("/etc/passwd", O_RDONLY));
	tell("create in root", open("/monocore-attacker", O_WRONLY | O_CREAT, 0600));
	tell("list homes", open("/home", O_RDONLY | O_DIRECTORY));
	tell("mount", mount("none", root, "tmpfs", 0, NULL));
	tell("chroot", chroot("/usr"));
}

static void attack_sockets(void)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct sockaddr_in internet = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)target.port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(local.sun_path, target.socket, sizeof local.sun_path - 1);
	tell("connect to socket", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&local, sizeof local));
	memset(local.sun_path, 0, sizeof local.sun_path);
	strncpy(local.sun_path + 1, target.abstract, sizeof local.sun_path - 2);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	tell("connect to abstract socket",
		fd < 0 ? -1
		       : connect(fd, (struct sockaddr *)&local,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
					     strlen(target.abstract))));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	tell("connect to port", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&internet, sizeof internet));
	tell("raw socket", socket(AF_PACKET, SOCK_RAW, 0));
	/* A descriptor that it has is no way to others: not even to connect it anew. */
	tell("connect the agent's socket", connect(AGENT, (struct sockaddr *)&local, sizeof local));
}

static void attack_process(const char *name, int pid)
{
	char attempt[64], path[64], byte;
	struct iovec here = {&byte, 1}, there = {(void *)tell, 1};

	snprintf(attempt, sizeof attempt, "ptrace %s", name);
	tell(attempt, ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	snprintf(attempt, sizeof attempt, "seize %s", name);
	tell(attempt, ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	snprintf(attempt, sizeof attempt, "read memory of %s", name);
	tell(attempt, process_vm_readv(pid, &here, 1, &there, 1, 0));
	snprintf(attempt, sizeof attempt, "open memory of %s", name);
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	tell(attempt, open(path, O_RDWR));
	snprintf(attempt, sizeof attempt, "open environment of %s", name);
	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	tell(attempt, open(path, O_RDONLY));
	snprintf(attempt, sizeof attempt, "open descriptors of %s", name);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	tell(attempt, open(path, O_RDONLY | O_DIRECTORY));
	snprintf(attempt, sizeof attempt, "signal %s", name);
	tell(attempt, kill(pid, SIGUSR1));
	snprintf(attempt, sizeof attempt, "signal a thread of %s", name);
	tell(attempt, syscall(SYS_tgkill, pid, pid, SIGUSR1));
	snprintf(attempt, sizeof attempt, "queue a signal for %s", name);
	tell(attempt, sigqueue(pid, SIGUSR1, (union sigval){0}));
	snprintf(attempt, sizeof attempt, "pidfd of %s", name);
	tell(attempt, syscall(SYS_pidfd_open, pid, 0));
	snprintf(attempt, sizeof attempt, "limits of %s", name);
	tell(attempt, syscall(SYS_prlimit64, pid, 0, NULL, NULL));
}

static void attack_itself(void)
{
	char name[] = "sh", *const argv[] = {name, NULL}, *const env[] = {NULL};

	tell("new namespaces", unshare(CLONE_NEWUSER | CLONE_NEWNS));
	tell("become root", setuid(geteuid() == 0 ? 12345 : 0));
	tell("signal everybody", kill(-1, SIGUSR1));
	tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
	tell("perf events", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	tell("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
	tell("add a key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
	tell("kernel module", syscall(SYS_init_module, NULL, 0, ""));
	tell("user faults", syscall(SYS_userfaultfd, 0));
	tell("execute a shell", execve("/bin/sh", argv, env));
}

int main(void)
{
	int memory = play_qemu();

	signal(SIGUSR1, SIG_IGN);
	read_targets();
	if (memory >= 0)
		attack_memory(memory);
	attack_files();
	attack_sockets();
	attack_process("parent", target.parent);
	attack_process("sibling", target.sibling);
	attack_itself();
	dprintf(AGENT, "done: 1\n");
	pause();
	return 0;
}
