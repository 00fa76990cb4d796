/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "base/text.h"
#include "codec/tar.h"

#define PIECE 65536

struct packer {
	pack_taker *take;
	void *context;
	struct buffer out; /* not yet taken */
	struct buffer
		path;     /* of the entry at hand in the archive, with a NUL; "" where the root has no name */
	struct map links; /* device and inode of a file with several names: the first of them */
};

CLEANUP_DEFINE(directory_stream, DIR, closedir);

static void packer_free(struct packer *p)
{
	size_t at = 0;
	struct map_slot *slot;

	while ((slot = map_next(&p->links, &at)))
		free(slot->value);
	map_free(&p->links);
	buffer_free(&p->out);
	buffer_free(&p->path);
}

static const char *entry_path(const struct packer *p)
{
	return (const char *)p->path.data;
}

static int give(struct packer *p, size_t least, struct error *err)
{
	int r;

	if (p->out.failed)
		return error_no_memory(err, "read files");
	if (!p->out.size || p->out.size < least)
		return 0;
	r = p->take(p->context, p->out.data, p->out.size, err);
	buffer_clear(&p->out);
	return r;
}

static int write_header(
	struct packer *p, enum tar_type type, const struct stat *s, const char *link, struct error *err)
{
	const struct tar_entry e = {.type = type,
		.path = (char *)p->path.data,
		.link = (char *)link,
		.mode = s->st_mode & 07777,
		.size = type == TAR_FILE ? (uint64_t)s->st_size : 0,
		.mtime = s->st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)s->st_mtim.tv_nsec,
		.device_major = major(s->st_rdev),
		.device_minor = minor(s->st_rdev)};
	int r = tar_write_entry(&p->out, &e, err);

	return r < 0 ? r : give(p, PIECE, err);
}

/* As many bytes as the header has promised. */
static int write_data(struct packer *p, int fd, uint64_t size, struct error *err)
{
	static const uint8_t zeroes[512];

	for (uint64_t left = size; left;) {
		size_t most = left < PIECE ? (size_t)left : PIECE;
		ssize_t n;
		int r;

		if (!buffer_reserve(&p->out, most))
			return error_no_memory(err, "read files");
		n = read(fd, p->out.data + p->out.size, most);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read '%s'", entry_path(p));
		if (n == 0)
			return error_set(
				err, ERROR_BUSY, "'%s' became shorter while it was read", entry_path(p));
		p->out.size += (size_t)n;
		left -= (uint64_t)n;
		r = give(p, PIECE, err);
		if (r < 0)
			return r;
	}
	buffer_append(&p->out, zeroes, tar_padding(size));
	return give(p, PIECE, err);
}

/* The name under which a file with several of them was packed before; else this one is kept for the next. */
static int find_link(struct packer *p, const struct stat *s, const char **first, struct error *err)
{
	const uint64_t key[2] = {(uint64_t)s->st_dev, (uint64_t)s->st_ino};
	_cleanup_free_ char *name = NULL;
	int r;

	*first = s->st_nlink > 1 ? map_get(&p->links, key, sizeof key) : NULL;
	if (*first || s->st_nlink < 2)
		return 0;
	name = text_copy(entry_path(p), err);
	r = name ? map_set(&p->links, key, sizeof key, name, NULL, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		name = NULL;
	return r;
}

static int pack_file(struct packer *p, int at, const char *leaf, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const char *first;
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return error_errno(err, errno, "read '%s'", entry_path(p));
	if (!S_ISREG(s.st_mode))
		return error_set(
			err, ERROR_BUSY, "'%s' became another file while it was read", entry_path(p));
	r = find_link(p, &s, &first, err);
	if (r < 0)
		return r;
	if (first)
		return write_header(p, TAR_HARD_LINK, &s, first, err);
	r = write_header(p, TAR_FILE, &s, NULL, err);
	return r < 0 ? r : write_data(p, fd, (uint64_t)s.st_size, err);
}

static int pack_link(struct packer *p, int at, const char *leaf, const struct stat *s, struct error *err)
{
	char target[4097];
	ssize_t n = readlinkat(at, leaf, target, sizeof target - 1);

	if (n < 0)
		return error_errno(err, errno, "read the link '%s'", entry_path(p));
	target[n] = 0;
	return write_header(p, TAR_SYMBOLIC_LINK, s, target, err);
}

static int pack_entry(struct packer *p, int at, const char *leaf, struct error *err);

static int pack_below(struct packer *p, int at, const char *leaf, struct error *err)
{
	_cleanup_(cleanup_directory_stream) DIR *stream = NULL;
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t keep = p->path.size - 1;
	struct dirent *d;

	stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream)
		return error_errno(err, errno, "read directory '%s'", *entry_path(p) ? entry_path(p) : leaf);
	fd = -1;
	while (errno = 0, (d = readdir(stream))) {
		int r;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		p->path.size = keep;
		if (keep)
			buffer_u8(&p->path, '/');
		if (!buffer_append(&p->path, d->d_name, strlen(d->d_name) + 1))
			return error_no_memory(err, "read files");
		r = pack_entry(p, dirfd(stream), d->d_name, err);
		if (r < 0)
			return r;
	}
	if (errno)
		return error_errno(err, errno, "read directory '%s'", leaf);
	p->path.size = keep;
	return buffer_u8(&p->path, 0) ? 0 : error_no_memory(err, "read files");
}

static int pack_directory(struct packer *p, int at, const char *leaf, const struct stat *s, struct error *err)
{
	int r = *entry_path(p) ? write_header(p, TAR_DIRECTORY, s, NULL, err) : 0;

	return r < 0 ? r : pack_below(p, at, leaf, err);
}

static int pack_entry(struct packer *p, int at, const char *leaf, struct error *err)
{
	struct stat s;

	if (fstatat(at, leaf, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, errno, "read '%s'", at == AT_FDCWD ? leaf : entry_path(p));
	if (!*entry_path(p) && !S_ISDIR(s.st_mode))
		return error_set(err, ERROR_INVALID, "'%s' is no directory", leaf);
	switch (s.st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(p, at, leaf, err);
	case S_IFDIR:
		return pack_directory(p, at, leaf, &s, err);
	case S_IFLNK:
		return pack_link(p, at, leaf, &s, err);
	case S_IFIFO:
		return write_header(p, TAR_FIFO, &s, NULL, err);
	case S_IFCHR:
		return write_header(p, TAR_CHARACTER_DEVICE, &s, NULL, err);
	case S_IFBLK:
		return write_header(p, TAR_BLOCK_DEVICE, &s, NULL, err);
	default:
		return 0;
	}
}

int pack_tree(const char *source, const char *name, pack_taker *take, void *context, struct error *err)
{
	_cleanup_(packer_free) struct packer p = {.take = take, .context = context};
	int r;

	if (!buffer_append(&p.path, name ? name : "", name ? strlen(name) + 1 : 1))
		return error_no_memory(err, "read files");
	r = pack_entry(&p, AT_FDCWD, source, err);
	if (r < 0)
		return r;
	if (!tar_write_end(&p.out))
		return error_no_memory(err, "read files");
	return give(&p, 0, err);
}
