/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twenty thousand random operations on one file, from three seeds, where the promises of vfs_promises.h do
 * not take them: by the kernel's calls through FUSE, with maps; behind a socket, while servers are killed; on
 * unions whose lower has the file. And that what fsx finds nothing in has been looked at: file systems that
 * lose something once.
 */
#include "base/cleanup.h"
#include "fsx_path.h"
#include "fsx_systems.h"
#include "fsx_vfs.h"
#include "fuse_mount.h"
#include "vfs_make.h"

#define OPERATIONS 20000u /* in which what is wrong must show: the first of them, mostly */
#define SEEDS      3u

static void run_all_seeds(const char *system)
{
	for (uint32_t seed = 1; seed <= SEEDS; seed++)
		fsx_on(system, seed, fsx_operations());
}

TEST(a_file_of_a_lower_in_memory_is_what_a_plain_buffer_is)
{
	run_all_seeds("union");
}

TEST(a_file_of_a_lower_on_the_host_is_what_a_plain_buffer_is)
{
	run_all_seeds("union of directories");
}

TEST(a_file_through_fuse_is_what_a_plain_buffer_is)
{
	run_all_seeds("fuse");
}

TEST(a_file_of_a_lower_through_fuse_is_what_a_plain_buffer_is)
{
	run_all_seeds("union of directories by fuse");
}

TEST(a_file_behind_a_socket_outlives_servers_that_are_killed)
{
	run_all_seeds("socket, with servers that are killed");
}

/* ---- file systems that do wrong now and then
 * ----------------------------------------------------------------- */

static const struct vfs_operations *right;
static unsigned calls;

/* One call in ten does wrong: what one alone spoils may be written over before anybody looks. */
static bool is_due(void)
{
	return ++calls % 10 == 0;
}

static int64_t loses_a_byte(
	struct vfs *fs, uint64_t ino, vfs_handle h, const void *bytes, size_t n, uint64_t at)
{
	if (n < 2 || !is_due())
		return right->write(fs, ino, h, bytes, n, at);
	n = (size_t)right->write(fs, ino, h, bytes, n - 1, at);
	return (int64_t)n + 1;
}

static int64_t moves_a_byte(
	struct vfs *fs, uint64_t ino, vfs_handle h, const void *bytes, size_t n, uint64_t at)
{
	return right->write(fs, ino, h, bytes, n, is_due() ? at + 1 : at);
}

static int loses_a_truncate(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle h,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	uint64_t size = values->size;
	int r;

	if (!is_due())
		return right->setattr(fs, who, ino, h, values, what, out);
	r = right->getattr(fs, ino, h, out);
	out->size = size;
	return r;
}

/* What was cut off is there again when the file grows. */
static int forgets_to_clear(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle h,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	uint64_t size = values->size, before;
	int r = right->getattr(fs, ino, h, out);

	before = out->size;
	if (r == 0)
		r = right->setattr(fs, who, ino, h, values, what, out);
	if (r == 0 && size > before && is_due())
		right->write(fs, ino, h, "x", 1, before);
	return r;
}

static int punches_nothing(
	struct vfs *fs, uint64_t ino, vfs_handle h, unsigned mode, uint64_t offset, uint64_t length)
{
	return mode & VFS_PUNCH_HOLE && is_due() ? 0 : right->allocate(fs, ino, h, mode, offset, length);
}

static int64_t sees_holes(struct vfs *fs, uint64_t ino, vfs_handle h, uint64_t offset, enum vfs_seek whence)
{
	int64_t n = right->seek(fs, ino, h, offset, whence);

	if (whence != VFS_SEEK_DATA || n < 0 || !is_due())
		return n;
	return right->seek(fs, ino, h, (uint64_t)n, VFS_SEEK_HOLE) - 1;
}

static int64_t reads_zeros(struct vfs *fs, uint64_t ino, vfs_handle h, void *bytes, size_t n, uint64_t at)
{
	int64_t r = right->read(fs, ino, h, bytes, n, at);

	if (r > 0 && is_due())
		memset(bytes, 0, (size_t)r / 2 + 1);
	return r;
}

static int loses_a_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	return is_due() ? 0 : right->rename(fs, from, name, to, new_name, flags);
}

/* Of the file that is opened: the first byte. */
static int spoils_what_it_opens(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *h)
{
	if (is_due())
		right->write(fs, ino, VFS_NO_HANDLE, "", 1, 0);
	return right->open(fs, ino, flags, h);
}

static void finds(struct vfs_operations wrong, uint32_t seed)
{
	const struct fsx_options options = {.seed = seed, .operations = OPERATIONS};
	_cleanup_vfs_ struct vfs *fs = fsx_new_memory();
	struct fsx_report report;
	char told[64];
	bool good;

	calls = 0;
	fs->operations = &wrong;
	good = fsx_vfs_finds_nothing(fs, "file", true, &options, &report);
	fs->operations = right;
	CHECK(!good);
	snprintf(told, sizeof told, "seed %u, operation %u; the last ones:\n#  ", seed, report.done);
	CHECK(strstr(report.text, told));
}

static struct vfs_operations as_it_is(void)
{
	_cleanup_vfs_ struct vfs *fs = fsx_new_memory();

	right = fs->operations;
	return *right;
}

#define FINDS(member, broken) \
	TEST(fsx_finds_a_file_system_that_##broken) \
	{ \
		struct vfs_operations wrong = as_it_is(); \
		wrong.member = broken; \
		for (uint32_t seed = 1; seed <= SEEDS; seed++) \
			finds(wrong, seed); \
	}
FINDS(write, loses_a_byte)
FINDS(write, moves_a_byte)
FINDS(setattr, loses_a_truncate)
FINDS(setattr, forgets_to_clear)
FINDS(allocate, punches_nothing)
FINDS(seek, sees_holes)
FINDS(read, reads_zeros)
FINDS(open, spoils_what_it_opens)
FINDS(rename, loses_a_rename)

/* The kernel has the byte in its cache until the file is opened again. */
static struct vfs *serve_what_loses_a_byte(const void *context, bool again)
{
	static struct vfs_operations wrong;
	struct vfs *fs = fsx_new_memory();

	(void)context;
	(void)again;
	wrong = as_it_is();
	wrong.write = loses_a_byte;
	fs->operations = &wrong;
	return fs;
}

TEST(fsx_finds_through_fuse_what_a_server_has_lost)
{
	const struct fsx_options options = {.seed = 7, .operations = OPERATIONS};
	const struct fuse_options fuse = {0};
	struct fsx_report report;
	struct fuse_mount mount;
	char path[128];
	bool good;

	fuse_mount_open(&mount, serve_what_loses_a_byte, NULL, &fuse);
	snprintf(path, sizeof path, "%s/file", mount.path);
	good = fsx_path(path, FSX_PATH_HOLES | FSX_PATH_MAPS, &options, &report);
	fuse_mount_close(&mount);
	CHECK(!good);
	CHECK(strstr(report.text, "seed 7, operation "));
}
