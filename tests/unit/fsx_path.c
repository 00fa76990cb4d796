/* SPDX-License-Identifier: Apache-2.0 */
#include "fsx_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	const char *path;
	int fd, append;
	bool dirty; /* a mapping was written to, and its pages may not have been */
};

static int64_t or_errno(int64_t n)
{
	return n < 0 ? -errno : n;
}

static int open_file(struct file *f, int flags)
{
	f->fd = open(f->path, O_RDWR | O_CLOEXEC | flags, 0644);
	if (f->fd < 0)
		return -errno;
	f->append = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	return f->append < 0 ? -errno : 0;
}

static int close_file(struct file *f)
{
	int a = close(f->fd), b = close(f->append);

	return a < 0 || b < 0 ? -errno : 0;
}

static int64_t on_size(void *context)
{
	struct file *f = context;
	struct stat s;

	return fstat(f->fd, &s) < 0 ? -errno : s.st_size;
}

static int64_t on_read(void *context, void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return or_errno(pread(f->fd, bytes, size, (off_t)offset));
}

static int64_t on_write(void *context, const void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return or_errno(pwrite(f->fd, bytes, size, (off_t)offset));
}

static int64_t on_append(void *context, const void *bytes, size_t size)
{
	struct file *f = context;

	return or_errno(write(f->append, bytes, size));
}

static int on_truncate(void *context, uint64_t size)
{
	struct file *f = context;

	return ftruncate(f->fd, (off_t)size) < 0 ? -errno : 0;
}

static int on_allocate(void *context, enum fsx_allocate how, uint64_t offset, uint64_t size)
{
	static const int modes[] = {[FSX_EXTEND] = 0,
		[FSX_RESERVE] = FALLOC_FL_KEEP_SIZE,
		[FSX_PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		[FSX_ZERO] = FALLOC_FL_ZERO_RANGE,
		[FSX_ZERO_KEEP] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
	struct file *f = context;

	return fallocate(f->fd, modes[how], (off_t)offset, (off_t)size) < 0 ? -errno : 0;
}

/* A client of FUSE asks the server, which does not know of pages that were mapped and not yet written: any
 * close sends them there, and to no disk. */
static int64_t on_seek(void *context, uint64_t offset, bool hole)
{
	struct file *f = context;

	if (f->dirty && close(dup(f->fd)) < 0)
		return -errno;
	f->dirty = false;
	return or_errno(lseek(f->fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA));
}

/* *bytes: those at the offset; what was mapped begins at the page's. */
static int map(struct file *f, size_t size, uint64_t offset, int protection, char **bytes)
{
	size_t before = (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));
	void *at = mmap(NULL, size + before, protection, MAP_SHARED, f->fd, (off_t)(offset - before));

	if (at == MAP_FAILED)
		return -errno;
	*bytes = (char *)at + before;
	return 0;
}

static int unmap(char *bytes, size_t size, uint64_t offset)
{
	size_t before = (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));

	return munmap(bytes - before, size + before) < 0 ? -errno : 0;
}

static int on_map_read(void *context, void *bytes, size_t size, uint64_t offset)
{
	char *mapped = NULL;
	int r = map(context, size, offset, PROT_READ, &mapped);

	if (r < 0)
		return r;
	memcpy(bytes, mapped, size);
	return unmap(mapped, size, offset);
}

static int on_map_write(void *context, const void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;
	char *mapped = NULL;
	int r = map(f, size, offset, PROT_READ | PROT_WRITE, &mapped);

	if (r < 0)
		return r;
	memcpy(mapped, bytes, size);
	f->dirty = true;
	return unmap(mapped, size, offset);
}

static int on_sync(void *context)
{
	struct file *f = context;

	f->dirty = false;
	return fsync(f->fd) < 0 ? -errno : 0;
}

static int on_reopen(void *context)
{
	int r = close_file(context);

	return r < 0 ? r : open_file(context, 0);
}

static int write_new(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, bytes, size);
	if (close(fd) < 0 || n < 0)
		return -errno;
	return n == (ssize_t)size ? 0 : -EIO;
}

static int on_replace(void *context, const void *bytes, size_t size)
{
	struct file *f = context;
	char path[4096];
	int r;

	snprintf(path, sizeof path, "%s.new", f->path);
	r = write_new(path, bytes, size);
	if (r == 0 && rename(path, f->path) < 0)
		r = -errno;
	return r < 0 ? r : on_reopen(f);
}

bool fsx_path(const char *path, unsigned calls, const struct fsx_options *options, struct fsx_report *report)
{
	struct file f = {.path = path};
	const struct fsx_target target = {.context = &f,
		.size = on_size,
		.read = on_read,
		.write = on_write,
		.append = on_append,
		.truncate = on_truncate,
		.allocate = calls & FSX_PATH_HOLES ? on_allocate : NULL,
		.seek = calls & FSX_PATH_HOLES ? on_seek : NULL,
		.map_read = calls & FSX_PATH_MAPS ? on_map_read : NULL,
		.map_write = calls & FSX_PATH_MAPS ? on_map_write : NULL,
		.sync = on_sync,
		.reopen = on_reopen,
		.replace = on_replace};
	int r = open_file(&f, options->start ? 0 : O_CREAT | O_EXCL);
	bool good = r == 0 && fsx_run(&target, options, report);

	if (r < 0) {
		*report = (struct fsx_report){0};
		snprintf(report->text, sizeof report->text, "open %.1000s: %s", path, strerror(-r));
		return false;
	}
	close_file(&f);
	if (unlink(path) < 0 && good) {
		snprintf(report->text, sizeof report->text, "remove %.1000s: %s", path, strerror(errno));
		return false;
	}
	return good;
}
