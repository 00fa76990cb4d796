/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/fuse/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "vfs/fuse/ahead.h"
#include "vfs/fuse/session.h"

#define DIRECTORY_BYTES_MAX (1u << 20)

_Static_assert(VFS_NO_HANDLE == VOLUME_NO_HANDLE, "the relay of volumes knows it");

static struct fuse_session_data *data_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static struct vfs *fs_of(fuse_req_t request)
{
	return data_of(request)->fs;
}

static struct vfs_caller caller_of(fuse_req_t request)
{
	const struct fuse_ctx *c = fuse_req_ctx(request);

	return (struct vfs_caller){.uid = c->uid, .gid = c->gid};
}

static void reply(fuse_req_t request, int r)
{
	fuse_reply_err(request, r < 0 ? -r : 0);
}

static vfs_handle handle_of(fuse_req_t request, const struct fuse_file_info *info)
{
	return info && !data_of(request)->no_open ? info->fh : VFS_NO_HANDLE;
}

static struct timespec time_of(struct vfs_time t)
{
	return (struct timespec){.tv_sec = t.seconds, .tv_nsec = t.nanoseconds};
}

static struct stat stat_of(const struct vfs_attributes *a)
{
	return (struct stat){.st_ino = a->ino,
		.st_mode = a->mode,
		.st_nlink = a->links,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = makedev(a->major, a->minor),
		.st_size = (off_t)a->size,
		.st_blksize = (blksize_t)a->block_size,
		.st_blocks = (blkcnt_t)a->blocks,
		.st_atim = time_of(a->atime),
		.st_mtim = time_of(a->mtime),
		.st_ctim = time_of(a->ctime)};
}

static double attribute_timeout(fuse_req_t request, const struct vfs_attributes *a)
{
	const struct fuse_session_data *data = data_of(request);

	return a->told ? data->told_timeout : data->timeout;
}

static double name_timeout(fuse_req_t request, uint64_t parent)
{
	const struct fuse_session_data *data = data_of(request);

	return vfs_watched(data->fs, parent) ? data->told_timeout : data->timeout;
}

static struct fuse_entry_param entry_of(fuse_req_t request, uint64_t parent, const struct vfs_attributes *a)
{
	return (struct fuse_entry_param){.ino = a->ino,
		.generation = a->generation,
		.attr = stat_of(a),
		.attr_timeout = attribute_timeout(request, a),
		.entry_timeout = name_timeout(request, parent)};
}

/* The directory was changed, unless the call failed. */
static void changed(fuse_req_t request, int r, uint64_t directory)
{
	if (r == 0)
		fuse_tell_ahead(data_of(request), directory);
}

/* Whoever went away before the answer keeps nothing. */
static void reply_entry(fuse_req_t request, uint64_t parent, int r, const struct vfs_attributes *a)
{
	struct vfs *fs = fs_of(request);
	struct fuse_entry_param e;

	if (r < 0) {
		reply(request, r);
		return;
	}
	e = entry_of(request, parent, a);
	if (fuse_reply_entry(request, &e) < 0)
		vfs_forget(fs, a->ino, 1);
}

/* After a file's contents have changed, or before they do. */
static void drop_privileges(fuse_req_t request, uint64_t ino)
{
	const struct fuse_session_data *data = data_of(request);
	const struct vfs_caller who = caller_of(request);
	const struct vfs_attributes values = {0};
	struct vfs_attributes a;

	if (!data->privileges)
		return;
	if (fuse_call_drops())
		vfs_setattr(data->fs, &who, ino, VFS_NO_HANDLE, &values, VFS_CLEAR_PRIVILEGES, &a);
	else
		vfs_removexattr(data->fs, ino, "security.capability");
}

/* ---- objects ---------------------------------------------------------------------------------------- */

static void on_init(void *context, struct fuse_conn_info *c)
{
	const struct fuse_session_data *data = context;

	c->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/* The kernel would write back late and in small pieces: measured four times slower over a serial
	 * port. */
	c->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	c->want |= c->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
					FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_EXPORT_SUPPORT |
					FUSE_CAP_CACHE_SYMLINKS);
	/* Who does not open cannot truncate by it. */
	if (data->no_open)
		c->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
	else
		c->want |= c->capable & FUSE_CAP_ATOMIC_O_TRUNC;
	if (data->told_contents && c->capable & FUSE_CAP_EXPLICIT_INVAL_DATA) {
		c->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
		c->want |= FUSE_CAP_EXPLICIT_INVAL_DATA;
	}
	c->max_write = VFS_IO_MAX;
	c->max_readahead = VFS_IO_MAX;
	c->time_gran = 1;
}

/* A name that is not there is remembered, too: number 0. */
static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct vfs_attributes a;
	int r = vfs_lookup(fs_of(request), parent, name, &a);
	struct fuse_entry_param none = {.entry_timeout = name_timeout(request, parent)};

	if (r == -ENOENT && none.entry_timeout > 0)
		fuse_reply_entry(request, &none);
	else
		reply_entry(request, parent, r, &a);
}

static void on_forget(fuse_req_t request, fuse_ino_t ino, uint64_t times)
{
	vfs_forget(fs_of(request), ino, times);
	fuse_reply_none(request);
}

static void on_forget_many(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		vfs_forget(fs_of(request), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(request);
}

static void on_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct vfs_attributes a;
	struct stat s;
	int r = vfs_getattr(fs_of(request), ino, handle_of(request, info), &a);

	if (r < 0) {
		reply(request, r);
		return;
	}
	s = stat_of(&a);
	fuse_reply_attr(request, &s, attribute_timeout(request, &a));
}

static unsigned set_of(int set)
{
	static const struct {
		int theirs;
		unsigned ours;
	} bits[] = {{FUSE_SET_ATTR_MODE, VFS_SET_MODE}, {FUSE_SET_ATTR_UID, VFS_SET_UID},
		{FUSE_SET_ATTR_GID, VFS_SET_GID}, {FUSE_SET_ATTR_SIZE, VFS_SET_SIZE},
		{FUSE_SET_ATTR_ATIME_NOW, VFS_SET_ATIME_NOW}, {FUSE_SET_ATTR_MTIME_NOW, VFS_SET_MTIME_NOW}};
	unsigned what = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (set & bits[i].theirs)
			what |= bits[i].ours;
	if (set & FUSE_SET_ATTR_ATIME && !(set & FUSE_SET_ATTR_ATIME_NOW))
		what |= VFS_SET_ATIME;
	if (set & FUSE_SET_ATTR_MTIME && !(set & FUSE_SET_ATTR_MTIME_NOW))
		what |= VFS_SET_MTIME;
	return what;
}

static void on_setattr(
	fuse_req_t request, fuse_ino_t ino, struct stat *s, int set, struct fuse_file_info *info)
{
	const struct vfs_caller who = caller_of(request);
	struct vfs_attributes a, values = {.mode = s->st_mode & 07777,
					 .uid = s->st_uid,
					 .gid = s->st_gid,
					 .size = (uint64_t)s->st_size,
					 .atime = {s->st_atim.tv_sec, (uint32_t)s->st_atim.tv_nsec},
					 .mtime = {s->st_mtim.tv_sec, (uint32_t)s->st_mtim.tv_nsec}};
	unsigned what = set_of(set) | (fuse_call_drops() ? VFS_CLEAR_PRIVILEGES : 0u);
	int r = vfs_setattr(fs_of(request), &who, ino, handle_of(request, info), &values, what, &a);
	struct stat now;

	if (r < 0) {
		reply(request, r);
		return;
	}
	if (what & VFS_SET_SIZE && !fuse_call_drops())
		drop_privileges(request, ino);
	now = stat_of(&a);
	fuse_reply_attr(request, &now, attribute_timeout(request, &a));
}

static void on_readlink(fuse_req_t request, fuse_ino_t ino)
{
	char target[VFS_PATH_MAX + 1];
	int r = vfs_readlink(fs_of(request), ino, target);

	if (r < 0)
		reply(request, r);
	else
		fuse_reply_readlink(request, target);
}

/* ---- names ------------------------------------------------------------------------------------------ */

static void on_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	const struct vfs_caller who = caller_of(request);
	struct vfs_attributes a;
	int r = vfs_mknod(fs_of(request), &who, parent, name, mode, major(device), minor(device), &a);

	changed(request, r, parent);
	reply_entry(request, parent, r, &a);
}

static void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct vfs_caller who = caller_of(request);
	struct vfs_attributes a;
	int r = vfs_mkdir(fs_of(request), &who, parent, name, mode, &a);

	changed(request, r, parent);
	reply_entry(request, parent, r, &a);
}

static void on_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
	const struct vfs_caller who = caller_of(request);
	struct vfs_attributes a;
	int r = vfs_symlink(fs_of(request), &who, parent, name, target, &a);

	changed(request, r, parent);
	reply_entry(request, parent, r, &a);
}

static void on_link(fuse_req_t request, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct vfs_attributes a;
	int r = vfs_link(fs_of(request), ino, parent, name, &a);

	changed(request, r, parent);
	reply_entry(request, parent, r, &a);
}

static void on_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	int r = vfs_unlink(fs_of(request), parent, name);

	changed(request, r, parent);
	reply(request, r);
}

static void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	int r = vfs_rmdir(fs_of(request), parent, name);

	changed(request, r, parent);
	reply(request, r);
}

static void on_rename(fuse_req_t request, fuse_ino_t from, const char *name, fuse_ino_t to,
	const char *new_name, unsigned flags)
{
	unsigned ours = (flags & RENAME_NOREPLACE ? VFS_NO_REPLACE : 0u) |
			(flags & RENAME_EXCHANGE ? VFS_EXCHANGE : 0u);
	int r = flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)
			? -EINVAL
			: vfs_rename(fs_of(request), from, name, to, new_name, ours);

	changed(request, r, from);
	if (to != from)
		changed(request, r, to);
	reply(request, r);
}

/* ---- files ------------------------------------------------------------------------------------------ */

static unsigned open_flags(int flags)
{
	unsigned ours = 0;

	if ((flags & O_ACCMODE) != O_WRONLY)
		ours |= VFS_READ;
	if ((flags & O_ACCMODE) != O_RDONLY)
		ours |= VFS_WRITE;
	if (flags & O_APPEND)
		ours |= VFS_APPEND;
	if (flags & O_TRUNC)
		ours |= VFS_TRUNCATE;
	return ours | (flags & O_EXCL ? VFS_EXCLUSIVE : 0);
}

static void on_create(
	fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
	const struct vfs_caller who = caller_of(request);
	struct vfs *fs = fs_of(request);
	struct vfs_attributes a;
	struct fuse_entry_param e;
	int r = vfs_create(fs, &who, parent, name, mode, open_flags(info->flags), &a, &info->fh);

	if (r < 0) {
		reply(request, r);
		return;
	}
	if (info->flags & O_TRUNC && a.size == 0)
		drop_privileges(request, a.ino);
	if (data_of(request)->no_open) {
		vfs_release(fs, a.ino, info->fh);
		info->fh = VFS_NO_HANDLE;
	}
	info->keep_cache = data_of(request)->keep;
	changed(request, 0, parent);
	e = entry_of(request, parent, &a);
	if (fuse_reply_create(request, &e, info) < 0) {
		if (info->fh != VFS_NO_HANDLE)
			vfs_release(fs, a.ino, info->fh);
		vfs_forget(fs, a.ino, 1);
	}
}

static void on_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct vfs *fs = fs_of(request);
	int r;

	if (data_of(request)->no_open) { /* the kernel asks no more: it opens and closes by itself */
		reply(request, -ENOSYS);
		return;
	}
	r = vfs_open(fs, ino, open_flags(info->flags), &info->fh);
	info->keep_cache = data_of(request)->keep;
	if (r == 0 && info->flags & O_TRUNC)
		drop_privileges(request, ino);
	if (r < 0)
		reply(request, r);
	else if (fuse_reply_open(request, info) < 0)
		vfs_release(fs, ino, info->fh);
}

static void on_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	if (handle_of(request, info) != VFS_NO_HANDLE)
		vfs_release(fs_of(request), ino, info->fh);
	reply(request, 0);
}

static void on_read(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	_cleanup_free_ void *own = NULL;
	void *bytes;
	int64_t n;

	size = size < VFS_IO_MAX ? size : VFS_IO_MAX;
	bytes = fuse_call_room(size);
	if (!bytes)
		bytes = own = malloc(size ? size : 1);
	if (!bytes || offset < 0) {
		reply(request, offset < 0 ? -EINVAL : -ENOMEM);
		return;
	}
	n = vfs_read(fs_of(request), ino, handle_of(request, info), bytes, size, (uint64_t)offset);
	if (n < 0)
		reply(request, (int)n);
	else
		fuse_reply_buf(request, bytes, (size_t)n);
}

/* The kernel says at which offset it takes the end to be: others may have written there. */
static int64_t append(struct vfs *fs, uint64_t ino, const char *bytes, size_t size, uint64_t offset)
{
	vfs_handle handle;
	int64_t n = vfs_open(fs, ino, VFS_WRITE | VFS_APPEND, &handle);

	if (n < 0)
		return n;
	n = vfs_write(fs, ino, handle, bytes, size, offset);
	vfs_release(fs, ino, handle);
	return n;
}

/* How much of what is to be appended stands where the client takes the end to be, by a server that died then:
 * to append all of it would be to append it twice. What others appended meanwhile makes it unknown: 0. */
static size_t appended(struct vfs *fs, uint64_t ino, const char *bytes, size_t size, uint64_t offset)
{
	_cleanup_free_ char *there = malloc(size);
	int64_t n = there ? vfs_read(fs, ino, VFS_NO_HANDLE, there, size, offset) : 0;

	return n > 0 && !memcmp(there, bytes, (size_t)n) ? (size_t)n : 0;
}

static int64_t write_some(fuse_req_t request, uint64_t ino, const char *bytes, size_t size, uint64_t offset,
	const struct fuse_file_info *info)
{
	struct vfs *fs = fs_of(request);
	bool appends = info->flags & O_APPEND;
	size_t done = appends && size && fuse_call_is_again() ? appended(fs, ino, bytes, size, offset) : 0;
	int64_t n = 0;

	if (done < size && appends && data_of(request)->no_open)
		n = append(fs, ino, bytes + done, size - done, offset + done);
	else if (done < size || !size)
		n = vfs_write(fs, ino, handle_of(request, info), bytes + done, size - done, offset + done);
	return n < 0 ? n : (int64_t)done + n;
}

static void on_write(fuse_req_t request, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
	struct fuse_file_info *info)
{
	int64_t n = offset < 0 ? -EINVAL : write_some(request, ino, bytes, size, (uint64_t)offset, info);

	if (n > 0)
		drop_privileges(request, ino);
	if (n < 0)
		reply(request, (int)n);
	else
		fuse_reply_write(request, (size_t)n);
}

static void on_fsync(fuse_req_t request, fuse_ino_t ino, int data_only, struct fuse_file_info *info)
{
	reply(request, vfs_fsync(fs_of(request), ino, handle_of(request, info), data_only));
}

static void on_fallocate(
	fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *info)
{
	unsigned ours = (mode & FALLOC_FL_KEEP_SIZE ? VFS_KEEP_SIZE : 0u) |
			(mode & FALLOC_FL_PUNCH_HOLE ? VFS_PUNCH_HOLE : 0u) |
			(mode & FALLOC_FL_ZERO_RANGE ? VFS_ZERO_RANGE : 0u);

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		reply(request, -EOPNOTSUPP);
	else if (offset < 0 || length <= 0)
		reply(request, -EINVAL);
	else
		reply(request, vfs_allocate(fs_of(request), ino, handle_of(request, info), ours,
				       (uint64_t)offset, (uint64_t)length));
}

static void on_lseek(
	fuse_req_t request, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *info)
{
	int64_t n = offset < 0 || (whence != SEEK_DATA && whence != SEEK_HOLE)
			    ? -EINVAL
			    : vfs_seek(fs_of(request), ino, handle_of(request, info), (uint64_t)offset,
				      whence == SEEK_DATA ? VFS_SEEK_DATA : VFS_SEEK_HOLE);

	if (n < 0)
		reply(request, (int)n);
	else
		fuse_reply_lseek(request, (off_t)n);
}

/* ---- directories ------------------------------------------------------------------------------------ */

static void on_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct vfs *fs = fs_of(request);
	int r;

	if (data_of(request)->no_open) {
		reply(request, -ENOSYS);
		return;
	}
	r = vfs_opendir(fs, ino, &info->fh);
	info->cache_readdir = info->keep_cache = data_of(request)->keep;
	if (r < 0)
		reply(request, r);
	else if (fuse_reply_open(request, info) < 0)
		vfs_releasedir(fs, ino, info->fh);
}

static void on_releasedir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	if (handle_of(request, info) != VFS_NO_HANDLE)
		vfs_releasedir(fs_of(request), ino, info->fh);
	reply(request, 0);
}

struct listing {
	fuse_req_t request;
	uint64_t directory;
	char *bytes;
	size_t room, size;
	bool plus;
};

static int take_entry(void *context, const struct vfs_entry *e)
{
	struct listing *l = context;
	struct fuse_entry_param p = {.attr = {.st_ino = e->ino, .st_mode = e->type}};
	char name[VFS_NAME_MAX + 1];
	size_t n;

	if (e->name_size > VFS_NAME_MAX)
		return 0;
	memcpy(name, e->name, e->name_size);
	name[e->name_size] = 0;
	if (l->plus && e->attributes)
		p = entry_of(l->request, l->directory, e->attributes);
	n = l->plus ? fuse_add_direntry_plus(
			      l->request, l->bytes + l->size, l->room - l->size, name, &p, (off_t)e->cookie)
		    : fuse_add_direntry(l->request, l->bytes + l->size, l->room - l->size, name, &p.attr,
			      (off_t)e->cookie);
	if (n > l->room - l->size)
		return 1;
	l->size += n;
	return 0;
}

static void list(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info, bool plus)
{
	struct listing l = {.request = request, .directory = ino, .plus = plus};
	_cleanup_free_ char *bytes = NULL;
	int r;

	l.room = size < DIRECTORY_BYTES_MAX ? size : DIRECTORY_BYTES_MAX;
	l.bytes = bytes = malloc(l.room ? l.room : 1);
	r = bytes ? vfs_readdir(fs_of(request), ino, handle_of(request, info), (uint64_t)offset, plus,
			    take_entry, &l)
		  : -ENOMEM;
	/* What was taken is looked up, and must arrive. */
	if (r < 0 && l.size == 0)
		reply(request, r);
	else
		fuse_reply_buf(request, bytes, l.size);
}

static void on_readdir(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	list(request, ino, size, offset, info, false);
}

static void on_readdirplus(
	fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *info)
{
	list(request, ino, size, offset, info, true);
}

static void on_fsyncdir(fuse_req_t request, fuse_ino_t ino, int data_only, struct fuse_file_info *info)
{
	(void)data_only;
	(void)info;
	reply(request, vfs_fsyncdir(fs_of(request), ino));
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static void on_statfs(fuse_req_t request, fuse_ino_t ino)
{
	struct vfs_statistics s;
	struct statvfs out;
	int r = vfs_statfs(fs_of(request), &s);

	(void)ino;
	if (r < 0) {
		reply(request, r);
		return;
	}
	out = (struct statvfs){.f_bsize = s.block_size,
		.f_frsize = s.block_size,
		.f_blocks = s.blocks,
		.f_bfree = s.free,
		.f_bavail = s.available,
		.f_files = s.files,
		.f_ffree = s.files_free,
		.f_favail = s.files_free,
		.f_namemax = s.name_max};
	fuse_reply_statfs(request, &out);
}

static void on_getxattr(fuse_req_t request, fuse_ino_t ino, const char *name, size_t size)
{
	_cleanup_free_ void *value = NULL;
	int64_t n;

	size = size < VFS_XATTR_VALUE_MAX ? size : VFS_XATTR_VALUE_MAX;
	value = malloc(size ? size : 1);
	n = value ? vfs_getxattr(fs_of(request), ino, name, value, size) : -ENOMEM;
	if (n == -ENODATA)
		fuse_tell_bare(data_of(request), ino);
	if (n < 0)
		reply(request, (int)n);
	else if (size == 0)
		fuse_reply_xattr(request, (size_t)n);
	else
		fuse_reply_buf(request, value, (size_t)n);
}

static void on_setxattr(
	fuse_req_t request, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	unsigned ours = (flags & 1 ? VFS_XATTR_CREATE : 0u) | (flags & 2 ? VFS_XATTR_REPLACE : 0u);

	reply(request, flags & ~3 ? -EINVAL : vfs_setxattr(fs_of(request), ino, name, value, size, ours));
}

static void on_listxattr(fuse_req_t request, fuse_ino_t ino, size_t size)
{
	_cleanup_free_ char *names = NULL;
	int64_t n;

	size = size < VFS_XATTR_VALUE_MAX ? size : VFS_XATTR_VALUE_MAX;
	names = malloc(size ? size : 1);
	n = names ? vfs_listxattr(fs_of(request), ino, names, size) : -ENOMEM;
	if (n < 0)
		reply(request, (int)n);
	else if (size == 0)
		fuse_reply_xattr(request, (size_t)n);
	else
		fuse_reply_buf(request, names, (size_t)n);
}

static void on_removexattr(fuse_req_t request, fuse_ino_t ino, const char *name)
{
	reply(request, vfs_removexattr(fs_of(request), ino, name));
}

/* Without flush: the kernel asks once at close(2), and never again, since what was written is the file
 * system's already. */
const struct fuse_lowlevel_ops fuse_requests = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_many,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.symlink = on_symlink,
	.link = on_link,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.create = on_create,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.fallocate = on_fallocate,
	.lseek = on_lseek,
	.opendir = on_opendir,
	.releasedir = on_releasedir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.fsyncdir = on_fsyncdir,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.setxattr = on_setxattr,
	.listxattr = on_listxattr,
	.removexattr = on_removexattr,
};
