/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/unmount.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os/process.h"

/* stat() would be answered by what the kernel remembers of the root. */
bool fuse_mount_is_dead(const char *directory)
{
	struct statfs s;

	return statfs(directory, &s) < 0 && errno == ENOTCONN;
}

static int run_fusermount(const char *directory, bool lazy)
{
	const char *const argv[] = {"fusermount3", "-u", "-q", lazy ? "-z" : "--", directory, NULL};
	const struct process_spec spec = {.path = "fusermount3", .argv = argv};
	int status = 1;
	pid_t pid;

	if (process_spawn(&spec, &pid, NULL, NULL) < 0 || process_wait(pid, &status, NULL) < 0)
		return -1;
	return status == 0 ? 0 : -1;
}

int fuse_unmount(const char *directory, bool lazy)
{
	if (geteuid() == 0)
		return umount2(directory, lazy ? MNT_DETACH : 0);
	return run_fusermount(directory, lazy);
}
