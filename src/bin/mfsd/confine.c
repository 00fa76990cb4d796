/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mfsd/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/landlock.h"
#include "os/seccomp.h"

static int enter_landlock(int repository, struct error *err)
{
	int abi = landlock_abi();
	_cleanup_fd_ int rules = abi > 0 ? landlock_new(abi, LANDLOCK_ALONE) : -1;
	char path[32];

	if (rules < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", repository);
	if (landlock_allow(rules, path, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_REMOVE) < 0 ||
		landlock_allow(rules, "/proc/self", LANDLOCK_READ) < 0)
		return error_errno(err, errno, "allow the repository");
	return landlock_enter(rules) < 0 ? error_errno(err, errno, "enter landlock") : 0;
}

/* Root reads and writes the repository, whoever owns it, and nothing more. */
static void drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (geteuid() == 0)
		capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE,
			CAP_DAC_READ_SEARCH, CAP_FOWNER, -1);
	capng_apply(CAPNG_SELECT_CAPS);
}

int mfsd_confine(int repository, struct error *err)
{
	struct seccomp_filter filter = {0};
	int r;

	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "give up privileges");
	r = enter_landlock(repository, err);
	if (r < 0)
		return r;
	seccomp_filter_build_locks(&filter, getpid());
	return filter.overflow || seccomp_filter_enter(&filter, NULL) < 0
		       ? error_set(err, ERROR_SYSTEM, "install the filter of system calls")
		       : 0;
}
