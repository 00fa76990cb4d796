/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"

#define READ_AHEAD "1024" /* KiB */

int share_open(uint32_t place, bool read_only, struct error *err)
{
	_cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "virtiofs", FSOPEN_CLOEXEC);
	char tag[VOLUME_TAG_SIZE];
	int mount;

	if (fs < 0)
		return error_set(err, ERROR_UNAVAILABLE,
			"the guest's kernel has no virtiofs: one that was installed by an earlier version is "
			"replaced "
			"by 'monocore self kernel install'");
	snprintf(tag, sizeof tag, VOLUME_TAG, place);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", tag, 0) < 0 ||
		(read_only && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_errno(err, errno, "mount %s (virtiofs)", tag);
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, read_only ? MOUNT_ATTR_RDONLY : 0);
	return mount < 0 ? error_errno(err, errno, "mount %s (virtiofs)", tag) : mount;
}

/* Options as nfs(5) has them. Names that others make are seen as soon as attributes are. */
static int set_nfs_options(int fs, uint16_t port)
{
	char number[8];
	const struct {
		const char *key, *value;
	} options[] = {{"source", "127.0.0.1:" VOLUME_EXPORT}, {"addr", "127.0.0.1"}, {"vers", "3"},
		{"proto", "tcp"}, {"port", number}, {"mountproto", "tcp"}, {"mountaddr", "127.0.0.1"},
		{"mountport", number}, {"actimeo", "1"}, {"nolock", NULL}, {"hard", NULL},
		{"nosharecache", NULL}};

	snprintf(number, sizeof number, "%u", (unsigned)port);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (syscall(SYS_fsconfig, fs, options[i].value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			    options[i].key, options[i].value, 0) < 0)
			return -1;
	return 0;
}

int share_open_nfs(uint16_t port, bool read_only, struct error *err)
{
	_cleanup_fd_ int fs = (int)syscall(SYS_fsopen, "nfs", FSOPEN_CLOEXEC);
	int mount;

	if (fs < 0)
		return error_set(err, ERROR_UNAVAILABLE, "the guest's kernel has no NFS client");
	if (set_nfs_options(fs, port) < 0 ||
		(read_only && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) ||
		syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_errno(err, errno, "mount by NFS");
	mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, read_only ? MOUNT_ATTR_RDONLY : 0);
	return mount < 0 ? error_errno(err, errno, "mount by NFS") : mount;
}

void share_read_ahead(int mount)
{
	_cleanup_fd_ int fd = -1;
	char path[64];
	struct stat s;

	if (fstat(mount, &s) < 0)
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(s.st_dev), minor(s.st_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, READ_AHEAD, sizeof READ_AHEAD - 1) < 0)
		errno = 0; /* slower, and well */
}
