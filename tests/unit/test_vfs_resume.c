/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that goes on where another process was: what all promise, in front of one in memory; and the
 * numbers and open files of an earlier process, on a directory of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "test.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/resume/resume.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT | \
		VFS_CAN_HUGE)

static struct error err;

/* An unknown handle stands for the object (resume.h), so nothing is to be asked for here: the last tests show
 * what comes in their place. */
static bool is_given_up(vfs_promise *promise)
{
	return promise == promise_handles_never_given_out_are_refused ||
	       promise == promise_handles_do_what_they_were_opened_for;
}

static void run(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs *memory;

	if (is_given_up(promise))
		return;
	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK_OK(resume_new(memory, UINT64_MAX, &fs, &err));
	promise(fs, CAN);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

/* ---- after another process -------------------------------------------------------------------------------
 */

static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static void make_folder(void)
{
	remove_folder();
	snprintf(folder, sizeof folder, "/tmp/mc-resume-XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(remove_folder);
}

static const char *in_folder(const char *name)
{
	static char path[2][512];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
	return path[turn];
}

static struct vfs *first_process(void)
{
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct native_options o = {.directory = fd};
	struct vfs *fs;

	CHECK_OK(native_new(&o, &fs, &err));
	return fs;
}

static struct vfs *next_process(void)
{
	struct vfs *fs;

	CHECK_OK(resume_new(first_process(), UINT64_MAX, &fs, &err));
	return fs;
}

/* The number of a path of up to three names. */
static uint64_t number_of(struct vfs *fs, const char *a, const char *b, const char *c)
{
	const char *const names[] = {a, b, c};
	struct vfs_attributes s = {.ino = VFS_ROOT};

	for (size_t i = 0; i < 3 && names[i]; i++)
		CHECK_INT(vfs_lookup(fs, s.ino, names[i], &s), 0);
	return s.ino;
}

static void make_file(const char *name, const char *text)
{
	_cleanup_fd_ int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void make_tree(void)
{
	make_folder();
	CHECK(mkdir(in_folder("a"), 0755) == 0 && mkdir(in_folder("a/b"), 0755) == 0 &&
		mkdir(in_folder("c"), 0755) == 0);
	make_file("a/b/file", "contents");
	make_file("top", "top");
}

TEST(numbers_of_an_earlier_process_lead_to_the_same_objects)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t directory = number_of(old, "a", "b", NULL), file = number_of(old, "a", "b", "file");
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	vfs_destroy(old);
	fs = next_process();
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, file);
	CHECK_INT(s.size, 8);
	CHECK_INT(vfs_lookup(fs, directory, "file", &s), 0);
	CHECK_INT(s.ino, file);
	vfs_forget(fs, file, 1000);
	vfs_forget(fs, directory, 1000);
}

TEST(what_is_younger_than_the_earlier_process_only_has_the_number_of_what_that_knew)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t file = number_of(old, "a", "b", "file"), until = clock_realtime(), young;
	const struct timespec tick = {.tv_nsec = 30000000}; /* of the file system's clock */
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	nanosleep(&tick, NULL);
	make_file("young", "young");
	nanosleep(&tick, NULL);
	young = number_of(old, "young", NULL, NULL);
	CHECK_INT(vfs_getattr(old, young, VFS_NO_HANDLE, &s), 0);
	vfs_destroy(old);
	CHECK_OK(resume_new(first_process(), until, &fs, &err));
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	if (s.btime.seconds) /* else nobody can tell */
		CHECK_INT(vfs_getattr(fs, young, VFS_NO_HANDLE, &s), -ESTALE);
	CHECK_INT(number_of(fs, "young", NULL, NULL), (long long)young);
	CHECK_INT(vfs_getattr(fs, young, VFS_NO_HANDLE, &s), 0);
	vfs_forget(fs, young, 1);
	vfs_destroy(TAKE_PTR(fs));
	CHECK_OK(resume_new(first_process(), clock_realtime(), &fs, &err));
	CHECK_INT(vfs_getattr(fs, young, VFS_NO_HANDLE, &s), 0);
}

TEST(what_was_made_since_is_known_by_number_though_it_was_forgotten_once_too_often)
{
	const struct vfs_caller who = {0};
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;
	vfs_handle handle;

	make_tree();
	CHECK_OK(resume_new(first_process(), clock_realtime(), &fs, &err));
	nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
	CHECK_INT(vfs_create(fs, &who, VFS_ROOT, "made", 0644, VFS_READ | VFS_WRITE, &s, &handle), 0);
	vfs_release(fs, s.ino, handle);
	vfs_forget(fs, s.ino, 7); /* also of a file that is gone and had the number */
	CHECK_INT(vfs_write(fs, s.ino, VFS_NO_HANDLE, "x", 1, 0), 1);
	CHECK_INT(vfs_getattr(fs, s.ino, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.size, 1);
}

TEST(open_files_of_an_earlier_process_are_read_and_written)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t file = number_of(old, "a", "b", "file");
	_cleanup_vfs_ struct vfs *fs = NULL;
	vfs_handle handle;
	char text[16] = "";

	CHECK_INT(vfs_open(old, file, VFS_READ | VFS_WRITE, &handle), 0);
	vfs_destroy(old);
	fs = next_process();
	CHECK_INT(vfs_read(fs, file, handle, text, sizeof text, 0), 8);
	CHECK_TEXT(text, "contents");
	CHECK_INT(vfs_write(fs, file, handle, "C", 1, 0), 1);
	CHECK_INT(vfs_read(fs, file, handle, text, sizeof text, 0), 8);
	CHECK_TEXT(text, "Contents");
	vfs_release(fs, file, handle);
	CHECK_INT(vfs_fsync(fs, file, handle, false), 0);
}

TEST(open_files_of_an_earlier_process_are_not_taken_for_those_that_this_one_opens)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t file = number_of(old, "a", "b", "file");
	_cleanup_vfs_ struct vfs *fs = NULL;
	vfs_handle before[40], now[40];
	char text[16] = "";

	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		CHECK_INT(vfs_open(old, file, VFS_READ | VFS_WRITE, &before[i]), 0);
	vfs_destroy(old);
	fs = next_process();
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		CHECK_INT(vfs_open(fs, file, VFS_WRITE | VFS_APPEND, &now[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		CHECK_INT(vfs_write(fs, file, before[i], "C", 1, 0), 1);
		vfs_release(fs, file, before[i]);
	}
	CHECK_INT(vfs_write(fs, file, now[0], "!", 1, 0), 1);
	CHECK_INT(vfs_read(fs, file, VFS_NO_HANDLE, text, sizeof text, 0), 9);
	CHECK_TEXT(text, "Contents!");
	for (size_t i = 0; i < ARRAY_SIZE(now); i++)
		vfs_release(fs, file, now[i]);
}

static int count_names(void *context, const struct vfs_entry *e)
{
	(void)e;
	++*(unsigned *)context;
	return 0;
}

TEST(open_directories_of_an_earlier_process_are_listed)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t directory = number_of(old, "a", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;
	unsigned names = 0;
	vfs_handle handle;

	CHECK_INT(vfs_opendir(old, directory, &handle), 0);
	vfs_destroy(old);
	fs = next_process();
	CHECK_INT(vfs_readdir(fs, directory, handle, 0, false, count_names, &names), 0);
	CHECK_INT(names, 3);
}

TEST(two_unknown_directories_of_one_call_are_both_found)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t from = number_of(old, "a", "b", NULL), to = number_of(old, "c", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;

	vfs_destroy(old);
	fs = next_process();
	CHECK_INT(vfs_rename(fs, from, "file", to, "moved", 0), 0);
	CHECK(access(in_folder("c/moved"), F_OK) == 0);
}

TEST(what_was_moved_or_removed_meanwhile_is_found_or_stale)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t file = number_of(old, "a", "b", "file"), top = number_of(old, "top", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	vfs_destroy(old);
	CHECK(rename(in_folder("a/b/file"), in_folder("c/elsewhere")) == 0 && unlink(in_folder("top")) == 0);
	fs = next_process();
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(vfs_getattr(fs, top, VFS_NO_HANDLE, &s), -ESTALE);
	CHECK_INT(vfs_getattr(fs, 123456789012345, VFS_NO_HANDLE, &s), -ESTALE);
}

/* The tree has been walked, and is not walked again soon. */
static struct vfs *process_that_knows_the_tree(uint64_t top)
{
	struct vfs *fs = next_process();
	struct vfs_attributes s;

	CHECK_INT(vfs_getattr(fs, top, VFS_NO_HANDLE, &s), 0);
	return fs;
}

TEST(what_this_process_moves_is_found_where_it_is)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t b = number_of(old, "a", "b", NULL), c = number_of(old, "c", NULL, NULL),
		 file = number_of(old, "a", "b", "file"), top = number_of(old, "top", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	vfs_destroy(old);
	fs = process_that_knows_the_tree(top);
	CHECK_INT(vfs_rename(fs, b, "file", c, "moved", 0), 0);
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, file);
}

TEST(what_lies_in_a_directory_that_this_process_moves_is_found)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t c = number_of(old, "c", NULL, NULL), file = number_of(old, "a", "b", "file"),
		 top = number_of(old, "top", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	vfs_destroy(old);
	fs = process_that_knows_the_tree(top);
	CHECK_INT(vfs_rename(fs, VFS_ROOT, "a", c, "inner", 0), 0);
	CHECK_INT(vfs_rename(fs, VFS_ROOT, "c", VFS_ROOT, "outer", 0), 0);
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, file);
}

TEST(what_this_process_moves_into_a_directory_of_its_own_is_found)
{
	const struct vfs_caller who = {.uid = getuid(), .gid = getgid()};
	struct vfs *old = (make_tree(), first_process());
	uint64_t b = number_of(old, "a", "b", NULL), file = number_of(old, "a", "b", "file"),
		 top = number_of(old, "top", NULL, NULL);
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s, made;

	vfs_destroy(old);
	fs = process_that_knows_the_tree(top);
	CHECK_INT(vfs_mkdir(fs, &who, VFS_ROOT, "new", 0755, &made), 0);
	CHECK_INT(vfs_rename(fs, b, "file", made.ino, "moved", 0), 0);
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, file);
}

TEST(what_this_process_exchanges_is_found_both_ways)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t b = number_of(old, "a", "b", NULL), c = number_of(old, "c", NULL, NULL), file, other;
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	make_file("c/other", "other");
	file = number_of(old, "a", "b", "file");
	other = number_of(old, "c", "other", NULL);
	vfs_destroy(old);
	fs = process_that_knows_the_tree(b);
	CHECK_INT(vfs_rename(fs, b, "file", c, "other", VFS_EXCHANGE), 0);
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(vfs_getattr(fs, other, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, other);
}

TEST(a_name_of_several_is_enough)
{
	struct vfs *old = (make_tree(), first_process());
	uint64_t file = number_of(old, "a", "b", "file");
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes s;

	CHECK(link(in_folder("a/b/file"), in_folder("c/other")) == 0 && unlink(in_folder("a/b/file")) == 0);
	vfs_destroy(old);
	fs = next_process();
	CHECK_INT(vfs_getattr(fs, file, VFS_NO_HANDLE, &s), 0);
	CHECK_INT(s.ino, file);
}
