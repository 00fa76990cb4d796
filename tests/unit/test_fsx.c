/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twenty thousand random operations on one file, from three seeds, where the promises of vfs_promises.h do
 * not take them: by the kernel's calls through FUSE, with maps; behind a socket, while servers are killed; on
 * unions whose lower has the file. And that what fsx finds nothing in has been looked at: file systems that
 * lose something once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fsx_path.h"
#include "fsx_vfs.h"
#include "fuse_mount.h"
#include "os/fs.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/overlay/overlay.h"
#include "vfs/resume/resume.h"
#include "vfs_make.h"

#define OPERATIONS 20000u
#define SEEDS      3u
#define START      200000u

static struct error err;
static char start[START];

static void fill_start(void)
{
	for (size_t i = 0; i < sizeof start; i++)
		start[i] = (char)(i * 2654435761u >> 24);
}

/* ---- directories of this host ----------------------------------------------------------------------- */

struct place {
	char path[64];
	int lower, upper; /* directories in it */
	enum native_owners owners;
};

static int make_directory(const struct place *p, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", p->path, name);
	CHECK(mkdir(path, 0755) == 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void place_open(struct place *p, enum native_owners owners)
{
	_cleanup_fd_ int fd = -1;

	*p = (struct place){.path = "/tmp/monocore-test-XXXXXX", .owners = owners};
	CHECK(mkdtemp(p->path));
	p->lower = make_directory(p, "lower");
	p->upper = make_directory(p, "upper");
	CHECK(mkdirat(p->upper, "tree", 0755) == 0 && mkdirat(p->upper, "work", 0755) == 0);
	fd = openat(p->lower, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(write(fd, start, sizeof start), sizeof start);
}

static void place_close(struct place *p)
{
	close(p->lower);
	close(p->upper);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

static struct vfs *make_native(int directory, enum native_owners owners)
{
	const struct native_options options = {
		.directory = directory, .owners = owners, .uid = geteuid(), .gid = getegid()};
	struct vfs *fs = NULL;

	return native_new(&options, &fs, &err) < 0 ? NULL : fs;
}

static struct vfs *make_memory(void)
{
	const struct memory_options options = {.uid = geteuid(), .gid = getegid()};
	struct vfs *fs = NULL;

	return memory_new(&options, &fs, &err) < 0 ? NULL : fs;
}

/* With the file in its lower. The union is all that anybody knows of the layers, which end with the process.
 */
static struct vfs *make_union(struct vfs *lower, struct vfs *upper, uint64_t tree, uint64_t work)
{
	const struct overlay_layer layer = {lower, VFS_ROOT};
	const struct overlay_options options = {
		.lowers = &layer, .lower_count = 1, .upper = {upper, tree}, .work = work};
	struct vfs *fs = NULL;

	return overlay_new(&options, &fs, &err) < 0 ? NULL : fs;
}

/* ---- unions by their calls --------------------------------------------------------------------------- */

static void run_on_union(struct vfs *lower, struct vfs *upper, uint32_t seed)
{
	const struct fsx_options options = {
		.seed = seed, .operations = OPERATIONS, .start = start, .start_size = START};
	_cleanup_vfs_ struct vfs *fs = make_union(lower, upper, vfs_make_directory(upper, VFS_ROOT, "t"),
		vfs_make_directory(upper, VFS_ROOT, "w"));

	CHECK(fs != NULL);
	fsx_vfs(fs, "file", true, &options);
}

TEST(a_file_of_a_lower_in_memory_is_what_a_plain_buffer_is)
{
	fill_start();
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		_cleanup_vfs_ struct vfs *lower = make_memory(), *upper = make_memory();

		CHECK_INT(vfs_write(lower, vfs_make_file(lower, VFS_ROOT, "file"), VFS_NO_HANDLE, start,
				  START, 0),
			START);
		run_on_union(lower, upper, seed);
	}
}

TEST(a_file_of_a_lower_on_the_host_is_what_a_plain_buffer_is)
{
	fill_start();
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct place p;

		place_open(&p, seed == 1 ? NATIVE_PLAIN : NATIVE_OVERRIDE);
		{
			_cleanup_vfs_ struct vfs *lower = make_native(p.lower, p.owners),
						 *upper = make_native(p.upper, p.owners);

			run_on_union(lower, upper, seed);
		}
		place_close(&p);
	}
}

/* ---- through FUSE ------------------------------------------------------------------------------------- */

static struct vfs *serve_memory(const void *context, bool again)
{
	(void)context;
	(void)again;
	return make_memory();
}

static struct vfs *serve_native(const void *context, bool again)
{
	const struct place *p = context;
	struct vfs *fs = make_native(p->upper, p->owners), *resumed;

	if (!fs || !again)
		return fs;
	return resume_new(fs, &resumed, &err) < 0 ? NULL : resumed;
}

static struct vfs *serve_union(const void *context, bool again)
{
	const struct place *p = context;
	struct vfs *lower = make_native(p->lower, p->owners), *upper = make_native(p->upper, p->owners);
	struct vfs_attributes tree, work;

	(void)again;
	if (!lower || !upper || vfs_lookup(upper, VFS_ROOT, "tree", &tree) < 0 ||
		vfs_lookup(upper, VFS_ROOT, "work", &work) < 0)
		return NULL;
	return make_union(lower, upper, tree.ino, work.ino);
}

static void run_on_path(const char *directory, struct fsx_options options)
{
	struct fsx_report report;
	char path[128];

	snprintf(path, sizeof path, "%s/file", directory);
	if (!fsx_path(path, FSX_PATH_HOLES | FSX_PATH_MAPS, &options, &report))
		test_fail(__FILE__, __LINE__, "%s", report.text);
}

static void run_through_fuse(fuse_mount_make *make, const void *context, const struct fuse_options *fuse,
	struct fsx_options options)
{
	struct fuse_mount mount;

	fuse_mount_open(&mount, make, context, fuse);
	run_on_path(mount.path, options);
	fuse_mount_close(&mount);
}

TEST(a_file_through_fuse_is_what_a_plain_buffer_is)
{
	const struct fuse_options uncached = {0}, cached = {.cache = NANOSECONDS_PER_SECOND},
				  kept = {.cache = NANOSECONDS_PER_SECOND, .keep_contents = true},
				  *all[SEEDS] = {&uncached, &cached, &kept};

	for (uint32_t seed = 1; seed <= SEEDS; seed++)
		run_through_fuse(serve_memory, NULL, all[seed - 1],
			(struct fsx_options){.seed = seed, .operations = OPERATIONS});
}

TEST(a_file_of_a_lower_through_fuse_is_what_a_plain_buffer_is)
{
	const struct fuse_options fuse = {.cache = NANOSECONDS_PER_SECOND, .keep_contents = true};

	fill_start();
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct place p;

		place_open(&p, NATIVE_PLAIN);
		run_through_fuse(serve_union, &p, &fuse,
			(struct fsx_options){
				.seed = seed, .operations = OPERATIONS, .start = start, .start_size = START});
		place_close(&p);
	}
}

TEST(a_file_behind_a_socket_outlives_servers_that_are_killed)
{
	const struct fuse_options fuse = {.cache = NANOSECONDS_PER_SECOND};
	static const unsigned kills[SEEDS] = {0, 1000, 97};

	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct fuse_mount mount;
		struct place p;

		place_open(&p, NATIVE_OVERRIDE);
		fuse_mount_open_relayed(&mount, serve_native, &p, &fuse, kills[seed - 1]);
		run_on_path(mount.path, (struct fsx_options){.seed = seed, .operations = OPERATIONS});
		fuse_mount_close(&mount);
		place_close(&p);
	}
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
	_cleanup_vfs_ struct vfs *fs = make_memory();
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
	_cleanup_vfs_ struct vfs *fs = make_memory();

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
	struct vfs *fs = make_memory();

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
