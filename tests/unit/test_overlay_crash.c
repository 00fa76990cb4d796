/* SPDX-License-Identifier: Apache-2.0 */
/* A union whose upper fails at any call, whose process dies at any, and that many use at once. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "overlay_layers.h"

/* ---- calls that fail, and crashes ------------------------------------------------------------------- */

/* One change of the union; each is done on layers of its own. It leaves the old or the new. */
struct change {
	const char *name;
	int (*make)(struct vfs *fs);
	/* The file's text, or NULL where the name is not there. */
	const char *path, *old, *new;
};

static int with(struct vfs *fs, const char *directory, uint64_t *ino)
{
	struct vfs_attributes a;
	int r = vfs_lookup(fs, VFS_ROOT, directory, &a);

	*ino = a.ino;
	return r;
}

static int do_write(struct vfs *fs)
{
	struct vfs_attributes a;
	uint64_t d;
	vfs_handle handle;
	int64_t r = with(fs, "d", &d);

	if (r == 0)
		r = vfs_lookup(fs, d, "f", &a);
	if (r == 0)
		r = vfs_open(fs, a.ino, VFS_WRITE | VFS_TRUNCATE, &handle);
	if (r == 0) {
		r = vfs_write(fs, a.ino, handle, "new", 3, 0);
		vfs_release(fs, a.ino, handle);
	}
	return r < 0 ? (int)r : 0;
}

/* As copy-up alone: the data stays. */
static int do_chmod(struct vfs *fs)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	uint64_t d;
	int r = with(fs, "d", &d);

	if (r == 0)
		r = vfs_lookup(fs, d, "f", &a);
	return r < 0 ? r
		     : vfs_setattr(fs, &me, a.ino, VFS_NO_HANDLE, &(struct vfs_attributes){.mode = 0640},
			       VFS_SET_MODE, &a);
}

static int do_unlink(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_unlink(fs, d, "f");
}

static int do_replace(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_rename(fs, VFS_ROOT, "g", d, "f", 0);
}

static int do_rename(struct vfs *fs)
{
	uint64_t d;
	int r = with(fs, "d", &d);

	return r < 0 ? r : vfs_rename(fs, d, "f", d, "x", 0);
}

static int do_rmdir(struct vfs *fs)
{
	return vfs_rmdir(fs, VFS_ROOT, "hollow");
}

static int do_mkdir(struct vfs *fs)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;

	return vfs_mkdir(fs, &me, VFS_ROOT, "gone", 0755, &a);
}

static int do_move_directory(struct vfs *fs)
{
	return vfs_rename(fs, VFS_ROOT, "own", VFS_ROOT, "hollow", 0);
}

static const struct change changes[] = {
	{"truncate and write", do_write, "d/f", "old", "new"},
	{"chmod", do_chmod, "d/f", "old", "old"},
	{"unlink", do_unlink, "d/f", "old", NULL},
	{"rename over", do_replace, "d/f", "old", "other"},
	{"rename away", do_rename, "d/f", "old", NULL},
	{"rename to", do_rename, "d/x", NULL, "old"},
	{"rmdir", do_rmdir, "hollow/secret", NULL, NULL},
	{"mkdir", do_mkdir, "gone/secret", NULL, NULL},
	{"move a directory", do_move_directory, "hollow/secret", NULL, NULL},
};

/* d/f (with a further name "l"), g, a directory "hollow" that is empty in the union and not in the lower, one
 * that is gone, and one of the upper. */
static void make_changeable(struct layers *l, enum overlay_form form)
{
	struct vfs_attributes a;
	uint64_t d, file;

	l->form = form;
	make_layers(l, 1);
	d = vfs_make_directory(l->lower[0], VFS_ROOT, "d");
	file = vfs_make_text(l->lower[0], d, "f", "old");
	CHECK_CALL(vfs_link(l->lower[0], file, VFS_ROOT, "l", &a));
	CHECK_CALL(vfs_setxattr(l->lower[0], file, "user.x", "y", 1, 0));
	vfs_make_text(l->lower[0], VFS_ROOT, "g", "other");
	vfs_make_text(l->lower[0], vfs_make_directory(l->lower[0], VFS_ROOT, "hollow"), "secret", "x");
	vfs_make_text(l->lower[0], vfs_make_directory(l->lower[0], VFS_ROOT, "gone"), "secret", "x");
	mount_layers(l);
	CHECK_CALL(vfs_unlink(l->fs, look_up(l->fs, VFS_ROOT, "hollow"), "secret"));
	CHECK_CALL(vfs_unlink(l->fs, look_up(l->fs, VFS_ROOT, "gone"), "secret"));
	CHECK_CALL(vfs_rmdir(l->fs, VFS_ROOT, "gone"));
	vfs_make_file(l->fs, vfs_make_directory(l->fs, VFS_ROOT, "own"), "mine");
	mount_layers(l);
}

/* Its text, into a buffer; false: not there. */
static bool read_path(struct vfs *fs, const char *path, char text[16])
{
	const char *slash = strchr(path, '/');
	char directory[16] = "";
	struct vfs_attributes a;
	int r;

	memcpy(directory, path, (size_t)(slash - path));
	r = vfs_lookup(fs, VFS_ROOT, directory, &a);
	if (r == 0)
		r = vfs_lookup(fs, a.ino, slash + 1, &a);
	if (r == -ENOENT)
		return false;
	CHECK_CALL(r);
	memset(text, 0, 16);
	CHECK_CALL(vfs_read(fs, a.ino, VFS_NO_HANDLE, text, 15, 0));
	return true;
}

static bool same_text(bool there, const char *text, const char *expected)
{
	return expected ? there && !strcmp(text, expected) : !there;
}

/* empty_too: a write that was cut off behind its truncation. */
static void check_change(struct layers *l, const struct change *c, unsigned at, bool done)
{
	char text[16] = "", linked[16];
	bool there = read_path(l->fs, c->path, text), truncated = c->make == do_write && !done;

	if ((done || !same_text(there, text, c->old)) && !same_text(there, text, c->new) &&
		!(truncated && same_text(there, text, "")))
		test_fail(__FILE__, __LINE__, "%s, call %u: %s is %s", c->name, at, c->path,
			there ? text : "not there");
	/* The other name has what that has, or what it had. */
	if (vfs_look(l->fs, VFS_ROOT, "l") == 0) {
		CHECK_INT(
			vfs_read(l->fs, look_up(l->fs, VFS_ROOT, "l"), VFS_NO_HANDLE, linked, 16, 0) >= 0, 1);
		if (c->make == do_write)
			CHECK(!memcmp(linked, text, strlen(text)));
	} else
		test_fail(__FILE__, __LINE__, "%s, call %u: the other name is lost", c->name, at);
}

/* Returns false where the change has fewer calls. */
static bool crash_at(const struct change *c, enum overlay_form form, unsigned at, bool dies)
{
	_cleanup_layers_ struct layers l = {0};
	bool reached, done;
	int r;

	make_changeable(&l, form);
	vfs_fault_at(l.fault, at, EIO, dies);
	r = c->make(l.fs);
	reached = vfs_fault_calls(l.fault) >= at;
	done = r == 0;
	if (!reached && !done)
		test_fail(__FILE__, __LINE__, "%s failed by itself: %s", c->name, strerror(-r));
	vfs_fault_at(l.fault, 0, 0, false);
	if (!dies) /* what goes on knows what is there */
		check_change(&l, c, at, done);
	mount_layers(&l);
	check_change(&l, c, at, done && !dies);
	check_names(l.upper, l.work, "index ");
	/* What was cut off can be done again. */
	if (!done) {
		r = c->make(l.fs);
		if (r < 0 && r != -ENOENT && r != -EEXIST)
			test_fail(__FILE__, __LINE__, "%s, call %u, again: %s", c->name, at, strerror(-r));
		check_change(&l, c, at, r == 0);
	}
	return reached;
}

static void crash_everywhere(enum overlay_form form, bool dies)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		unsigned at = 1;

		while (crash_at(&changes[i], form, at, dies))
			at++;
		CHECK(at > 3);
	}
}

TEST(a_crash_at_any_call_leaves_the_old_or_the_new)
{
	crash_everywhere(OVERLAY_OCI, true);
}

TEST(a_crash_at_any_call_leaves_the_old_or_the_new_with_devices_as_marks)
{
	crash_everywhere(OVERLAY_KERNEL, true);
}

TEST(any_call_that_fails_leaves_the_old_or_the_new)
{
	crash_everywhere(OVERLAY_OCI, false);
	crash_everywhere(OVERLAY_KERNEL, false);
}

TEST(any_call_that_fails_while_it_is_set_up_is_an_error)
{
	_cleanup_layers_ struct layers l = {0};
	struct error err;
	unsigned at = 0, calls;
	int r;

	make_linked(&l);
	/* The copy is found by the index only. */
	vfs_put(l.fs, look_up(l.fs, VFS_ROOT, "a"), 0, "new");
	CHECK_CALL(vfs_unlink(l.fs, VFS_ROOT, "a"));
	do {
		at++;
		vfs_fault_at(l.fault, at, EIO, false);
		r = try_mount(&l, &err);
		calls = vfs_fault_calls(l.fault);
		vfs_fault_at(l.fault, 0, 0, false);
		if (r == 0)
			vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "c"), "new");
	} while (calls >= at);
	mount_layers(&l);
	vfs_check_text(l.fs, look_up(l.fs, VFS_ROOT, "c"), "new");
	CHECK(at > 5);
}

/* ---- threads ---------------------------------------------------------------------------------------- */

#define THREADS 8

struct thread {
	pthread_t id;
	struct layers *l;
	uint64_t directory;
	int number;
	int failed;
};

static void run_threads(struct layers *l, uint64_t directory, void *(*main)(void *))
{
	struct thread threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){.l = l, .directory = directory, .number = i};
		CHECK_INT(pthread_create(&threads[i].id, NULL, main, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (int i = 0; i < THREADS; i++)
		CHECK_INT(threads[i].failed, 0);
}

/* Its own byte of every file, by one of the file's two names. */
static void *write_all(void *context)
{
	struct thread *t = context;
	struct vfs *fs = t->l->fs;
	char name[16];

	for (int i = 0; i < 50 && !t->failed; i++) {
		struct vfs_attributes a;
		int64_t r;

		snprintf(name, sizeof name, "%s%d", t->number % 2 ? "link" : "file", i);
		r = vfs_lookup(fs, t->directory, name, &a);
		if (r == 0) {
			r = vfs_write(
				fs, a.ino, VFS_NO_HANDLE, &"abcdefgh"[t->number], 1, (uint64_t)t -> number);
			vfs_forget(fs, a.ino, 1);
		}
		t->failed = r < 0 ? (int)r : 0;
	}
	return NULL;
}

TEST(a_file_that_many_change_at_once_is_copied_once)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes a;
	uint64_t d, e;
	char name[16];

	make_layers(&l, 1);
	d = vfs_make_directory(l.lower[0], VFS_ROOT, "d");
	e = vfs_make_directory(l.lower[0], d, "e");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "file%d", i);
		a.ino = vfs_make_text(l.lower[0], e, name, "--------lower");
		snprintf(name, sizeof name, "link%d", i);
		CHECK_CALL(vfs_link(l.lower[0], a.ino, e, name, &a));
	}
	mount_layers(&l);
	e = look_up(l.fs, look_up(l.fs, VFS_ROOT, "d"), "e");
	run_threads(&l, e, write_all);
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof name, "file%d", i);
			a = vfs_find(l.fs, e, name);
			CHECK_INT(a.links, 2);
			vfs_check_text(l.fs, look_up(l.fs, e, name), "abcdefghlower");
			snprintf(name, sizeof name, "link%d", i);
			CHECK_INT(vfs_find(l.fs, e, name).ino, a.ino);
		}
		check_names(l.upper, l.work, "index ");
		mount_layers(&l);
		e = look_up(l.fs, look_up(l.fs, VFS_ROOT, "d"), "e");
	}
}

static int take_some(void *context, const struct vfs_entry *entry)
{
	struct thread *t = context;

	if (entry->attributes)
		vfs_forget(t->l->fs, entry->ino, 1);
	return 0;
}

/* Anything at any place: no result is foreseen but that all goes on. */
static void *make_havoc(void *context)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	struct thread *t = context;
	struct vfs *fs = t->l->fs;
	struct vfs_caller me = vfs_me();
	uint32_t seed = (uint32_t)t->number * 77 + 1;

	for (int i = 0; i < 2000; i++) {
		const char *name, *other;
		struct vfs_attributes a, made;
		uint64_t parent = VFS_ROOT;

		seed = seed * 1103515245u + 12345;
		name = names[seed >> 16 & 3];
		other = names[seed >> 18 & 3];
		if (seed >> 20 & 1 && vfs_lookup(fs, VFS_ROOT, names[seed >> 21 & 3], &a) == 0)
			parent = a.ino;
		switch (seed >> 23 & 7) {
		case 0:
			if (vfs_mkdir(fs, &me, parent, name, 0755, &made) == 0)
				vfs_forget(fs, made.ino, 1);
			break;
		case 1:
			vfs_rmdir(fs, parent, name);
			break;
		case 2:
			vfs_unlink(fs, parent, name);
			break;
		case 3:
			vfs_rename(fs, parent, name, VFS_ROOT, other, seed >> 26 & 1 ? VFS_EXCHANGE : 0);
			break;
		case 4:
			vfs_readdir(fs, parent, VFS_NO_HANDLE, 0, seed >> 26 & 1, take_some, t);
			break;
		case 5:
			if (vfs_lookup(fs, parent, name, &made) == 0) {
				if (vfs_link(fs, made.ino, VFS_ROOT, other, &a) == 0)
					vfs_forget(fs, a.ino, 1);
				vfs_forget(fs, made.ino, 1);
			}
			break;
		default:
			if (vfs_lookup(fs, parent, name, &made) == 0) {
				vfs_write(fs, made.ino, VFS_NO_HANDLE, "x", 1, 0);
				vfs_getattr(fs, made.ino, VFS_NO_HANDLE, &a);
				vfs_forget(fs, made.ino, 1);
			} else if (vfs_mknod(fs, &me, parent, name, S_IFREG | 0644, 0, 0, &made) == 0)
				vfs_forget(fs, made.ino, 1);
		}
		if (parent != VFS_ROOT)
			vfs_forget(fs, parent, 1);
	}
	return NULL;
}

TEST(whatever_many_do_at_once_leaves_a_union)
{
	_cleanup_layers_ struct layers l = {0};
	struct vfs_attributes link;
	_cleanup_listing_ struct vfs_listing before = {0}, after = {0};

	make_layers(&l, 2);
	for (size_t i = 0; i < 2; i++) {
		uint64_t d = vfs_make_directory(l.lower[i], VFS_ROOT, "a");
		uint64_t file = vfs_make_text(l.lower[i], d, i ? "b" : "c", "text");

		CHECK_CALL(vfs_link(l.lower[i], file, d, "d", &link));
		CHECK_CALL(vfs_link(l.lower[i], file, VFS_ROOT, "c", &link));
	}
	mount_layers(&l);
	run_threads(&l, VFS_ROOT, make_havoc);
	check_names(l.upper, l.work, "index ");
	vfs_list(l.fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &before);
	mount_layers(&l);
	vfs_list(l.fs, VFS_ROOT, VFS_NO_HANDLE, 0, true, 0, &after);
	CHECK_INT(before.count, after.count);
	for (size_t i = 2; i < after.count; i++) {
		CHECK_TEXT(after.entries[i].name, before.entries[i].name);
		CHECK_INT(after.entries[i].values.mode, before.entries[i].values.mode);
		CHECK_INT(after.entries[i].values.links, before.entries[i].values.links);
		CHECK_INT(after.entries[i].values.size, before.entries[i].values.size);
	}
}
