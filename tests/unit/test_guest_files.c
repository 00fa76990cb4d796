/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent does with files, without the agent: trees as tars, tars of a stranger, single files. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/message.h"
#include "codec/tar.h"
#include "guest/beneath.h"
#include "guest/replace.h"
#include "guest/tree_pack.h"
#include "guest/tree_unpack.h"
#include "guest/usage_text.h"
#include "guest/volume_fill.h"
#include "guest/write_file.h"

/* A root with a `target`, beneath which all must happen, and an `outside` with a file that nothing may touch.
 */
struct place {
	char path[64];
	int root;
};

static void put(int root, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* The text of a file, "" where there is none; holds until the next call. */
static const char *text_at(int root, const char *path)
{
	static char text[4096];
	_cleanup_fd_ int fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static struct stat stat_at(int root, const char *path)
{
	struct stat s;

	CHECK(fstatat(root, path, &s, AT_SYMLINK_NOFOLLOW) == 0);
	return s;
}

static bool is_there(int root, const char *path)
{
	struct stat s;

	return fstatat(root, path, &s, AT_SYMLINK_NOFOLLOW) == 0;
}

/* How many names are in a directory. */
static int count_names(int root, const char *path)
{
	DIR *stream = fdopendir(openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int n = 0;

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n - 2;
}

static void place_open(struct place *p)
{
	umask(0);
	snprintf(p->path, sizeof p->path, "/tmp/monocore-guest-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->root = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->root >= 0 && mkdirat(p->root, "target", 0755) == 0 &&
		mkdirat(p->root, "outside", 0755) == 0);
	put(p->root, "outside/file", "safe");
}

static void place_close(struct place *p)
{
	struct error err;

	CHECK_TEXT(text_at(p->root, "outside/file"), "safe");
	CHECK_INT(stat_at(p->root, "outside/file").st_nlink, 1);
	CHECK_INT(count_names(p->root, "outside"), 1);
	CHECK_OK(replace_remove(AT_FDCWD, p->path, p->path, &err));
	CHECK(access(p->path, F_OK) < 0);
	close(p->root);
}

static void add(struct buffer *tar, enum tar_type type, const char *path, uint32_t mode, const char *rest)
{
	const struct tar_entry e = {.type = type,
		.path = (char *)path,
		.mode = mode,
		.mtime = 1000000000,
		.mtime_nanoseconds = 5,
		.uid = 12,
		.gid = 34,
		.device_major = 1,
		.device_minor = 3,
		.link = type == TAR_HARD_LINK || type == TAR_SYMBOLIC_LINK ? (char *)rest : NULL,
		.size = type == TAR_FILE ? strlen(rest) : 0};
	static const uint8_t zeroes[512];
	struct error err;

	CHECK_OK(tar_write_entry(tar, &e, &err));
	if (type == TAR_FILE) {
		buffer_append(tar, rest, strlen(rest));
		buffer_append(tar, zeroes, tar_padding(strlen(rest)));
	}
}

/* Unpacks an archive, in pieces of `piece` bytes. */
static int unpack_in(
	int root, const char *path, uint32_t flags, const struct buffer *tar, size_t piece, struct error *err)
{
	struct tree_unpack *u;
	int r = tree_unpack_new(root, path, flags, &u, err);

	for (size_t at = 0; r == 0 && at < tar->size; at += piece)
		r = tree_unpack_feed(u, tar->data + at, tar->size - at < piece ? tar->size - at : piece, err);
	if (r == 0)
		r = tree_unpack_finish(u, err);
	tree_unpack_free(u);
	return r;
}

static int unpack(const struct place *p, uint32_t flags, struct buffer *tar, struct error *err)
{
	int r;

	tar_write_end(tar);
	r = unpack_in(p->root, "/target", flags, tar, 1000, err);
	buffer_free(tar);
	return r;
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	return buffer_append(context, data, n) ? 0 : error_no_memory(err, "collect");
}

/* The names of what is packed of `path`, each with a type's letter and a newline. */
static void names_of(const struct place *p, const char *path, struct buffer *names)
{
	static const char letters[] = {[TAR_FILE] = 'f',
		[TAR_HARD_LINK] = 'h',
		[TAR_SYMBOLIC_LINK] = 'l',
		[TAR_CHARACTER_DEVICE] = 'c',
		[TAR_BLOCK_DEVICE] = 'b',
		[TAR_DIRECTORY] = 'd',
		[TAR_FIFO] = 'p'};
	_cleanup_buffer_ struct buffer tar = {0};
	struct tar_reader *reader = tar_reader_new(NULL, NULL);
	enum tar_event event = TAR_ENTRY;
	struct error err;
	const uint8_t *in;
	size_t n;

	CHECK_OK(tree_pack(p->root, path, collect, &tar, &err));
	in = tar.data;
	n = tar.size;
	while (event != TAR_END) {
		CHECK_OK(tar_reader_step(reader, &in, &n, &event, &err));
		CHECK(event != TAR_MORE);
		if (event == TAR_ENTRY)
			buffer_format(names, "%c %s\n", letters[tar_reader_entry(reader)->type],
				tar_reader_entry(reader)->path);
	}
	tar_reader_free(reader);
	buffer_u8(names, 0);
}

TEST(what_is_packed_and_unpacked_is_the_same_tree)
{
	_cleanup_buffer_ struct buffer tar = {0};
	struct error err;
	struct place p;
	struct stat s;

	place_open(&p);
	add(&tar, TAR_DIRECTORY, "d", 01750, NULL);
	add(&tar, TAR_FILE, "d/file", 04640, "contents");
	add(&tar, TAR_FILE, "d/empty", 0400, "");
	add(&tar, TAR_HARD_LINK, "d/again", 0, "d/file");
	add(&tar, TAR_SYMBOLIC_LINK, "d/link", 0777, "/nowhere");
	add(&tar, TAR_FIFO, "d/fifo", 0622, NULL);
	CHECK_OK(unpack(&p, 0, &tar, &err));
	CHECK(mkdirat(p.root, "second", 0755) == 0);
	for (int i = 0; i < 2; i++) {
		const char *const from[] = {"target", "second"};
		_cleanup_fd_ int at = openat(p.root, from[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		char link[32] = "";

		s = stat_at(at, "d");
		CHECK(S_ISDIR(s.st_mode) && (s.st_mode & 07777) == 01750);
		CHECK(s.st_mtim.tv_sec == 1000000000 && s.st_mtim.tv_nsec == 5);
		s = stat_at(at, "d/file");
		CHECK((s.st_mode & 07777) == 04640 && s.st_mtim.tv_sec == 1000000000 && s.st_nlink == 2);
		CHECK(s.st_ino == stat_at(at, "d/again").st_ino);
		CHECK_TEXT(text_at(at, "d/file"), "contents");
		CHECK(stat_at(at, "d/empty").st_size == 0);
		CHECK(readlinkat(at, "d/link", link, sizeof link - 1) == 8 && !strcmp(link, "/nowhere"));
		CHECK(stat_at(at, "d/link").st_mtim.tv_sec == 1000000000);
		CHECK((stat_at(at, "d/fifo").st_mode & 0777) == 0622 &&
			S_ISFIFO(stat_at(at, "d/fifo").st_mode));
		CHECK_INT(count_names(at, "d"), 5);
		if (i == 0) {
			_cleanup_buffer_ struct buffer packed = {0};

			CHECK_OK(tree_pack(p.root, "/target/d", collect, &packed, &err));
			CHECK_OK(unpack_in(p.root, "second", 0, &packed, 77, &err));
		}
	}
	place_close(&p);
}

TEST(the_root_of_what_is_packed_is_called_as_it_was_asked_for)
{
	static const char *const asked[][2] = {{"/target/d", "d d\nf d/x\n"}, {"target/d/", "d d\nf d/x\n"},
		{"/target/d/.", "d .\nf ./x\n"}, {"/target/d/x", "f x\n"}, {"/target/link", "l link\n"},
		{"/target/link/", "d link\nf link/x\n"}, {"/target/d/..//link/x", "f x\n"}};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0755) == 0);
	put(p.root, "target/d/x", "x");
	CHECK(symlinkat("/target/d", p.root, "target/link") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		_cleanup_buffer_ struct buffer names = {0};

		names_of(&p, asked[i][0], &names);
		CHECK_TEXT((const char *)names.data, asked[i][1]);
	}
	CHECK_ERROR(tree_pack(p.root, "/target/none", collect, NULL, &err), ERROR_NOT_FOUND);
	CHECK(strstr(err.text, "/target/none"));
	CHECK_ERROR(tree_pack(p.root, "/target/d/x/", collect, NULL, &err), ERROR_SYSTEM);
	place_close(&p);
}

/* What a sandbox's root has for a volume: modes, links, a hole, times of long ago. */
static void make_image(const struct place *p)
{
	const struct timespec long_ago[2] = {{100, 1}, {200, 2}};
	int fd;

	CHECK(mkdirat(p->root, "image", 0755) == 0 && mkdirat(p->root, "image/data", 0755) == 0);
	CHECK(mkdirat(p->root, "image/data/deep", 01777) == 0 && mkdirat(p->root, "image/other", 0755) == 0);
	put(p->root, "image/data/file", "contents");
	put(p->root, "image/data/deep/run", "#!");
	put(p->root, "image/data/empty", "");
	CHECK(fchmodat(p->root, "image/data/deep/run", 04751, 0) == 0);
	CHECK(fchmodat(p->root, "image/data/file", 0400, 0) == 0);
	CHECK(linkat(p->root, "image/data/file", p->root, "image/data/deep/same", 0) == 0);
	CHECK(symlinkat("/etc/passwd", p->root, "image/data/link") == 0);
	CHECK(symlinkat("data", p->root, "image/way") == 0);
	CHECK(mknodat(p->root, "image/data/pipe", S_IFIFO | 0640, 0) == 0);
	fd = openat(p->root, "image/data/sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0 && pwrite(fd, "x", 1, 300000) == 1 && close(fd) == 0);
	if (geteuid() == 0)
		CHECK(fchownat(p->root, "image/data/deep/run", 5, 6, 0) == 0 &&
			fchmodat(p->root, "image/data/deep/run", 04751, 0) == 0 &&
			fchownat(p->root, "image/data", 7, 8, 0) == 0);
	CHECK(fchmodat(p->root, "image/data", 02750, 0) == 0);
	CHECK(utimensat(p->root, "image/data/deep/run", long_ago, 0) == 0);
	CHECK(utimensat(p->root, "image/data/deep", long_ago, 0) == 0);
	CHECK(utimensat(p->root, "image/data", long_ago, 0) == 0);
}

static int fill(const struct place *p, const char *path, struct error *err)
{
	_cleanup_fd_ int image = openat(p->root, "image", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd_ int to = openat(p->root, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return volume_fill(image, path, to, err);
}

static void check_same(const struct place *p, const char *from, const char *to)
{
	struct stat a = stat_at(p->root, from), b = stat_at(p->root, to);

	CHECK_INT(b.st_mode, a.st_mode);
	CHECK(a.st_uid == b.st_uid && a.st_gid == b.st_gid && a.st_nlink == b.st_nlink);
	CHECK(S_ISDIR(a.st_mode) || a.st_size == b.st_size);
	CHECK(a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec);
}

TEST(a_new_volume_is_filled_with_all_that_the_image_has_there)
{
	static const char *const names[] = {
		"", "/deep", "/deep/run", "/deep/same", "/file", "/empty", "/link", "/pipe", "/sparse"};
	struct error err;
	struct place p;

	place_open(&p);
	make_image(&p);
	CHECK_OK(fill(&p, "/way", &err));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char from[64], to[64];

		snprintf(from, sizeof from, "image/data%s", names[i]);
		snprintf(to, sizeof to, "target%s", names[i]);
		check_same(&p, from, to);
	}
	CHECK_TEXT(text_at(p.root, "target/file"), "contents");
	CHECK_INT(stat_at(p.root, "target/file").st_ino, stat_at(p.root, "target/deep/same").st_ino);
	CHECK_INT(count_names(p.root, "target"), 6);
	place_close(&p);
}

TEST(where_the_image_has_no_directory_a_new_volume_is_empty)
{
	struct error err;
	struct place p;

	place_open(&p);
	make_image(&p);
	CHECK(fchmodat(p.root, "target", 0700, 0) == 0);
	CHECK_OK(fill(&p, "/none/there", &err));
	CHECK_INT(stat_at(p.root, "target").st_mode, S_IFDIR | 0755);
	CHECK_OK(fill(&p, "/data/file", &err));
	CHECK_OK(fill(&p, "/other", &err));
	CHECK_INT(count_names(p.root, "target"), 0);
	place_close(&p);
}

/* What was there is not written over: a copy that was broken off begins anew in an empty directory. */
TEST(a_volume_that_has_something_is_not_filled)
{
	struct error err;
	struct place p;

	place_open(&p);
	make_image(&p);
	put(p.root, "target/file", "mine");
	CHECK(fill(&p, "/data", &err) < 0);
	CHECK_TEXT(text_at(p.root, "target/file"), "mine");
	place_close(&p);
}

TEST(packing_leaves_sockets_out_and_opens_no_fifo)
{
	_cleanup_buffer_ struct buffer names = {0};
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0755) == 0 && mkfifoat(p.root, "target/d/fifo", 0600) == 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/target/d/socket", p.path);
	CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
	names_of(&p, "target/d", &names);
	CHECK_TEXT((const char *)names.data, "d d\np d/fifo\n");
	place_close(&p);
}

TEST(packing_a_tree_that_is_deeper_than_a_path_can_tell_is_a_limit)
{
	_cleanup_buffer_ struct buffer tar = {0};
	struct error err;
	struct place p;
	int at;

	place_open(&p);
	at = openat(p.root, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 100; i++) {
		char name[64];
		int next;

		memset(name, 'a', sizeof name - 1);
		name[63] = 0;
		CHECK(mkdirat(at, name, 0755) == 0);
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	close(at);
	CHECK_ERROR(tree_pack(p.root, "target", collect, &tar, &err), ERROR_LIMIT);
	place_close(&p);
}

/* Each of these names, as a file, must not be made outside, nor anything there changed. */
TEST(an_archive_never_leads_out_of_its_target)
{
	static const char *const links[] = {
		"../outside", "/outside", "d/../../outside", "x/y/../../../outside"};
	static const char *const names[] = {
		"../outside/new", "/../outside/new", "d/../../outside/new", "./../new"};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0755) == 0 && mkdirat(p.root, "target/x", 0755) == 0 &&
		mkdirat(p.root, "target/x/y", 0755) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (int type = TAR_FILE; type <= TAR_FIFO; type++) {
			struct buffer tar = {0};

			if (type == TAR_CHARACTER_DEVICE || type == TAR_BLOCK_DEVICE)
				continue;
			add(&tar, (enum tar_type)type, names[i], 0644, "x");
			CHECK_ERROR(unpack(&p, 0, &tar, &err), ERROR_INVALID);
		}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		for (uint32_t flags = 0; flags <= PUT_KEEP_DIRECTORIES; flags += PUT_KEEP_DIRECTORIES) {
			struct buffer tar = {0};

			add(&tar, TAR_SYMBOLIC_LINK, "out", 0777, links[i]);
			add(&tar, TAR_FILE, "out/new", 0644, "evil");
			CHECK(unpack(&p, flags, &tar, &err) < 0);
			add(&tar, TAR_SYMBOLIC_LINK, "out", 0777, links[i]);
			add(&tar, TAR_FILE, "out/new/deep", 0644, "evil");
			CHECK(unpack(&p, flags, &tar, &err) < 0);
			add(&tar, TAR_HARD_LINK, "take", 0, "out/file");
			CHECK(unpack(&p, flags, &tar, &err) < 0);
			CHECK(!is_there(p.root, "target/take"));
		}
	place_close(&p);
}

TEST(an_entry_over_a_link_replaces_the_link_and_not_what_it_leads_to)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(symlinkat("../outside/file", p.root, "target/a") == 0 &&
		symlinkat("../outside", p.root, "target/b") == 0 &&
		symlinkat("../outside/file", p.root, "target/c") == 0);
	add(&tar, TAR_FILE, "a", 0600, "mine");
	add(&tar, TAR_DIRECTORY, "b", 0700, NULL);
	add(&tar, TAR_FILE, "b/file", 0600, "mine");
	add(&tar, TAR_HARD_LINK, "hard", 0, "c");
	CHECK_OK(unpack(&p, 0, &tar, &err));
	CHECK_TEXT(text_at(p.root, "target/a"), "mine");
	CHECK_TEXT(text_at(p.root, "target/b/file"), "mine");
	CHECK(S_ISREG(stat_at(p.root, "target/a").st_mode) && S_ISDIR(stat_at(p.root, "target/b").st_mode));
	CHECK(S_ISLNK(stat_at(p.root, "target/hard").st_mode));
	place_close(&p);
}

TEST(links_that_stay_beneath_the_target_are_followed_on_the_way)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/usr", 0755) == 0 && mkdirat(p.root, "target/usr/lib", 0755) == 0 &&
		symlinkat("usr/lib", p.root, "target/lib") == 0);
	add(&tar, TAR_DIRECTORY, "lib", 0700, NULL);
	add(&tar, TAR_FILE, "lib/x", 0644, "x");
	CHECK_OK(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err));
	CHECK_TEXT(text_at(p.root, "target/usr/lib/x"), "x");
	CHECK(S_ISLNK(stat_at(p.root, "target/lib").st_mode));
	/* Where the target is the root, an absolute link is one within it. */
	CHECK(symlinkat("/target/usr", p.root, "run") == 0);
	add(&tar, TAR_FILE, "run/y", 0644, "y");
	tar_write_end(&tar);
	CHECK_OK(unpack_in(p.root, "/", PUT_KEEP_DIRECTORIES, &tar, 512, &err));
	CHECK_TEXT(text_at(p.root, "target/usr/y"), "y");
	buffer_free(&tar);
	place_close(&p);
}

TEST(directories_are_replaced_only_where_that_is_wanted)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0755) == 0 && mkdirat(p.root, "target/d/e", 0755) == 0);
	put(p.root, "target/d/e/f", "old");
	put(p.root, "target/g", "old");
	add(&tar, TAR_FILE, "d", 0644, "new");
	CHECK_ERROR(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err), ERROR_EXISTS);
	add(&tar, TAR_SYMBOLIC_LINK, "d", 0644, "g");
	CHECK_ERROR(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err), ERROR_EXISTS);
	add(&tar, TAR_DIRECTORY, "g", 0755, NULL);
	CHECK_ERROR(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err), ERROR_EXISTS);
	CHECK_TEXT(text_at(p.root, "target/d/e/f"), "old");
	CHECK_TEXT(text_at(p.root, "target/g"), "old");
	CHECK_INT(count_names(p.root, "target"), 2);
	add(&tar, TAR_FILE, "d", 0644, "new");
	add(&tar, TAR_DIRECTORY, "g", 0755, NULL);
	CHECK_OK(unpack(&p, 0, &tar, &err));
	CHECK_TEXT(text_at(p.root, "target/d"), "new");
	CHECK(S_ISDIR(stat_at(p.root, "target/g").st_mode));
	place_close(&p);
}

TEST(a_directory_that_is_there_changes_only_with_its_owner)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0711) == 0);
	add(&tar, TAR_DIRECTORY, "./", 0700, NULL);
	add(&tar, TAR_DIRECTORY, "d", 0755, NULL);
	CHECK_OK(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err));
	CHECK_INT(stat_at(p.root, "target/d").st_mode & 07777, 0711);
	CHECK_INT(stat_at(p.root, "target").st_mode & 07777, 0755);
	if (geteuid() == 0) {
		add(&tar, TAR_DIRECTORY, "d", 0755, NULL);
		CHECK_OK(unpack(&p, PUT_KEEP_DIRECTORIES | PUT_KEEP_OWNERS, &tar, &err));
		CHECK_INT(stat_at(p.root, "target/d").st_mode & 07777, 0755);
		CHECK_INT(stat_at(p.root, "target/d").st_uid, 12);
		CHECK_INT(stat_at(p.root, "target/d").st_mtim.tv_sec, 1000000000);
	}
	place_close(&p);
}

TEST(root_keeps_owners_devices_and_setuid_bits_of_an_archive)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;
	struct stat s;

	if (geteuid() != 0)
		return;
	place_open(&p);
	add(&tar, TAR_FILE, "suid", 06755, "x");
	add(&tar, TAR_SYMBOLIC_LINK, "link", 0777, "suid");
	CHECK_OK(unpack(&p, PUT_KEEP_OWNERS, &tar, &err));
	s = stat_at(p.root, "target/suid");
	CHECK(s.st_uid == 12 && s.st_gid == 34 && (s.st_mode & 07777) == 06755);
	CHECK(stat_at(p.root, "target/link").st_uid == 12);
	add(&tar, TAR_CHARACTER_DEVICE, "null", 0604, NULL);
	if (unpack(&p, PUT_KEEP_OWNERS, &tar, &err) == 0) { /* not so in a container */
		s = stat_at(p.root, "target/null");
		CHECK(S_ISCHR(s.st_mode) && s.st_rdev == 0x103 && (s.st_mode & 07777) == 0604 &&
			s.st_uid == 12);
	}
	place_close(&p);
}

TEST(an_archive_that_is_cut_leaves_nothing_half_written)
{
	struct buffer tar = {0};
	struct tree_unpack *u;
	struct error err;
	struct place p;

	place_open(&p);
	put(p.root, "target/file", "old");
	add(&tar, TAR_FILE, "file", 0644, "new contents");
	CHECK_OK(tree_unpack_new(p.root, "target", 0, &u, &err));
	CHECK_OK(tree_unpack_feed(u, tar.data, tar.size - 508, &err));
	CHECK_INT(count_names(p.root, "target"), 2);
	CHECK_TEXT(text_at(p.root, "target/file"), "old");
	CHECK_ERROR(tree_unpack_finish(u, &err), ERROR_INVALID);
	tree_unpack_free(u);
	CHECK_INT(count_names(p.root, "target"), 1);
	CHECK_TEXT(text_at(p.root, "target/file"), "old");
	buffer_free(&tar);
	buffer_append_text(&tar, "this is no tar, and long enough to be a header of one");
	while (tar.size < 1024)
		buffer_u8(&tar, 'x');
	CHECK_ERROR(unpack_in(p.root, "target", 0, &tar, 100, &err), ERROR_INVALID);
	CHECK_ERROR(unpack_in(p.root, "none", 0, &tar, 100, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(unpack_in(p.root, "target/file", 0, &tar, 100, &err), ERROR_SYSTEM);
	buffer_free(&tar);
	place_close(&p);
}

TEST(a_second_name_of_a_file_over_its_first_leaves_no_third)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	for (int i = 0; i < 2; i++) {
		add(&tar, TAR_FILE, "a", 0644, "x");
		add(&tar, TAR_HARD_LINK, "a", 0, "./a");
		add(&tar, TAR_HARD_LINK, "b", 0, "/a");
		add(&tar, TAR_HARD_LINK, "b", 0, "a");
		CHECK_OK(unpack(&p, PUT_KEEP_DIRECTORIES, &tar, &err));
		CHECK_INT(count_names(p.root, "target"), 2);
		CHECK_INT(stat_at(p.root, "target/a").st_nlink, 2);
	}
	add(&tar, TAR_HARD_LINK, "c", 0, "none");
	CHECK_ERROR(unpack(&p, 0, &tar, &err), ERROR_NOT_FOUND);
	place_close(&p);
}

TEST(extended_attributes_go_in_and_out)
{
	_cleanup_buffer_ struct buffer tar = {0};
	char value[16] = "";
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.root, "target/d", 0755) == 0 && mkdirat(p.root, "second", 0755) == 0);
	put(p.root, "target/d/file", "x");
	snprintf(value, sizeof value, "v=%c", 7);
	{
		_cleanup_fd_ int fd = openat(p.root, "target/d/file", O_RDONLY | O_CLOEXEC);

		if (fsetxattr(fd, "user.a=b", value, 3, 0) < 0) { /* a file system without */
			CHECK_INT(errno, ENOTSUP);
			place_close(&p);
			return;
		}
	}
	CHECK_OK(tree_pack(p.root, "target/d", collect, &tar, &err));
	CHECK_OK(unpack_in(p.root, "second", 0, &tar, 512, &err));
	{
		_cleanup_fd_ int fd = openat(p.root, "second/d/file", O_RDONLY | O_CLOEXEC);
		char got[16];

		CHECK_INT(fgetxattr(fd, "user.a=b", got, sizeof got), 3);
		CHECK(!memcmp(got, value, 3));
	}
	place_close(&p);
}

static int write_text(
	const struct place *p, const char *path, uint32_t mode, const char *text, struct error *err)
{
	struct write_file f = WRITE_FILE_NONE;
	int r = write_file_begin(&f, p->root, path, mode, err);

	if (r == 0)
		r = write_file_add(&f, text, strlen(text), err);
	if (r == 0)
		r = write_file_finish(&f, err);
	write_file_drop(&f);
	return r;
}

TEST(a_written_file_appears_whole_with_its_mode)
{
	struct write_file f = WRITE_FILE_NONE;
	struct error err;
	struct place p;

	place_open(&p);
	CHECK_OK(write_text(&p, "/target/new", 04751, "one", &err));
	CHECK_TEXT(text_at(p.root, "target/new"), "one");
	CHECK_INT(stat_at(p.root, "target/new").st_mode & 07777, 04751);
	if (geteuid() == 0)
		CHECK(fchownat(p.root, "target/new", 5, 6, 0) == 0);
	CHECK_OK(write_file_begin(&f, p.root, "target/new", 0600, &err));
	CHECK_OK(write_file_add(&f, "tw", 2, &err));
	CHECK_TEXT(text_at(p.root, "target/new"), "one");
	write_file_drop(&f);
	CHECK_INT(count_names(p.root, "target"), 1);
	CHECK_OK(write_text(&p, "target/new", 0640, "two", &err));
	CHECK_TEXT(text_at(p.root, "target/new"), "two");
	CHECK_INT(stat_at(p.root, "target/new").st_mode & 07777, 0640);
	if (geteuid() == 0)
		CHECK(stat_at(p.root, "target/new").st_uid == 5 && stat_at(p.root, "target/new").st_gid == 6);
	CHECK_ERROR(write_text(&p, "target", 0600, "x", &err), ERROR_SYSTEM);
	CHECK_ERROR(write_text(&p, "target/", 0600, "x", &err), ERROR_SYSTEM);
	CHECK_ERROR(write_text(&p, "target/none/x", 0600, "x", &err), ERROR_NOT_FOUND);
	CHECK_INT(count_names(p.root, "target"), 1);
	place_close(&p);
}

TEST(writing_follows_links_within_the_root_but_no_planted_one)
{
	struct error err;
	struct place p;

	place_open(&p);
	put(p.root, "target/file", "old");
	CHECK(symlinkat("/target/b", p.root, "target/a") == 0 &&
		symlinkat("../target/file", p.root, "target/b") == 0 &&
		symlinkat("fresh", p.root, "target/c") == 0 &&
		symlinkat("loop", p.root, "target/loop") == 0 &&
		symlinkat("../../../../target/up", p.root, "target/d") == 0);
	CHECK_OK(write_text(&p, "target/a", 0600, "new", &err));
	CHECK_TEXT(text_at(p.root, "target/file"), "new");
	CHECK(S_ISLNK(stat_at(p.root, "target/a").st_mode) && S_ISLNK(stat_at(p.root, "target/b").st_mode));
	CHECK_OK(write_text(&p, "target/c", 0600, "made", &err));
	CHECK_TEXT(text_at(p.root, "target/fresh"), "made");
	CHECK_OK(write_text(&p, "target/d", 0600, "held", &err));
	CHECK_TEXT(text_at(p.root, "target/up"), "held");
	CHECK_ERROR(write_text(&p, "target/loop", 0600, "x", &err), ERROR_SYSTEM);
	if (geteuid() == 0) {
		CHECK(mkdirat(p.root, "tmp", 01777) == 0 && symlinkat("/outside/file", p.root, "tmp/x") == 0);
		CHECK(fchownat(p.root, "tmp/x", 1234, 1234, AT_SYMLINK_NOFOLLOW) == 0);
		CHECK_ERROR(write_text(&p, "/tmp/x", 0600, "evil", &err), ERROR_DENIED);
	}
	place_close(&p);
}

TEST(a_fifo_is_written_to_and_nobody_waits_for_its_reader)
{
	_cleanup_fd_ int reader = -1;
	struct error err;
	struct place p;
	char got[8] = "";

	place_open(&p);
	CHECK(mkfifoat(p.root, "target/fifo", 0600) == 0);
	CHECK(write_text(&p, "target/fifo", 0600, "x", &err) < 0);
	reader = openat(p.root, "target/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK_OK(write_text(&p, "target/fifo", 0600, "text", &err));
	CHECK(read(reader, got, sizeof got) == 4 && !memcmp(got, "text", 4));
	CHECK(S_ISFIFO(stat_at(p.root, "target/fifo").st_mode));
	place_close(&p);
}

TEST(the_kernels_texts_are_read_as_they_are_meant)
{
	struct usage_counters c = {0};
	uint64_t total, available;

	usage_cpu("cpu  10 1 20 1000 500 3 4 5 99 99\ncpu0 1 1 1 1\n", 100, &c);
	CHECK_INT(c.cpu_nanoseconds, (10 + 1 + 20 + 3 + 4 + 5) * 10000000LL);
	usage_disks(" 254       0 vda 5 0 8 1 6 0 16 2 0 0 0\n 254       1 vda1 5 0 800 1 6 0 800 2\n"
		    "   7       0 loop0 1 0 99 0 1 0 99 0\n 254      16 vdb 1 0 2 0 1 0 1 0 0\n",
		&c);
	CHECK_INT(c.disk_read, 10 * 512);
	CHECK_INT(c.disk_written, 17 * 512);
	usage_net("Inter-|   Receive    |  Transmit\n face |bytes    packets|bytes\n"
		  "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0\n"
		  "eth1:5 1 0 0 0 0 0 0 7 1 0 0",
		&c);
	CHECK_INT(c.net_received, 105);
	CHECK_INT(c.net_sent, 207);
	usage_memory("MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n", &total, &available);
	CHECK(total == 2048 * 1024 && available == 1024 * 1024);
	CHECK_INT(usage_load("1.25 0.10 0.01 1/82 77\n"), 1250);
	CHECK_INT(usage_load("0.5"), 500);
}

TEST(texts_of_the_kernel_that_are_cut_or_empty_count_nothing)
{
	static const char *const odd[] = {
		"", "\n", "cpu", "cpu ", "vd", " 1 1 vda", "a:", ":", "x: y", "MemTotal:", "9"};
	struct usage_counters c = {0};
	uint64_t total, available;

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		usage_cpu(odd[i], 100, &c);
		usage_disks(odd[i], &c);
		usage_net(odd[i], &c);
		usage_memory(odd[i], &total, &available);
		CHECK(!c.cpu_nanoseconds && !c.disk_read && !c.net_received && !total && !available);
	}
	CHECK_INT(usage_load(""), 0);
	CHECK_INT(usage_load("99999999999999999999.1"), 0);
}
