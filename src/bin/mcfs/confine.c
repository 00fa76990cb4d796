/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mcfs/confine.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/landlock.h"
#include "os/seccomp.h"

static int enter_landlock(int directory, unsigned rights, struct error *err)
{
	int abi = landlock_abi();
	_cleanup_fd_ int rules = abi > 0 ? landlock_new(abi, true) : -1;
	char path[32];

	if (rules < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
	if (rights && (landlock_allow(rules, path, rights) < 0 ||
			      landlock_allow(rules, "/proc/self", LANDLOCK_READ) < 0))
		return error_errno(err, errno, "allow what is served");
	return landlock_enter(rules) < 0 ? error_errno(err, errno, "enter landlock") : 0;
}

int mcfs_confine(int directory, unsigned rights, struct error *err)
{
	struct seccomp_filter filter = {0};
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "give up privileges");
	r = enter_landlock(directory, rights, err);
	if (r < 0)
		return r;
	if (rights & LANDLOCK_WRITE)
		seccomp_filter_build_files(&filter, getpid());
	else
		seccomp_filter_build(&filter, getpid(), false);
	if (filter.overflow || seccomp_filter_enter(&filter, NULL) < 0)
		return error_set(err, ERROR_SYSTEM, "install the filter of system calls");
	return 0;
}
