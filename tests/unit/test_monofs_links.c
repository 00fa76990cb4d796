/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of several names are known when a tree is opened, from what the last opening has written down. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monofs/live.h"
#include "monofs/view.h"
#include "monofs_place.h"
#include "os/fs.h"
#include "vfs_make.h"

static const struct live_options by_hand = {.no_automatic = true};

struct tree {
	char path[256], links[300];
	const struct repository_secret *secret;
	struct repository *r;
	struct vfs *fs;
};

static void tree_open(struct tree *t)
{
	struct error err;

	CHECK_OK(repository_open(t->path, t->secret, false, NULL, &t->r, &err));
	CHECK_OK(live_new(t->r, &by_hand, &t->fs, &err));
}

static void tree_close(struct tree *t)
{
	vfs_destroy(t->fs);
	repository_close(t->r);
}

static struct object_id commit(struct tree *t)
{
	struct object_id id;
	struct error err;
	bool made;

	CHECK_OK(live_commit(t->fs, "somebody", "something", &id, &made, &err));
	return id;
}

static uint32_t names_of(struct vfs *fs, const char *directory, const char *name)
{
	uint64_t d = directory ? vfs_find(fs, VFS_ROOT, directory).ino : VFS_ROOT;

	return vfs_find(fs, d, name).links;
}

/* Many files, and three names of one in two directories. */
static void tree_make(struct tree *t, const struct repository_secret *secret, const char *name)
{
	const struct repository_new new = {.secret = secret, .weak = true};
	struct vfs_attributes a;
	struct error err;
	uint64_t d, e, f;

	*t = (struct tree){.secret = secret};
	monofs_path(monofs_place(), name, t->path);
	snprintf(t->links, sizeof t->links, "%s/known/links", t->path);
	CHECK_OK(repository_create(t->path, &new, &err));
	tree_open(t);
	d = vfs_make_directory(t->fs, VFS_ROOT, "d");
	e = vfs_make_directory(t->fs, VFS_ROOT, "e");
	f = vfs_make_text(t->fs, d, "b", "text");
	for (int i = 0; i < 200; i++) {
		char file[32];

		snprintf(file, sizeof file, "file-%d", i);
		vfs_forget(t->fs, vfs_make_file(t->fs, d, file), 1);
	}
	CHECK_CALL(vfs_link(t->fs, f, d, "c", &a));
	CHECK_CALL(vfs_link(t->fs, f, e, "a", &a));
	commit(t);
	tree_close(t);
}

static void check_three(struct tree *t)
{
	CHECK_INT(names_of(t->fs, "d", "b"), 3);
	CHECK_INT(names_of(t->fs, "d", "c"), 3);
	CHECK_INT(names_of(t->fs, "e", "a"), 3);
}

static void flip(const char *path, off_t at)
{
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	CHECK(fd >= 0);
	CHECK_INT(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	CHECK_INT(pwrite(fd, &byte, 1, at), 1);
}

static void go_through(const struct repository_secret *secret, const char *name)
{
	struct object_id id;
	struct vfs *view;
	struct stat s;
	struct error err;
	struct tree t;

	tree_make(&t, secret, name);
	tree_open(&t);
	check_three(&t);
	CHECK_INT(stat(t.links, &s), 0);
	id = commit(&t); /* as it is */
	CHECK_CALL(vfs_unlink(t.fs, vfs_find(t.fs, VFS_ROOT, "d").ino, "b"));
	commit(&t);
	tree_close(&t);
	/* The first name is another now. */
	tree_open(&t);
	CHECK_INT(names_of(t.fs, "d", "c"), 2);
	CHECK_INT(names_of(t.fs, "e", "a"), 2);
	CHECK_OK(view_new(t.r, &id, &view, &err));
	CHECK_INT(names_of(view, "d", "b"), 3);
	CHECK_INT(names_of(view, "e", "a"), 3);
	vfs_destroy(view);
	/* Both names move with their directory, and one with another. */
	CHECK_CALL(vfs_rename(t.fs, VFS_ROOT, "d", vfs_find(t.fs, VFS_ROOT, "e").ino, "f", 0));
	CHECK_CALL(vfs_rename(t.fs, VFS_ROOT, "e", VFS_ROOT, "g", 0));
	commit(&t);
	tree_close(&t);
	tree_open(&t);
	CHECK_INT(names_of(t.fs, "g", "a"), 2);
	tree_close(&t);
}

TEST(names_of_one_object_are_found_whatever_changed_since_the_last_opening)
{
	const struct repository_secret secret = {.passphrase = "open"};

	go_through(NULL, "a.monofs");
	go_through(&secret, "b.monofs");
}

TEST(what_was_written_down_of_them_may_be_damaged_or_lost)
{
	const struct repository_secret secret = {.passphrase = "open"};
	struct tree t[2];
	struct stat s;

	tree_make(&t[0], NULL, "c.monofs");
	tree_make(&t[1], &secret, "d.monofs");
	for (unsigned i = 0; i < 2; i++) {
		tree_open(&t[i]);
		tree_close(&t[i]);
		CHECK_INT(stat(t[i].links, &s), 0);
		for (off_t at = 0; at < s.st_size; at += 7) {
			flip(t[i].links, at);
			tree_open(&t[i]);
			check_three(&t[i]);
			tree_close(&t[i]);
		}
		CHECK_INT(truncate(t[i].links, 3), 0);
		tree_open(&t[i]);
		check_three(&t[i]);
		tree_close(&t[i]);
		CHECK_INT(unlink(t[i].links), 0);
		tree_open(&t[i]);
		check_three(&t[i]);
		tree_close(&t[i]);
		CHECK_INT(stat(t[i].links, &s), 0);
	}
}
