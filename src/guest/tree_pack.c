/* SPDX-License-Identifier: Apache-2.0 */
/* The walk keeps a stack of open directories; tree_entry.c packs what it comes to. */
#include "guest/tree_pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "guest/beneath.h"

struct level {
	DIR *stream;
	size_t path_size; /* of the directory's path */
	dev_t device;
};

struct packer {
	struct tree_entries entries;
	struct level *levels;
	size_t depth, room;
};

static void packer_free(struct packer *p)
{
	while (p->depth)
		closedir(p->levels[--p->depth].stream);
	free(p->levels);
	tree_entries_free(&p->entries);
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
		return error_errno(err, errno, "read directory '%s'", tree_entries_path(&p->entries));
	owned = -1;
	p->levels[p->depth++] = (struct level){stream, p->entries.path.size - 1, device};
	return 0;
}

static int pack_directory(struct packer *p, int at, const char *leaf, struct error *err)
{
	_cleanup_fd_ int fd = openat(at, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat s;
	int r;

	if (fd < 0 || fstat(fd, &s) < 0)
		return tree_entries_gone(&p->entries, err);
	r = tree_entries_header(&p->entries, TAR_DIRECTORY, &s, NULL, fd, err);
	if (r < 0 || (p->depth && s.st_dev != p->levels[p->depth - 1].device && is_kernels(fd)))
		return r;
	return enter(p, TAKE_FD(fd), s.st_dev, err);
}

static int pack_entry(struct packer *p, int at, const char *leaf, struct error *err)
{
	struct stat s;
	bool known;
	int r;

	p->entries.may_vanish = p->depth;
	if (fstatat(at, leaf, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return tree_entries_gone(&p->entries, err);
	if (S_ISDIR(s.st_mode))
		return pack_directory(p, at, leaf, err);
	r = tree_entries_object(&p->entries, at, leaf, &s, &known, err);
	if (r < 0 || known || p->depth)
		return r;
	return error_set(
		err, ERROR_INVALID, "'%s' is a socket: it has no contents", tree_entries_path(&p->entries));
}

/* The next entry of the innermost directory, or its end. */
static int pack_next(struct packer *p, struct error *err)
{
	const struct level *top = &p->levels[p->depth - 1];
	struct dirent *d = (errno = 0, readdir(top->stream));

	if (!d && errno && errno != ENOENT) {
		p->entries.path.data[top->path_size] = '\0';
		return error_errno(err, errno, "read directory '%s'", tree_entries_path(&p->entries));
	}
	if (!d) {
		closedir(top->stream);
		p->depth--;
		return 0;
	}
	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return 0;
	p->entries.path.size = top->path_size;
	buffer_u8(&p->entries.path, '/');
	if (!buffer_append(&p->entries.path, d->d_name, strlen(d->d_name) + 1))
		return error_no_memory(err, "pack files");
	if (p->entries.path.size > MESSAGE_PATH_MAX + 1)
		return error_set(err, ERROR_LIMIT, "a name is over %d bytes long: '%.200s...'",
			MESSAGE_PATH_MAX, tree_entries_path(&p->entries));
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
		buffer_u8(&p->entries.path, '.');
	else
		buffer_append(&p->entries.path, path + start, end - start);
	return buffer_u8(&p->entries.path, 0) ? 0 : error_no_memory(err, "pack files");
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
	_cleanup_(packer_free) struct packer p = {
		.entries = {.take = take, .context = context, .wanted = attributes_of_files, .asked = path}};
	int r = name_of(&p, path, err);

	if (r == 0)
		r = pack_root(&p, root, path, err);
	while (r == 0 && p.depth)
		r = pack_next(&p, err);
	return r < 0 ? r : tree_entries_finish(&p.entries, err);
}
