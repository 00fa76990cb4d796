/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/tree_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"

#define LINKS_MOST (4 * 1024 * 1024) /* bytes of names of files with several; others are stored again */

void tree_entries_free(struct tree_entries *e)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&e->links, &at)))
		free(slot->value);
	map_free(&e->links);
	buffer_free(&e->out);
	buffer_free(&e->path);
}

const char *tree_entries_path(const struct tree_entries *e)
{
	return (const char *)e->path.data;
}

int tree_entries_gone(const struct tree_entries *e, struct error *err)
{
	int errnum = errno;

	if (e->may_vanish && (errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENXIO))
		return 0;
	return error_errno(err, errnum, "read '%s'", e->may_vanish ? tree_entries_path(e) : e->asked);
}

static int give(struct tree_entries *e, size_t least, struct error *err)
{
	int r;

	if (e->out.failed)
		return error_no_memory(err, "pack files");
	if (!e->out.size || e->out.size < least)
		return 0;
	r = e->take(e->context, e->out.data, e->out.size, err);
	buffer_clear(&e->out);
	return r;
}

int tree_entries_header(struct tree_entries *e, enum tar_type type, const struct stat *s, const char *link,
	int fd, struct error *err)
{
	struct tar_entry t = {.type = type,
		.path = (char *)e->path.data,
		.link = (char *)link,
		.mode = s->st_mode & 07777,
		.uid = s->st_uid,
		.gid = s->st_gid,
		.size = type == TAR_FILE ? (uint64_t)s->st_size : 0,
		.mtime = s->st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)s->st_mtim.tv_nsec,
		.device_major = major(s->st_rdev),
		.device_minor = minor(s->st_rdev)};
	int r = fd < 0 ? 0 : attributes_read(fd, e->wanted, &t, err);

	if (r == 0)
		r = tar_write_entry(&e->out, &t, err);
	attributes_free(&t);
	return r < 0 ? r : give(e, TREE_PIECE, err);
}

/* As many bytes as the header has promised. */
static int write_data(struct tree_entries *e, int fd, uint64_t size, struct error *err)
{
	static const uint8_t zeroes[512];

	for (uint64_t left = size; left;) {
		size_t most = left < TREE_PIECE ? (size_t)left : TREE_PIECE;
		ssize_t n;
		int r;

		if (!buffer_reserve(&e->out, most))
			return error_no_memory(err, "pack files");
		n = read(fd, e->out.data + e->out.size, most);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read '%s'", tree_entries_path(e));
		if (n == 0)
			return error_set(err, ERROR_BUSY, "'%s' became shorter while it was read",
				tree_entries_path(e));
		e->out.size += (size_t)n;
		left -= (uint64_t)n;
		r = give(e, TREE_PIECE, err);
		if (r < 0)
			return r;
	}
	buffer_append(&e->out, zeroes, tar_padding(size));
	return give(e, TREE_PIECE, err);
}

/* The name under which a file with several of them was packed before; else this one is kept for the next. */
static int find_link(struct tree_entries *e, const struct stat *s, const char **first, struct error *err)
{
	const uint64_t key[2] = {(uint64_t)s->st_dev, (uint64_t)s->st_ino};
	_cleanup_free_ char *name = NULL;
	int r;

	*first = s->st_nlink > 1 ? map_get(&e->links, key, sizeof key) : NULL;
	if (*first || s->st_nlink < 2 || e->links_size + e->path.size > LINKS_MOST)
		return 0;
	name = text_copy(tree_entries_path(e), err);
	r = name ? map_set(&e->links, key, sizeof key, name, NULL, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		name = NULL;
	e->links_size += e->path.size;
	return r;
}

static int pack_file(struct tree_entries *e, int at, const char *leaf, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const char *first;
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return tree_entries_gone(e, err);
	if (!S_ISREG(s.st_mode)) {
		errno = ENXIO;
		return tree_entries_gone(e, err);
	}
	r = find_link(e, &s, &first, err);
	if (r < 0)
		return r;
	if (first)
		return tree_entries_header(e, TAR_HARD_LINK, &s, first, -1, err);
	r = tree_entries_header(e, TAR_FILE, &s, NULL, fd, err);
	return r < 0 ? r : write_data(e, fd, (uint64_t)s.st_size, err);
}

static int pack_link(
	struct tree_entries *e, int at, const char *leaf, const struct stat *s, struct error *err)
{
	char target[4097];
	ssize_t n = readlinkat(at, leaf, target, sizeof target - 1);

	if (n < 0 && errno == EINVAL)
		errno = ENOENT; /* no link any more */
	if (n < 0)
		return tree_entries_gone(e, err);
	target[n] = '\0';
	return n ? tree_entries_header(e, TAR_SYMBOLIC_LINK, s, target, -1, err) : 0;
}

int tree_entries_object(struct tree_entries *e, int at, const char *leaf, const struct stat *s, bool *known,
	struct error *err)
{
	*known = true;
	switch (s->st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(e, at, leaf, err);
	case S_IFLNK:
		return pack_link(e, at, leaf, s, err);
	case S_IFIFO:
		return tree_entries_header(e, TAR_FIFO, s, NULL, -1, err);
	case S_IFCHR:
		return tree_entries_header(e, TAR_CHARACTER_DEVICE, s, NULL, -1, err);
	case S_IFBLK:
		return tree_entries_header(e, TAR_BLOCK_DEVICE, s, NULL, -1, err);
	default:
		*known = false;
		return 0;
	}
}

int tree_entries_finish(struct tree_entries *e, struct error *err)
{
	if (!tar_write_end(&e->out))
		return error_no_memory(err, "pack files");
	return give(e, 0, err);
}
