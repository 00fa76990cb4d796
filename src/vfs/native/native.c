/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end of a native file system, and its calls. */
#include "vfs/native/native.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/native/native_parts.h"

#define DESCRIPTORS       512u
#define DESCRIPTORS_LEAST 4u
#define OPENS_MOST        (1u << 20)
#define INODES            2000000u
#define REMEMBERED        65536u

static int native_statfs(struct vfs *vfs, struct vfs_statistics *out)
{
	struct statvfs s;
	int r;

	do
		r = fstatvfs(native_of(vfs)->root_fd, &s);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*out = (struct vfs_statistics){.blocks = s.f_blocks,
		.free = s.f_bfree,
		.available = s.f_bavail,
		.files = s.f_files,
		.files_free = s.f_ffree,
		.block_size = (uint32_t)s.f_frsize,
		.name_max = s.f_namemax < VFS_NAME_MAX ? (uint32_t)s.f_namemax : VFS_NAME_MAX};
	return 0;
}

static void native_destroy(struct vfs *vfs)
{
	struct native *fs = native_of(vfs);

	native_unwatch(vfs);
	native_opens_free(fs);
	native_lock(fs);
	native_table_free(fs);
	native_unlock(fs);
	if (fs->root_fd >= 0)
		close(fs->root_fd);
	for (int i = 0; i < NATIVE_STRIPES; i++)
		pthread_mutex_destroy(&fs->stripes[i]);
	pthread_rwlock_destroy(&fs->renames);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

static const struct vfs_operations operations = {
	.name = "native",
	.destroy = native_destroy,
	.lookup = native_lookup,
	.forget = native_forget,
	.getattr = native_getattr,
	.setattr = native_setattr,
	.readlink = native_readlink,
	.mknod = native_mknod,
	.mkdir = native_mkdir,
	.symlink = native_symlink,
	.link = native_link,
	.unlink = native_unlink,
	.rmdir = native_rmdir,
	.rename = native_rename,
	.create = native_create,
	.open = native_open_file,
	.release = native_close,
	.read = native_read,
	.map = native_map,
	.write = native_write,
	.fsync = native_fsync,
	.allocate = native_allocate,
	.seek = native_seek,
	.opendir = native_opendir,
	.releasedir = native_closedir,
	.readdir = native_readdir,
	.fsyncdir = native_fsyncdir,
	.getxattr = native_getxattr,
	.setxattr = native_setxattr,
	.listxattr = native_listxattr,
	.removexattr = native_removexattr,
	.statfs = native_statfs,
	.watch = native_watch,
	.unwatch = native_unwatch,
	.watched = native_watched,
	.version = native_version,
	.persist = native_persist,
	.resolve = native_resolve,
};

/* RLIMIT_NOFILE, also where there is none. */
static unsigned descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > OPENS_MOST ? OPENS_MOST
										   : (unsigned)limit.rlim_cur;
}

static void fill_defaults(struct native_options *o)
{
	unsigned limit = descriptor_limit();

	if (!o->descriptors)
		o->descriptors = limit / 4 < DESCRIPTORS ? limit / 4 : DESCRIPTORS;
	if (o->descriptors < DESCRIPTORS_LEAST)
		o->descriptors = DESCRIPTORS_LEAST;
	if (!o->opens)
		o->opens = limit / 2;
	if (o->opens > OPENS_MOST)
		o->opens = OPENS_MOST;
	if (!o->inodes)
		o->inodes = INODES;
	if (!o->remembered)
		o->remembered = REMEMBERED;
}

static struct native *native_allocate_empty(const struct native_options *options)
{
	struct native *fs = calloc(1, sizeof *fs);

	if (!fs)
		return NULL;
	fs->vfs = (struct vfs){.operations = &operations, .read_only = options->read_only};
	fs->options = *options;
	fs->options.directory = -1;
	fill_defaults(&fs->options);
	fs->root_fd = -1;
	fs->resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
		      (options->mounts ? 0 : RESOLVE_NO_XDEV);
	fs->uid = geteuid();
	fs->gid = getegid();
	ring_init(&fs->used);
	ring_init(&fs->orphans);
	ring_init(&fs->idle);
	pthread_mutex_init(&fs->lock, NULL);
	pthread_rwlock_init(&fs->renames, NULL);
	for (int i = 0; i < NATIVE_STRIPES; i++)
		pthread_mutex_init(&fs->stripes[i], NULL);
	return fs;
}

static int check_system(struct native *fs, struct error *err)
{
	char path[NATIVE_PROC_PATH];
	struct stat s;
	int fd;

	native_proc_path(fs->root_fd, path);
	if (lstat(path, &s) < 0 || !S_ISLNK(s.st_mode))
		return error_set(err, ERROR_UNAVAILABLE, "serve a directory: there is no /proc/self/fd here");
	fd = native_open_beneath(fs, fs->root_fd, ".", O_PATH, 0);
	if (fd == -ENOTDIR) /* the root is a file */
		return 0;
	if (fd == -ENOSYS)
		return error_set(
			err, ERROR_UNAVAILABLE, "serve a directory: this kernel has no openat2 (Linux 5.6)");
	if (fd < 0)
		return error_errno(err, -fd, "serve a directory");
	close(fd);
	return 0;
}

static int open_root(int directory, struct error *err)
{
	struct stat s;
	int fd;

	if (fstat(directory, &s) == 0 && S_ISREG(s.st_mode))
		fd = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	else
		fd = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOTDIR)
		return error_set(err, ERROR_INVALID, "serve a directory: it is none");
	return fd < 0 ? error_errno(err, errno, "serve a directory") : fd;
}

int native_new(const struct native_options *options, struct vfs **out, struct error *err)
{
	struct native *fs = native_allocate_empty(options);
	_cleanup_vfs_ struct vfs *made = fs ? &fs->vfs : NULL;
	struct statx s;
	int r;

	if (!fs)
		return error_no_memory(err, "serve a directory");
	fs->root_fd = r = open_root(options->directory, err);
	if (r < 0)
		return r;
	r = native_statx(fs->root_fd, &s);
	if (r < 0)
		return error_errno(err, -r, "serve a directory");
	fs->root_device = s.stx_dev_major << 20 | s.stx_dev_minor;
	r = check_system(fs, err);
	if (r < 0)
		return r;
	r = native_table_new(fs, &s);
	if (r < 0)
		return error_errno(err, -r, "serve a directory");
	*out = TAKE_PTR(made);
	return 0;
}
