/* SPDX-License-Identifier: Apache-2.0 */
#include "fsx_vfs.h"

#include "vfs_make.h"

struct file {
	struct vfs *fs;
	const char *name;
	uint64_t ino;
	vfs_handle handle, append;
	bool turn;
};

/* NFS has no open files, so calls without a handle must do the same. */
static vfs_handle some_handle(struct file *f)
{
	f->turn = !f->turn;
	return f->turn ? f->handle : VFS_NO_HANDLE;
}

static int open_file(struct file *f)
{
	struct vfs_attributes a;
	int r = vfs_lookup(f->fs, VFS_ROOT, f->name, &a);

	if (r < 0)
		return r;
	f->ino = a.ino;
	r = vfs_open(f->fs, f->ino, VFS_READ | VFS_WRITE, &f->handle);
	return r < 0 ? r : vfs_open(f->fs, f->ino, VFS_WRITE | VFS_APPEND, &f->append);
}

static void close_file(struct file *f)
{
	vfs_release(f->fs, f->ino, f->handle);
	vfs_release(f->fs, f->ino, f->append);
	vfs_forget(f->fs, f->ino, 1);
}

static int64_t on_size(void *context)
{
	struct file *f = context;
	struct vfs_attributes a;
	int r = vfs_getattr(f->fs, f->ino, some_handle(f), &a);

	return r < 0 ? r : (int64_t)a.size;
}

static int64_t on_read(void *context, void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return vfs_read(f->fs, f->ino, some_handle(f), bytes, size, offset);
}

static int64_t on_write(void *context, const void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return vfs_write(f->fs, f->ino, some_handle(f), bytes, size, offset);
}

static int64_t on_append(void *context, const void *bytes, size_t size)
{
	struct file *f = context;

	return vfs_write(f->fs, f->ino, f->append, bytes, size, 0);
}

static int on_truncate(void *context, uint64_t size)
{
	struct file *f = context;
	struct vfs_attributes a = {.size = size};
	struct vfs_caller me = vfs_me();
	int r = vfs_setattr(f->fs, &me, f->ino, some_handle(f), &a, VFS_SET_SIZE, &a);

	return r < 0 || a.size == size ? r : -EIO;
}

static int on_allocate(void *context, enum fsx_allocate how, uint64_t offset, uint64_t size)
{
	static const unsigned modes[] = {[FSX_EXTEND] = 0,
		[FSX_RESERVE] = VFS_KEEP_SIZE,
		[FSX_PUNCH] = VFS_PUNCH_HOLE | VFS_KEEP_SIZE,
		[FSX_ZERO] = VFS_ZERO_RANGE,
		[FSX_ZERO_KEEP] = VFS_ZERO_RANGE | VFS_KEEP_SIZE};
	struct file *f = context;

	return vfs_allocate(f->fs, f->ino, f->handle, modes[how], offset, size);
}

static int64_t on_seek(void *context, uint64_t offset, bool hole)
{
	struct file *f = context;

	return vfs_seek(f->fs, f->ino, f->handle, offset, hole ? VFS_SEEK_HOLE : VFS_SEEK_DATA);
}

static int on_sync(void *context)
{
	struct file *f = context;

	return vfs_fsync(f->fs, f->ino, some_handle(f), f->turn);
}

static int on_reopen(void *context)
{
	close_file(context);
	return open_file(context);
}

static int write_new(struct file *f, const char *name, const void *bytes, size_t size)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	int64_t n;
	int r = vfs_create(
		f->fs, &me, VFS_ROOT, name, 0644, VFS_READ | VFS_WRITE | VFS_EXCLUSIVE, &a, &handle);

	if (r < 0)
		return r;
	n = size ? vfs_write(f->fs, a.ino, handle, bytes, size, 0) : 0;
	vfs_release(f->fs, a.ino, handle);
	vfs_forget(f->fs, a.ino, 1);
	return n == (int64_t)size ? 0 : n < 0 ? (int)n : -EIO;
}

static int on_replace(void *context, const void *bytes, size_t size)
{
	struct file *f = context;
	char name[VFS_NAME_MAX + 1];
	int r;

	snprintf(name, sizeof name, "%.200s.new", f->name);
	r = write_new(f, name, bytes, size);
	if (r == 0)
		r = vfs_rename(f->fs, VFS_ROOT, name, VFS_ROOT, f->name, 0);
	return r < 0 ? r : on_reopen(f);
}

bool fsx_vfs_finds_nothing(struct vfs *fs, const char *name, bool holes, const struct fsx_options *options,
	struct fsx_report *report)
{
	struct file f = {.fs = fs, .name = name};
	const struct fsx_target target = {.context = &f,
		.size = on_size,
		.read = on_read,
		.write = on_write,
		.append = on_append,
		.truncate = on_truncate,
		.allocate = holes ? on_allocate : NULL,
		.seek = holes ? on_seek : NULL,
		.sync = on_sync,
		.reopen = on_reopen,
		.replace = on_replace};
	bool good;

	if (!options->start)
		vfs_forget(fs, vfs_make_file(fs, VFS_ROOT, name), 1);
	CHECK_CALL(open_file(&f));
	good = fsx_run(&target, options, report);
	close_file(&f);
	CHECK_CALL(vfs_unlink(fs, VFS_ROOT, name));
	return good;
}

void fsx_vfs(struct vfs *fs, const char *name, bool holes, const struct fsx_options *options)
{
	struct fsx_report report;

	if (!fsx_vfs_finds_nothing(fs, name, holes, options, &report))
		test_fail(__FILE__, __LINE__, "%s", report.text);
}
