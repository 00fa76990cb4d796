/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "native_place.h"
#include "os/fs.h"
#include "vfs/native/native_parts.h"
#include "vfs_make.h"
#include "vfs_promises.h"

/* ---- what every file system promises ------------------------------------------------------------------- */

#define CAN_ALWAYS \
	(VFS_CAN_XATTRS | VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT)

static void run(vfs_promise *promise, struct native_options options, unsigned can)
{
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct vfs *fs;
	struct error err;

	CHECK(mkdtemp(path));
	options.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(options.directory >= 0);
	CHECK_OK(native_new(&options, &fs, &err));
	close(options.directory);
	promise(fs, CAN_ALWAYS | can);
	vfs_destroy(fs);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

static void run_override(vfs_promise *promise)
{
	struct native_options options = {.owners = NATIVE_OVERRIDE, .uid = geteuid(), .gid = getegid()};

	run(promise, options, VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED | VFS_CANNOT_OWN_LINKS);
}

static void run_plain(vfs_promise *promise)
{
	struct native_options options = {.owners = NATIVE_PLAIN, .descriptors = 16};

	run(promise, options, geteuid() == 0 ? VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED : 0);
}

#define X(name) \
	TEST(name) \
	{ \
		run_override(promise_##name); \
	} \
	TEST(name##_in_plain) \
	{ \
		run_plain(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

/* ---- owners and modes -----------------------------------------------------------------------------------
 */

TEST(owners_and_modes_are_kept_as_podman_reads_them)
{
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	f = place_make(p.fs, "file", S_IFREG | 04755, 1000);
	CHECK_TEXT(override_of(&p, "file"), "1000:1000:4755:file");
	place_make(p.fs, "directory", S_IFDIR | 01777, 0);
	CHECK_TEXT(override_of(&p, "directory"), "0:0:1777:dir");
	place_make(p.fs, "pipe", S_IFIFO | 0600, 0);
	CHECK_TEXT(override_of(&p, "pipe"), "0:0:0600:pipe");
	place_make(p.fs, "socket", S_IFSOCK | 0700, 3);
	CHECK_TEXT(override_of(&p, "socket"), "3:3:0700:socket");
	place_make(p.fs, "tty", S_IFCHR | 0666, 0);
	CHECK_TEXT(override_of(&p, "tty"), "0:0:0666:char-5-1");
	place_make(p.fs, "disk", S_IFBLK | 0660, 4294967294u);
	CHECK_TEXT(override_of(&p, "disk"), "4294967294:4294967294:0660:block-5-1");
	place_set(p.fs, f, VFS_SET_UID | VFS_SET_GID, 0, 0, 0);
	place_set(p.fs, f, VFS_SET_MODE, 0640, 0, 0);
	CHECK(!override_of(&p, "file")); /* nothing that the host's mode does not say */
	CHECK_INT(host_mode(&p, "file"), S_IFREG | 0640);
	place_close(&p);
}

TEST(nothing_privileged_reaches_the_host)
{
	static const char *names[] = {"file", "directory", "pipe", "tty"};
	char capability[20] = {0, 0, 0, 2}, list[4096];
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	umask(0);
	f = place_make(p.fs, "file", S_IFREG | 06777, 0);
	place_make(p.fs, "directory", S_IFDIR | 07777, 7);
	place_make(p.fs, "pipe", S_IFIFO | 06666, 0);
	place_make(p.fs, "tty", S_IFCHR | 04666, 0);
	umask(022);
	place_set(p.fs, f, VFS_SET_MODE, 07711, 0, 0);
	CHECK_CALL(vfs_setxattr(p.fs, f, "security.capability", capability, sizeof capability, 0));
	CHECK_CALL(vfs_setxattr(p.fs, f, "trusted.overlay.opaque", "y", 1, 0));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[256];
		ssize_t n;

		CHECK(!(host_mode(&p, names[i]) & 07000));
		CHECK(S_ISREG(host_mode(&p, names[i])) || i == 1);
		snprintf(path, sizeof path, "%s/in/%s", p.path, names[i]);
		n = llistxattr(path, list, sizeof list);
		for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
			CHECK(!strncmp(list + at, "user.", 5) || !strncmp(list + at, "system.", 7) ||
				!strcmp(list + at, "security.selinux"));
	}
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "file").mode, S_IFREG | 07711);
	CHECK_INT(vfs_getxattr(p.fs, f, "security.capability", list, sizeof list), sizeof capability);
	place_close(&p);
}

TEST(what_is_ours_is_hidden_and_what_kernels_heed_is_stored_elsewhere)
{
	char list[4096];
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	f = place_make(p.fs, "f", S_IFREG | 0644, 5);
	CHECK_CALL(vfs_setxattr(p.fs, f, "trusted.x", "1", 1, 0));
	CHECK_TEXT(xattr_of(&p, "f", "user.containers.override_trusted.x"), "1");
	CHECK_ERRNO(vfs_setxattr(p.fs, f, "user.containers.override_stat", "0:0:4755", 8, 0), EPERM);
	CHECK_ERRNO(vfs_removexattr(p.fs, f, "user.containers.override_stat"), EPERM);
	CHECK_ERRNO(vfs_getxattr(p.fs, f, "user.containers.override_stat", list, sizeof list), ENODATA);
	CHECK_ERRNO(vfs_setxattr(p.fs, f, "user.containers.override_trusted.x", "2", 1, 0), EPERM);
	CHECK_ERRNO(vfs_setxattr(p.fs, f, "system.posix_acl_access", "x", 1, 0), EOPNOTSUPP);
	CHECK_INT(vfs_listxattr(p.fs, f, list, sizeof list), sizeof "trusted.x");
	CHECK_TEXT(list, "trusted.x");
	CHECK_INT(vfs_listxattr(p.fs, f, list, 0), sizeof "trusted.x");
	CHECK_ERRNO(vfs_listxattr(p.fs, f, list, 3), ERANGE);
	place_close(&p);
}

TEST(a_change_of_owner_or_a_clearing_takes_capabilities)
{
	char value[8];
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	f = place_make(p.fs, "f", S_IFREG | 04755, 0);
	CHECK_CALL(vfs_setxattr(p.fs, f, "security.capability", "x", 1, 0));
	CHECK_INT(place_set(p.fs, f, VFS_SET_UID, 0, 9, 0).mode, S_IFREG | 0755);
	CHECK_ERRNO(vfs_getxattr(p.fs, f, "security.capability", value, sizeof value), ENODATA);
	place_close(&p);
}

TEST(files_of_the_host_are_shown_with_its_modes)
{
	struct vfs_attributes a;
	struct place p;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE, .uid = 11, .gid = 12});
	put_file(p.inside, "f", "text");
	CHECK(fchmodat(p.inside, "f", 0604, 0) == 0);
	a = vfs_find(p.fs, VFS_ROOT, "f");
	CHECK_INT(a.mode, S_IFREG | 0604);
	CHECK_INT(a.uid, 11);
	CHECK_INT(a.gid, 12);
	vfs_destroy(p.fs);
	place_serve(&p, (struct native_options){.owners = NATIVE_OVERRIDE, .host_ids = true, .uid = 11});
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "f").uid, geteuid());
	place_close(&p);
}

TEST(an_xattr_that_makes_no_sense_is_as_none)
{
	static const char *values[] = {"", "1", "1:2", "1:2:", "1:2:9", "a:2:0644", "1:2:0644x", "-1:0:0644",
		"4294967296:0:0644", "1:2:0644 ", ":1:2"};
	struct vfs_attributes a;
	char path[64];
	struct place p;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	put_file(p.inside, "f", "text");
	snprintf(path, sizeof path, "%s/in/f", p.path);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		CHECK(setxattr(path, "user.containers.override_stat", values[i], strlen(values[i]), 0) == 0);
		a = vfs_find(p.fs, VFS_ROOT, "f");
		CHECK_INT(a.mode, S_IFREG | 0644);
		CHECK_INT(a.uid, 0);
	}
	/* As older versions and others write it; a file with data is what it is. */
	CHECK(setxattr(path, "user.containers.override_stat", "7:8:104711", 10, 0) == 0);
	a = vfs_find(p.fs, VFS_ROOT, "f");
	CHECK_INT(a.mode, S_IFREG | 04711);
	CHECK_INT(a.uid, 7);
	CHECK_INT(a.gid, 8);
	place_close(&p);
}

TEST(what_the_client_makes_unreadable_is_still_served)
{
	struct place p;
	uint64_t f, d;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	f = place_make(p.fs, "f", S_IFREG | 0, 0);
	vfs_put(p.fs, f, 0, "text");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "f").mode, S_IFREG);
	CHECK_INT(host_mode(&p, "f") & 0177, 0);
	d = place_make(p.fs, "d", S_IFDIR | 0, 0);
	vfs_make_text(p.fs, d, "g", "more");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "d").mode, S_IFDIR);
	/* Read-only files stay so on the host, until who may write to them does. */
	f = place_make(p.fs, "r", S_IFREG | 0444, 0);
	CHECK_INT(host_mode(&p, "r"), S_IFREG | 0444);
	vfs_put(p.fs, f, 0, "text");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "r").mode, S_IFREG | 0444);
	CHECK_CALL(vfs_setxattr(p.fs, f, "user.a", "b", 1, 0));
	put_file(p.inside, "h", "text");
	CHECK(fchmodat(p.inside, "h", 0, 0) == 0);
	vfs_check_text(p.fs, vfs_find(p.fs, VFS_ROOT, "r").ino, "text");
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "h", &(struct vfs_attributes){0}));
	vfs_check_text(p.fs, vfs_find(p.fs, VFS_ROOT, "h").ino, "text");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "h").mode, S_IFREG);
	place_close(&p);
}

TEST(squashed_owners_are_one)
{
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_SQUASH, .uid = 5, .gid = 6});
	f = place_make(p.fs, "f", S_IFREG | 04755, 5);
	CHECK_INT(place_set(p.fs, f, VFS_SET_UID | VFS_SET_GID, 0, 77, 78).uid, 5);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "f").gid, 6);
	CHECK(!(host_mode(&p, "f") & 07000));
	place_close(&p);
}

/* ---- file systems of the host that lack something -------------------------------------------------------
 */

static void no_way_into_a_mount(struct place *p)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_attributes a;
	struct vfs *fs;
	struct native_options options = {.directory = open(p->path, O_RDONLY | O_DIRECTORY)};

	options.directory = openat(options.directory, "in", O_RDONLY | O_DIRECTORY);
	EXPECT(native_new(&options, &fs, NULL) == 0);
	EXPECT(vfs_lookup(fs, VFS_ROOT, "mounted", &a) == -EXDEV);
	vfs_list(fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &listing);
	EXPECT(vfs_listed(&listing, "mounted", NULL) == 1);
	vfs_destroy(fs);
	options.mounts = true;
	EXPECT(native_new(&options, &fs, NULL) == 0);
	EXPECT(vfs_lookup(fs, VFS_ROOT, "mounted", &a) == 0 && a.ino != VFS_ROOT);
	EXPECT(vfs_getattr(fs, a.ino, VFS_NO_HANDLE, &a) == 0 && S_ISDIR(a.mode));
	vfs_destroy(fs);
}

TEST(what_is_mounted_is_served_where_that_is_wanted_only)
{
	struct place p;

	place_open(&p, (struct native_options){0});
	with_mount(&p, "tmpfs", no_way_into_a_mount);
	place_close(&p);
}

static void no_owners(struct place *p)
{
	struct vfs_attributes a, values = {.uid = 5, .mode = 04755};
	struct vfs_caller root = {0}, other = {.uid = 5, .gid = 5};
	char where[64];
	struct vfs *fs;
	struct native_options options = {0};

	snprintf(where, sizeof where, "%s/in/mounted", p->path);
	options.directory = open(where, O_RDONLY | O_DIRECTORY);
	EXPECT(native_new(&options, &fs, NULL) == 0);
	EXPECT(vfs_mknod(fs, &other, VFS_ROOT, "f", S_IFREG | 0640, 0, 0, &a) == 0);
	EXPECT(a.uid == 0 && a.mode == (S_IFREG | 0640));
	EXPECT(vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &values, VFS_SET_UID, &a) == -EPERM);
	EXPECT(vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &values, VFS_SET_MODE, &a) == -EPERM);
	EXPECT(vfs_mknod(fs, &root, VFS_ROOT, "d", S_IFCHR | 0640, 1, 3, &a) == -EPERM);
	EXPECT(vfs_look(fs, VFS_ROOT, "d") == -ENOENT);
	EXPECT(vfs_mkdir(fs, &other, VFS_ROOT, "d", 0755, &a) == 0);
	vfs_destroy(fs);
	options.owners = NATIVE_SQUASH;
	EXPECT(native_new(&options, &fs, NULL) == 0);
	EXPECT(vfs_lookup(fs, VFS_ROOT, "f", &a) == 0);
	EXPECT(vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &values, VFS_SET_UID, &a) == 0 && a.uid == 0);
	EXPECT(vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &values, VFS_SET_MODE, &a) == 0);
	EXPECT(a.mode == (S_IFREG | 0755));
	vfs_destroy(fs);
}

TEST(without_user_xattrs_other_owners_are_refused_or_squashed)
{
	struct place p;

	place_open(&p, (struct native_options){0});
	with_mount(&p, "ramfs", no_owners);
	place_close(&p);
}

/* ---- one file --------------------------------------------------------------------------------------------
 */

static struct vfs *serve_file(const struct place *p, const char *name, bool read_only)
{
	_cleanup_fd_ int fd = openat(p->inside, name, O_PATH | O_CLOEXEC);
	const struct native_options o = {.directory = fd, .owners = NATIVE_OVERRIDE, .read_only = read_only};
	struct vfs *fs;
	struct error err;

	CHECK(fd >= 0);
	CHECK_OK(native_new(&o, &fs, &err));
	return fs;
}

static void write_root(struct vfs *fs, unsigned flags, const char *text)
{
	vfs_handle handle;

	CHECK_CALL(vfs_open(fs, VFS_ROOT, VFS_WRITE | flags, &handle));
	CHECK_INT(vfs_write(fs, VFS_ROOT, handle, text, strlen(text), 0), (int64_t)strlen(text));
	vfs_release(fs, VFS_ROOT, handle);
}

static void check_root(struct vfs *fs, const char *text)
{
	char bytes[64];
	int64_t n = vfs_read(fs, VFS_ROOT, VFS_NO_HANDLE, bytes, sizeof bytes, 0);

	CHECK_INT(n, (int64_t)strlen(text));
	CHECK(!memcmp(bytes, text, (size_t)n));
}

TEST(a_root_that_is_a_file_is_read_and_written_and_nothing_is_in_it)
{
	const struct vfs_caller root = {0};
	struct vfs_attributes a;
	struct vfs *fs;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){0});
	put_file(p.inside, "file", "as it was");
	fs = serve_file(&p, "file", false);
	CHECK_CALL(vfs_getattr(fs, VFS_ROOT, VFS_NO_HANDLE, &a));
	CHECK(S_ISREG(a.mode) && a.ino == VFS_ROOT && a.size == 9);
	check_root(fs, "as it was");
	write_root(fs, VFS_TRUNCATE, "new");
	write_root(fs, VFS_APPEND, "er");
	check_root(fs, "newer");
	a = place_set(fs, VFS_ROOT, VFS_SET_UID | VFS_SET_GID | VFS_SET_MODE, 04711, 5, 6);
	CHECK(a.mode == (S_IFREG | 04711) && a.uid == 5 && a.gid == 6);
	CHECK_TEXT(override_of(&p, "file"), "5:6:4711:file");
	CHECK_INT(host_mode(&p, "file"), S_IFREG | 0711);
	CHECK_ERRNO(vfs_lookup(fs, VFS_ROOT, "file", &a), ENOTDIR);
	CHECK_ERRNO(vfs_lookup(fs, VFS_ROOT, "..", &a), EINVAL);
	CHECK_ERRNO(vfs_opendir(fs, VFS_ROOT, &handle), ENOTDIR);
	CHECK_ERRNO(vfs_readdir(fs, VFS_ROOT, VFS_NO_HANDLE, 0, false, NULL, NULL), ENOTDIR);
	CHECK_ERRNO(vfs_mkdir(fs, &root, VFS_ROOT, "d", 0755, &a), ENOTDIR);
	CHECK_ERRNO(vfs_create(fs, &root, VFS_ROOT, "f", 0644, VFS_WRITE, &a, &handle), ENOTDIR);
	CHECK_ERRNO(vfs_symlink(fs, &root, VFS_ROOT, "s", "/etc", &a), ENOTDIR);
	CHECK_ERRNO(vfs_link(fs, VFS_ROOT, VFS_ROOT, "l", &a), ENOTDIR);
	CHECK_ERRNO(vfs_unlink(fs, VFS_ROOT, "file"), ENOTDIR);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "file", VFS_ROOT, "other", 0), ENOTDIR);
	CHECK_CALL(vfs_getattr(fs, VFS_ROOT, VFS_NO_HANDLE, &a));
	vfs_destroy(fs);
	place_close(&p);
}

TEST(a_root_that_is_a_file_stays_the_one_that_was_opened)
{
	const struct vfs_attributes values = {.size = 0};
	const struct vfs_caller root = {0};
	struct vfs_attributes a;
	struct vfs *fs, *same;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){0});
	put_file(p.inside, "file", "first");
	fs = serve_file(&p, "file", false);
	same = serve_file(&p, "file", true);
	put_file(p.inside, "file", "written"); /* into it */
	check_root(fs, "written");
	put_file(p.inside, "other", "another");
	CHECK(renameat(p.inside, "other", p.inside, "file") == 0);
	let_confirmations_expire();
	check_root(fs, "written");
	write_root(fs, 0, "W");
	check_root(same, "Written");
	CHECK_ERRNO(vfs_open(same, VFS_ROOT, VFS_WRITE, &handle), EROFS);
	CHECK_ERRNO(vfs_setattr(same, &root, VFS_ROOT, VFS_NO_HANDLE, &values, VFS_SET_SIZE, &a), EROFS);
	check_root(same, "Written");
	vfs_destroy(fs);
	vfs_destroy(same);
	place_close(&p);
}
