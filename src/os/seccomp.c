/* SPDX-License-Identifier: Apache-2.0 */
#include "os/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_BIT      0x40000000u
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "os/seccomp.c does not know this architecture"
#endif

#define DENY(number) (SECCOMP_RET_ERRNO | (number))
#define NEW_NAMESPACE \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP)

/* Calls from after Debian 12's headers would go here by number; all of these have names there. */
static const int denied[] = {
	/* sockets of its own: it lives on those that it was given */
	SYS_socket,
	SYS_socketpair,
	SYS_connect,
	SYS_bind,
	/* other processes */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_process_madvise,
	SYS_kcmp,
	SYS_pidfd_open,
	SYS_pidfd_getfd,
	SYS_pidfd_send_signal,
	SYS_tkill,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_setpriority,
	SYS_sched_setaffinity,
	SYS_sched_setattr,
	SYS_sched_setparam,
	SYS_sched_setscheduler,
	SYS_ioprio_set,
	SYS_migrate_pages,
	SYS_move_pages,
	/* views of the system */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_unshare,
	SYS_setns,
	SYS_mknodat,
	SYS_open_by_handle_at,
	/* large doors into the kernel */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_syslog,
	SYS_quotactl,
	SYS_quotactl_fd,
	SYS_acct,
	SYS_swapon,
	SYS_swapoff,
	SYS_reboot,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_vhangup,
	SYS_personality,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	/* memory and queues that others can name */
	SYS_shmget,
	SYS_shmat,
	SYS_shmctl,
	SYS_msgget,
	SYS_msgsnd,
	SYS_msgrcv,
	SYS_msgctl,
	SYS_semget,
	SYS_semop,
	SYS_semtimedop,
	SYS_semctl,
	SYS_mq_open,
	SYS_mq_unlink,
#ifdef SYS_mknod
	SYS_mknod,
#endif
#ifdef SYS_iopl
	SYS_iopl,
	SYS_ioperm,
	SYS_modify_ldt,
#endif
};

/* Locks, which it would share with whoever gave it the descriptor. */
static const int denied_locks[] = {SYS_flock};

/* For those who need no program but themselves. */
static const int denied_programs[] = {SYS_execve, SYS_execveat};

/* What happens in a directory, for those who serve one. */
static const int denied_watching[] = {
	SYS_name_to_handle_at,
	SYS_fanotify_init,
	SYS_fanotify_mark,
};

/* Names, owners and times of files, which landlock (ABI 2) leaves to the files' owner. */
static const int denied_files[] = {
	SYS_truncate,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_fchownat,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_fsetxattr,
	SYS_removexattr,
	SYS_lremovexattr,
	SYS_fremovexattr,
	SYS_utimensat,
#ifdef SYS_chmod
	SYS_chmod,
	SYS_chown,
	SYS_lchown,
	SYS_utime,
	SYS_utimes,
	SYS_futimesat,
#endif
};

static void emit(struct seccomp_filter *f, struct sock_filter instruction)
{
	if (f->size == SECCOMP_FILTER_MAX)
		f->overflow = true;
	else
		f->code[f->size++] = instruction;
}

static void emit_return(struct seccomp_filter *f, unsigned verdict)
{
	emit(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* Skips the next `skip` instructions unless the accumulator is k. */
static void emit_unless(struct seccomp_filter *f, unsigned k, unsigned char skip)
{
	emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip));
}

/* The lower half of an argument: pids, flags and commands are ints. Both architectures are little-endian. */
static void emit_load_argument(struct seccomp_filter *f, unsigned n)
{
	unsigned at = (unsigned)offsetof(struct seccomp_data, args) + n * 8;

	emit(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at));
}

static void deny_call(struct seccomp_filter *f, int number, unsigned verdict)
{
	emit_unless(f, (unsigned)number, 1);
	emit_return(f, verdict);
}

/* Denies `number` unless its argument n is `value` (or `other`). */
static void allow_only(struct seccomp_filter *f, int number, unsigned n, unsigned value, unsigned other)
{
	emit_unless(f, (unsigned)number, 6);
	emit_load_argument(f, n);
	emit_unless(f, value, 1);
	emit_return(f, SECCOMP_RET_ALLOW);
	emit_unless(f, other, 1);
	emit_return(f, SECCOMP_RET_ALLOW);
	emit_return(f, DENY(EPERM));
}

/* Denies `number` where its second argument is one of the commands. */
static void deny_commands(struct seccomp_filter *f, int number, const unsigned *commands, unsigned char count)
{
	emit_unless(f, (unsigned)number, (unsigned char)(2 * count + 2));
	emit_load_argument(f, 1);
	for (unsigned i = 0; i < count; i++)
		deny_call(f, (int)commands[i], DENY(EPERM));
	emit_return(f, SECCOMP_RET_ALLOW);
}

static void deny_new_namespaces(struct seccomp_filter *f)
{
	emit_unless(f, SYS_clone, 4);
	emit_load_argument(f, 0);
	emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACE, 0, 1));
	emit_return(f, DENY(EPERM));
	emit_return(f, SECCOMP_RET_ALLOW);
	deny_call(f, SYS_clone3, DENY(ENOSYS)); /* its flags lie in memory: libc falls back to clone */
}

static void notify_writers(struct seccomp_filter *f, int number, unsigned flags_argument)
{
	emit_unless(f, (unsigned)number, 5);
	emit_load_argument(f, flags_argument);
	emit(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE));
	emit_unless(f, O_RDWR, 1);
	emit_return(f, SECCOMP_RET_USER_NOTIF);
	emit_return(f, SECCOMP_RET_ALLOW);
}

/* The program is for this architecture; the accumulator has the call's number. */
static void begin(struct seccomp_filter *f)
{
	f->size = 0;
	f->overflow = false;
	emit(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	emit_return(f, SECCOMP_RET_KILL_PROCESS);
	emit(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
#ifdef X32_BIT
	emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	emit_return(f, DENY(ENOSYS));
#endif
}

void seccomp_filter_build_calls(struct seccomp_filter *f, const struct seccomp_call *calls, size_t count)
{
	begin(f);
	for (size_t i = 0; i < count; i++) {
		const struct seccomp_call *c = &calls[i];

		if (!c->count) {
			emit_unless(f, (unsigned)c->number, 1);
			emit_return(f, SECCOMP_RET_ALLOW);
			continue;
		}
		emit_unless(f, (unsigned)c->number, (unsigned char)(2 * c->count + 2));
		emit_load_argument(f, (unsigned)c->argument);
		for (unsigned v = 0; v < c->count; v++) {
			emit_unless(f, c->values[v], 1);
			emit_return(f, SECCOMP_RET_ALLOW);
		}
		emit_return(f, DENY(EPERM));
	}
	emit_return(f, DENY(ENOSYS));
}

/* What a filter leaves to its program. */
enum leave {
	LEAVE_NOTIFY = 1, /* opens for writing, to whoever holds the listener */
	LEAVE_WATCH = 2,
	LEAVE_FILES = 4,
	LEAVE_LOCKS = 8,
	LEAVE_PROGRAMS = 16
};

static void deny_calls(struct seccomp_filter *f, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		deny_call(f, calls[i], DENY(EPERM));
}

/* Signals can be sent, and typed, by these as well. Locks are the last. */
static void deny_doors(struct seccomp_filter *f, unsigned leave)
{
	static const unsigned fcntl_commands[] = {F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY,
		F_ADD_SEALS, F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW};
	static const unsigned ioctl_commands[] = {FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX, TIOCSCTTY};

	deny_commands(f, SYS_fcntl, fcntl_commands,
		(unsigned char)(ARRAY_SIZE(fcntl_commands) - (leave & LEAVE_LOCKS ? 4 : 0)));
	deny_commands(f, SYS_ioctl, ioctl_commands, ARRAY_SIZE(ioctl_commands));
}

static void build(struct seccomp_filter *f, pid_t self, unsigned leave)
{
	begin(f);
	deny_calls(f, denied, ARRAY_SIZE(denied));
	if (!(leave & LEAVE_WATCH))
		deny_calls(f, denied_watching, ARRAY_SIZE(denied_watching));
	if (!(leave & LEAVE_FILES))
		deny_calls(f, denied_files, ARRAY_SIZE(denied_files));
	if (!(leave & LEAVE_LOCKS))
		deny_calls(f, denied_locks, ARRAY_SIZE(denied_locks));
	if (!(leave & LEAVE_PROGRAMS))
		deny_calls(f, denied_programs, ARRAY_SIZE(denied_programs));
	if (leave & LEAVE_NOTIFY)
		deny_call(f, SYS_openat2, DENY(ENOSYS)); /* its flags lie in memory, where no filter looks */
	deny_new_namespaces(f);
	allow_only(f, SYS_kill, 0, (unsigned)self, (unsigned)self);
	allow_only(f, SYS_tgkill, 0, (unsigned)self, (unsigned)self);
	allow_only(f, SYS_prlimit64, 0, 0, (unsigned)self);
	deny_doors(f, leave);
	if (leave & LEAVE_NOTIFY) {
#ifdef SYS_open
		notify_writers(f, SYS_open, 1);
#endif
		notify_writers(f, SYS_openat, 2);
	}
	emit_return(f, SECCOMP_RET_ALLOW);
}

void seccomp_filter_build(struct seccomp_filter *f, pid_t self, bool notify)
{
	build(f, self, LEAVE_PROGRAMS | (notify ? LEAVE_NOTIFY : 0u));
}

void seccomp_filter_build_files(struct seccomp_filter *f, pid_t self, bool write)
{
	build(f, self, LEAVE_PROGRAMS | LEAVE_WATCH | (write ? LEAVE_FILES : 0u));
}

void seccomp_filter_build_locks(struct seccomp_filter *f, pid_t self)
{
	build(f, self, LEAVE_FILES | LEAVE_LOCKS);
}

int seccomp_filter_enter(const struct seccomp_filter *f, int *listener)
{
	struct sock_fprog program = {.len = f->size, .filter = (struct sock_filter *)f->code};
	int fd;

	if (f->overflow) {
		errno = E2BIG;
		return -1;
	}
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0u, &program);
	if (listener)
		*listener = fd;
	return fd < 0 ? -1 : 0;
}

/* The path that a waiting open names, out of the waiting process's memory. A path that cannot be read, or
 * is too long, is "". */
static void read_path(pid_t pid, uint64_t address, char *path, size_t size)
{
	struct iovec to = {.iov_base = path, .iov_len = size};
	struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
	/* Up to the end of the page first: what lies behind may not be mapped. */
	size_t page = 4096 - (size_t)(address & 4095);
	ssize_t n;

	if (page < size)
		from.iov_len = page;
	n = process_vm_readv(pid, &to, 1, &from, 1, 0);
	if (n < 0)
		n = 0;
	if (n > 0 && !memchr(path, 0, (size_t)n) && (size_t)n < size) {
		ssize_t more;

		from.iov_base = (char *)from.iov_base + n;
		from.iov_len = to.iov_len = size - (size_t)n;
		to.iov_base = path + n;
		more = process_vm_readv(pid, &to, 1, &from, 1, 0);
		n += more > 0 ? more : 0;
	}
	if (!memchr(path, 0, (size_t)n))
		path[0] = 0;
}

static int send_answer(int listener, uint64_t id, int fd, size_t size, struct error *err)
{
	_cleanup_free_ struct seccomp_notif_resp *answer = calloc(1, size);
	struct seccomp_notif_addfd grant = {
		.id = id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (unsigned)fd, .newfd_flags = O_CLOEXEC};

	if (!answer)
		return error_no_memory(err, "answer a confined program");
	answer->id = id;
	answer->error = -EACCES;
	if (fd >= 0 ? ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &grant) < 0
		    : ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer) < 0)
		if (errno != ENOENT) /* the caller was interrupted or is gone */
			return error_errno(err, errno, "answer a confined program");
	return 0;
}

int seccomp_answer(int listener, struct seccomp_grant *grants, size_t count, struct error *err)
{
	struct seccomp_notif_sizes sizes; /* the kernel's may be larger than ours */
	_cleanup_free_ struct seccomp_notif *n = NULL;
	char path[PATH_MAX] = "";
	size_t answer_size;
	struct seccomp_grant *found = NULL;
	int r;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0u, &sizes) < 0)
		return error_errno(err, errno, "listen to a confined program");
	n = calloc(1, sizes.seccomp_notif > sizeof *n ? sizes.seccomp_notif : sizeof *n);
	answer_size = sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp)
			      ? sizes.seccomp_notif_resp
			      : sizeof(struct seccomp_notif_resp);
	if (!n)
		return error_no_memory(err, "listen to a confined program");
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, n) < 0) {
		if (errno == ENOENT || errno == EINTR)
			return 0;
		return error_errno(err, errno, "listen to a confined program");
	}
	read_path((pid_t)n->pid, n->data.args[n->data.nr == SYS_openat ? 1 : 0], path, sizeof path);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(path, grants[i].path))
			found = &grants[i];
	r = send_answer(listener, n->id, found ? found->fd : -1, answer_size, err);
	if (r == 0 && found)
		found->taken = true;
	return r;
}
