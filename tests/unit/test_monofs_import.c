/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and archives become trees: all of them, the same whatever was known before. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/tar.h"
#include "monofs/tar_names.h"
#include "monofs_scene.h"
#include "os/attributes.h"
#include "os/fs.h"
#include "test.h"

static struct error err;

static void set_xattr(const char *path, const char *name, const void *value, size_t n)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_OK(fs_xattr_set(fd, path, name, value, n, &err));
}

/* One of each kind that an ordinary user can make. */
static void make_tree(struct scene *s)
{
	static uint8_t bytes[200000];
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = -86400, .tv_nsec = 123456789}};

	scene_directory(s, "a");
	scene_directory(s, "a/b");
	scene_directory(s, "a-empty");
	scene_text(s, "a/b/small", "a few bytes");
	scene_text(s, "a/none", "");
	monofs_bytes(bytes, sizeof bytes, 1);
	scene_write(s, "a/large", bytes, sizeof bytes);
	memset(bytes + 20000, 0, 100000);
	scene_write(s, "sparse", bytes, sizeof bytes);
	CHECK(truncate(scene_path(s, "sparse"), 50000000) == 0);
	CHECK(link(scene_path(s, "a/large"), scene_path(s, "a-link")) == 0);
	CHECK(link(scene_path(s, "a/large"), scene_path(s, "z-link")) == 0);
	CHECK(symlink("a/b/../nowhere", scene_path(s, "symlink")) == 0);
	CHECK(mkfifo(scene_path(s, "fifo"), 0640) == 0);
	set_xattr(scene_path(s, "a/none"), "user.short", "value", 5);
	memset(bytes, 'x', 1500);
	set_xattr(scene_path(s, "a/b"), "user.long", bytes, 1500);
	CHECK(chmod(scene_path(s, "a/b/small"), 04711) == 0);
	CHECK(utimensat(AT_FDCWD, scene_path(s, "a/b/small"), times, 0) == 0);
	CHECK(utimensat(AT_FDCWD, scene_path(s, "symlink"), times, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(utimensat(AT_FDCWD, scene_path(s, "a-empty"), times, 0) == 0);
}

static void check_restored(struct scene *s, const struct object_id *commit)
{
	const struct restore_options o = {.owners = true};
	struct restore_result result;
	_cleanup_free_ char *before = scene_list(s->host), *after = NULL;

	CHECK_OK(restore_directory(s->r, commit, s->target, &o, &result, &err));
	after = scene_list(s->target);
	CHECK_TEXT(after, before);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->target, &err));
}

TEST(what_is_imported_is_restored_as_it_was)
{
	for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
		struct scene *s = scene_new(encrypted);
		struct object_id commit;

		make_tree(s);
		commit = scene_import(s);
		CHECK_INT(s->result.files, 4);
		CHECK_INT(s->result.directories, 4);
		CHECK_INT(s->result.others, 4);
		check_restored(s, &commit);
		scene_reopen(s, encrypted);
		check_restored(s, &commit);
		scene_free(s);
	}
}

TEST(what_has_not_changed_is_not_read_again)
{
	for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
		struct scene *s = scene_new(encrypted);
		struct object_id content;

		make_tree(s);
		scene_settle();
		scene_import(s);
		content = s->result.content;
		CHECK_INT(s->result.read_files, 4);
		scene_import(s);
		CHECK_INT(s->result.read_files, 0);
		CHECK_INT(s->result.files, 4);
		CHECK(object_id_equal(&content, &s->result.content));
		scene_text(s, "a/b/small", "others");
		scene_import(s);
		CHECK_INT(s->result.read_files, 1);
		CHECK(!object_id_equal(&content, &s->result.content));
		scene_free(s);
	}
}

TEST(what_changes_right_after_an_import_is_seen)
{
	struct scene *s = scene_new(false);
	struct object_id content;

	scene_text(s, "f", "one");
	for (unsigned i = 0; i < 20; i++) {
		_cleanup_tree_object_ struct tree_object o = {0};
		char text[4];

		snprintf(text, sizeof text, "%03u", i);
		scene_text(s, "f", text);
		content = scene_import(s);
		CHECK_OK(tree_find(s->r, &content, "f", &o, &err));
		CHECK(memcmp(o.entry.content.bytes, text, 3) == 0);
	}
	scene_free(s);
}

/* ---- random trees ---- */

static void random_path(char out[32])
{
	static const char *const names[] = {"a", "b", "a-", "c.d"};
	unsigned depth = (unsigned)rand() % 3 + 1;

	*out = 0;
	for (unsigned i = 0; i < depth; i++) {
		strcat(out, i ? "/" : "");
		strcat(out, names[(unsigned)rand() % ARRAY_SIZE(names)]);
	}
}

/* Something is made, changed, moved or removed; or it could not be. */
static void random_change(struct scene *s)
{
	char path[32], other[32];
	uint8_t bytes[30000];
	size_t n = (size_t)rand() % (rand() % 4 ? 300 : sizeof bytes);
	int fd;

	random_path(path);
	random_path(other);
	monofs_bytes(bytes, sizeof bytes, (uint64_t)rand() % 20);
	switch (rand() % 9) {
	case 0:
	case 1:
		mkdir(scene_path(s, path), 0755);
		break;
	case 2:
	case 3:
		fd = open(scene_path(s, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0)
			CHECK_OK(fs_write_all(fd, bytes, n, path, &err));
		if (fd >= 0)
			close(fd);
		break;
	case 4:
		CHECK(rename(scene_path(s, path), scene_path(s, other)) == 0 || errno);
		break;
	case 5:
		CHECK(link(scene_path(s, path), scene_path(s, other)) == 0 || errno);
		break;
	case 6:
		chmod(scene_path(s, path), rand() % 2 ? 0755 : 0700);
		break;
	case 7:
		CHECK(symlink(other, scene_path(s, path)) == 0 || errno);
		break;
	case 8:
		if (rand() % 3 == 0)
			CHECK(fs_remove_tree(AT_FDCWD, scene_path(s, path), &err) == 0 || err.code);
		break;
	}
}

TEST(however_an_import_came_about_the_same_tree_has_the_same_root)
{
	struct scene *s = scene_new(false);
	struct object_id kept = {0};

	srand(11);
	for (unsigned round = 0; round < 60; round++) {
		struct import_options all = {.all = true};
		struct import_result whole;
		struct object_id commit;

		for (int i = rand() % 6; i > 0; i--)
			random_change(s);
		if (rand() % 2)
			scene_settle();
		commit = scene_import(s);
		CHECK_OK(import_directory(s->r, s->host, &all, &whole, &err));
		if (!object_id_equal(&whole.content, &s->result.content))
			test_fail(__FILE__, __LINE__, "round %u: another root", round);
		CHECK_INT(whole.files, s->result.files);
		CHECK_INT(whole.directories, s->result.directories);
		CHECK_INT(whole.others, s->result.others);
		if (round % 10 == 0)
			check_restored(s, &commit);
		/* Another tree is main in between: what is known still holds. */
		if (round % 20 == 19) {
			struct commit c;

			CHECK_OK(commit_get(repository_store(s->r), &kept, &c, &err));
			scene_commit(s, &c.content, &c.identity);
			commit_free(&c);
		}
		kept = commit;
	}
	scene_free(s);
}

TEST(ids_are_kept_by_path_and_shared_by_the_names_of_a_file)
{
	struct scene *s = scene_new(false);
	struct object_id first, second;
	struct tree_object a, b, c, d;

	make_tree(s);
	first = scene_import(s);
	scene_text(s, "a/b/small", "changed");
	scene_text(s, "new", "new");
	second = scene_import(s);
	CHECK_OK(tree_find(s->r, &first, "a/b/small", &a, &err));
	CHECK_OK(tree_find(s->r, &second, "a/b/small", &b, &err));
	CHECK(memcmp(a.identity.id, b.identity.id, ENTRY_ID_SIZE) == 0);
	CHECK(b.identity.clock > a.identity.clock);
	tree_object_free(&a);
	tree_object_free(&b);
	CHECK_OK(tree_find(s->r, &first, "a/large", &a, &err));
	CHECK_OK(tree_find(s->r, &second, "a/large", &b, &err));
	CHECK_OK(tree_find(s->r, &second, "a-link", &c, &err));
	CHECK_OK(tree_find_name(s->r, &second, "a-link", 6, &d, &err));
	CHECK(memcmp(&a.identity, &b.identity, sizeof a.identity) == 0);
	CHECK(memcmp(a.identity.id, d.identity.id, ENTRY_ID_SIZE) == 0);
	CHECK_INT(c.entry.kind, ENTRY_FILE);
	CHECK_INT(d.entry.kind, ENTRY_LINK);
	CHECK(d.entry.target_size == 7 && memcmp(d.entry.target, "a/large", 7) == 0);
	tree_object_free(&a);
	tree_object_free(&b);
	tree_object_free(&c);
	tree_object_free(&d);
	scene_free(s);
}

TEST(the_repository_itself_is_left_out)
{
	struct scene *s = scene_new(false);
	struct object_id parent = scene_main(s), commit;
	struct import_options o = {.parent = &parent};
	struct tree_object found;
	char place[256];

	snprintf(place, sizeof place, "%.*s", (int)(strrchr(s->repository, '/') - s->repository),
		s->repository);
	CHECK_OK(import_directory(s->r, place, &o, &s->result, &err));
	commit = scene_commit(s, &s->result.content, &s->result.identity);
	CHECK_ERROR(tree_find(s->r, &commit, strrchr(s->repository, '/') + 1, &found, &err), ERROR_NOT_FOUND);
	CHECK_OK(tree_find(s->r, &commit, strrchr(s->host, '/') + 1, &found, &err));
	tree_object_free(&found);
	scene_free(s);
}

TEST(what_is_known_is_not_believed_when_it_is_damaged)
{
	struct scene *s = scene_new(false);
	_cleanup_list_ DIR *list = NULL;
	char path[512];
	const char *name;

	make_tree(s);
	scene_settle();
	scene_import(s);
	CHECK_OK(fs_list_open(repository_directory(s->r), "known", &list, &err));
	name = fs_list_next(list);
	CHECK(name);
	snprintf(path, sizeof path, "%s/known/%s", s->repository, name);
	for (unsigned at = 0; at < 600; at += 7) {
		struct object_id content = s->result.content;
		_cleanup_fd_ int fd = open(path, O_RDWR | O_CLOEXEC);
		uint8_t byte;

		CHECK(fd >= 0);
		if (pread(fd, &byte, 1, at) != 1)
			break;
		byte ^= 1;
		CHECK_INT(pwrite(fd, &byte, 1, at), 1);
		scene_import(s);
		CHECK(object_id_equal(&content, &s->result.content));
		CHECK_INT(s->result.read_files, 4);
	}
	scene_free(s);
}

/* ---- archives ---- */

static int memory_file(const void *bytes, size_t n)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_OK(fs_write_all(fd, bytes, n, "archive", &err));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

TEST(an_archive_of_a_tree_is_the_same_tree)
{
	struct scene *s = scene_new(false);
	const struct restore_options o = {.owners = true};
	struct import_options in = {0};
	struct restore_result result;
	struct import_result again;
	_cleanup_fd_ int fd = memfd_create("archive", MFD_CLOEXEC);
	struct object_id commit;

	make_tree(s);
	commit = scene_import(s);
	CHECK(fd >= 0);
	CHECK_OK(restore_tar(s->r, &commit, fd, &o, &result, &err));
	for (in.names_most = 0; in.names_most < 2; in.names_most++) {
		CHECK(lseek(fd, 0, SEEK_SET) == 0);
		CHECK_OK(import_tar(s->r, fd, "archive", &in, &again, &err));
		CHECK(object_id_equal(&again.content, &s->result.content));
		CHECK_INT(again.files, s->result.files);
		CHECK_INT(again.others, s->result.others);
	}
	scene_free(s);
}

static int import_within(
	struct scene *s, const struct tar_entry *entries, size_t count, bool cut, size_t names_most)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct import_options o = {.names_most = names_most};
	_cleanup_fd_ int fd = -1;

	for (size_t i = 0; i < count; i++)
		CHECK_OK(tar_write_entry(&bytes, &entries[i], &err));
	CHECK(tar_write_end(&bytes));
	fd = memory_file(bytes.data, cut ? 700 : bytes.size);
	return import_tar(s->r, fd, "archive", &o, &s->result, &err);
}

static int import_entries(struct scene *s, const struct tar_entry *entries, size_t count, bool cut)
{
	return import_within(s, entries, count, cut, 0);
}

TEST(an_archive_that_leads_elsewhere_is_refused)
{
	struct scene *s = scene_new(false);

	CHECK_ERROR(import_entries(s, &(struct tar_entry){.type = TAR_FILE, .path = "a/../../b"}, 1, false),
		ERROR_INVALID);
	CHECK_ERROR(import_entries(s, &(struct tar_entry){.type = TAR_HARD_LINK, .path = "a", .link = "b"}, 1,
			    false),
		ERROR_INVALID);
	CHECK_ERROR(import_entries(s, &(struct tar_entry){.type = TAR_HARD_LINK, .path = "a", .link = "../b"},
			    1, false),
		ERROR_INVALID);
	CHECK_ERROR(import_entries(s, &(struct tar_entry){.type = TAR_FILE, .path = "."}, 1, false),
		ERROR_INVALID);
	CHECK_ERROR(
		import_entries(s, &(struct tar_entry){.type = TAR_FILE, .path = "a", .size = 5000}, 1, true),
		ERROR_INVALID);
	scene_free(s);
}

TEST(what_an_archive_tells_last_counts)
{
	struct scene *s = scene_new(false);
	const struct tar_entry entries[] = {
		{.type = TAR_FILE, .path = "/x/a", .mode = 0600},
		{.type = TAR_HARD_LINK, .path = "./x/b", .link = "x/a"},
		{.type = TAR_SYMBOLIC_LINK, .path = "x/a", .link = "/etc"},
		{.type = TAR_FILE, .path = "x/a/under", .mode = 0644},
		{.type = TAR_DIRECTORY, .path = "x", .mode = 0700},
	};
	struct object_id commit;
	struct tree_object o;

	CHECK_OK(import_entries(s, entries, ARRAY_SIZE(entries), false));
	commit = scene_commit(s, &s->result.content, &s->result.identity);
	CHECK_OK(tree_find(s->r, &commit, "x", &o, &err));
	CHECK_INT(o.entry.mode, 0700);
	tree_object_free(&o);
	/* Nothing is beneath a link: what the archive puts there makes it a directory. */
	CHECK_OK(tree_find(s->r, &commit, "x/a/under", &o, &err));
	CHECK_INT(o.entry.mode, 0644);
	tree_object_free(&o);
	CHECK_OK(tree_find_name(s->r, &commit, "x/b", 3, &o, &err));
	CHECK_INT(o.entry.kind, ENTRY_FILE);
	CHECK_INT(o.entry.mode, 0600);
	tree_object_free(&o);
	scene_free(s);
}

/* ---- names beyond what memory is to hold ---- */

#define ENTRIES 40

struct archive {
	struct tar_entry entries[ENTRIES];
	char paths[ENTRIES][32], links[ENTRIES][32];
	uint32_t at; /* of chance */
};

static uint32_t chance(struct archive *a, uint32_t most)
{
	a->at = a->at * 1664525u + 1013904223u;
	return (a->at >> 8) % most;
}

static void make_path(struct archive *a, char path[32])
{
	static const char *const names[] = {"a", "a!", "b", "c"};
	uint32_t depth = 1 + chance(a, 3);

	*path = 0;
	for (uint32_t i = 0; i < depth; i++) {
		if (i)
			strcat(path, "/");
		strcat(path, names[chance(a, ARRAY_SIZE(names))]);
	}
}

/* Few names, so that they often meet: what is replaced, put beneath what is no directory, linked to. */
static void make_archive(struct archive *a, uint32_t seed)
{
	static const enum tar_type types[] = {
		TAR_FILE, TAR_FILE, TAR_DIRECTORY, TAR_DIRECTORY, TAR_SYMBOLIC_LINK, TAR_HARD_LINK};

	*a = (struct archive){.at = seed * 7919};
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct tar_entry *e = &a->entries[i];

		e->type = types[chance(a, i < 8 ? 4 : ARRAY_SIZE(types))];
		e->mode = 0600 + (chance(a, 8) << 3);
		e->mtime = i;
		e->path = a->paths[i];
		make_path(a, e->path);
		if (e->type == TAR_FILE || e->type == TAR_DIRECTORY)
			continue;
		e->link = a->links[i];
		make_path(a, e->link);
		if (e->type == TAR_HARD_LINK)
			strcpy(e->link, a->paths[i - 1 - chance(a, 5)]);
	}
}

TEST(an_archive_whose_names_have_no_room_in_memory_is_the_same_tree)
{
	static const size_t limits[] = {1, 1000, 3000};
	struct scene *s = scene_new(true);
	unsigned whole = 0;

	for (uint32_t seed = 1; seed <= 150; seed++) {
		struct archive a;
		struct import_result all;
		uint32_t count;
		int r;

		make_archive(&a, seed);
		count = 8 + chance(&a, ENTRIES - 8);
		r = import_entries(s, a.entries, count, false);
		all = s->result;
		whole += r == 0;
		for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
			CHECK_INT(import_within(s, a.entries, count, false, limits[i]), r);
			CHECK(r < 0 || object_id_equal(&all.content, &s->result.content));
			CHECK_INT(s->result.files, all.files);
			CHECK_INT(s->result.others, all.others);
			CHECK_INT(s->result.directories, all.directories);
		}
	}
	CHECK(whole > 30 && whole < 150);
	scene_free(s);
}

/* An order like that of no walk. */
TEST(memory_has_a_part_of_the_names_however_many_there_are)
{
	const struct entry file = {.kind = ENTRY_FILE, .mode = 0644};
	struct scene *s = scene_new(false);
	size_t before = mallinfo2().uordblks, most = 0;
	struct tar_names *names;

	CHECK_OK(tar_names_new(s->r, 1 << 20, &names, &err));
	for (uint32_t i = 0; i < 100000; i++) {
		struct tar_node *n;
		char path[32];
		size_t now;
		bool root;

		snprintf(path, sizeof path, "%u/%u", i * 7919 % 100, i);
		CHECK_OK(tar_names_at(names, path, &n, &root, &err));
		CHECK_OK(tar_names_set(names, n, &file, &err));
		now = i % 256 ? 0 : mallinfo2().uordblks;
		most = now > before + most ? now - before : most;
	}
	CHECK(most < 3 << 20);
	tar_names_free(names);
	scene_free(s);
}
