/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of the host as tars, and tars of a stranger laid out on the host. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "codec/tar.h"
#include "lib/copy.h"
#include "lib/extract.h"
#include "lib/pack.h"
#include "os/fs.h"

/* A directory with a `target`, beneath which all must happen, and an `outside` with a file. */
struct place {
	char path[64];
	int fd, target;
};

static void put(int at, const char *path, const char *bytes, size_t size, mode_t mode)
{
	int fd = openat(at, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void place_open(struct place *p)
{

	snprintf(p->path, sizeof p->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->fd >= 0);
	CHECK(mkdirat(p->fd, "target", 0755) == 0 && mkdirat(p->fd, "outside", 0755) == 0);
	put(p->fd, "outside/file", "safe", 4, 0644);
	p->target = openat(p->fd, "target", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->target >= 0);
}

/* What is outside is what it was: that is checked after every test. */
static void place_close(struct place *p)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct error err;

	CHECK_OK(fs_read_file(p->fd, "outside/file", 100, &b, &err));
	CHECK(b.size == 4 && !memcmp(b.data, "safe", 4));
	CHECK(unlinkat(p->fd, "outside/file", 0) == 0 && unlinkat(p->fd, "outside", AT_REMOVEDIR) == 0);
	CHECK_OK(fs_remove_tree(p->fd, "target", &err));
	CHECK(rmdir(p->path) == 0);
	close(p->fd);
	close(p->target);
}

static void add(struct buffer *tar, enum tar_type type, const char *path, uint32_t mode, const char *rest)
{
	const struct tar_entry e = {.type = type,
		.path = (char *)path,
		.mode = mode,
		.link = type == TAR_HARD_LINK || type == TAR_SYMBOLIC_LINK ? (char *)rest : NULL,
		.size = type == TAR_FILE ? strlen(rest) : 0,
		.mtime = 1000,
		.mtime_nanoseconds = 5,
		.device_major = 1,
		.device_minor = 3};
	static const char zeroes[512];
	struct error err;

	CHECK_OK(tar_write_entry(tar, &e, &err));
	if (type == TAR_FILE) {
		buffer_append(tar, rest, strlen(rest));
		buffer_append(tar, zeroes, tar_padding(strlen(rest)));
	}
}

static int unpack(const struct place *p, const char *name, bool wanted, struct buffer *tar, struct error *err)
{
	const struct extract_options options = {
		.directory = p->target, .name = name, .directory_wanted = wanted};
	struct extraction *x;
	int r = extraction_new(&options, &x, err);

	tar_write_end(tar);
	for (size_t at = 0; r == 0 && at < tar->size; at += 100) /* in pieces that fit nothing */
		r = extraction_feed(x, tar->data + at, tar->size - at < 100 ? tar->size - at : 100, err);
	if (r == 0)
		r = extraction_finish(x, err);
	extraction_free(x);
	buffer_free(tar);
	return r;
}

static struct stat stat_of(const struct place *p, const char *path)
{
	struct stat s;

	if (fstatat(p->target, path, &s, AT_SYMLINK_NOFOLLOW) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	return s;
}

static bool is_there(const struct place *p, const char *path)
{
	return faccessat(p->target, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_text(const struct place *p, const char *path, const char *text)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct error err;

	CHECK_OK(fs_read_file(p->target, path, 1000000, &b, &err));
	CHECK(b.size == strlen(text) && !memcmp(b.data, text, b.size));
}

/* Nothing but these many names is in the target: no temporary file is left. */
static void check_count(const struct place *p, size_t expected)
{
	char line[128];
	struct error err;
	size_t n = 0;
	FILE *f;

	(void)err;
	snprintf(line, sizeof line, "/usr/bin/find %s/target -mindepth 1 -printf x", p->path);
	f = popen(line, "re");
	while (f && fgetc(f) == 'x')
		n++;
	CHECK(f && pclose(f) == 0);
	CHECK_INT(n, expected);
}

TEST(a_tree_comes_out_with_modes_times_and_links)
{
	struct buffer tar = {0};
	struct place p;
	struct error err;
	struct stat s;
	char link[64] = "";

	place_open(&p);
	umask(022);
	add(&tar, TAR_DIRECTORY, "tree", 0755, "");
	add(&tar, TAR_FILE, "tree/a", 0640, "text");
	add(&tar, TAR_DIRECTORY, "tree/closed", 0555, "");
	add(&tar, TAR_FILE, "tree/closed/b", 0666, "");
	add(&tar, TAR_HARD_LINK, "tree/hard", 0640, "tree/a");
	add(&tar, TAR_SYMBOLIC_LINK, "tree/soft", 0777, "/etc/passwd");
	add(&tar, TAR_FIFO, "tree/pipe", 0600, "");
	CHECK_OK(unpack(&p, "copy", false, &tar, &err));
	check_text(&p, "copy/a", "text");
	s = stat_of(&p, "copy/a");
	CHECK_INT(s.st_mode & 07777, 0640);
	CHECK_INT(s.st_mtim.tv_sec, 1000);
	CHECK_INT(s.st_mtim.tv_nsec, 5);
	CHECK_INT(s.st_nlink, 2);
	CHECK_INT(stat_of(&p, "copy/closed/b").st_mode & 07777, 0644); /* within the umask */
	CHECK_INT(stat_of(&p, "copy/closed").st_mode & 07777, 0555);
	CHECK_INT(stat_of(&p, "copy/closed").st_mtim.tv_sec, 1000);
	CHECK_INT(stat_of(&p, "copy").st_mtim.tv_sec, 1000);
	CHECK(readlinkat(p.target, "copy/soft", link, sizeof link - 1) == 11 && !strcmp(link, "/etc/passwd"));
	CHECK(S_ISFIFO(stat_of(&p, "copy/pipe").st_mode));
	check_count(&p, 7);
	CHECK(fchmodat(p.target, "copy/closed", 0755, 0) == 0);
	place_close(&p);
}

TEST(setuid_bits_and_devices_do_not_come_out)
{
	struct buffer tar = {0};
	struct place p;
	struct error err;

	place_open(&p);
	add(&tar, TAR_DIRECTORY, "t", 07755, "");
	add(&tar, TAR_FILE, "t/suid", 06755, "x");
	add(&tar, TAR_CHARACTER_DEVICE, "t/null", 0666, "");
	add(&tar, TAR_BLOCK_DEVICE, "t/disk", 0666, "");
	CHECK_OK(unpack(&p, "t", false, &tar, &err));
	CHECK_INT(stat_of(&p, "t/suid").st_mode & 07777, 0755);
	CHECK_INT(stat_of(&p, "t").st_mode & 07777, 0755);
	CHECK_INT(stat_of(&p, "t/suid").st_uid, geteuid());
	check_count(&p, 2);
	place_close(&p);
}

TEST(a_name_that_leads_out_is_refused)
{
	static const char *const names[] = {"t/../../outside/file", "../outside/file", "t/..", "..", "/etc/x",
		"other", "tt", "t/a/../../../outside/file"};
	struct error err;
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct buffer tar = {0};

		add(&tar, TAR_DIRECTORY, "t", 0755, "");
		add(&tar, TAR_FILE, names[i], 0644, "bad");
		CHECK_ERROR(unpack(&p, "t", false, &tar, &err), ERROR_INVALID);
	}
	check_count(&p, 1);
	place_close(&p);
}

TEST(a_first_name_that_leads_out_is_refused_too)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	add(&tar, TAR_FILE, "../outside/file", 0644, "bad");
	CHECK_ERROR(unpack(&p, "t", false, &tar, &err), ERROR_INVALID);
	check_count(&p, 0);
	place_close(&p);
}

TEST(nothing_is_written_through_a_link_of_the_archive)
{
	static const char *const targets[] = {"../../outside", "../outside", "/tmp", ".", "sub"};
	struct error err;
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		struct buffer tar = {0};

		add(&tar, TAR_DIRECTORY, "t", 0755, "");
		add(&tar, TAR_DIRECTORY, "t/sub", 0755, "");
		add(&tar, TAR_SYMBOLIC_LINK, "t/link", 0777, targets[i]);
		add(&tar, TAR_FILE, "t/link/file", 0644, "bad");
		CHECK_ERROR(unpack(&p, "t", false, &tar, &err), ERROR_EXISTS);
		CHECK(!is_there(&p, "t/sub/file") && !is_there(&p, "t/file"));
	}
	place_close(&p);
}

TEST(a_directory_does_not_become_a_link_while_it_is_filled)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	add(&tar, TAR_DIRECTORY, "t", 0755, "");
	add(&tar, TAR_DIRECTORY, "t/d", 0755, "");
	add(&tar, TAR_FILE, "t/d/one", 0644, "1");
	add(&tar, TAR_SYMBOLIC_LINK, "t/d", 0777, "../../outside");
	add(&tar, TAR_FILE, "t/d/file", 0644, "bad");
	CHECK_ERROR(unpack(&p, "t", false, &tar, &err), ERROR_EXISTS);
	CHECK(S_ISDIR(stat_of(&p, "t/d").st_mode));
	place_close(&p);
}

TEST(links_of_an_earlier_copy_are_not_followed)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(symlinkat("../outside/file", p.target, "file") == 0);
	CHECK(symlinkat("../outside", p.target, "dir") == 0);
	add(&tar, TAR_FILE, "file", 0600, "new");
	CHECK_OK(unpack(&p, "file", false, &tar, &err)); /* takes the link's place */
	CHECK(S_ISREG(stat_of(&p, "file").st_mode));
	add(&tar, TAR_DIRECTORY, "x", 0700, "");
	add(&tar, TAR_FILE, "x/file", 0600, "bad");
	CHECK_ERROR(unpack(&p, "dir", false, &tar, &err), ERROR_EXISTS);
	add(&tar, TAR_DIRECTORY, "x", 0700, "");
	add(&tar, TAR_FILE, "x/dir/file", 0600, "bad");
	CHECK_ERROR(unpack(&p, NULL, false, &tar, &err), ERROR_EXISTS);
	CHECK(S_ISLNK(stat_of(&p, "dir").st_mode));
	place_close(&p);
}

TEST(hard_links_stay_beneath_the_target)
{
	static const char *const targets[] = {
		"../outside/file", "t/../../outside/file", "/etc/passwd", "t/soft/file", "t/none", "t"};
	struct error err;
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		struct buffer tar = {0};

		add(&tar, TAR_DIRECTORY, "t", 0755, "");
		add(&tar, TAR_SYMBOLIC_LINK, "t/soft", 0777, "../../outside");
		add(&tar, TAR_HARD_LINK, "t/hard", 0644, targets[i]);
		CHECK(unpack(&p, "t", false, &tar, &err) < 0);
		CHECK(!is_there(&p, "t/hard"));
	}
	place_close(&p);
}

TEST(a_hard_link_to_a_link_is_one_to_the_link)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	add(&tar, TAR_DIRECTORY, "t", 0755, "");
	add(&tar, TAR_SYMBOLIC_LINK, "t/soft", 0777, "../../outside/file");
	add(&tar, TAR_HARD_LINK, "t/hard", 0644, "t/soft");
	add(&tar, TAR_FILE, "t/hard", 0644, "new");
	CHECK_OK(unpack(&p, "t", false, &tar, &err));
	check_text(&p, "t/hard", "new");
	place_close(&p);
}

TEST(the_contents_of_a_directory_go_into_one_that_is_there)
{
	static const char *const roots[] = {"./", "tree", "/"};
	struct error err;
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		char below[32];
		struct buffer tar = {0};

		snprintf(below, sizeof below, "%s/sub/file", roots[i]);
		add(&tar, TAR_DIRECTORY, roots[i], 0700, "");
		add(&tar, TAR_FILE, below, 0644, "text");
		CHECK_OK(unpack(&p, NULL, true, &tar, &err));
		check_text(&p, "sub/file", "text");
		check_count(&p, 2);
	}
	CHECK_INT(stat_of(&p, ".").st_mode & 0777, 0755); /* the directory itself stays as it was */
	place_close(&p);
}

TEST(a_file_where_a_directory_is_wanted_is_refused)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	add(&tar, TAR_FILE, "f", 0644, "x");
	CHECK_ERROR(unpack(&p, NULL, false, &tar, &err), ERROR_INVALID);
	add(&tar, TAR_SYMBOLIC_LINK, "f", 0777, "../outside");
	CHECK_ERROR(unpack(&p, "x", true, &tar, &err), ERROR_INVALID);
	check_count(&p, 0);
	place_close(&p);
}

TEST(directories_and_files_do_not_replace_each_other)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(mkdirat(p.target, "d", 0755) == 0);
	put(p.fd, "target/f", "old", 3, 0644);
	add(&tar, TAR_FILE, "x", 0644, "new");
	CHECK_ERROR(unpack(&p, "d", false, &tar, &err), ERROR_EXISTS);
	add(&tar, TAR_DIRECTORY, "x", 0755, "");
	CHECK_ERROR(unpack(&p, "f", false, &tar, &err), ERROR_EXISTS);
	check_text(&p, "f", "old");
	check_count(&p, 2);
	place_close(&p);
}

TEST(an_archive_that_is_cut_leaves_the_old_file_and_no_other)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;

	place_open(&p);
	put(p.fd, "target/f", "old", 3, 0644);
	add(&tar, TAR_FILE, "f", 0644, "new text");
	tar.size = 516; /* within the data */
	{
		const struct extract_options options = {.directory = p.target, .name = "f"};
		struct extraction *x;

		CHECK_OK(extraction_new(&options, &x, &err));
		CHECK_OK(extraction_feed(x, tar.data, tar.size, &err));
		CHECK_ERROR(extraction_finish(x, &err), ERROR_INVALID);
		extraction_free(x);
	}
	buffer_free(&tar);
	check_text(&p, "f", "old");
	check_count(&p, 1);
	CHECK_ERROR(unpack(&p, "f", false, &tar, &err), ERROR_INVALID); /* nothing at all */
	place_close(&p);
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	return buffer_append(context, data, n) ? 0 : error_no_memory(err, "collect");
}

TEST(what_is_packed_comes_out_the_same)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;
	char source[96];
	char big[200001];

	place_open(&p);
	memset(big, 'b', sizeof big - 1);
	big[sizeof big - 1] = 0;
	CHECK(mkdirat(p.target, "tree", 0755) == 0 && mkdirat(p.target, "tree/deep", 0700) == 0);
	put(p.target, "tree/deep/big", big, sizeof big - 1, 0640);
	put(p.target, "tree/odd name\n\xff", "odd", 3, 0600);
	CHECK(linkat(p.target, "tree/deep/big", p.target, "tree/hard", 0) == 0);
	CHECK(symlinkat("deep/big", p.target, "tree/soft") == 0);
	snprintf(source, sizeof source, "%s/target/tree", p.path);
	CHECK_OK(pack_tree(source, "name", collect, &tar, &err));
	CHECK_OK(unpack(&p, "copy", true, &tar, &err));
	check_text(&p, "copy/deep/big", big);
	check_text(&p, "copy/odd name\n\xff", "odd");
	CHECK_INT(stat_of(&p, "copy/hard").st_ino, stat_of(&p, "copy/deep/big").st_ino);
	CHECK_INT(stat_of(&p, "copy/deep").st_mode & 07777, 0700);
	CHECK_INT(stat_of(&p, "copy/deep/big").st_mtim.tv_nsec, stat_of(&p, "tree/deep/big").st_mtim.tv_nsec);
	check_count(&p, 12);
	CHECK_ERROR(pack_tree("/nonexistent", "x", collect, &tar, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(pack_tree("/etc/passwd", NULL, collect, &tar, &err), ERROR_INVALID);
	buffer_free(&tar);
	place_close(&p);
}

/* The paths of the archive's entries, each with a blank behind it. */
static void check_entries(const struct buffer *tar, const char *expected)
{
	struct error err;
	struct tar_reader *r = tar_reader_new(NULL, &err);
	const uint8_t *in = tar->data;
	size_t n = tar->size;
	enum tar_event event;
	char paths[256] = "";

	CHECK(r);
	do {
		CHECK_OK(tar_reader_step(r, &in, &n, &event, &err));
		if (event == TAR_ENTRY)
			snprintf(paths + strlen(paths), sizeof paths - strlen(paths), "%s ",
				tar_reader_entry(r)->path);
	} while (event != TAR_MORE && event != TAR_END);
	CHECK_TEXT(paths, expected);
	tar_reader_free(r);
}

TEST(the_contents_of_a_directory_are_packed_without_it)
{
	struct buffer tar = {0};
	struct error err;
	struct place p;
	char source[96];

	place_open(&p);
	snprintf(source, sizeof source, "%s/outside/.", p.path);
	CHECK_OK(pack_tree(source, NULL, collect, &tar, &err));
	check_entries(&tar, "file ");
	buffer_free(&tar);
	place_close(&p);
}

static void check_name(const char *source, const char *expected)
{
	_cleanup_free_ char *name = NULL;
	struct error err;

	CHECK_OK(copy_source_name(source, &name, &err));
	if (expected)
		CHECK_TEXT(name, expected);
	else
		CHECK(!name);
}

TEST(a_source_is_named_by_its_last_part)
{
	_cleanup_free_ char *name = NULL, *directory = NULL;
	struct error err;

	check_name("a", "a");
	check_name("/x/a//", "a");
	check_name("./a", "a");
	check_name("a.", "a.");
	check_name("a/.", NULL);
	check_name("a/./", NULL);
	check_name(".", NULL);
	check_name("/", NULL);
	check_name("../.", NULL);
	CHECK_ERROR(copy_source_name("..", &name, &err), ERROR_INVALID);
	CHECK_ERROR(copy_source_name("", &name, &err), ERROR_INVALID);
	CHECK_OK(copy_split("/x/new/", &directory, &name, &err));
	CHECK_TEXT(directory, "/x/");
	CHECK_TEXT(name, "new");
	cleanup_free(&name);
	cleanup_free(&directory);
	CHECK_OK(copy_split("new", &directory, &name, &err));
	CHECK_TEXT(directory, ".");
	cleanup_free(&name);
	cleanup_free(&directory);
	name = directory = NULL;
	CHECK_ERROR(copy_split("/x/..", &directory, &name, &err), ERROR_NOT_FOUND);
}
