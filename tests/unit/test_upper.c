/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upper directory of an overlay as a layer. Attributes in "trusted." are root's, so the promises about
 * them are kept where the test runs as root; the system tests have the kernel's own overlay.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest/made.h"
#include "guest/replace.h"
#include "guest/upper.h"
#include "tar_make.h"

struct place {
	char path[64];
	int root;
};

static void place_open(struct place *p)
{
	umask(0);
	snprintf(p->path, sizeof p->path, "/tmp/monocore-upper-XXXXXX");
	CHECK(mkdtemp(p->path) && chmod(p->path, 0755) == 0);
	p->root = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->root >= 0);
}

static void place_close(struct place *p)
{
	struct error err;

	CHECK_OK(replace_remove(AT_FDCWD, p->path, p->path, &err));
	close(p->root);
}

static void set_time(int root, const char *path)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1000, .tv_nsec = 5}};

	CHECK(utimensat(root, path, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void put(int root, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	set_time(root, path);
}

static void make_directory(int root, const char *path)
{
	CHECK(mkdirat(root, path, 0750) == 0);
}

static void set_mark(int root, const char *path, const char *name, const char *value)
{
	_cleanup_fd_ int fd = openat(root, path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && fsetxattr(fd, name, value, strlen(value), 0) == 0);
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	return buffer_append(context, data, n) ? 0 : error_no_memory(err, "collect");
}

static void cut(char *text, const char *part)
{
	for (char *at = text; (at = strstr(at, part));)
		memmove(at, at + strlen(part), strlen(at + strlen(part)) + 1);
}

/* The layer as text, without owners and zeroes of times. The caller frees it. */
static char *layer_of(const struct place *p)
{
	_cleanup_buffer_ struct buffer tar = {0};
	struct error err;
	char owner[32], *text, *line;

	CHECK_OK(upper_pack(p->root, UPPER_LAYER, collect, &tar, &err));
	text = tar_make_text(tar.data, tar.size, 1000);
	CHECK(text);
	snprintf(owner, sizeof owner, " %u:%u", geteuid(), getegid());
	cut(text, owner);
	cut(text, " 0:0");
	cut(text, "00000000");
	/* A directory of somebody else's is no root as the agent makes it. */
	line = strchr(text, '\n');
	if (geteuid() != 0 && !strncmp(text, "dir . 0755", 10))
		memmove(text, line + 1, strlen(line));
	return text;
}

static void expect_layer(const struct place *p, const char *expected)
{
	_cleanup_free_ char *text = layer_of(p);

	CHECK_TEXT(text, expected);
}

TEST(an_upper_that_nobody_has_written_to_is_an_empty_layer)
{
	struct place p;

	place_open(&p);
	expect_layer(&p, "end\n");
	place_close(&p);
}

TEST(names_come_in_the_order_of_their_bytes)
{
	static const char *const names[] = {"b", "a", "c", "\xc3\xa4", "Z", "a.b", "a-b"};
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put(p.root, names[i], "");
	expect_layer(&p, "file Z 0644 1000.5 0\n"
			 "file a 0644 1000.5 0\n"
			 "file a-b 0644 1000.5 0\n"
			 "file a.b 0644 1000.5 0\n"
			 "file b 0644 1000.5 0\n"
			 "file c 0644 1000.5 0\n"
			 "file \\xc3\\xa4 0644 1000.5 0\n"
			 "end\n");
	place_close(&p);
}

TEST(modes_times_links_and_fifos_are_kept_and_sockets_are_not)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct place p;

	place_open(&p);
	make_directory(p.root, "d");
	put(p.root, "d/file", "text");
	CHECK(fchmodat(p.root, "d/file", 04755, 0) == 0);
	CHECK(linkat(p.root, "d/file", p.root, "d/again", 0) == 0);
	CHECK(linkat(p.root, "d/file", p.root, "zlast", 0) == 0);
	CHECK(symlinkat("../nowhere", p.root, "d/link") == 0);
	set_time(p.root, "d/link");
	CHECK(mkfifoat(p.root, "d/pipe", 0622) == 0);
	set_time(p.root, "d/pipe");
	snprintf(name.sun_path, sizeof name.sun_path, "%s/d/socket", p.path);
	CHECK(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
	set_time(p.root, "d");
	expect_layer(&p, "dir d 0750 1000.5 0\n"
			 "file d/again 4755 1000.5 4 0:text\n"
			 "link d/file > d/again 4755 1000.5 0\n"
			 "symlink d/link > ../nowhere 0777 1000.5 0\n"
			 "fifo d/pipe 0622 1000.5 0\n"
			 "link zlast > d/again 4755 1000.5 0\n"
			 "end\n");
	place_close(&p);
}

TEST(a_removed_file_becomes_a_whiteout)
{
	struct place p;

	place_open(&p);
	make_directory(p.root, "d");
	set_time(p.root, "d");
	CHECK(mknodat(p.root, "d/gone", S_IFCHR, makedev(0, 0)) == 0);
	set_time(p.root, "d");
	CHECK(mknodat(p.root, "gone", S_IFCHR, makedev(0, 0)) == 0);
	expect_layer(&p, "dir d 0750 1000.5 0\n"
			 "file d/.wh.gone 0600 0.0 0\n"
			 "file .wh.gone 0600 0.0 0\n"
			 "end\n");
	place_close(&p);
}

TEST(a_name_that_would_be_a_whiteout_is_refused)
{
	struct error err;
	struct place p;
	_cleanup_buffer_ struct buffer tar = {0};

	place_open(&p);
	put(p.root, ".wh.file", "");
	CHECK_ERROR(upper_pack(p.root, UPPER_LAYER, collect, &tar, &err), ERROR_INVALID);
	place_close(&p);
}

TEST(as_it_is_any_name_goes)
{
	_cleanup_buffer_ struct buffer tar = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;
	struct place p;

	place_open(&p);
	CHECK(upper_is_empty(p.root) || geteuid() != 0);
	put(p.root, ".wh.file", "");
	CHECK(!upper_is_empty(p.root));
	CHECK_OK(upper_pack(p.root, UPPER_AS_IT_IS, collect, &tar, &err));
	text = tar_make_text(tar.data, tar.size, 1000);
	CHECK(text && strstr(text, "file .wh.file 0644"));
	place_close(&p);
}

TEST(as_it_is_what_was_removed_is_a_device_and_what_hides_bears_its_mark)
{
	_cleanup_buffer_ struct buffer tar = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	make_directory(p.root, "d");
	set_mark(p.root, "d", "trusted.overlay.opaque", "y");
	set_mark(p.root, "d", "trusted.overlay.impure", "y");
	CHECK(mknodat(p.root, "gone", S_IFCHR, 0) == 0);
	CHECK_OK(upper_pack(p.root, UPPER_AS_IT_IS, collect, &tar, &err));
	text = tar_make_text(tar.data, tar.size, 1000);
	CHECK(text && strstr(text, "gone") && strstr(text, "trusted.overlay.opaque"));
	CHECK(!strstr(text, "impure") && !strstr(text, ".wh."));
	place_close(&p);
}

TEST(the_root_is_an_entry_only_where_it_was_changed)
{
	struct place p;

	place_open(&p);
	CHECK(fchmod(p.root, 0700) == 0);
	set_time(p.root, ".");
	expect_layer(&p, "dir . 0700 1000.5 0\nend\n");
	place_close(&p);
}

TEST(a_tree_that_is_deeper_than_a_path_can_tell_is_a_limit)
{
	_cleanup_buffer_ struct buffer tar = {0};
	char name[201];
	struct error err;
	struct place p;
	int at;

	memset(name, 'x', 200);
	name[200] = '\0';
	place_open(&p);
	at = dup(p.root);
	for (int i = 0; i < 25; i++) {
		int below;

		CHECK(mkdirat(at, name, 0755) == 0);
		below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(below >= 0);
		close(at);
		at = below;
	}
	close(at);
	CHECK_ERROR(upper_pack(p.root, UPPER_LAYER, collect, &tar, &err), ERROR_LIMIT);
	place_close(&p);
}

TEST(an_opaque_directory_says_so_before_its_entries)
{
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	make_directory(p.root, "d");
	put(p.root, "d/!", "");
	set_mark(p.root, "d", "trusted.overlay.opaque", "y");
	make_directory(p.root, "e");
	set_mark(p.root, "e", "trusted.overlay.opaque", "x"); /* may hold whiteouts of another kind */
	set_time(p.root, "d");
	set_time(p.root, "e");
	expect_layer(&p, "dir d 0750 1000.5 0\n"
			 "file d/.wh..wh..opq 0600 0.0 0\n"
			 "file d/! 0644 1000.5 0\n"
			 "dir e 0750 1000.5 0\n"
			 "end\n");
	place_close(&p);
}

TEST(attributes_are_kept_but_the_overlays_and_the_agents_own)
{
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	put(p.root, "f", "");
	set_mark(p.root, "f", "trusted.overlay.origin", "secret");
	set_mark(p.root, "f", "trusted.overlay.nlink", "U-1");
	set_mark(p.root, "f", "trusted.monocore.other", "x");
	set_mark(p.root, "f", "trusted.kept", "1");
	expect_layer(&p, "file f 0644 1000.5 0 xattr trusted.kept=1\nend\n");
	place_close(&p);
}

TEST(devices_are_kept)
{
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	CHECK(mknodat(p.root, "null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	CHECK(mknodat(p.root, "zero", S_IFBLK | 0600, makedev(7, 0)) == 0);
	set_time(p.root, "null");
	set_time(p.root, "zero");
	expect_layer(&p, "char null 1:3 0666 1000.5 0\nblock zero 7:0 0600 1000.5 0\nend\n");
	place_close(&p);
}

TEST(what_the_agent_has_made_is_left_out)
{
	struct place p;
	struct stat s;

	if (geteuid() != 0)
		return;
	place_open(&p);
	CHECK(made_directory(p.root, "proc", 0755) == 0);
	CHECK(made_directory(p.root, "tmp", 01777) == 0);
	make_directory(p.root, "etc");
	set_time(p.root, "etc");
	{
		_cleanup_fd_ int etc = openat(p.root, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

		CHECK(symlinkat("/nowhere", etc, "hosts") == 0);
		set_time(p.root, "etc");
		CHECK(made_file(etc, "hosts", false));
	}
	CHECK(fstatat(p.root, "etc/hosts", &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(s.st_mode));
	expect_layer(&p, "dir etc 0750 1000.5 0\nend\n");
	place_close(&p);
}

TEST(what_the_agent_has_made_and_others_changed_is_an_entry)
{
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	CHECK(made_directory(p.root, "a", 0755) == 0);
	{
		_cleanup_fd_ int a = openat(p.root, "a", O_PATH | O_DIRECTORY | O_CLOEXEC);

		CHECK(made_directory(a, "b", 0755) == 0);
	}
	put(p.root, "a/b/file", "");
	CHECK(made_directory(p.root, "data", 0755) == 0);
	CHECK(fchmodat(p.root, "data", 0700, 0) == 0);
	CHECK(made_file(p.root, "hosts", true));
	{
		_cleanup_fd_ int hosts = openat(p.root, "hosts", O_WRONLY | O_CLOEXEC);

		CHECK(hosts >= 0 && write(hosts, "x", 1) == 1);
	}
	set_time(p.root, "hosts");
	set_time(p.root, "data");
	set_time(p.root, "a/b");
	set_time(p.root, "a");
	expect_layer(&p, "dir a 0755 1000.5 0\n"
			 "dir a/b 0755 1000.5 0\n"
			 "file a/b/file 0644 1000.5 0\n"
			 "dir data 0700 1000.5 0\n"
			 "file hosts 0644 1000.5 1 0:x\n"
			 "end\n");
	place_close(&p);
}

TEST(a_directory_that_was_copied_for_what_the_agent_has_made_is_left_out)
{
	struct place p;

	if (geteuid() != 0)
		return;
	place_open(&p);
	make_directory(p.root, "etc");
	make_directory(p.root, "var");
	make_directory(p.root, "var/lib");
	set_time(p.root, "etc");
	set_time(p.root, "var/lib");
	set_time(p.root, "var");
	{
		_cleanup_fd_ int etc = openat(p.root, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
		_cleanup_fd_ int var = openat(p.root, "var/lib", O_PATH | O_DIRECTORY | O_CLOEXEC);

		CHECK(made_file(etc, "hosts", true) && made_file(etc, "hostname", true));
		CHECK(made_directory_first(var, "data", 0755) == 0);
	}
	/* "var" was copied, too, but nothing was made in it. */
	expect_layer(&p, "dir var 0750 1000.5 0\nend\n");
	CHECK(fchmodat(p.root, "var/lib", 0700, 0) == 0);
	put(p.root, "etc/new", "");
	set_time(p.root, "etc");
	expect_layer(&p, "dir etc 0750 1000.5 0\n"
			 "file etc/new 0644 1000.5 0\n"
			 "dir var 0750 1000.5 0\n"
			 "dir var/lib 0700 1000.5 0\n"
			 "end\n");
	place_close(&p);
}
