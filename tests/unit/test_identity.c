/* SPDX-License-Identifier: Apache-2.0 */
/* Which project a directory is, and what was granted to it. */
#include "project/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "db/db.h"
#include "os/fs.h"
#include "project/grants.h"
#include "test.h"

static struct error err;

struct world {
	char root[64], home[80], shop[80];
};

static void world_free(struct world *w)
{
	fs_remove_tree(AT_FDCWD, w->root, NULL);
}

#define WORLD(w) \
	_cleanup_(world_free) struct world w = {.root = "/tmp/mc-identity-XXXXXX"}; \
	CHECK(mkdtemp(w.root)); \
	snprintf(w.home, sizeof w.home, "%s/home", w.root); \
	snprintf(w.shop, sizeof w.shop, "%s/shop", w.root); \
	CHECK(mkdir(w.home, 0700) == 0 && mkdir(w.shop, 0755) == 0)

#define IDENTITY(i) _cleanup_project_identity_ struct project_identity i = {0}

static bool nothing_left(void *context, const struct project_identity *other)
{
	(void)context;
	(void)other;
	return false;
}

static bool something_left(void *context, const struct project_identity *other)
{
	(void)context;
	(void)other;
	return true;
}

static bool file_is(const char *directory, const char *id)
{
	_cleanup_free_ char *path = text_format(NULL, "%s/%s", directory, PROJECT_ID_FILE);
	_cleanup_buffer_ struct buffer b = {0};

	return fs_read_file(AT_FDCWD, path, 100, &b, NULL) == 0 && b.size == PROJECT_ID_SIZE &&
	       !memcmp(b.data, id, PROJECT_ID_SIZE - 1);
}

static void copy_file(const char *from, const char *to)
{
	_cleanup_free_ char *source = text_format(NULL, "%s/%s", from, PROJECT_ID_FILE);
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_fd_ int fd = -1;

	CHECK_OK(fs_read_file(AT_FDCWD, source, 100, &b, &err));
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_OK(fs_write_atomic(fd, PROJECT_ID_FILE, b.data, b.size, 0644, &err));
}

static bool knows_births(const char *directory)
{
	struct statx s;

	return statx(AT_FDCWD, directory, 0, STATX_BTIME, &s) == 0 && (s.stx_mask & STATX_BTIME);
}

TEST(a_project_keeps_its_id_and_name)
{
	WORLD(w);
	IDENTITY(first);
	IDENTITY(again);
	IDENTITY(found);
	_cleanup_free_ char *state = NULL;
	struct stat s;

	CHECK_ERROR(project_identity_find(w.home, w.shop, &found, &err), ERROR_NOT_FOUND);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK_TEXT(first.name, "shop");
	CHECK_TEXT(first.directory, w.shop);
	CHECK(file_is(w.shop, first.id));
	state = text_format(NULL, "%s/projects/%s", w.home, first.id);
	CHECK(stat(state, &s) == 0 && S_ISDIR(s.st_mode) && (s.st_mode & 0777) == 0700);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &again, &err));
	CHECK_TEXT(again.id, first.id);
	CHECK_OK(project_identity_find(w.home, w.shop, &found, &err));
	CHECK_TEXT(found.id, first.id);
	CHECK_TEXT(found.name, "shop");
}

TEST(a_moved_project_is_the_same_one)
{
	WORLD(w);
	IDENTITY(first);
	IDENTITY(moved);
	_cleanup_free_ char *elsewhere = text_format(NULL, "%s/elsewhere", w.root);

	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK(rename(w.shop, elsewhere) == 0);
	CHECK_OK(project_identity_open(w.home, elsewhere, something_left, NULL, &moved, &err));
	CHECK_TEXT(moved.id, first.id);
	CHECK_TEXT(moved.name, "shop");
	CHECK_TEXT(moved.directory, elsewhere);
}

TEST(a_copied_project_gets_an_id_and_a_name_of_its_own)
{
	WORLD(w);
	IDENTITY(first);
	IDENTITY(copy);
	IDENTITY(again);
	_cleanup_free_ char *above = text_format(NULL, "%s/b", w.root);
	_cleanup_free_ char *other = text_format(NULL, "%s/b/shop", w.root);

	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK(mkdir(above, 0700) == 0 && mkdir(other, 0700) == 0);
	copy_file(w.shop, other);
	CHECK_OK(project_identity_open(w.home, other, nothing_left, NULL, &copy, &err));
	CHECK(strcmp(copy.id, first.id) != 0);
	CHECK_TEXT(copy.name, "shop-2");
	CHECK(file_is(other, copy.id));
	CHECK_OK(project_identity_open(w.home, w.shop, nothing_left, NULL, &again, &err));
	CHECK_TEXT(again.id, first.id);
	CHECK_TEXT(again.name, "shop");
}

TEST(a_directory_that_was_made_anew_at_the_same_place_is_another_project)
{
	WORLD(w);
	IDENTITY(first);
	IDENTITY(second);
	IDENTITY(third);

	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK_OK(fs_remove_tree(AT_FDCWD, w.shop, &err));
	CHECK(mkdir(w.shop, 0755) == 0);
	CHECK_OK(project_identity_open(w.home, w.shop, something_left, NULL, &second, &err));
	CHECK(strcmp(second.id, first.id) != 0);
	CHECK_TEXT(second.name, "shop-2"); /* the first one's sandboxes are still there */
	CHECK_OK(fs_remove_tree(AT_FDCWD, w.shop, &err));
	CHECK(mkdir(w.shop, 0755) == 0);
	CHECK_OK(project_identity_open(w.home, w.shop, nothing_left, NULL, &third, &err));
	CHECK_TEXT(third.name, "shop"); /* and now they are not */
}

TEST(a_project_whose_id_file_was_removed_is_known_by_its_directory)
{
	WORLD(w);
	IDENTITY(first);
	IDENTITY(again);
	_cleanup_free_ char *file = text_format(NULL, "%s/%s", w.shop, PROJECT_ID_FILE);

	if (!knows_births(w.shop))
		return; /* then it cannot be told from one that was made anew */
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK(unlink(file) == 0);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &again, &err));
	CHECK_TEXT(again.id, first.id);
	CHECK(file_is(w.shop, first.id));
}

TEST(an_id_that_somebody_wrote_is_not_believed)
{
	WORLD(w);
	IDENTITY(first);
	_cleanup_free_ char *file = text_format(NULL, "%s/%s", w.shop, PROJECT_ID_FILE);
	_cleanup_free_ char *secret = text_format(NULL, "%s/secret", w.root);

	CHECK(symlink(secret, file) == 0);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK(file_is(w.shop, first.id));
	CHECK(access(secret, F_OK) < 0 && errno == ENOENT); /* the link was replaced, not followed */
	CHECK(unlink(file) == 0 && mkfifo(file, 0600) == 0);
	project_identity_free(&first);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &first, &err));
	CHECK(file_is(w.shop, first.id));
}

TEST(names_are_made_of_what_sandboxes_may_be_called)
{
	static const char *const table[][2] = {{"/home/me/shop", "shop"}, {"/My Shop", "my-shop"},
		{"/srv/..a.b", "a-b"}, {"/x/日本", "project"}, {"/", "project"},
		{"/x/under_score-1", "under_score-1"}, {"/x/--__--", "project"},
		{"/x/a-name-that-is-much-longer-than-one-may-be", "a-name-that-is-much-lo"}};
	char name[PROJECT_CALLED_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		project_identity_name(table[i][0], name);
		CHECK_TEXT(name, table[i][1]);
	}
}

static void *open_many(void *context)
{
	struct world *w = context;

	for (int i = 0; i < 5; i++) {
		struct project_identity out;

		if (project_identity_open(w->home, w->shop, NULL, NULL, &out, NULL) < 0)
			return w;
		project_identity_free(&out);
	}
	return NULL;
}

TEST(several_that_open_a_new_project_at_once_agree)
{
	WORLD(w);
	pthread_t threads[4];
	void *failed;
	struct project_identity *list;
	size_t count;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, open_many, &w) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		CHECK(pthread_join(threads[i], &failed) == 0);
		CHECK(!failed);
	}
	CHECK_OK(project_identity_list(w.home, &list, &count, &err));
	CHECK_INT(count, 1);
	CHECK(file_is(w.shop, list[0].id));
	project_identity_list_free(list, count);
}

/* ---- grants ----------------------------------------------------------------------------------------- */

static char web[] = "sandboxes.web", db[] = "sandboxes.db", none[] = "";
static char ssh[] = "/home/me/.ssh:ro", ssh_writable[] = "/home/me/.ssh", variable[] = "TOKEN";

TEST(what_was_granted_is_not_asked_for_again_and_what_changed_is)
{
	WORLD(w);
	IDENTITY(i);
	IDENTITY(same);
	struct project_reach_out reaches[] = {{.kind = REACH_VOLUME, .component = web, .value = ssh},
		{.kind = REACH_VARIABLE, .component = none, .value = variable},
		{.kind = REACH_VOLUME, .component = web, .value = ssh}};
	struct project p = {.reaches = reaches, .reach_count = 3};
	const struct project_reach_out **missing;
	size_t count;

	CHECK_OK(grants_missing(w.home, NULL, &p, &missing, &count, &err));
	CHECK_INT(count, 2); /* each once */
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &i, &err));
	CHECK_OK(grants_give(w.home, i.id, missing, count, &err));
	CHECK_OK(grants_give(w.home, i.id, missing, count, &err));
	free(missing);
	CHECK_OK(grants_missing(w.home, i.id, &p, &missing, &count, &err));
	CHECK_INT(count, 0);
	free(missing);

	reaches[0].value = ssh_writable;
	reaches[2].component = db;
	CHECK_OK(grants_missing(w.home, i.id, &p, &missing, &count, &err));
	CHECK_INT(count, 2);
	CHECK(missing[0] == &reaches[0] && missing[1] == &reaches[2]);
	free(missing);

	CHECK_OK(grants_revoke(w.home, i.id, &count, &err));
	CHECK_INT(count, 2);
	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &same, &err));
	CHECK_TEXT(same.id, i.id);
}

TEST(grants_go_with_their_project)
{
	WORLD(w);
	IDENTITY(i);
	struct project_reach_out reach = {.kind = REACH_VOLUME, .component = web, .value = ssh};
	const struct project_reach_out *list[] = {&reach};
	size_t count;

	CHECK_OK(project_identity_open(w.home, w.shop, NULL, NULL, &i, &err));
	CHECK_OK(grants_give(w.home, i.id, list, 1, &err));
	CHECK_OK(project_identity_forget(w.home, i.id, &err));
	CHECK_OK(grants_revoke(w.home, i.id, &count, &err));
	CHECK_INT(count, 0);
	CHECK(grants_give(w.home, i.id, list, 1, &err) < 0); /* there is no such project */
}

TEST(what_reaches_out_is_told_in_words)
{
	struct project_reach_out reach = {.kind = REACH_VOLUME, .component = web, .value = ssh};
	_cleanup_free_ char *text = grants_describe(&reach, &err);

	CHECK_TEXT(text, "mounts /home/me/.ssh (read-only)");
	free(text);
	reach.value = ssh_writable;
	text = grants_describe(&reach, &err);
	CHECK_TEXT(text, "mounts /home/me/.ssh (writable)");
}
