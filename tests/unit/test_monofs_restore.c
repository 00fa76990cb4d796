/* SPDX-License-Identifier: Apache-2.0 */
/* Trees are written out: into the target alone, whatever they say; and made the same. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs_scene.h"
#include "os/fs.h"
#include "test.h"

#define DIRECTORY ENTRY_DIRECTORY
#define FILE_     ENTRY_FILE
#define TREE(s, ...) \
	scene_tree(s, (const struct scene_item[]){__VA_ARGS__}, \
		sizeof((const struct scene_item[]){__VA_ARGS__}) / sizeof(struct scene_item))

static struct error err;
static unsigned left_out;

static void skipped(void *context, const char *path, const char *why)
{
	(void)context;
	(void)path;
	(void)why;
	left_out++;
}

static struct restore_result restore(struct scene *s, struct object_id commit, struct restore_options o)
{
	struct restore_result result;

	left_out = 0;
	CHECK_OK(restore_directory(s->r, &commit, s->target, &o, &result, &err));
	return result;
}

static const char *target(struct scene *s, const char *path)
{
	static char out[4][600];
	static unsigned at;
	char *to = out[at++ % 4];

	snprintf(to, sizeof out[0], "%s/%s", s->target, path);
	return to;
}

static void check_text(const char *path, const char *text)
{
	_cleanup_buffer_ struct buffer bytes = {0};

	CHECK_OK(fs_read_file(AT_FDCWD, path, 1000, &bytes, &err));
	CHECK(bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0);
}

TEST(a_target_that_is_not_empty_is_left_alone)
{
	struct scene *s = scene_new(false);
	struct object_id c = TREE(s, {"a", FILE_, "1"});
	struct restore_options o = {0};
	struct restore_result result;

	CHECK(mkdir(s->target, 0755) == 0 && mkdir(target(s, "x"), 0755) == 0);
	CHECK_ERROR(restore_directory(s->r, &c, s->target, &o, &result, &err), ERROR_EXISTS);
	CHECK(access(target(s, "a"), F_OK) < 0);
	CHECK_ERROR(
		restore_directory(s->r, &c, s->target, &(struct restore_options){.path = "b"}, &result, &err),
		ERROR_NOT_FOUND);
	scene_free(s);
}

TEST(a_part_of_a_tree_is_written_with_files_whose_first_names_lie_outside)
{
	struct scene *s = scene_new(false);
	struct object_id c = TREE(s, {"a", FILE_, "one", 1}, {"d", DIRECTORY}, {"d/b", ENTRY_LINK, "a", 1},
		{"d/c", ENTRY_LINK, "a", 1}, {"d/e", FILE_, "two", 2}, {"d/f", ENTRY_LINK, "d/e", 2});
	struct stat b, same;

	CHECK_INT(restore(s, c, (struct restore_options){.path = "d"}).files, 2);
	check_text(target(s, "b"), "one");
	CHECK(stat(target(s, "b"), &b) == 0 && stat(target(s, "c"), &same) == 0 && b.st_ino == same.st_ino);
	CHECK_INT(b.st_nlink, 2);
	CHECK(stat(target(s, "e"), &b) == 0 && stat(target(s, "f"), &same) == 0 && b.st_ino == same.st_ino);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
	restore(s, c, (struct restore_options){.path = "d/c"});
	check_text(s->target, "one");
	scene_free(s);
}

/* A directory outside that nothing may be written to. */
static const char *make_outside(struct scene *s)
{
	scene_directory(s, "outside");
	scene_text(s, "outside/secret", "secret");
	return scene_path(s, "outside");
}

static void check_outside(struct scene *s)
{
	_cleanup_list_ DIR *list = NULL;
	struct stat st;

	CHECK_OK(fs_list_open(AT_FDCWD, scene_path(s, "outside"), &list, &err));
	CHECK_TEXT(fs_list_next(list), "secret");
	CHECK(!fs_list_next(list));
	check_text(scene_path(s, "outside/secret"), "secret");
	CHECK(stat(scene_path(s, "outside/secret"), &st) == 0);
	CHECK_INT(st.st_nlink, 1);
}

TEST(a_link_of_the_tree_does_not_lead_a_name_of_a_file_outside)
{
	struct scene *s = scene_new(false);
	const char *outside = make_outside(s);
	struct object_id c =
		TREE(s, {"a", ENTRY_SYMLINK, outside}, {"b", ENTRY_LINK, "a/secret"}, {"c", FILE_, "1"});
	struct restore_options o = {0};
	struct restore_result result;

	CHECK(restore_directory(s->r, &c, s->target, &o, &result, &err) < 0);
	CHECK(access(target(s, "b"), F_OK) < 0);
	check_outside(s);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
	restore(s, c, (struct restore_options){.skipped = skipped});
	CHECK_INT(left_out, 1);
	CHECK(access(target(s, "b"), F_OK) < 0);
	check_text(target(s, "c"), "1");
	check_outside(s);
	scene_free(s);
}

TEST(links_that_are_in_the_target_already_are_replaced_not_followed)
{
	struct scene *s = scene_new(false);
	const char *outside = make_outside(s);
	struct object_id c = TREE(s, {"d", DIRECTORY}, {"d/secret", FILE_, "other"}, {"f", FILE_, "file"});

	CHECK(mkdir(s->target, 0755) == 0);
	CHECK(symlink(outside, target(s, "d")) == 0);
	CHECK(symlink(scene_path(s, "outside/secret"), target(s, "f")) == 0);
	CHECK(symlink(outside, target(s, "z")) == 0);
	restore(s, c, (struct restore_options){.mirror = true});
	check_outside(s);
	check_text(target(s, "d/secret"), "other");
	check_text(target(s, "f"), "file");
	CHECK(access(target(s, "z"), F_OK) < 0);
	scene_free(s);
}

TEST(a_mirror_becomes_the_same_whatever_was_there)
{
	struct scene *s = scene_new(false);
	_cleanup_free_ char *list = NULL, *again = NULL, *moved = NULL;
	char fresh[600];
	struct restore_result result;
	struct object_id a = TREE(s, {"d", DIRECTORY}, {"d/x", FILE_, "1", 1}, {"d/y", FILE_, "22", 2},
		{"e", FILE_, "3", 3}, {"f", ENTRY_LINK, "e", 3}, {"g", FILE_, "444", 4});
	struct object_id b = TREE(s, {"d", FILE_, "file", 5}, {"e", DIRECTORY}, {"e/x", FILE_, "1", 6},
		{"f", FILE_, "3", 3}, {"g", FILE_, "444", 4, 0600}, {"h", ENTRY_SYMLINK, "g"});

	restore(s, a, (struct restore_options){0});
	list = scene_list(s->target);
	result = restore(s, a, (struct restore_options){.mirror = true});
	CHECK_INT(result.files, 0);
	CHECK_INT(result.kept, 4);
	result = restore(s, b, (struct restore_options){.mirror = true});
	CHECK_INT(result.kept, 2);
	moved = scene_list(s->target);
	snprintf(fresh, sizeof fresh, "%s", s->target);
	snprintf(s->target, sizeof s->target, "%.240s-2", fresh);
	restore(s, b, (struct restore_options){0});
	again = scene_list(s->target);
	CHECK_TEXT(moved, again);
	free(again);
	restore(s, a, (struct restore_options){.mirror = true});
	again = scene_list(s->target);
	CHECK_TEXT(again, list);
	scene_free(s);
}

TEST(rights_of_another_owner_are_not_given_on)
{
	struct scene *s = scene_new(false);
	struct object_id c;
	struct stat st;

	scene_text(s, "f", "1");
	CHECK(chmod(scene_path(s, "f"), 06755) == 0);
	/* Without owners everything is the caller's; so it is here, and what was his stays so. */
	c = scene_import(s);
	restore(s, c, (struct restore_options){0});
	CHECK(stat(target(s, "f"), &st) == 0);
	CHECK_INT(st.st_mode & 07777, 06755);
	if (geteuid() != 0) {
		scene_free(s);
		return;
	}
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
	CHECK(chown(scene_path(s, "f"), 1234, 1234) == 0 && chmod(scene_path(s, "f"), 06755) == 0);
	c = scene_import(s);
	restore(s, c, (struct restore_options){0});
	CHECK(stat(target(s, "f"), &st) == 0);
	CHECK_INT(st.st_uid, 0);
	CHECK_INT(st.st_mode & 07777, 0755);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
	restore(s, c, (struct restore_options){.owners = true});
	CHECK(stat(target(s, "f"), &st) == 0);
	CHECK_INT(st.st_uid, 1234);
	CHECK_INT(st.st_mode & 07777, 06755);
	scene_free(s);
}

TEST(directories_in_each_other_beyond_descriptors_are_written)
{
	static char paths[300][640];
	static struct scene_item items[300];
	struct scene *s = scene_new(false);
	struct object_id c;
	_cleanup_free_ char *list = NULL, *again = NULL;

	for (unsigned i = 0; i < 60; i++) {
		snprintf(paths[i], sizeof paths[i], "%s%sd", i ? paths[i - 1] : "", i ? "/" : "");
		items[i] = (struct scene_item){.path = paths[i], .kind = ENTRY_DIRECTORY};
	}
	c = scene_tree(s, items, 60);
	CHECK_INT(restore(s, c, (struct restore_options){0}).directories, 61);
	list = scene_list(s->target);
	/* Deeper than stay open. */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(paths[i], sizeof paths[i], "%s%sd", i ? paths[i - 1] : "", i ? "/" : "");
		scene_directory(s, paths[i]);
		snprintf(paths[200], sizeof paths[200], "%.600s/f", paths[i]);
		scene_text(s, paths[200], "deep");
	}
	c = scene_import(s);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
	CHECK_INT(restore(s, c, (struct restore_options){.owners = true}).files, 100);
	free(list);
	list = scene_list(s->host);
	again = scene_list(s->target);
	CHECK_TEXT(again, list);
	scene_free(s);
}
