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

/* ---- a directory and what is beside it ------------------------------------------------------------------
 */

struct place {
	char path[32];
	int outside, inside; /* the second is in the first, as "in" */
	struct vfs *fs;
};

static void place_serve(struct place *p, struct native_options options)
{
	struct error err;

	options.directory = p->inside;
	CHECK_OK(native_new(&options, &p->fs, &err));
}

static void place_open(struct place *p, struct native_options options)
{
	strcpy(p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->outside = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(mkdirat(p->outside, "in", 0755) == 0);
	p->inside = openat(p->outside, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->inside >= 0);
	place_serve(p, options);
}

static void place_close(struct place *p)
{
	struct error err;

	vfs_destroy(p->fs);
	close(p->inside);
	close(p->outside);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

static void put_file(int at, const char *name, const char *text)
{
	_cleanup_fd_ int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
}

static const char *xattr_of(const struct place *p, const char *name, const char *xattr)
{
	static char value[256];
	char path[256];
	ssize_t n;

	snprintf(path, sizeof path, "%s/in/%s", p->path, name);
	n = lgetxattr(path, xattr, value, sizeof value - 1);
	if (n < 0)
		return NULL;
	value[n] = '\0';
	return value;
}

static const char *override_of(const struct place *p, const char *name)
{
	return xattr_of(p, name, "user.containers.override_stat");
}

static uint32_t host_mode(const struct place *p, const char *name)
{
	struct stat s;

	CHECK(fstatat(p->inside, name, &s, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK_INT(s.st_uid, geteuid());
	return s.st_mode;
}

static struct vfs_attributes set(
	struct vfs *fs, uint64_t ino, unsigned what, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct vfs_attributes a = {.mode = mode, .uid = uid, .gid = gid};
	struct vfs_caller root = {0};

	CHECK_CALL(vfs_setattr(fs, &root, ino, VFS_NO_HANDLE, &a, what, &a));
	return a;
}

static uint64_t make(struct vfs *fs, const char *name, uint32_t mode, uint32_t uid)
{
	struct vfs_caller who = {.uid = uid, .gid = uid};
	struct vfs_attributes a;

	if (S_ISDIR(mode))
		CHECK_CALL(vfs_mkdir(fs, &who, VFS_ROOT, name, mode & 07777, &a));
	else
		CHECK_CALL(vfs_mknod(fs, &who, VFS_ROOT, name, mode, 5, 1, &a));
	CHECK_INT(a.mode, mode);
	CHECK_INT(a.uid, uid);
	return a.ino;
}

static void let_confirmations_expire(void)
{
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
}

/* ---- owners and modes -----------------------------------------------------------------------------------
 */

TEST(owners_and_modes_are_kept_as_podman_reads_them)
{
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE});
	f = make(p.fs, "file", S_IFREG | 04755, 1000);
	CHECK_TEXT(override_of(&p, "file"), "1000:1000:4755:file");
	make(p.fs, "directory", S_IFDIR | 01777, 0);
	CHECK_TEXT(override_of(&p, "directory"), "0:0:1777:dir");
	make(p.fs, "pipe", S_IFIFO | 0600, 0);
	CHECK_TEXT(override_of(&p, "pipe"), "0:0:0600:pipe");
	make(p.fs, "socket", S_IFSOCK | 0700, 3);
	CHECK_TEXT(override_of(&p, "socket"), "3:3:0700:socket");
	make(p.fs, "tty", S_IFCHR | 0666, 0);
	CHECK_TEXT(override_of(&p, "tty"), "0:0:0666:char-5-1");
	make(p.fs, "disk", S_IFBLK | 0660, 4294967294u);
	CHECK_TEXT(override_of(&p, "disk"), "4294967294:4294967294:0660:block-5-1");
	set(p.fs, f, VFS_SET_UID | VFS_SET_GID, 0, 0, 0);
	set(p.fs, f, VFS_SET_MODE, 0640, 0, 0);
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
	f = make(p.fs, "file", S_IFREG | 06777, 0);
	make(p.fs, "directory", S_IFDIR | 07777, 7);
	make(p.fs, "pipe", S_IFIFO | 06666, 0);
	make(p.fs, "tty", S_IFCHR | 04666, 0);
	umask(022);
	set(p.fs, f, VFS_SET_MODE, 07711, 0, 0);
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
	f = make(p.fs, "f", S_IFREG | 0644, 5);
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
	f = make(p.fs, "f", S_IFREG | 04755, 0);
	CHECK_CALL(vfs_setxattr(p.fs, f, "security.capability", "x", 1, 0));
	CHECK_INT(set(p.fs, f, VFS_SET_UID, 0, 9, 0).mode, S_IFREG | 0755);
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
	f = make(p.fs, "f", S_IFREG | 0, 0);
	vfs_put(p.fs, f, 0, "text");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "f").mode, S_IFREG);
	CHECK_INT(host_mode(&p, "f") & 0177, 0);
	d = make(p.fs, "d", S_IFDIR | 0, 0);
	vfs_make_text(p.fs, d, "g", "more");
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "d").mode, S_IFDIR);
	/* Read-only files stay so on the host, until who may write to them does. */
	f = make(p.fs, "r", S_IFREG | 0444, 0);
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
	f = make(p.fs, "f", S_IFREG | 04755, 5);
	CHECK_INT(set(p.fs, f, VFS_SET_UID | VFS_SET_GID, 0, 77, 78).uid, 5);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "f").gid, 6);
	CHECK(!(host_mode(&p, "f") & 07000));
	place_close(&p);
}

/* ---- file systems of the host that lack something -------------------------------------------------------
 */

static bool write_to(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* In namespaces of its own. */
static bool may_mount(void)
{
	char uids[64], gids[64];

	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	snprintf(uids, sizeof uids, "0 %u 1", geteuid());
	snprintf(gids, sizeof gids, "0 %u 1", getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_to("/proc/self/uid_map", uids) &&
	       write_to("/proc/self/setgroups", "deny") && write_to("/proc/self/gid_map", gids);
}

/* In a child that may mount: runs `body` with a file system of the type mounted on "mounted". */
static void with_mount(struct place *p, const char *type, void (*body)(struct place *p))
{
	char where[64];
	int status;
	pid_t child;

	snprintf(where, sizeof where, "%s/in/mounted", p->path);
	CHECK(mkdir(where, 0755) == 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (!may_mount())
			_exit(90);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("none", where, type, 0, NULL) < 0)
			_exit(91);
		body(p);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

#define EXPECT_INT(actual, expected) \
	do { \
		long long a_ = (long long)(actual), e_ = (long long)(expected); \
		if (a_ != e_) { \
			printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, a_, e_); \
			fflush(stdout); \
			_exit(1); \
		} \
	} while (0)

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
	a = set(fs, VFS_ROOT, VFS_SET_UID | VFS_SET_GID | VFS_SET_MODE, 04711, 5, 6);
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

/* ---- what host processes do meanwhile --------------------------------------------------------------------
 */

TEST(nothing_of_the_host_is_opened_but_files_and_directories)
{
	struct vfs_attributes a;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){.owners = geteuid() ? NATIVE_OVERRIDE : NATIVE_PLAIN});
	CHECK(mkfifoat(p.inside, "pipe", 0666) == 0);
	CHECK(symlinkat("pipe", p.inside, "link") == 0);
	CHECK(symlinkat("/etc", p.inside, "etc") == 0);
	CHECK(symlinkat("..", p.inside, "up") == 0);
	alarm(20); /* for the one that waits for a writer */
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "pipe", &a));
	CHECK_ERRNO(vfs_open(p.fs, a.ino, VFS_READ, &handle), ENXIO);
	CHECK_ERRNO(vfs_read(p.fs, a.ino, VFS_NO_HANDLE, &a, 1, 0), ENXIO);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "link", &a));
	CHECK_INT(a.mode & S_IFMT, S_IFLNK);
	CHECK_ERRNO(vfs_open(p.fs, a.ino, VFS_READ, &handle), ELOOP);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "etc", &a));
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "passwd", &a), ENOTDIR);
	CHECK_ERRNO(vfs_readdir(p.fs, a.ino, VFS_NO_HANDLE, 0, false, NULL, NULL), ENOTDIR);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "up", &a));
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "in", &a), ENOTDIR);
	alarm(0);
	place_close(&p);
}

struct race {
	struct place *p;
	_Atomic bool stop;
	unsigned swaps;
};

/* A directory becomes a link out of here, and one of the outside's own, and itself again. */
static void *swap_names(void *argument)
{
	struct race *race = argument;
	int in = race->p->inside, out = race->p->outside;

	while (!atomic_load(&race->stop)) {
		renameat2(in, "d", in, "link", RENAME_EXCHANGE);
		renameat2(in, "d", in, "link", RENAME_EXCHANGE);
		renameat2(in, "d", out, "secret", RENAME_EXCHANGE);
		renameat2(in, "d", out, "secret", RENAME_EXCHANGE);
		race->swaps++;
	}
	return NULL;
}

/* As guests do it: all by numbers and single names. */
static void use_names(struct vfs *fs, unsigned turn)
{
	struct vfs_caller root = {0};
	struct vfs_attributes d, a;
	vfs_handle handle;
	char name[32];

	snprintf(name, sizeof name, "made-%u", turn % 64);
	if (vfs_lookup(fs, VFS_ROOT, "d", &d) < 0)
		return;
	CHECK(vfs_lookup(fs, d.ino, "token", &a) < 0);
	if (vfs_create(fs, &root, d.ino, name, 0644, VFS_WRITE, &a, &handle) == 0) {
		vfs_write(fs, a.ino, handle, "x", 1, 0);
		vfs_release(fs, a.ino, handle);
		vfs_forget(fs, a.ino, 1);
	}
	if (vfs_mkdir(fs, &root, d.ino, "e", 0755, &a) == 0)
		vfs_forget(fs, a.ino, 1);
	vfs_rmdir(fs, d.ino, "e");
	vfs_unlink(fs, d.ino, name);
	vfs_forget(fs, d.ino, 1);
}

/* Through a link nothing may be seen or made. That a directory itself is moved is another matter: it is
 * followed for a second, so "secret" is swapped as a whole, and what it held stays in it. */
TEST(no_swap_of_names_leads_through_a_link)
{
	struct place p;
	struct race race = {.p = &p};
	pthread_t thread;
	uint64_t end;
	int other;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE, .descriptors = 4});
	CHECK(mkdirat(p.outside, "linked", 0755) == 0 && mkdirat(p.outside, "secret", 0755) == 0);
	CHECK(mkdirat(p.inside, "d", 0755) == 0 && symlinkat("../linked", p.inside, "link") == 0);
	CHECK(mkdirat(p.inside, "x", 0755) == 0);
	other = openat(p.outside, "linked", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(other, "token", "secret");
	CHECK(pthread_create(&thread, NULL, swap_names, &race) == 0);
	end = clock_monotonic() + MILLISECONDS(700);
	for (unsigned turn = 0; clock_monotonic() < end; turn++) {
		struct vfs_attributes a;

		use_names(p.fs, turn);
		for (int i = 0; i < 6; i++) { /* so that nothing is kept */
			char name[2] = {(char)('p' + i), 0};

			if (vfs_lookup(p.fs, VFS_ROOT, i ? name : "x", &a) == 0)
				vfs_forget(p.fs, a.ino, 1);
		}
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	CHECK(race.swaps > 100);
	/* All that ever was in there is what was put there. */
	CHECK(unlinkat(other, "token", 0) == 0);
	CHECK(unlinkat(p.outside, "linked", AT_REMOVEDIR) == 0);
	close(other);
	place_close(&p);
}

TEST(what_is_moved_out_is_out_of_reach_a_second_later)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_caller root = {0};
	struct vfs_attributes a, f;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){0});
	CHECK(mkdirat(p.inside, "d", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "d", &a));
	CHECK_CALL(vfs_mknod(p.fs, &root, a.ino, "f", S_IFREG | 0644, 0, 0, &f));
	CHECK_CALL(vfs_opendir(p.fs, a.ino, &handle));
	CHECK(renameat(p.inside, "d", p.outside, "d") == 0);
	let_confirmations_expire();
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "f", &f), ESTALE);
	CHECK_ERRNO(vfs_mkdir(p.fs, &root, a.ino, "e", 0755, &f), ESTALE);
	CHECK_ERRNO(vfs_getattr(p.fs, f.ino, VFS_NO_HANDLE, &f), ESTALE);
	CHECK_ERRNO(vfs_readdir(p.fs, a.ino, handle, 0, true, NULL, NULL), ESTALE);
	vfs_releasedir(p.fs, a.ino, handle);
	CHECK(renameat(p.outside, "d", p.inside, "back") == 0);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "back").ino, a.ino);
	CHECK_CALL(vfs_look(p.fs, a.ino, "f"));
	place_close(&p);
}

TEST(what_the_host_renames_is_followed_while_it_is_kept)
{
	struct vfs_attributes d, f;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	CHECK(mkdirat(p.inside, "d", 0755) == 0 && mkdirat(p.inside, "e", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "d", &d));
	f.ino = vfs_make_text(p.fs, d.ino, "f", "text");
	CHECK(renameat(p.inside, "d", p.inside, "e/moved") == 0);
	vfs_check_text(p.fs, f.ino, "text");
	let_confirmations_expire();
	CHECK_CALL(vfs_getattr(p.fs, d.ino, VFS_NO_HANDLE, &d)); /* which finds out where it is now */
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(p.fs, VFS_ROOT, name);
	}
	vfs_check_text(p.fs, f.ino, "text");
	/* Now without a descriptor: gone until it is seen again, with the same number then. */
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		vfs_attributes_of(p.fs, vfs_find(p.fs, VFS_ROOT, name).ino);
	}
	CHECK(renameat(p.inside, "e/moved", p.inside, "d") == 0);
	CHECK_ERRNO(vfs_getattr(p.fs, f.ino, VFS_NO_HANDLE, &f), ESTALE);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "d").ino, d.ino);
	vfs_check_text(p.fs, f.ino, "text");
	place_close(&p);
}

/* So many others that nothing that was kept is. */
static void forget_descriptors(struct vfs *fs)
{
	struct vfs_attributes a;

	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "other-%d", i);
		if (vfs_lookup(fs, VFS_ROOT, name, &a) < 0)
			vfs_make_file(fs, VFS_ROOT, name);
		CHECK_CALL(vfs_lookup(fs, VFS_ROOT, name, &a));
	}
}

TEST(a_file_with_two_names_is_found_by_the_one_that_is_left)
{
	struct vfs_attributes a, b;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	put_file(p.inside, "a", "text");
	CHECK(linkat(p.inside, "a", p.inside, "b", 0) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "b", &b));
	CHECK_INT(a.ino, b.ino);
	CHECK(unlinkat(p.inside, "b", 0) == 0);
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, a.ino, "text");
	CHECK(linkat(p.inside, "a", p.inside, "c", 0) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "c", &b));
	CHECK(unlinkat(p.inside, "a", 0) == 0);
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, a.ino, "text");
	CHECK(unlinkat(p.inside, "c", 0) == 0);
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_getattr(p.fs, a.ino, VFS_NO_HANDLE, &a), ESTALE);
	place_close(&p);
}

TEST(another_file_under_the_name_is_not_taken_for_it)
{
	struct vfs_attributes a;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	put_file(p.inside, "a", "text");
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK(renameat(p.inside, "a", p.outside, "a") == 0);
	put_file(p.inside, "a", "other");
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_read(p.fs, a.ino, VFS_NO_HANDLE, &a, 4, 0), ESTALE);
	CHECK(vfs_find(p.fs, VFS_ROOT, "a").ino != a.ino);
	place_close(&p);
}

TEST(directories_that_the_host_turns_around_make_no_circle)
{
	struct vfs_attributes a, b, c;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	CHECK(mkdirat(p.inside, "a", 0755) == 0 && mkdirat(p.inside, "a/b", 0755) == 0);
	CHECK(mkdirat(p.inside, "a/b/c", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK_CALL(vfs_lookup(p.fs, a.ino, "b", &b));
	CHECK_CALL(vfs_lookup(p.fs, b.ino, "c", &c));
	CHECK(renameat(p.inside, "a/b/c", p.inside, "c") == 0);
	CHECK(renameat(p.inside, "a", p.inside, "c/a") == 0);
	CHECK_INT(vfs_find(p.fs, c.ino, "a").ino, a.ino); /* c still is where it was, as far as we know */
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_getattr(p.fs, b.ino, VFS_NO_HANDLE, &b), ESTALE);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "c").ino, c.ino);
	CHECK_CALL(vfs_getattr(p.fs, b.ino, VFS_NO_HANDLE, &b));
	place_close(&p);
}

/* ---- many, deep, and for long ----------------------------------------------------------------------------
 */

TEST(a_depth_of_500_needs_no_500_descriptors)
{
	enum { DEPTH = 500 };
	static uint64_t inos[DEPTH];
	uint64_t parent = VFS_ROOT, file;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 16});
	for (int i = 0; i < DEPTH; i++)
		inos[i] = parent = vfs_make_directory(p.fs, parent, "a-name-of-some-length");
	file = vfs_make_text(p.fs, parent, "f", "text");
	for (int i = 0; i < 3 * DEPTH; i += 7) {
		CHECK_INT(vfs_attributes_of(p.fs, inos[i % DEPTH]).ino, inos[i % DEPTH]);
		CHECK_CALL(vfs_look(p.fs, inos[i * 31 % (DEPTH - 1)], "a-name-of-some-length"));
	}
	vfs_check_text(p.fs, file, "text");
	CHECK_CALL(vfs_rename(p.fs, VFS_ROOT, "a-name-of-some-length", VFS_ROOT, "b", 0));
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, file, "text");
	for (int i = 0; i < DEPTH; i++)
		vfs_forget(p.fs, inos[i], 1); /* from above: children keep them */
	vfs_check_text(p.fs, file, "text");
	place_close(&p);
}

static void make_many(int at, unsigned directories, unsigned files)
{
	char name[32];

	for (unsigned i = 0; i < directories; i++) {
		_cleanup_fd_ int d = -1;

		snprintf(name, sizeof name, "directory-%u", i);
		EXPECT(mkdirat(at, name, 0755) == 0);
		d = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (unsigned j = 0; j < files; j++) {
			snprintf(name, sizeof name, "file-%u", j);
			EXPECT(mknodat(d, name, S_IFREG | 0644, 0) == 0);
		}
	}
}

/* Every object stays looked up. */
static size_t walk(struct vfs *fs, uint64_t ino)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	size_t count = 0;

	vfs_list(fs, ino, VFS_NO_HANDLE, 0, true, 0, &listing);
	for (size_t i = 2; i < listing.count; i++) {
		EXPECT(listing.entries[i].attributes);
		count += 1 + (S_ISDIR(listing.entries[i].type) ? walk(fs, listing.entries[i].ino) : 0);
	}
	return count;
}

static size_t memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void know_many(struct place *p)
{
	enum { DIRECTORIES = 100, EACH = 1000 };
	struct native_options options = {0};
	struct vfs_attributes a;
	struct vfs *fs;
	char name[64];
	size_t before;

	snprintf(name, sizeof name, "%s/in/mounted", p->path);
	options.directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_many(options.directory, DIRECTORIES, EACH);
	EXPECT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64}) == 0);
	EXPECT(native_new(&options, &fs, NULL) == 0);
	before = memory_used();
	EXPECT(walk(fs, VFS_ROOT) == DIRECTORIES * (EACH + 1));
	EXPECT(memory_used() - before < DIRECTORIES * (EACH + 1) * 300);
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		snprintf(name, sizeof name, "directory-%u", i * 37 % 100);
		EXPECT(vfs_lookup(fs, VFS_ROOT, name, &a) == 0);
		EXPECT(vfs_lookup(fs, a.ino, "file-7", &a) == 0);
		EXPECT(vfs_write(fs, a.ino, VFS_NO_HANDLE, "x", 1, 0) == 1);
	}
	vfs_destroy(fs);
}

TEST(a_hundred_thousand_files_are_known_with_few_descriptors_and_little_memory)
{
	struct place p;

	place_open(&p, (struct native_options){0});
	with_mount(&p, "tmpfs", know_many);
	place_close(&p);
}

TEST(descriptors_that_others_hold_are_made_up_for)
{
	struct place p;
	int status;
	pid_t child;

	place_open(&p, (struct native_options){.descriptors = 400});
	make_many(p.inside, 1, 300);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct vfs_attributes a;
		vfs_handle handle;

		EXPECT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){40, 40}) == 0);
		EXPECT(walk(p.fs, VFS_ROOT) == 301);
		EXPECT(vfs_lookup(p.fs, VFS_ROOT, "directory-0", &a) == 0);
		EXPECT(vfs_lookup(p.fs, a.ino, "file-7", &a) == 0);
		for (int i = 0; i < 20; i++)
			EXPECT_INT(vfs_open(p.fs, a.ino, VFS_READ, &handle), 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	place_close(&p);
}

TEST(known_objects_have_a_limit_and_forgotten_ones_go)
{
	struct vfs_attributes a[60];
	char name[16];
	struct place p;

	place_open(&p, (struct native_options){.inodes = 50});
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "%d", i);
		put_file(p.inside, name, "");
		if (i < 49)
			CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, name, &a[i]));
		else
			CHECK_ERRNO(vfs_lookup(p.fs, VFS_ROOT, name, &a[i]), ENFILE);
	}
	vfs_forget(p.fs, a[0].ino, 1);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "59", &a[59]));
	CHECK_ERRNO(vfs_lookup(p.fs, VFS_ROOT, "0", &a[0]), ENFILE);
	place_close(&p);
}

TEST(open_files_have_a_limit)
{
	vfs_handle handle, last = VFS_NO_HANDLE;
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.opens = 3});
	f = vfs_make_file(p.fs, VFS_ROOT, "f");
	for (int i = 0; i < 3; i++)
		last = vfs_opened(p.fs, f, VFS_READ);
	CHECK_ERRNO(vfs_open(p.fs, f, VFS_READ, &handle), ENFILE);
	CHECK_ERRNO(vfs_opendir(p.fs, VFS_ROOT, &handle), ENFILE);
	vfs_release(p.fs, f, last);
	CHECK_CALL(vfs_opendir(p.fs, VFS_ROOT, &handle));
	place_close(&p);
}

/* ---- handles that last -----------------------------------------------------------------------------------
 */

struct remembered {
	struct native_identity object, parent;
	char name[VFS_NAME_MAX + 1];
};

struct memory {
	struct remembered rows[16];
	size_t count;
};

static bool is_same(const struct native_identity *a, const struct native_identity *b)
{
	return a->device == b->device && a->ino == b->ino && a->born == b->born;
}

static struct remembered *row_of(struct memory *m, const struct native_identity *object)
{
	size_t i = 0;

	while (i < m->count && !is_same(&m->rows[i].object, object))
		i++;
	return &m->rows[i];
}

static void remember(void *context, const struct native_identity *object,
	const struct native_identity *parent, const char *name)
{
	struct memory *m = context;
	struct remembered *row = row_of(m, object);

	m->count += row == &m->rows[m->count];
	*row = (struct remembered){.object = *object, .parent = *parent};
	strcpy(row->name, name);
}

static int recall(void *context, const struct native_identity *object, struct native_identity *parent,
	char name[VFS_NAME_MAX + 1])
{
	struct memory *m = context;
	struct remembered *row = row_of(m, object);

	if (row == &m->rows[m->count])
		return -ENOENT;
	*parent = row->parent;
	strcpy(name, row->name);
	return 0;
}

struct persistent {
	uint8_t bytes[VFS_PERSISTENT_MAX];
	size_t size;
};

static struct persistent persist(struct vfs *fs, uint64_t ino)
{
	struct persistent p;

	CHECK_CALL(vfs_persist(fs, ino, p.bytes, &p.size));
	return p;
}

TEST(persistent_handles_lead_back_in_another_process_by_the_index)
{
	struct memory memory = {0};
	struct native_options options = {.index = {.context = &memory, .store = remember, .load = recall}};
	struct persistent file, directory;
	struct vfs_attributes a;
	uint64_t d, e, f;
	struct place p;

	place_open(&p, options);
	d = vfs_make_directory(p.fs, VFS_ROOT, "d");
	e = vfs_make_directory(p.fs, d, "e");
	f = vfs_make_text(p.fs, e, "f", "text");
	file = persist(p.fs, f);
	directory = persist(p.fs, e);
	CHECK_CALL(vfs_rename(p.fs, VFS_ROOT, "d", VFS_ROOT, "moved", 0));
	CHECK_INT(persist(p.fs, f).size, file.size); /* by which the index learns of it */
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_CALL(vfs_resolve(p.fs, file.bytes, file.size, &a));
	vfs_check_text(p.fs, a.ino, "text");
	CHECK_CALL(vfs_resolve(p.fs, directory.bytes, directory.size, &a));
	CHECK_CALL(vfs_look(p.fs, a.ino, "f"));
	CHECK(unlinkat(p.inside, "moved/e/f", 0) == 0);
	put_file(p.inside, "moved/e/f", "other");
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	place_close(&p);
}

TEST(persistent_handles_lead_back_in_another_process_by_the_kernel)
{
	struct native_options options = {.kernel_handles = true};
	struct persistent directory, outside;
	struct vfs_attributes a, moved;
	struct place p;
	uint64_t d;

	place_open(&p, options);
	d = vfs_make_directory(p.fs, vfs_make_directory(p.fs, VFS_ROOT, "d"), "e");
	directory = persist(p.fs, d);
	outside = persist(p.fs, vfs_make_directory(p.fs, d, "x"));
	CHECK(renameat(p.inside, "d/e/x", p.outside, "x") == 0);
	CHECK(renameat(p.inside, "d", p.inside, "moved") == 0);
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_ERRNO(vfs_resolve(p.fs, outside.bytes, outside.size, &a), ESTALE);
	if (geteuid() == 0) {
		CHECK_CALL(vfs_resolve(p.fs, directory.bytes, directory.size, &a));
		CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "moved", &moved));
		CHECK_INT(vfs_find(p.fs, moved.ino, "e").ino, a.ino);
	} else {
		CHECK_ERRNO(vfs_resolve(p.fs, directory.bytes, directory.size, &a), ESTALE);
	}
	place_close(&p);
}

TEST(an_index_that_lies_leads_nowhere_else)
{
	static const char *names[] = {"..", ".", "", "a/b", "../secret", "link"};
	struct memory memory = {0};
	struct native_options options = {.index = {.context = &memory, .store = remember, .load = recall}};
	struct persistent file;
	struct vfs_attributes a;
	struct place p;

	place_open(&p, options);
	file = persist(p.fs, vfs_make_text(p.fs, VFS_ROOT, "f", "text"));
	CHECK(renameat(p.inside, "f", p.outside, "secret") == 0);
	CHECK(symlinkat("../secret", p.inside, "link") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		vfs_destroy(p.fs);
		place_serve(&p, options);
		strcpy(memory.rows[0].name, names[i]);
		CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	}
	/* One that leads in a circle. */
	memory.rows[0].parent = memory.rows[0].object;
	strcpy(memory.rows[0].name, "f");
	CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	place_close(&p);
}

TEST(forgotten_objects_are_remembered_up_to_a_limit)
{
	struct persistent handles[10];
	struct vfs_attributes a;
	struct place p;
	int found = 0;

	place_open(&p, (struct native_options){.remembered = 4});
	for (int i = 0; i < 10; i++) {
		char name[16];
		uint64_t ino;

		snprintf(name, sizeof name, "%d", i);
		ino = vfs_make_file(p.fs, VFS_ROOT, name);
		handles[i] = persist(p.fs, ino);
		vfs_forget(p.fs, ino, 1);
	}
	for (int i = 0; i < 10; i++)
		found += vfs_resolve(p.fs, handles[i].bytes, handles[i].size, &a) == 0;
	CHECK_INT(found, 4);
	place_close(&p);
}

/* ---- all at once -----------------------------------------------------------------------------------------
 */

#define WORKERS 4

struct worker {
	struct place *p;
	pthread_t thread;
	uint32_t random;
};

static uint32_t next_random(struct worker *w)
{
	w->random = w->random * 1664525 + 1013904223;
	return w->random >> 8;
}

static void work_on(struct worker *w, uint64_t directory, const char *name, const char *other)
{
	struct vfs *fs = w->p->fs;
	struct vfs_caller root = {0};
	struct vfs_attributes a, b;
	vfs_handle handle;
	char bytes[16];

	switch (next_random(w) % 10) {
	case 0:
		if (vfs_create(fs, &root, directory, name, 0640, VFS_READ | VFS_WRITE, &a, &handle) == 0) {
			vfs_write(fs, a.ino, handle, "text", 4, next_random(w) % 64);
			vfs_unlink(fs, directory, name);
			vfs_read(fs, a.ino, handle, bytes, sizeof bytes, 0);
			vfs_release(fs, a.ino, handle);
			vfs_forget(fs, a.ino, 1);
		}
		break;
	case 1:
		if (vfs_mkdir(fs, &root, directory, name, 0755, &a) == 0)
			vfs_forget(fs, a.ino, 1);
		break;
	case 2:
		if (vfs_mknod(fs, &root, directory, name, S_IFREG | 04755, 0, 0, &a) == 0)
			vfs_forget(fs, a.ino, 1);
		break;
	case 3:
		vfs_rename(fs, directory, name, VFS_ROOT, other, next_random(w) % 3);
		break;
	case 4:
		vfs_rename(fs, VFS_ROOT, name, directory, other, 0);
		break;
	case 5:
		vfs_unlink(fs, directory, name);
		break;
	case 6:
		vfs_rmdir(fs, directory, name);
		break;
	case 7:
		if (vfs_lookup(fs, directory, name, &a) == 0) {
			if (vfs_link(fs, a.ino, VFS_ROOT, other, &b) == 0)
				vfs_forget(fs, b.ino, 1);
			vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &a, VFS_SET_MODE | VFS_SET_UID, &b);
			vfs_write(fs, a.ino, VFS_NO_HANDLE, "more", 4, 0);
			vfs_persist(fs, a.ino, (uint8_t[VFS_PERSISTENT_MAX]){0}, &(size_t){0});
			vfs_forget(fs, a.ino, 1);
		}
		break;
	case 8:
		renameat(w->p->inside, name, w->p->inside, other);
		break;
	default:
		if (vfs_opendir(fs, directory, &handle) == 0) {
			_cleanup_listing_ struct vfs_listing l = {0};

			vfs_list(fs, directory, handle, 0, true, 0, &l);
			vfs_releasedir(fs, directory, handle);
			for (size_t i = 0; i < l.count; i++)
				if (l.entries[i].attributes)
					vfs_forget(fs, l.entries[i].ino, 1);
		}
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < 3000; i++) {
		char name[2] = {(char)('a' + next_random(w) % 8), 0},
		     other[2] = {(char)('a' + next_random(w) % 8), 0};
		struct vfs_attributes a;

		if (vfs_lookup(w->p->fs, VFS_ROOT, other, &a) < 0) {
			work_on(w, VFS_ROOT, name, other);
			continue;
		}
		if (S_ISDIR(a.mode))
			work_on(w, a.ino, name, other);
		vfs_forget(w->p->fs, a.ino, 1);
	}
	return NULL;
}

TEST(what_many_do_at_once_leaves_nothing_known_behind)
{
	struct worker workers[WORKERS];
	struct vfs_attributes a;
	struct native *fs;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 4, .remembered = 1});
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.p = &p, .random = (uint32_t)i};
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	/* One is remembered, unless who came last removed it, with the directories that lead to it. */
	CHECK_CALL(vfs_getattr(p.fs, VFS_ROOT, VFS_NO_HANDLE, &a));
	fs = native_of(p.fs);
	native_lock(fs);
	printf("# %zu known, %zu remembered, %zu and %zu descriptors\n", fs->count, fs->idle_count,
		fs->used_count, fs->orphan_count);
	CHECK(fs->idle_count <= 1);
	CHECK(fs->count <= (fs->idle_count ? 8 : 1));
	CHECK(fs->used_count + fs->orphan_count <= 4);
	for (uint32_t i = 0; i < fs->opens_size; i++)
		CHECK(!fs->opens[i]);
	native_unlock(fs);
	place_close(&p);
}
