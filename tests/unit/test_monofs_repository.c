/* SPDX-License-Identifier: Apache-2.0 */
/* Repositories: made, found, opened, claimed; their keys and their references. */
#include "test.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monofs_place.h"

static struct repository *make(const char *path, const struct repository_secret *secret)
{
	struct repository_new o = {.secret = secret, .weak = true};
	struct repository *r;
	struct error err;

	CHECK_OK(repository_create(path, &o, &err));
	CHECK_OK(repository_open(path, secret, false, NULL, &r, &err));
	return r;
}

TEST(a_new_repository_has_an_empty_tree)
{
	char path[256];
	struct repository *r = make(monofs_path(monofs_place(), "a.monofs", path), NULL);
	_cleanup_references_ struct references refs = {0};
	_cleanup_commit_ struct commit c = {0};
	struct error err;

	CHECK_OK(references_read(repository_directory(r), repository_crypt(r), &refs, &err));
	CHECK_INT(refs.count, 1);
	CHECK_TEXT(refs.list[0].name, "main");
	CHECK_OK(commit_get(repository_store(r), &refs.list[0].commit, &c, &err));
	CHECK_INT(c.generation, 1);
	CHECK_INT(c.parent_count, 0);
	CHECK(c.replica == repository_replica(r) && c.clock <= repository_clock(r));
	repository_close(r);
	CHECK_INT(repository_is_encrypted(path, &err), 0);
	CHECK_ERROR(repository_create(path, &(struct repository_new){0}, &err), ERROR_EXISTS);
}

TEST(an_empty_directory_becomes_a_repository_and_others_stay)
{
	const char *place = monofs_place();
	char path[256], file[256];
	struct error err;

	mkdir(monofs_path(place, "empty", path), 0755);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
	mkdir(monofs_path(place, "full", path), 0755);
	mkdir(monofs_path(path, "x", file), 0755);
	CHECK_ERROR(repository_create(path, &(struct repository_new){0}, &err), ERROR_EXISTS);
	CHECK(access(file, F_OK) == 0);
}

TEST(a_repository_is_found_from_where_one_stands)
{
	const char *place = monofs_place();
	char path[256], deep[256], directory[256], *found, *within;
	struct error err;

	repository_close(make(monofs_path(place, "notes.monofs", path), NULL));
	mkdir(monofs_path(place, "notes", directory), 0755);
	mkdir(monofs_path(directory, "a", deep), 0755);
	CHECK_OK(repository_find(path, &found, &within, &err));
	CHECK_TEXT(found, path);
	CHECK_TEXT(within, "");
	free(found);
	free(within);
	CHECK_OK(repository_find(directory, &found, &within, &err));
	CHECK_TEXT(found, path);
	CHECK_TEXT(within, "");
	free(found);
	free(within);
	monofs_path(directory, "a/b.txt", deep);
	CHECK_OK(repository_find(deep, &found, &within, &err));
	CHECK_TEXT(found, path);
	CHECK_TEXT(within, "a/b.txt");
	free(found);
	free(within);
	CHECK_ERROR(repository_find(place, &found, NULL, &err), ERROR_NOT_FOUND);
}

TEST(one_at_a_time_claims_main_and_the_others_hear_who)
{
	char path[256];
	struct repository *r = make(monofs_path(monofs_place(), "a", path), NULL);
	struct error err;
	int fd, other;

	CHECK_OK(repository_claim(r, "mounted at /home/x/a", &fd, &err));
	CHECK_ERROR(repository_claim(r, "an import", &other, &err), ERROR_BUSY);
	CHECK(strstr(err.text, "mounted at /home/x/a"));
	close(fd);
	CHECK_OK(repository_claim(r, "an import", &other, &err));
	close(other);
	repository_close(r);
}

TEST(a_wrong_secret_is_told_from_damage)
{
	const struct repository_secret right = {.passphrase = "correct horse"}, wrong = {.passphrase = "x"};
	const struct repository_secret file = {.file = (const uint8_t *)"12345678", .file_size = 8};
	char path[256];
	struct repository *r = make(monofs_path(monofs_place(), "a", path), &right), *other;
	char name[17];
	struct error err;

	CHECK_INT(repository_is_encrypted(path, &err), 1);
	CHECK_ERROR(repository_open(path, &wrong, false, NULL, &other, &err), ERROR_DENIED);
	CHECK_ERROR(repository_open(path, &file, false, NULL, &other, &err), ERROR_DENIED);
	CHECK_ERROR(repository_open(path, NULL, false, NULL, &other, &err), ERROR_DENIED);
	CHECK_OK(repository_slot_add(r, &file, name, &err));
	CHECK_OK(repository_open(path, &file, false, NULL, &other, &err));
	repository_close(other);
	CHECK_OK(repository_slot_remove(r, name, &err));
	CHECK_ERROR(repository_open(path, &file, false, NULL, &other, &err), ERROR_DENIED);
	repository_close(r);
}

TEST(references_move_only_from_where_one_thinks_they_are)
{
	char path[256];
	struct repository *r = make(monofs_path(monofs_place(), "a", path), NULL);
	const struct object_id one = {{1}}, two = {{2}}, none = {{0}};
	int fd = repository_directory(r);
	const struct crypt *c = repository_crypt(r);
	_cleanup_references_ struct references refs = {0};
	struct error err;

	CHECK_OK(references_set(fd, c, "tag/a", &one, "src", &none, &err));
	CHECK_ERROR(references_set(fd, c, "tag/a", &two, "", &none, &err), ERROR_BUSY);
	CHECK_ERROR(references_set(fd, c, "tag/a", &two, "", &two, &err), ERROR_BUSY);
	CHECK_OK(references_set(fd, c, "tag/a", &two, "", &one, &err));
	CHECK_OK(references_set(fd, c, "tag/b", &one, "", NULL, &err));
	CHECK_OK(references_read(fd, c, &refs, &err));
	CHECK_INT(refs.count, 3);
	CHECK_INT(refs.version, 4);
	CHECK(object_id_equal(&references_find(&refs, "tag/a")->commit, &two));
	CHECK_OK(references_set(fd, c, "tag/a", NULL, NULL, NULL, &err));
	CHECK_ERROR(references_set(fd, c, "tag/a", NULL, NULL, NULL, &err), ERROR_NOT_FOUND);
	repository_close(r);
}

/* ---- where nothing can be written --------------------------------------------------------------------- */

static int forbid(const char *name, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	return chmod(name, kind == FTW_F ? 0444 : 0555);
}

static int permit(const char *name, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	return chmod(name, kind == FTW_F ? 0644 : 0755);
}

static void read_only_opens(const char *path)
{
	_cleanup_references_ struct references refs = {0};
	_cleanup_commit_ struct commit c = {0};
	struct store_check check = {.read_data = true};
	struct repository *r;
	struct error err;

	CHECK(repository_open(path, NULL, false, NULL, &r, &err) < 0);
	CHECK_OK(repository_open(path, NULL, true, NULL, &r, &err));
	CHECK_OK(references_read(repository_directory(r), repository_crypt(r), &refs, &err));
	CHECK_OK(commit_get(repository_store(r), &refs.list[0].commit, &c, &err));
	CHECK_OK(store_check(repository_store(r), &check, &err));
	repository_close(r);
}

/* root may write everywhere: it becomes somebody else. */
TEST(a_repository_that_cannot_be_written_to_can_be_read)
{
	const char *place = monofs_place();
	char path[256];
	int status;
	pid_t pid;

	repository_close(make(monofs_path(place, "a", path), NULL));
	CHECK(chmod(place, 0755) == 0 && nftw(path, forbid, 8, FTW_PHYS | FTW_DEPTH) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		read_only_opens(path);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(nftw(path, permit, 8, FTW_PHYS) == 0);
	CHECK_INT(status, 0);
}

TEST(names_that_mean_something_else_are_no_tags)
{
	static const char *const bad[] = {
		"", "main", "/a", "a/", "a~1", "a^", "a:b", "a@b", "{", "a\nb", "abcdef", "0123456789", "-x"};
	static const char *const good[] = {"v1", "a/b", "release 2", "abcde", "naïve"};
	struct error err;

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK_ERROR(reference_name_check(bad[i], &err), ERROR_INVALID);
	for (unsigned i = 0; i < sizeof good / sizeof *good; i++)
		CHECK_OK(reference_name_check(good[i], &err));
}
