/* SPDX-License-Identifier: Apache-2.0 */
/* A user's file is replaced as a whole, as what it was, and only if nobody has changed it meanwhile. */
#include "project/rewrite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "test.h"

static struct error err;

struct place {
	char directory[64], file[80];
	int fd;
};

static void place_free(struct place *p)
{
	cleanup_fd(&p->fd);
	fs_remove_tree(AT_FDCWD, p->directory, NULL);
}

#define PLACE(p) \
	_cleanup_(place_free) struct place p = {.directory = "/tmp/mc-rewrite-XXXXXX", .fd = -1}; \
	CHECK(mkdtemp(p.directory)); \
	snprintf(p.file, sizeof p.file, "%s/file", p.directory); \
	p.fd = open(p.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC); \
	CHECK(p.fd >= 0); \
	CHECK_OK(fs_write_atomic(p.fd, "file", "old", 3, 0640, &err))

static bool holds(const char *path, const char *text)
{
	_cleanup_buffer_ struct buffer b = {0};

	return fs_read_file(AT_FDCWD, path, 100, &b, NULL) == 0 && b.size == strlen(text) &&
	       !memcmp(b.data, text, b.size);
}

static size_t count_names(const struct place *p)
{
	_cleanup_list_ DIR *list = NULL;
	size_t n = 0;

	CHECK_OK(fs_list_open(p->fd, ".", &list, &err));
	while (fs_list_next(list))
		n++;
	return n;
}

TEST(a_file_is_replaced_with_its_mode_behind_its_link)
{
	PLACE(p);
	_cleanup_rewrite_ struct rewrite w = {.directory = -1};
	char link[96];
	struct stat s;

	snprintf(link, sizeof link, "%s/link", p.directory);
	CHECK(symlink("file", link) == 0);
	CHECK_OK(rewrite_open(link, 100, &w, &err));
	CHECK(w.bytes.size == 3 && !memcmp(w.bytes.data, "old", 3));
	CHECK_OK(rewrite_commit(&w, "newer", 5, &err));
	CHECK(holds(p.file, "newer"));
	CHECK(lstat(link, &s) == 0 && S_ISLNK(s.st_mode));
	CHECK(stat(p.file, &s) == 0 && (s.st_mode & 07777) == 0640);
	CHECK_INT(count_names(&p), 2);
}

TEST(what_an_editor_saved_meanwhile_is_not_overwritten)
{
	PLACE(p);
	_cleanup_rewrite_ struct rewrite replaced = {.directory = -1};
	int fd;

	CHECK_OK(rewrite_open(p.file, 100, &replaced, &err));
	CHECK_OK(fs_write_atomic(p.fd, "file", "old", 3, 0640, &err)); /* the same bytes, another file */
	CHECK_ERROR(rewrite_commit(&replaced, "new", 3, &err), ERROR_BUSY);
	CHECK(holds(p.file, "old"));
	rewrite_close(&replaced);

	CHECK_OK(rewrite_open(p.file, 100, &replaced, &err));
	fd = open(p.file, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "odd", 3) == 3 && close(fd) == 0); /* the same file, other bytes */
	CHECK_ERROR(rewrite_commit(&replaced, "new", 3, &err), ERROR_BUSY);
	CHECK(holds(p.file, "odd"));
	CHECK_INT(count_names(&p), 1);
}

TEST(what_is_no_file_is_not_read)
{
	PLACE(p);
	_cleanup_rewrite_ struct rewrite w = {.directory = -1};
	char pipe[96];

	snprintf(pipe, sizeof pipe, "%s/pipe", p.directory);
	CHECK(mkfifo(pipe, 0600) == 0);
	CHECK_ERROR(rewrite_open(pipe, 100, &w, &err), ERROR_INVALID);
	rewrite_close(&w);
	CHECK_ERROR(rewrite_open(p.file, 2, &w, &err), ERROR_LIMIT);
	rewrite_close(&w);
	CHECK_ERROR(rewrite_open("/nowhere/file", 2, &w, &err), ERROR_NOT_FOUND);
}
