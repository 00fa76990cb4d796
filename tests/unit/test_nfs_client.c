/* SPDX-License-Identifier: Apache-2.0 */
/* The NFS server as libnfs sees it, a client of others: what POSIX has, by paths, over TCP. */
#include <errno.h>
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "fsx.h"
#include "nfs3_service.h"
#include "test.h"

#define MANY  5000
#define LARGE (5u << 20)

static const struct nfs3_options options = {.export_stays = true}, once = {0};
static const struct nfs3_tcp_options defaults = {0};

static void cleanup_context(struct nfs_context **nfs)
{
	if (*nfs)
		nfs_destroy_context(*nfs);
}
#define _cleanup_context_ _cleanup_(cleanup_context)

/* A call of libnfs that must succeed. */
#define CHECK_NFS(call) \
	do { \
		long long r_ = (call); \
		if (r_ < 0) \
			test_fail(__FILE__, __LINE__, "%s: %lld %s", #call, r_, nfs_get_error(nfs)); \
	} while (0)

static int try_mount(const struct service *s, struct nfs_context **out)
{
	struct nfs_context *nfs = nfs_init_context();
	_cleanup_free_ char *text = text_format(NULL,
		"nfs://127.0.0.1%s?nfsport=%u&mountport=%u&auto-traverse-mounts=0&autoreconnect=0",
		SERVICE_EXPORT, s->port, s->port);
	struct nfs_url *url = nfs_parse_url_dir(nfs, text);
	int r;

	CHECK(url != NULL);
	r = nfs_mount(nfs, url->server, url->path);
	nfs_destroy_url(url);
	*out = nfs;
	return r;
}

static struct nfs_context *mounted(const struct service *s)
{
	struct nfs_context *nfs;

	if (try_mount(s, &nfs) < 0)
		test_fail(__FILE__, __LINE__, "mount: %s", nfs_get_error(nfs));
	return nfs;
}

static void make_file(struct nfs_context *nfs, const char *path)
{
	struct nfsfh *file;

	CHECK_NFS(nfs_creat(nfs, path, 0644, &file));
	CHECK_NFS(nfs_close(nfs, file));
}

TEST(libnfs_mounts_once)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL, *again = NULL;
	struct nfs_stat_64 a;

	service_open(&s, &once, &defaults);
	nfs = mounted(&s);
	CHECK_NFS(nfs_stat64(nfs, "/", &a));
	CHECK(S_ISDIR(a.nfs_mode));
	CHECK(try_mount(&s, &again) < 0);
}

TEST(libnfs_reads_what_it_wrote)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	_cleanup_free_ char *out = malloc(LARGE), *in = calloc(1, LARGE);
	struct nfs_stat_64 a;
	struct nfsfh *file;

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	CHECK_INT(nfs_get_readmax(nfs), VFS_IO_MAX);
	CHECK_INT(nfs_get_writemax(nfs), VFS_IO_MAX);
	for (uint32_t i = 0; i < LARGE; i++)
		out[i] = (char)(i * 2654435761u >> 24);
	CHECK_NFS(nfs_creat(nfs, "/large", 0600, &file));
	for (uint64_t at = 0; at < LARGE; at += VFS_IO_MAX)
		CHECK_INT(nfs_pwrite(nfs, file, at, VFS_IO_MAX, out + at), VFS_IO_MAX);
	CHECK_NFS(nfs_fsync(nfs, file));
	CHECK_NFS(nfs_close(nfs, file));
	CHECK_NFS(nfs_open(nfs, "/large", O_RDONLY, &file));
	for (uint64_t at = 0; at < LARGE; at += VFS_IO_MAX)
		CHECK_INT(nfs_pread(nfs, file, at, VFS_IO_MAX, in + at), VFS_IO_MAX);
	CHECK(!memcmp(in, out, LARGE));
	CHECK_INT(nfs_pread(nfs, file, LARGE - 3, 100, in), 3);
	CHECK_INT(nfs_pread(nfs, file, LARGE, 100, in), 0);
	CHECK_NFS(nfs_close(nfs, file));
	CHECK_NFS(nfs_truncate(nfs, "/large", 1234567));
	CHECK_NFS(nfs_stat64(nfs, "/large", &a));
	CHECK_INT(a.nfs_size, 1234567);
	CHECK_INT(a.nfs_mode & 07777, 0600);
}

TEST(libnfs_lists_5000_names)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	unsigned char seen[MANY] = {0};
	struct nfsdirent *e;
	struct nfsdir *d;
	size_t count = 0;
	char path[32];

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	CHECK_NFS(nfs_mkdir(nfs, "/many"));
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "/many/%d", i);
		make_file(nfs, path);
	}
	CHECK_NFS(nfs_opendir(nfs, "/many", &d));
	while ((e = nfs_readdir(nfs, d)) != NULL) {
		count++;
		if (e->name[0] == '.')
			continue;
		CHECK(S_ISREG(e->mode) || e->type == 1);
		CHECK(atoi(e->name) < MANY);
		seen[atoi(e->name)]++;
	}
	nfs_closedir(nfs, d);
	CHECK_INT(count, MANY + 2);
	for (int i = 0; i < MANY; i++)
		CHECK_INT(seen[i], 1);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "/many/%d", i);
		CHECK_NFS(nfs_unlink(nfs, path));
	}
	CHECK_NFS(nfs_rmdir(nfs, "/many"));
}

TEST(libnfs_makes_links_and_nodes)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	struct nfs_stat_64 a;
	char target[100];

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	CHECK_NFS(nfs_mkdir(nfs, "/d"));
	make_file(nfs, "/d/f");
	CHECK_NFS(nfs_symlink(nfs, "d/f", "/s"));
	CHECK_NFS(nfs_readlink(nfs, "/s", target, sizeof target));
	CHECK_TEXT(target, "d/f");
	CHECK_NFS(nfs_lstat64(nfs, "/s", &a));
	CHECK(S_ISLNK(a.nfs_mode));
	CHECK_NFS(nfs_stat64(nfs, "/s", &a));
	CHECK(S_ISREG(a.nfs_mode));
	CHECK_NFS(nfs_link(nfs, "/d/f", "/l"));
	CHECK_NFS(nfs_stat64(nfs, "/l", &a));
	CHECK_INT(a.nfs_nlink, 2);
	CHECK_NFS(nfs_mknod(nfs, "/fifo", S_IFIFO | 0640, 0));
	CHECK_NFS(nfs_stat64(nfs, "/fifo", &a));
	CHECK(S_ISFIFO(a.nfs_mode));
	CHECK_INT(nfs_link(nfs, "/d/f", "/l"), -EEXIST);
	CHECK_INT(nfs_rmdir(nfs, "/d"), -ENOTEMPTY);
	CHECK_INT(nfs_stat64(nfs, "/none", &a), -ENOENT);
}

TEST(libnfs_renames)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	struct nfs_stat_64 before, after;
	struct nfsfh *file;
	char bytes[4];

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	CHECK_NFS(nfs_mkdir(nfs, "/d"));
	CHECK_NFS(nfs_creat(nfs, "/f", 0644, &file));
	CHECK_INT(nfs_pwrite(nfs, file, 0, 4, "text"), 4);
	CHECK_NFS(nfs_stat64(nfs, "/f", &before));
	make_file(nfs, "/d/g");
	CHECK_NFS(nfs_rename(nfs, "/f", "/d/g"));
	CHECK_NFS(nfs_stat64(nfs, "/d/g", &after));
	CHECK_INT(after.nfs_ino, before.nfs_ino);
	CHECK_INT(nfs_stat64(nfs, "/f", &after), -ENOENT);
	/* What is open goes with it. */
	CHECK_INT(nfs_pread(nfs, file, 0, 4, bytes), 4);
	CHECK_NFS(nfs_close(nfs, file));
	CHECK_INT(nfs_rename(nfs, "/d", "/d/e"), -EINVAL);
}

TEST(libnfs_sets_attributes)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	struct timeval times[2] = {{1000, 5}, {2000, 999999}};
	struct nfs_stat_64 a;
	struct statvfs v;

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	make_file(nfs, "/f");
	CHECK_NFS(nfs_chmod(nfs, "/f", 0751));
	CHECK_NFS(nfs_chown(nfs, "/f", 7, 8));
	CHECK_NFS(nfs_utimes(nfs, "/f", times));
	CHECK_NFS(nfs_stat64(nfs, "/f", &a));
	CHECK_INT(a.nfs_mode & 07777, 0751);
	CHECK(a.nfs_uid == 7 && a.nfs_gid == 8);
	CHECK(a.nfs_atime == 1000 && a.nfs_atime_nsec == 5000);
	CHECK(a.nfs_mtime == 2000 && a.nfs_mtime_nsec == 999999000);
	CHECK_NFS(nfs_access(nfs, "/f", R_OK | W_OK | X_OK));
	CHECK_NFS(nfs_statvfs(nfs, "/", &v));
	CHECK(v.f_blocks > 0 && v.f_bavail <= v.f_blocks);
}

TEST(two_connections_see_one_file_system)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL, *other = NULL;
	struct nfsfh *file, *same;
	char bytes[8] = {0};

	service_open(&s, &options, &defaults);
	nfs = mounted(&s);
	other = mounted(&s);
	CHECK_NFS(nfs_creat(nfs, "/f", 0644, &file));
	CHECK_INT(nfs_pwrite(nfs, file, 0, 5, "first"), 5);
	CHECK_NFS(nfs_open(other, "/f", O_RDWR, &same));
	CHECK_INT(nfs_pread(other, same, 0, 8, bytes), 5);
	CHECK_TEXT(bytes, "first");
	CHECK_INT(nfs_pwrite(other, same, 0, 6, "second"), 6);
	CHECK_INT(nfs_pread(nfs, file, 0, 8, bytes), 6);
	CHECK_TEXT(bytes, "second");
	CHECK_NFS(nfs_unlink(nfs, "/f"));
	CHECK(nfs_pread(other, same, 0, 8, bytes) < 0); /* libnfs has an errno of its own for that */
	nfs_close(nfs, file);
	nfs_close(other, same);
}

/* ---- random operations on one file ------------------------------------------------------------------- */

struct file {
	struct nfs_context *nfs;
	struct nfsfh *file;
};

static int64_t on_size(void *context)
{
	struct file *f = context;
	struct nfs_stat_64 a;
	int r = nfs_fstat64(f->nfs, f->file, &a);

	return r < 0 ? r : (int64_t)a.nfs_size;
}

static int64_t on_read(void *context, void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return nfs_pread(f->nfs, f->file, offset, size, bytes);
}

static int64_t on_write(void *context, const void *bytes, size_t size, uint64_t offset)
{
	struct file *f = context;

	return nfs_pwrite(f->nfs, f->file, offset, size, bytes);
}

static int on_truncate(void *context, uint64_t size)
{
	struct file *f = context;

	return nfs_ftruncate(f->nfs, f->file, size);
}

static int on_sync(void *context)
{
	struct file *f = context;

	return nfs_fsync(f->nfs, f->file);
}

static int on_reopen(void *context)
{
	struct file *f = context;
	int r = nfs_close(f->nfs, f->file);

	return r < 0 ? r : nfs_open(f->nfs, "/file", O_RDWR, &f->file);
}

/* A file whose name another takes is gone with it, though it be open: this client does not hide it first. */
static int on_replace(void *context, const void *bytes, size_t size)
{
	struct file *f = context;
	struct nfsfh *file;
	int r = nfs_creat(f->nfs, "/file.new", 0644, &file), written = 0;

	if (r < 0)
		return r;
	if (size > 0)
		written = nfs_pwrite(f->nfs, file, 0, size, bytes);
	r = nfs_close(f->nfs, file);
	if (r == 0 && written != (int)size)
		r = written < 0 ? written : -EIO;
	if (r == 0)
		r = nfs_close(f->nfs, f->file);
	if (r == 0)
		r = nfs_rename(f->nfs, "/file.new", "/file");
	return r < 0 ? r : nfs_open(f->nfs, "/file", O_RDWR, &f->file);
}

TEST(libnfs_finds_a_file_as_a_plain_buffer_is_after_twenty_thousand_calls)
{
	_cleanup_service_ struct service s;
	_cleanup_context_ struct nfs_context *nfs = NULL;
	struct fsx_options o = {.operations = fsx_operations()};
	struct fsx_report report;
	struct file f;

	service_open(&s, &options, &defaults);
	f.nfs = nfs = mounted(&s);
	const struct fsx_target target = {.context = &f,
		.size = on_size,
		.read = on_read,
		.write = on_write,
		.truncate = on_truncate,
		.sync = on_sync,
		.reopen = on_reopen,
		.replace = on_replace};
	for (o.seed = 1; o.seed <= 3; o.seed++) {
		make_file(nfs, "/file");
		CHECK_NFS(nfs_open(nfs, "/file", O_RDWR, &f.file));
		if (!fsx_run(&target, &o, &report))
			test_fail(__FILE__, __LINE__, "%s", report.text);
		CHECK_NFS(nfs_close(nfs, f.file));
		CHECK_NFS(nfs_unlink(nfs, "/file"));
	}
}
