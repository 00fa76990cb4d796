/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system with names that stay as they are: what all promise, for everything else; and what a client
 * tries to get around it, on one in memory and on a directory of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "test.h"
#include "vfs/guard/guard.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/resume/resume.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_LARGE_XATTRS | \
		VFS_CAN_HOLES | VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE | VFS_CAN_COUNT | \
		VFS_CAN_HUGE)

/* As a project has them. */
static const char paths[] = "shop/monocore.yaml\0shop/.env\0shop/db/monocore.yaml\0shop/.monocore-id";

static struct error err;

static struct vfs *guarded(struct vfs *fs)
{
	struct vfs *out;

	CHECK_OK(guard_new(fs, paths, sizeof paths, &out, &err));
	return out;
}

static void run(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs *memory;

	CHECK_OK(memory_new(NULL, &memory, &err));
	fs = guarded(memory);
	promise(fs, CAN);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

/* ---- a project in a volume ------------------------------------------------------------------------------
 */

struct scene {
	struct vfs *fs;
	uint64_t shop, db, file, module, free; /* free: shop/app.py, which nobody guards */
};

static struct scene scene_in(struct vfs *plain)
{
	struct scene s = {.shop = vfs_make_directory(plain, VFS_ROOT, "shop")};

	s.db = vfs_make_directory(plain, s.shop, "db");
	s.file = vfs_make_text(plain, s.shop, "monocore.yaml", "sandboxes: {}\n");
	s.module = vfs_make_text(plain, s.db, "monocore.yaml", "sandboxes: {}\n");
	s.free = vfs_make_text(plain, s.shop, "app.py", "print(1)\n");
	s.fs = guarded(plain);
	return s;
}

static struct scene scene(void)
{
	struct vfs *memory;

	CHECK_OK(memory_new(NULL, &memory, &err));
	return scene_in(memory);
}

static int make(struct scene *s, uint64_t parent, const char *name, unsigned flags)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	int r = vfs_create(s->fs, &me, parent, name, 0644, flags, &a, &handle);

	if (r == 0)
		vfs_release(s->fs, a.ino, handle);
	return r;
}

static void check_nothing_changes(struct scene *s, uint64_t ino)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a = {.mode = 0777};
	vfs_handle handle;

	CHECK_ERRNO(vfs_open(s->fs, ino, VFS_WRITE, &handle), EROFS);
	CHECK_ERRNO(vfs_open(s->fs, ino, VFS_READ | VFS_TRUNCATE, &handle), EROFS);
	CHECK_ERRNO(vfs_write(s->fs, ino, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_allocate(s->fs, ino, VFS_NO_HANDLE, 0, 0, 100), EROFS);
	CHECK_ERRNO(vfs_setattr(s->fs, &me, ino, VFS_NO_HANDLE, &a, VFS_SET_MODE, &a), EROFS);
	CHECK_ERRNO(vfs_setattr(s->fs, &me, ino, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a), EROFS);
	CHECK_ERRNO(vfs_setattr(s->fs, &me, ino, VFS_NO_HANDLE, &a, VFS_SET_MTIME_NOW, &a), EROFS);
	CHECK_ERRNO(vfs_setxattr(s->fs, ino, "user.x", "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_removexattr(s->fs, ino, "user.x"), EROFS);
	CHECK_ERRNO(vfs_link(s->fs, ino, s->shop, "link", &a), EROFS);
	vfs_check_text(s->fs, ino, "sandboxes: {}\n");
}

TEST(guarded_files_are_read_and_nothing_of_them_is_changed)
{
	struct scene s = scene();
	vfs_handle handle;

	check_nothing_changes(&s, s.file);
	check_nothing_changes(&s, s.module);
	CHECK_CALL(vfs_open(s.fs, s.file, VFS_READ, &handle));
	vfs_release(s.fs, s.file, handle);
	vfs_destroy(s.fs);
}

TEST(guarded_names_are_neither_removed_nor_renamed_nor_replaced)
{
	struct scene s = scene();

	CHECK_ERRNO(vfs_unlink(s.fs, s.shop, "monocore.yaml"), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "monocore.yaml", VFS_ROOT, "away", 0), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "app.py", s.shop, "monocore.yaml", 0), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "app.py", s.shop, "monocore.yaml", VFS_EXCHANGE), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "monocore.yaml", s.shop, "app.py", VFS_EXCHANGE), EROFS);
	CHECK_ERRNO(make(&s, s.shop, "monocore.yaml", VFS_WRITE | VFS_TRUNCATE), EROFS);
	CHECK_ERRNO(make(&s, s.shop, "monocore.yaml", VFS_WRITE | VFS_EXCLUSIVE), EEXIST);
	CHECK_CALL(make(&s, s.shop, "monocore.yaml", VFS_READ));
	vfs_destroy(s.fs);
}

TEST(directories_on_the_way_to_guarded_names_stay_where_they_are)
{
	struct scene s = scene();
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	vfs_make_directory(s.fs, VFS_ROOT, "other");
	CHECK_ERRNO(vfs_rename(s.fs, VFS_ROOT, "shop", VFS_ROOT, "old", 0), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, VFS_ROOT, "other", VFS_ROOT, "shop", VFS_EXCHANGE), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "db", VFS_ROOT, "db", 0), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, VFS_ROOT, "other", s.shop, "db", 0), EROFS);
	CHECK_ERRNO(vfs_rmdir(s.fs, s.shop, "db"), EROFS);
	CHECK_ERRNO(vfs_mkdir(s.fs, &me, s.shop, "db", 0755, &a), EEXIST);
	CHECK_ERRNO(vfs_symlink(s.fs, &me, s.shop, "db", "/other", &a), EEXIST);
	vfs_destroy(s.fs);
}

TEST(names_that_are_not_there_yet_are_not_made)
{
	struct scene s = scene();
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	CHECK_ERRNO(make(&s, s.shop, ".env", VFS_WRITE), EROFS);
	CHECK_ERRNO(make(&s, s.shop, ".env", VFS_READ), EROFS);
	CHECK_ERRNO(make(&s, s.shop, ".monocore-id", VFS_WRITE | VFS_EXCLUSIVE), EROFS);
	CHECK_ERRNO(vfs_mkdir(s.fs, &me, s.shop, ".env", 0755, &a), EROFS);
	CHECK_ERRNO(vfs_symlink(s.fs, &me, s.shop, ".env", "app.py", &a), EROFS);
	CHECK_ERRNO(vfs_mknod(s.fs, &me, s.shop, ".env", S_IFREG | 0644, 0, 0, &a), EROFS);
	CHECK_ERRNO(vfs_link(s.fs, s.free, s.shop, ".env", &a), EROFS);
	CHECK_ERRNO(vfs_rename(s.fs, s.shop, "app.py", s.shop, ".env", 0), EROFS);
	CHECK_ERRNO(vfs_look(s.fs, s.shop, ".env"), ENOENT);
	vfs_destroy(s.fs);
}

TEST(a_way_that_is_not_there_yet_is_not_made)
{
	static const char deep[] = "a/b/c.env";
	struct vfs_caller me = vfs_me();
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct vfs_attributes a;
	struct vfs *memory;

	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK_OK(guard_new(memory, deep, sizeof deep, &fs, &err));
	vfs_make_directory(fs, VFS_ROOT, "other");
	CHECK_ERRNO(vfs_mkdir(fs, &me, VFS_ROOT, "a", 0755, &a), EROFS);
	CHECK_ERRNO(vfs_rename(fs, VFS_ROOT, "other", VFS_ROOT, "a", 0), EROFS);
}

TEST(everything_beside_guarded_names_changes_as_ever)
{
	struct scene s = scene();

	vfs_put(s.fs, s.free, 0, "other");
	CHECK_CALL(make(&s, s.shop, "monocore.yaml.new", VFS_WRITE | VFS_EXCLUSIVE));
	CHECK_CALL(make(&s, VFS_ROOT, "monocore.yaml", VFS_WRITE)); /* of no project */
	CHECK_CALL(make(&s, s.shop, "MONOCORE.YAML", VFS_WRITE));   /* another name, here */
	CHECK_CALL(vfs_rename(s.fs, s.shop, "app.py", VFS_ROOT, "app.py", 0));
	CHECK_CALL(vfs_unlink(s.fs, VFS_ROOT, "app.py"));
	vfs_destroy(s.fs);
}

TEST(a_guard_takes_paths_within_bounds_only)
{
	static const char *const wrong[] = {"..", "a/../b", ".", "a/."};
	char *many = calloc(1, GUARD_BYTES_MAX + 2);
	struct vfs *memory, *fs;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_OK(memory_new(NULL, &memory, &err));
		CHECK(guard_new(memory, wrong[i], strlen(wrong[i]) + 1, &fs, &err) == -ERROR_INVALID);
	}
	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK(guard_new(memory, "a", 1, &fs, &err) == -ERROR_INVALID); /* no NUL */
	CHECK(many != NULL);
	for (size_t i = 0; i < GUARD_BYTES_MAX; i += 2)
		many[i] = (char)('a' + i / 2 % 26);
	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK_OK(guard_new(memory, many, GUARD_BYTES_MAX, &fs, &err));
	vfs_destroy(fs);
	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK(guard_new(memory, many, GUARD_BYTES_MAX + 2, &fs, &err) == -ERROR_INVALID);
	memset(many, 0, GUARD_BYTES_MAX);
	for (unsigned i = 0; i < GUARD_NAMES_MAX; i++)
		snprintf(many + i * 8, 8, "%07u", i);
	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK(guard_new(memory, many, GUARD_NAMES_MAX * 8, &fs, &err) == -ERROR_LIMIT);
	free(many);
}

TEST(without_paths_nothing_stands_before_the_file_system)
{
	struct vfs *memory, *fs;

	CHECK_OK(memory_new(NULL, &memory, &err));
	CHECK_OK(guard_new(memory, NULL, 0, &fs, &err));
	CHECK(fs == memory);
	vfs_destroy(fs);
}

/* ---- on the host, which changes it meanwhile -------------------------------------------------------------
 */

static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static const char *in_folder(const char *name)
{
	static char path[2][512];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
	return path[turn];
}

static struct vfs *on_host(void)
{
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct native_options o = {.directory = fd};
	struct vfs *fs;

	CHECK_OK(native_new(&o, &fs, &err));
	return fs;
}

static struct scene host_scene(void)
{
	remove_folder();
	snprintf(folder, sizeof folder, "/tmp/mc-guard-XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(remove_folder);
	return scene_in(on_host());
}

static void write_on_host(const char *name, const char *text)
{
	_cleanup_fd_ int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void let_it_age(void)
{
	usleep((GUARD_AGE + MILLISECONDS(10)) / 1000);
}

TEST(a_hard_link_that_was_there_before_is_the_guarded_file)
{
	struct scene s = host_scene();
	uint64_t ino;

	CHECK(link(in_folder("shop/monocore.yaml"), in_folder("elsewhere")) == 0);
	ino = vfs_find(s.fs, VFS_ROOT, "elsewhere").ino;
	CHECK_INT(ino, s.file);
	check_nothing_changes(&s, ino);
	CHECK_ERRNO(make(&s, VFS_ROOT, "elsewhere", VFS_WRITE | VFS_TRUNCATE), EROFS);
	CHECK_CALL(vfs_unlink(s.fs, VFS_ROOT, "elsewhere")); /* the name is nobody's */
	vfs_destroy(s.fs);
}

TEST(a_file_that_the_host_replaces_is_guarded_when_a_client_has_found_it)
{
	struct scene s = host_scene();
	struct vfs_attributes a;

	CHECK_ERRNO(vfs_write(s.fs, s.file, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	write_on_host("shop/new", "sandboxes: {}\n");
	CHECK(rename(in_folder("shop/new"), in_folder("shop/monocore.yaml")) == 0);
	CHECK_CALL(vfs_lookup(s.fs, s.shop, "monocore.yaml", &a)); /* a moment later */
	CHECK(a.ino != s.file);
	check_nothing_changes(&s, a.ino);
	vfs_destroy(s.fs);
}

TEST(a_file_that_a_client_had_before_the_host_gave_it_the_name_is_guarded)
{
	struct scene s = host_scene();
	vfs_handle handle = vfs_opened(s.fs, s.free, VFS_WRITE);

	CHECK_CALL(vfs_write(s.fs, s.free, handle, "y", 1, 0));
	CHECK(rename(in_folder("shop/app.py"), in_folder("shop/.env")) == 0);
	let_it_age();
	CHECK_ERRNO(vfs_write(s.fs, s.free, handle, "x", 1, 0), EROFS);
	CHECK_ERRNO(vfs_write(s.fs, s.free, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	vfs_release(s.fs, s.free, handle);
	vfs_destroy(s.fs);
}

TEST(a_directory_that_the_host_replaces_is_guarded_in_its_place)
{
	struct scene s = host_scene();
	struct vfs_attributes a;
	uint64_t db;

	CHECK_ERRNO(vfs_unlink(s.fs, s.db, "monocore.yaml"), EROFS);
	CHECK(rename(in_folder("shop/db"), in_folder("shop/was")) == 0 &&
		mkdir(in_folder("shop/db"), 0755) == 0);
	let_it_age();
	CHECK_CALL(vfs_lookup(s.fs, s.shop, "db", &a));
	db = a.ino;
	CHECK_ERRNO(make(&s, db, "monocore.yaml", VFS_WRITE), EROFS);
	CHECK_CALL(vfs_unlink(s.fs, s.db, "monocore.yaml")); /* of "was" */
	vfs_destroy(s.fs);
}

/* A client may lie about what it has looked up. */
TEST(forgetting_too_often_opens_nothing)
{
	struct scene s = host_scene();
	struct vfs_attributes a;

	CHECK_ERRNO(vfs_write(s.fs, s.file, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	for (unsigned i = 0; i < 3; i++) {
		vfs_forget(s.fs, s.file, 1000);
		vfs_forget(s.fs, s.shop, 1000);
		CHECK(vfs_unlink(s.fs, s.shop, "monocore.yaml") < 0);
		CHECK_CALL(vfs_lookup(s.fs, VFS_ROOT, "shop", &a));
		CHECK_INT(a.ino, s.shop);
		CHECK_ERRNO(vfs_unlink(s.fs, s.shop, "monocore.yaml"), EROFS);
		CHECK_CALL(vfs_lookup(s.fs, s.shop, "monocore.yaml", &a));
		CHECK_ERRNO(vfs_write(s.fs, a.ino, VFS_NO_HANDLE, "x", 1, 0), EROFS);
		let_it_age();
	}
	vfs_destroy(s.fs);
}

TEST(a_client_that_takes_away_permissions_opens_nothing)
{
	struct scene s = host_scene();
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a = {.mode = 0};

	CHECK_CALL(vfs_setattr(s.fs, &me, s.db, VFS_NO_HANDLE, &a, VFS_SET_MODE, &a));
	let_it_age();
	CHECK_ERRNO(vfs_write(s.fs, s.module, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	a.mode = 0755;
	CHECK_CALL(vfs_setattr(s.fs, &me, s.db, VFS_NO_HANDLE, &a, VFS_SET_MODE, &a));
	CHECK_ERRNO(vfs_write(s.fs, s.module, VFS_NO_HANDLE, "x", 1, 0), EROFS);
	vfs_destroy(s.fs);
}

TEST(a_server_that_goes_on_for_another_guards_the_same)
{
	struct scene s = host_scene();
	struct vfs *next;
	struct scene after = s;

	vfs_destroy(s.fs);
	CHECK_OK(resume_new(on_host(), UINT64_MAX, &next, &err));
	after.fs = guarded(next);
	check_nothing_changes(&after, s.file);
	check_nothing_changes(&after, s.module);
	CHECK_ERRNO(make(&after, s.shop, ".env", VFS_WRITE), EROFS);
	CHECK_ERRNO(vfs_rename(after.fs, s.shop, "db", VFS_ROOT, "db", 0), EROFS);
	vfs_destroy(after.fs);
}

TEST(persistent_handles_of_guarded_files_change_nothing)
{
	struct scene s = host_scene();
	uint8_t bytes[VFS_PERSISTENT_MAX];
	struct vfs_attributes a;
	size_t size;

	CHECK_CALL(vfs_persist(s.fs, s.file, bytes, &size));
	CHECK_CALL(vfs_resolve(s.fs, bytes, size, &a));
	CHECK_INT(a.ino, s.file);
	check_nothing_changes(&s, a.ino);
	vfs_destroy(s.fs);
}

/* ---- case ------------------------------------------------------------------------------------------------
 */

static int folding_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out);

/* One in memory whose names in shop are the same in any case. */
struct folding {
	struct vfs vfs;
	struct vfs *memory;
	struct vfs_operations operations;
	uint64_t shop;
};

static struct folding folding;

static const char *lower(const char *name)
{
	static char out[VFS_NAME_MAX + 1];
	size_t n = strlen(name);

	for (size_t i = 0; i <= n; i++)
		out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	return strcmp(out, "monoco~1.yam") ? out : "monocore.yaml";
}

static int folding_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	(void)fs;
	return vfs_lookup(folding.memory, parent, lower(name), out);
}

static void folding_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	(void)fs;
	vfs_forget(folding.memory, ino, times);
}

static int folding_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	(void)fs;
	return vfs_mkdir(folding.memory, who, parent, lower(name), mode, out);
}

static int folding_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	(void)fs;
	return vfs_unlink(folding.memory, parent, lower(name));
}

static void folding_destroy(struct vfs *fs)
{
	(void)fs;
	vfs_destroy(folding.memory);
}

TEST(names_that_differ_in_case_alone_are_guarded_where_they_are_the_same)
{
	static const char *const same[] = {".ENV", ".Env", ".env.", ".env ", ".\xc3\xa9nv"};
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	struct scene s;
	struct vfs *fs;

	CHECK_OK(memory_new(NULL, &folding.memory, &err));
	s = (struct scene){.shop = vfs_make_directory(folding.memory, VFS_ROOT, "shop")};
	vfs_make_text(folding.memory, s.shop, "monocore.yaml", "");
	vfs_make_text(folding.memory, s.shop, "other", "");
	folding.operations = (struct vfs_operations){.name = "folding",
		.destroy = folding_destroy,
		.lookup = folding_lookup,
		.forget = folding_forget,
		.mkdir = folding_mkdir,
		.unlink = folding_unlink};
	folding.vfs.operations = &folding.operations;
	fs = guarded(&folding.vfs);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		CHECK_ERRNO(vfs_mkdir(fs, &me, s.shop, same[i], 0755, &a), EROFS);
	CHECK_ERRNO(vfs_unlink(fs, s.shop, "MonoCore.yaml"), EROFS);
	CHECK_ERRNO(vfs_unlink(fs, s.shop, "MONOCO~1.YAM"), EROFS);
	CHECK_CALL(vfs_unlink(fs, s.shop, "OTHER"));
	CHECK_CALL(vfs_mkdir(fs, &me, s.shop, "env", 0755, &a));
	vfs_destroy(fs);
}
