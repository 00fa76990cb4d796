/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/disk.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "disk/ext4.h"
#include "os/fs.h"

int disk_make(int directory, const struct record *record, struct error *err)
{
	struct ext4_options options = {.size = record->disk, .journal = record_is_kept(record)};
	_cleanup_fd_ int fd = fs_open(directory, "disk", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, err);

	if (fd < 0)
		return fd;
	return ext4_create(fd, &options, err) < 0 ? error_prefix(err, "make the sandbox's disk") : 0;
}
