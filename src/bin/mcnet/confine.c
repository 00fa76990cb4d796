/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mcnet/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/groups.h"
#include "os/landlock.h"
#include "os/seccomp.h"

#define DESCRIPTORS_MOST 65536
#define RESOLV_CONF      "/etc/resolv.conf"

void mcnet_limit(void)
{
	const struct rlimit none = {0, 0}, log = {NET_LOG_MAX, NET_LOG_MAX};
	struct rlimit files;

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &log);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max < DESCRIPTORS_MOST ? files.rlim_max : DESCRIPTORS_MOST;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* The directory that holds the file. */
static void allow_directory_of(int rules, const char *path)
{
	char directory[PATH_MAX], *slash;

	snprintf(directory, sizeof directory, "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return;
	*slash = 0;
	landlock_allow(rules, directory, LANDLOCK_READ); /* one that is not there has nothing to read */
}

static int enter_landlock(int directory, struct error *err)
{
	int abi = landlock_abi();
	_cleanup_fd_ int rules = abi > 0 ? landlock_new(abi, LANDLOCK_ALONE | LANDLOCK_NETWORK) : -1;
	_cleanup_free_ char *target = realpath(RESOLV_CONF, NULL);
	char path[32];

	if (rules < 0)
		return 0;
	allow_directory_of(rules, RESOLV_CONF);
	if (target)
		allow_directory_of(rules, target);
	snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
	if (landlock_allow(rules, path, LANDLOCK_READ | LANDLOCK_WRITE) < 0)
		return error_errno(err, errno, "allow the group's directory");
	snprintf(path, sizeof path, "/proc/self/fd/%d/..", directory);
	if (landlock_allow(rules, path, LANDLOCK_READ | LANDLOCK_REMOVE) < 0)
		return error_errno(err, errno, "allow the directory of groups");
	return landlock_enter(rules) < 0 ? error_errno(err, errno, "enter landlock") : 0;
}

#define ANY(call) \
	{ \
		.number = SYS_##call \
	}
#define ONLY(call, which, list) \
	{ \
		.number = SYS_##call, .argument = which, .count = ARRAY_SIZE(list), .values = list \
	}

static void build_filter(struct seccomp_filter *filter)
{
	static const unsigned families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK};
	static const unsigned memory[] = {
		PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE}; /* none that can be executed */
	static const unsigned file_commands[] = {
		F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC};
	static const unsigned commands[] = {FIONREAD, FIONBIO, FIOCLEX, SIOCOUTQ};
	const unsigned self[] = {(unsigned)getpid()}, own[] = {0, (unsigned)getpid()};
	const struct seccomp_call calls[] = {/* the most frequent first */
		ANY(recvfrom), ANY(sendto), ANY(epoll_pwait), ANY(epoll_ctl), ANY(recvmsg), ANY(sendmsg),
		ANY(read), ANY(write), ANY(readv), ANY(writev), ANY(clock_gettime), ANY(close), ANY(recvmmsg),
		ANY(sendmmsg), ANY(futex),
		/* sockets */
		ONLY(socket, 0, families), ANY(bind), ANY(connect), ANY(listen), ANY(accept), ANY(accept4),
		ANY(shutdown), ANY(getsockname), ANY(getpeername), ANY(getsockopt), ANY(setsockopt),
		ONLY(fcntl, 1, file_commands), ONLY(ioctl, 1, commands), ANY(dup), ANY(dup3), ANY(ppoll),
		ANY(epoll_create1), ANY(eventfd2), ANY(pipe2),
		/* memory and time */
		ONLY(mmap, 2, memory), ONLY(mprotect, 2, memory), ANY(munmap), ANY(mremap), ANY(madvise),
		ANY(brk), ANY(gettimeofday), ANY(clock_getres), ANY(nanosleep), ANY(clock_nanosleep),
		ANY(getrandom), ANY(sysinfo),
		/* files, of which landlock tells which */
		ANY(openat), ANY(newfstatat), ANY(fstat), ANY(statx), ANY(lseek), ANY(pread64), ANY(unlinkat),
		ANY(readlinkat), ANY(faccessat), ANY(getdents64), ANY(inotify_init1), ANY(inotify_add_watch),
		ANY(inotify_rm_watch),
#ifdef SYS_open /* older ones, which newer architectures lack */
		ANY(epoll_wait), ANY(poll), ANY(open), ANY(stat), ANY(unlink), ANY(readlink), ANY(access),
#endif
		/* itself */
		ANY(getpid), ANY(gettid), ANY(getuid), ANY(geteuid), ANY(getgid), ANY(getegid),
		ONLY(prlimit64, 0, own), ONLY(tgkill, 0, self), ANY(rt_sigaction), ANY(rt_sigprocmask),
		ANY(rt_sigreturn), ANY(sigaltstack), ANY(restart_syscall), ANY(sched_yield),
		ANY(sched_getaffinity), ANY(exit), ANY(exit_group)};

	seccomp_filter_build_calls(filter, calls, ARRAY_SIZE(calls));
}

int mcnet_confine(int directory, struct error *err)
{
	struct seccomp_filter filter;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "give up new privileges");
	capng_clear(CAPNG_SELECT_BOTH);
	capng_apply(CAPNG_SELECT_BOTH); /* the bounding set stays where one may not change it */
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return error_set(err, ERROR_SYSTEM, "give up capabilities");
	r = enter_landlock(directory, err);
	if (r < 0)
		return r;
	build_filter(&filter);
	if (seccomp_filter_enter(&filter, NULL) < 0)
		return error_errno(err, errno, "install the filter of system calls");
	return 0;
}
