/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/disk.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "disk/ext4.h"
#include "os/fs.h"

int disk_make(int directory, const struct record *record, struct error *err)
{
	/* A journal even for a disk that nobody keeps: without one, ext4 looks at each inode that was freed
	 * in the last minutes before it gives one out (recently_deleted() in fs/ext4/ialloc.c, Linux 6.1),
	 * and what follows an `rm -rf` of thousands of files takes several times as long. */
	struct ext4_options options = {.size = record->disk, .journal = true};
	_cleanup_fd_ int fd = fs_open(directory, "disk", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, err);

	if (fd < 0)
		return fd;
	return ext4_create(fd, &options, err) < 0 ? error_prefix(err, "make the sandbox's disk") : 0;
}
