/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/volume_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sandbox/directory.h"
#include "sandbox/volume.h"

#define MARKER_SIZE 80

static const char *marker_of(const char *name, char path[MARKER_SIZE])
{
	snprintf(path, MARKER_SIZE, ".owner-%s", name);
	return path;
}

void volume_owner(int volumes, const char *name, char owner[VOLUME_OWNER_SIZE])
{
	char path[MARKER_SIZE];
	ssize_t n = readlinkat(volumes, marker_of(name, path), owner, VOLUME_OWNER_SIZE - 1);

	owner[n < 0 ? 0 : n] = 0;
}

int volume_own(const struct home *home, const char *name, const char *owner, char now[VOLUME_OWNER_SIZE],
	struct error *err)
{
	_cleanup_fd_ int lock = -1, volumes = -1;
	char path[MARKER_SIZE];
	int r = sandbox_name_valid(name) ? volume_lock(home, true, &lock, err)
					 : error_set(err, ERROR_INVALID, "'%s' is not a volume's name", name);

	if (r == 0)
		r = volume_directory(home, &volumes, err);
	if (r < 0)
		return r;
	if (faccessat(volumes, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		volume_owner_forget(volumes, name);
	if (symlinkat(owner, volumes, marker_of(name, path)) < 0 && errno != EEXIST)
		return error_errno(err, errno, "note whose volume '%s' is", name);
	volume_owner(volumes, name, now);
	return 0;
}

void volume_owner_forget(int volumes, const char *name)
{
	char path[MARKER_SIZE];

	unlinkat(volumes, marker_of(name, path), 0);
}
