/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/dead.h"

#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "vfs/fuse/unmount.h"

static void cleanup_mounts(FILE **mounts)
{
	if (*mounts)
		endmntent(*mounts);
}

/* The last one is on top. */
static bool is_ours(const char *directory)
{
	__attribute__((cleanup(cleanup_mounts))) FILE *mounts = setmntent("/proc/self/mounts", "re");
	char line[2 * PATH_MAX];
	struct mntent entry;
	bool ours = false;

	while (mounts && getmntent_r(mounts, &entry, line, sizeof line))
		if (!strcmp(entry.mnt_dir, directory))
			ours = !strcmp(entry.mnt_fsname, "monofs") && !strncmp(entry.mnt_type, "fuse", 4);
	return ours;
}

bool dead_mount_is_at(const char *directory)
{
	return fuse_mount_is_dead(directory) && is_ours(directory);
}

int dead_mount_remove(const char *directory, struct error *err)
{
	if (fuse_unmount(directory, true) < 0)
		return error_set(err, ERROR_DENIED,
			"the process of the mount at %s was killed, and the mount cannot be taken away: "
			"'fusermount3 -uz' says why",
			directory);
	return 0;
}
