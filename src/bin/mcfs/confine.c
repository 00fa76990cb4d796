/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mcfs/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/landlock.h"
#include "os/namespaces.h"
#include "os/seccomp.h"

void mcfs_limit(unsigned descriptors)
{
	struct rlimit l = {0, 0};

	setrlimit(RLIMIT_CORE, &l);
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= descriptors)
		return;
	l.rlim_cur = l.rlim_max < descriptors ? l.rlim_max : descriptors;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int write_file(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* An ordinary user may change mounts in a user namespace alone, in which he is himself. */
static int enter_namespaces(uid_t uid, gid_t gid)
{
	char users[48], groups[48];

	if (uid == 0)
		return unshare(CLONE_NEWNS);
	snprintf(users, sizeof users, "%u %u 1", (unsigned)uid, (unsigned)uid);
	snprintf(groups, sizeof groups, "%u %u 1", (unsigned)gid, (unsigned)gid);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_file("/proc/self/setgroups", "deny") < 0 ||
		write_file("/proc/self/uid_map", users) < 0)
		return -1;
	return write_file("/proc/self/gid_map", groups);
}

/* A mount of its own of the directory (or file), found again in the new namespace by its path. From its root
 * ".." leads nowhere. What is mounted in it comes along, since we may not uncover what is below. */
static int clone_mount(int directory)
{
	char link[32], path[PATH_MAX];
	_cleanup_fd_ int again = -1;
	struct stat ours, theirs;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return -1;
	path[n] = 0;
	again = open(path, O_PATH | O_CLOEXEC);
	if (again < 0 || fstat(again, &theirs) < 0 || fstat(directory, &ours) < 0 ||
		ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return -1;
	return (int)syscall(
		SYS_open_tree, again, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
}

static void drop_capabilities(uid_t uid)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (uid == 0)
		capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_CHOWN, CAP_DAC_OVERRIDE,
			CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, -1);
	capng_apply(CAPNG_SELECT_CAPS);
}

int mcfs_isolate(int directory)
{
	static const struct namespace_path proc[] = {{.source = "/proc"}};
	uid_t uid = geteuid();
	int tree;

	if (enter_namespaces(uid, getegid()) < 0)
		return directory;
	tree = clone_mount(directory);
	/* Half of it is as good as none, and no worse. */
	if (tree >= 0 && namespaces_change_root(proc, 1) < 0)
		close(TAKE_FD(tree));
	drop_capabilities(uid);
	if (tree < 0)
		return directory;
	close(directory);
	return tree;
}

static int allow_tree(int rules, const struct mcfs_tree *tree)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", tree->directory);
	if (!tree->rights)
		return 0;
	return landlock_allow(rules, path, tree->rights) < 0 ||
			       landlock_allow(rules, "/proc/self", LANDLOCK_READ) < 0
		       ? -1
		       : 0;
}

static int enter_landlock(const struct mcfs_tree *trees, size_t count, struct error *err)
{
	int abi = landlock_abi();
	_cleanup_fd_ int rules = abi > 0 ? landlock_new(abi, LANDLOCK_ALONE) : -1;

	if (rules < 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		if (allow_tree(rules, &trees[i]) < 0)
			return error_errno(err, errno, "allow what is served");
	return landlock_enter(rules) < 0 ? error_errno(err, errno, "enter landlock") : 0;
}

int mcfs_confine(const struct mcfs_tree *trees, size_t count, struct error *err)
{
	struct seccomp_filter filter = {0};
	unsigned rights = 0;
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "give up privileges");
	r = enter_landlock(trees, count, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		rights |= trees[i].rights;
	seccomp_filter_build_files(&filter, getpid(), rights & LANDLOCK_WRITE);
	if (filter.overflow || seccomp_filter_enter(&filter, NULL) < 0)
		return error_set(err, ERROR_SYSTEM, "install the filter of system calls");
	return 0;
}
