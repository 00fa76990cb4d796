/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk keeps a stack of open directories. An object is opened only once it is known to be a file or a
 * directory, without following a link and without waiting for anybody, and looked at again when it is open:
 * who swaps it meanwhile gains nothing.
 */
#include "guest/tree_pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "base/text.h"
#include "codec/message.h"
#include "codec/tar.h"
#include "guest/attributes.h"
#include "guest/beneath.h"

#define PIECE 65536
#define LINKS_MOST \
	(4 * 1024 * 1024) /* bytes of names of files with several; further ones are stored again \
			   */

struct level {
	DIR *stream;
	size_t path_size; /* of the directory's path */
	dev_t device;
};

struct packer {
	tree_taker *take;
	void *context;
	const char *asked;  /* the path as it was asked for */
	struct buffer out;  /* not yet taken */
	struct buffer path; /* of the entry at hand, with a NUL */
	struct level *levels;
	size_t depth, room;
	struct map links; /* device and inode of a file with several names: the first of them */
	size_t links_size;
};

static void packer_free(struct packer *p)
{
	struct map_slot *slot;
	size_t at = 0;

	while (p->depth)
		closedir(p->levels[--p->depth].stream);
	free(p->levels);
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

/* Within the tree, what has gone or has become another thing since its name was read is no error. */
static int gone(const struct packer *p, struct error *err)
{
	int errnum = errno;

	if (p->depth && (errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENXIO))
		return 0;
	return error_errno(err, errnum, "read '%s'", p->depth ? entry_path(p) : p->asked);
}

static int give(struct packer *p, size_t least, struct error *err)
{
	int r;

	if (p->out.failed)
		return error_no_memory(err, "pack files");
	if (!p->out.size || p->out.size < least)
		return 0;
	r = p->take(p->context, p->out.data, p->out.size, err);
	buffer_clear(&p->out);
	return r;
}

/* fd: the object itself where it is open, for its extended attributes; otherwise -1. */
static int write_header(struct packer *p, enum tar_type type, const struct stat *s, const char *link, int fd,
	struct error *err)
{
	struct tar_entry e = {.type = type,
		.path = (char *)p->path.data,
		.link = (char *)link,
		.mode = s->st_mode & 07777,
		.uid = s->st_uid,
		.gid = s->st_gid,
		.size = type == TAR_FILE ? (uint64_t)s->st_size : 0,
		.mtime = s->st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)s->st_mtim.tv_nsec,
		.device_major = major(s->st_rdev),
		.device_minor = minor(s->st_rdev)};
	int r = fd < 0 ? 0 : attributes_read(fd, &e, err);

	if (r == 0)
		r = tar_write_entry(&p->out, &e, err);
	attributes_free(&e);
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
			return error_no_memory(err, "pack files");
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
	if (*first || s->st_nlink < 2 || p->links_size + p->path.size > LINKS_MOST)
		return 0;
	name = text_copy(entry_path(p), err);
	r = name ? map_set(&p->links, key, sizeof key, name, NULL, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		name = NULL;
	p->links_size += p->path.size;
	return r;
}

static int pack_file(struct packer *p, int at, const char *leaf, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	const char *first;
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return gone(p, err);
	if (!S_ISREG(s.st_mode)) {
		errno = ENXIO;
		return gone(p, err);
	}
	r = find_link(p, &s, &first, err);
	if (r < 0)
		return r;
	if (first)
		return write_header(p, TAR_HARD_LINK, &s, first, -1, err);
	r = write_header(p, TAR_FILE, &s, NULL, fd, err);
	return r < 0 ? r : write_data(p, fd, (uint64_t)s.st_size, err);
}

static int pack_link(struct packer *p, int at, const char *leaf, const struct stat *s, struct error *err)
{
	char target[4097];
	ssize_t n = readlinkat(at, leaf, target, sizeof target - 1);

	if (n < 0 && errno == EINVAL)
		errno = ENOENT; /* no link any more */
	if (n < 0)
		return gone(p, err);
	target[n] = '\0';
	return n ? write_header(p, TAR_SYMBOLIC_LINK, s, target, -1, err) : 0;
}

/* File systems whose files are the kernel's views: endless, without sizes, or with effects when read. */
static bool is_kernels(int fd)
{
	static const unsigned long magics[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC,
		BPF_FS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, 0x62656570 /* configfs */,
		0x65735543 /* fusectl */, 0x19800202 /* mqueue */};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if ((unsigned long)s.f_type == magics[i])
			return true;
	return false;
}

/* Puts the open directory fd, which is taken over, on the stack. */
static int enter(struct packer *p, int fd, dev_t device, struct error *err)
{
	_cleanup_fd_ int owned = fd;
	DIR *stream;

	if (p->depth == p->room) {
		size_t room = p->room ? 2 * p->room : 16;
		struct level *levels = reallocarray(p->levels, room, sizeof *levels);

		if (!levels)
			return error_no_memory(err, "pack files");
		p->levels = levels;
		p->room = room;
	}
	stream = fdopendir(fd);
	if (!stream)
		return error_errno(err, errno, "read directory '%s'", entry_path(p));
	owned = -1;
	p->levels[p->depth++] = (struct level){stream, p->path.size - 1, device};
	return 0;
}

static int pack_directory(struct packer *p, int at, const char *leaf, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return gone(p, err);
	r = write_header(p, TAR_DIRECTORY, &s, NULL, fd, err);
	if (r < 0 || (p->depth && s.st_dev != p->levels[p->depth - 1].device && is_kernels(fd)))
		return r;
	return enter(p, TAKE_FD(fd), s.st_dev, err);
}

static int pack_entry(struct packer *p, int at, const char *leaf, struct error *err)
{
	struct stat s;

	if (fstatat(at, leaf, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return gone(p, err);
	switch (s.st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(p, at, leaf, err);
	case S_IFDIR:
		return pack_directory(p, at, leaf, err);
	case S_IFLNK:
		return pack_link(p, at, leaf, &s, err);
	case S_IFIFO:
		return write_header(p, TAR_FIFO, &s, NULL, -1, err);
	case S_IFCHR:
		return write_header(p, TAR_CHARACTER_DEVICE, &s, NULL, -1, err);
	case S_IFBLK:
		return write_header(p, TAR_BLOCK_DEVICE, &s, NULL, -1, err);
	default:
		return p->depth ? 0
				: error_set(err, ERROR_INVALID, "'%s' is a socket: it has no contents",
					  entry_path(p));
	}
}

/* The next entry of the innermost directory, or its end. */
static int pack_next(struct packer *p, struct error *err)
{
	const struct level *top = &p->levels[p->depth - 1];
	struct dirent *d = (errno = 0, readdir(top->stream));

	if (!d && errno && errno != ENOENT) {
		p->path.data[top->path_size] = '\0';
		return error_errno(err, errno, "read directory '%s'", entry_path(p));
	}
	if (!d) {
		closedir(top->stream);
		p->depth--;
		return 0;
	}
	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return 0;
	p->path.size = top->path_size;
	buffer_u8(&p->path, '/');
	if (!buffer_append(&p->path, d->d_name, strlen(d->d_name) + 1))
		return error_no_memory(err, "pack files");
	if (p->path.size > MESSAGE_PATH_MAX + 1)
		return error_set(err, ERROR_LIMIT, "a name is over %d bytes long: '%.200s...'",
			MESSAGE_PATH_MAX, entry_path(p));
	return pack_entry(p, dirfd(top->stream), d->d_name, err);
}

/* The last name of a path that ends in slashes or dots; "." where it has none. */
static int name_of(struct packer *p, const char *path, struct error *err)
{
	size_t end = strlen(path), start;

	while (end && path[end - 1] == '/')
		end--;
	for (start = end; start && path[start - 1] != '/';)
		start--;
	if (end == start || (end - start == 2 && !memcmp(path + start, "..", 2)))
		buffer_u8(&p->path, '.');
	else
		buffer_append(&p->path, path + start, end - start);
	return buffer_u8(&p->path, 0) ? 0 : error_no_memory(err, "pack files");
}

static int pack_root(struct packer *p, int root, const char *path, struct error *err)
{
	char leaf[BENEATH_LEAF_SIZE];
	_cleanup_fd_ int at = beneath_parent(root, path, false, leaf);

	if (at < 0 && errno == EISDIR) {
		at = beneath_open(root, path, O_PATH | O_DIRECTORY, 0, BENEATH_ROOT);
		memcpy(leaf, ".", 2);
	}
	if (at < 0)
		return error_errno(err, errno, "open '%s'", path);
	return pack_entry(p, at, leaf, err);
}

int tree_pack(int root, const char *path, tree_taker *take, void *context, struct error *err)
{
	_cleanup_(packer_free) struct packer p = {.take = take, .context = context, .asked = path};
	int r = name_of(&p, path, err);

	if (r == 0)
		r = pack_root(&p, root, path, err);
	while (r == 0 && p.depth)
		r = pack_next(&p, err);
	if (r < 0)
		return r;
	if (!tar_write_end(&p.out))
		return error_no_memory(err, "pack files");
	return give(&p, 0, err);
}
