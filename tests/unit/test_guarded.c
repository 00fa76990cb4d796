/* SPDX-License-Identifier: Apache-2.0 */
/* Which files make up a project, on this host; and which of them lie in a volume. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "os/fs.h"
#include "project/guarded.h"
#include "sandbox/volume_guard.h"
#include "test.h"

static struct error err;
static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static char *in_folder(const char *name)
{
	return text_format(NULL, "%s%s%s", folder, *name ? "/" : "", name);
}

static void make_directory(const char *name)
{
	_cleanup_free_ char *path = in_folder(name);

	CHECK(mkdir(path, 0755) == 0);
}

static void make_file(const char *name)
{
	_cleanup_free_ char *path = in_folder(name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
}

static void make_link(const char *name, const char *target)
{
	_cleanup_free_ char *path = in_folder(name);

	CHECK(symlink(target, path) == 0);
}

/* shop, with a directory that is a link, and a file of variables that is one of several. */
static void make_project(void)
{
	char template[] = "/tmp/mc-guarded-XXXXXX", *real;

	remove_folder();
	CHECK(mkdtemp(template));
	real = realpath(template, NULL);
	snprintf(folder, sizeof folder, "%s", real);
	free(real);
	atexit(remove_folder);
	make_directory("shop");
	make_directory("shop/sets");
	make_directory("shop/db");
	make_directory("else");
	make_file("shop/monocore.yaml");
	make_file("shop/sets/web.env");
	make_file("else/monocore.yaml");
	make_link("shop/web.env", "current/web.env");
	make_link("shop/current", "./sets");
	make_link("shop/modules", "../else");
	make_link("shop/loop", "loop");
}

static char **guarded(const char *file, char *const *reads)
{
	_cleanup_free_ char *directory = in_folder("shop"), *path = in_folder(file);
	const struct project p = {.directory = directory, .reads = (char **)reads};
	char **list = NULL;

	CHECK_OK(project_guarded(&p, path, &list, &err));
	return list;
}

static void check_list(char *const *list, const char *const *expected)
{
	size_t n = text_list_size(list);

	CHECK_INT(n, text_list_size((char *const *)expected));
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = in_folder(expected[i]);

		CHECK_TEXT(list[i], path);
	}
}

TEST(a_project_is_its_file_and_what_stands_beside_it)
{
	static const char *const expected[] = {"shop/monocore.yaml", "shop/.env", "shop/.monocore-id", NULL};
	_cleanup_text_list_ char **list = NULL;

	make_project();
	list = guarded("shop/monocore.yaml", NULL);
	check_list(list, expected);
}

TEST(another_file_of_the_project_does_not_free_the_usual_one)
{
	static const char *const expected[] = {
		"shop/ci.yaml", "shop/monocore.yaml", "shop/.env", "shop/.monocore-id", NULL};
	_cleanup_text_list_ char **list = NULL;

	make_project();
	make_file("shop/ci.yaml");
	list = guarded("shop/ci.yaml", NULL);
	check_list(list, expected);
}

TEST(links_on_the_way_to_a_file_are_as_good_as_the_file)
{
	static const char *const expected[] = {"shop/monocore.yaml", "shop/.env", "shop/.monocore-id",
		"shop/web.env", "shop/current", "shop/sets/web.env", "shop/modules", "else/monocore.yaml",
		"shop/db/missing", "shop/loop", NULL};
	_cleanup_free_ char *env = NULL, *module = NULL, *missing = NULL, *loop = NULL;
	_cleanup_text_list_ char **list = NULL;

	make_project();
	env = in_folder("shop/./db/../web.env");
	module = in_folder("shop/modules/monocore.yaml");
	missing = in_folder("shop/db/missing/x.env");
	loop = in_folder("shop/loop/x");
	list = guarded("shop/monocore.yaml", (char *[]){env, module, missing, loop, NULL});
	check_list(list, expected);
}

/* ---- in a volume --------------------------------------------------------------------------------------- */

static size_t names_in(const char *source, struct buffer *names, bool *all)
{
	_cleanup_free_ char *path = in_folder(source), *file = in_folder("shop/monocore.yaml"),
			    *env = in_folder("shop/.env"), *module = in_folder("else/monocore.yaml");
	char *guarded_paths[] = {file, env, module, NULL};
	const struct record r = {.guarded = guarded_paths};
	const struct record_mount m = {.type = (char *)"bind", .source = path, .target = (char *)"/app"};
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	size_t count = 0;

	CHECK(fd >= 0);
	buffer_clear(names);
	CHECK_OK(volume_guard(&r, &m, fd, names, all, &err));
	for (size_t i = 0; i < names->size; i++)
		count += !names->data[i];
	return count;
}

#define CHECK_NAMES(expected) \
	CHECK(names.size == sizeof(expected) && !memcmp(names.data, expected, sizeof(expected)))

TEST(a_volume_has_what_lies_in_it_by_its_own_paths)
{
	_cleanup_buffer_ struct buffer names = {0};
	bool all;

	make_project();
	CHECK_INT(names_in("shop", &names, &all), 2);
	CHECK_NAMES("monocore.yaml\0.env");
	CHECK_INT(names_in("", &names, &all), 3);
	CHECK_NAMES("shop/monocore.yaml\0shop/.env\0else/monocore.yaml");
	CHECK_INT(names_in("shop/sets", &names, &all), 0);
	CHECK_INT(names_in("shop/modules", &names, &all), 1); /* by another path */
	CHECK_NAMES("monocore.yaml");
	CHECK(!all);
}

TEST(a_volume_that_is_such_a_file_is_guarded_as_a_whole)
{
	_cleanup_free_ char *file = NULL, *other = NULL;
	_cleanup_buffer_ struct buffer names = {0};
	bool all;

	make_project();
	file = in_folder("shop/monocore.yaml");
	other = in_folder("other");
	CHECK(link(file, other) == 0);
	CHECK_INT(names_in("shop/monocore.yaml", &names, &all), 0);
	CHECK(all);
	CHECK_INT(names_in("other", &names, &all), 0);
	CHECK(all);
	CHECK_INT(names_in("shop/sets/web.env", &names, &all), 0);
	CHECK(!all);
}
