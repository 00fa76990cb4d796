/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"

static int take_turn(int parent, int *turn, struct error *err)
{
	return fs_lock(parent, ".making", FS_LOCK_EXCLUSIVE, true, turn, err);
}

int draft_make(int parent, const char *name, int *out, int *lock, struct error *err)
{
	_cleanup_fd_ int turn = -1, fd = -1;
	int r = take_turn(parent, &turn, err);

	if (r < 0)
		return r;
	if (mkdirat(parent, name, 0700) < 0)
		return error_errno(err, errno, "make %s", name);
	fd = r = fs_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (r >= 0)
		r = fs_lock(fd, "lock", FS_LOCK_EXCLUSIVE, false, lock, err);
	if (r < 0)
		fs_remove_tree(parent, name, NULL);
	else
		*out = TAKE_FD(fd);
	return r;
}

void draft_sweep(int parent, const char *name)
{
	_cleanup_fd_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_fd_ int turn = -1;

	if (fd < 0 || take_turn(parent, &turn, NULL) < 0 || fs_is_locked(fd, "lock"))
		return;
	close(TAKE_FD(turn));
	fs_remove_tree(parent, name, NULL);
}
