/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/erofs/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "disk/erofs_reader.h"

#define MOVED       2u /* a node's number as an inode's; VFS_ROOT is the root's */
#define BLOCK_BYTES 4096u
#define LIST_MAX    (512u << 20) /* bytes of names of one open directory */

struct image {
	struct vfs vfs;
	struct erofs_reader reader;
};

static struct image *image_of(struct vfs *fs)
{
	return (struct image *)fs;
}

static uint64_t ino_of(const struct image *i, uint64_t nid)
{
	return nid == i->reader.root ? VFS_ROOT : nid + MOVED;
}

static int code_of(int r)
{
	return r == -ERROR_NO_MEMORY ? -ENOMEM : -EIO;
}

/* A number that never was given out leads to nonsense, which the reader finds out. */
static int stat_ino(const struct image *i, uint64_t ino, struct erofs_stat *s)
{
	uint64_t nid = ino == VFS_ROOT ? i->reader.root : ino - MOVED;

	if (ino != VFS_ROOT && ino < MOVED)
		return -ESTALE;
	return erofs_reader_stat(&i->reader, nid, s, NULL) < 0 ? -ESTALE : 0;
}

static void fill(const struct image *i, const struct erofs_stat *s, struct vfs_attributes *out)
{
	struct vfs_time time = {s->mtime, s->mtime_nanoseconds};

	*out = (struct vfs_attributes){.ino = ino_of(i, s->nid),
		.generation = 1,
		.size = s->size,
		.blocks = (s->size + 511) / 512,
		.mode = s->mode,
		.links = s->links,
		.uid = s->uid,
		.gid = s->gid,
		.major = s->device_major,
		.minor = s->device_minor,
		.block_size = BLOCK_BYTES,
		.atime = time,
		.mtime = time,
		.ctime = time,
		.btime = time,
		.change = 1,
		.told = true};
}

static void destroy(struct vfs *fs)
{
	close(image_of(fs)->reader.fd);
	free(fs);
}

/* ---- objects ---------------------------------------------------------------------------------------- */

struct finding {
	const char *name;
	size_t size;
	uint64_t nid;
};

static int compare(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct finding *f = context;

	(void)type;
	if (n != f->size || memcmp(name, f->name, n) != 0)
		return 0;
	f->nid = nid;
	return 1;
}

static int lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	struct image *i = image_of(fs);
	struct finding f = {.name = name, .size = strlen(name)};
	struct erofs_stat s;
	int r = stat_ino(i, parent, &s);

	if (r < 0)
		return r;
	if (!S_ISDIR(s.mode))
		return -ENOTDIR;
	r = erofs_reader_list(&i->reader, &s, compare, &f, NULL);
	if (r < 0)
		return code_of(r);
	if (r == 0)
		return -ENOENT;
	r = erofs_reader_stat(&i->reader, f.nid, &s, NULL);
	if (r < 0)
		return code_of(r);
	fill(i, &s, out);
	return 0;
}

static void forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	(void)fs;
	(void)ino;
	(void)times;
}

static int getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	struct erofs_stat s;
	int r = stat_ino(image_of(fs), ino, &s);

	(void)handle;
	if (r == 0)
		fill(image_of(fs), &s, out);
	return r;
}

static int readlink_of(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	struct erofs_stat s;
	int64_t n;
	int r = stat_ino(image_of(fs), ino, &s);

	if (r < 0)
		return r;
	if (!S_ISLNK(s.mode))
		return -EINVAL;
	n = s.size > VFS_PATH_MAX
		    ? -EIO
		    : erofs_reader_read(&image_of(fs)->reader, &s, 0, target, (size_t)s.size, NULL);
	if (n < 0 || (uint64_t)n != s.size)
		return -EIO;
	target[n] = 0;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int open_file(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	struct erofs_stat s;
	int r = stat_ino(image_of(fs), ino, &s);

	(void)flags;
	*handle = 0;
	if (r == 0 && S_ISDIR(s.mode))
		r = -EISDIR;
	return r == 0 && !S_ISREG(s.mode) ? -EINVAL : r;
}

static void release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	(void)fs;
	(void)ino;
	(void)handle;
}

static int stat_file(const struct image *i, uint64_t ino, struct erofs_stat *s)
{
	int r = stat_ino(i, ino, s);

	if (r == 0 && S_ISDIR(s->mode))
		return -EISDIR;
	return r == 0 && !S_ISREG(s->mode) ? -EINVAL : r;
}

static int64_t read_file(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	struct erofs_stat s;
	int64_t n;
	int r = stat_file(image_of(fs), ino, &s);

	(void)handle;
	if (r < 0)
		return r;
	n = erofs_reader_read(&image_of(fs)->reader, &s, offset, bytes, size, NULL);
	return n < 0 ? code_of((int)n) : n;
}

static int64_t seek_file(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	uint64_t start = offset, end;
	struct erofs_stat s;
	int r = stat_file(image_of(fs), ino, &s);

	(void)handle;
	if (r < 0)
		return r;
	if (offset >= s.size)
		return -ENXIO;
	r = erofs_reader_data(&image_of(fs)->reader, &s, &start, &end, NULL);
	if (r < 0)
		return code_of(r);
	if (whence == VFS_SEEK_DATA)
		return start >= s.size ? -ENXIO : (int64_t)start;
	return (int64_t)(start > offset ? offset : end);
}

/* ---- directories: an open one is the list of its entries -------------------------------------------- */

struct listed {
	uint64_t nid;
	uint32_t name; /* where it begins in `names` */
	uint8_t size, type;
};

struct list {
	struct buffer names, entries; /* of struct listed */
};

static int add(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct list *l = context;
	struct listed e = {.nid = nid, .name = (uint32_t)l->names.size, .size = (uint8_t)n, .type = type};

	if (n > VFS_NAME_MAX || l->names.size > LIST_MAX)
		return -ERROR_LIMIT;
	buffer_append(&l->names, name, n);
	buffer_u8(&l->names, 0);
	buffer_append(&l->entries, &e, sizeof e);
	return l->names.failed || l->entries.failed ? -ERROR_NO_MEMORY : 0;
}

static void list_free(struct list *l)
{
	if (!l)
		return;
	buffer_free(&l->names);
	buffer_free(&l->entries);
	free(l);
}
CLEANUP_DEFINE(list, struct list, list_free);

static int list_open(const struct image *i, uint64_t ino, struct list **out)
{
	_cleanup_(cleanup_list) struct list *l = calloc(1, sizeof *l);
	struct erofs_stat s;
	int r = stat_ino(i, ino, &s);

	if (!l)
		return -ENOMEM;
	if (r == 0 && !S_ISDIR(s.mode))
		r = -ENOTDIR;
	if (r < 0)
		return r;
	r = erofs_reader_list(&i->reader, &s, add, l, NULL);
	if (r < 0)
		return code_of(r);
	*out = TAKE_PTR(l);
	return 0;
}

static int opendir_of(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	struct list *l = NULL;
	int r = list_open(image_of(fs), ino, &l);

	*handle = (vfs_handle)(uintptr_t)l;
	return r;
}

static void releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	(void)fs;
	(void)ino;
	list_free((struct list *)(uintptr_t)handle);
}

/* The type of an entry as mode bits: the numbers of directory entries (DT_*) are those bits, shifted; EROFS
 * has ext4's, 1 to 7. */
static uint32_t type_of(uint8_t type)
{
	static const uint32_t types[] = {0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};

	return type < ARRAY_SIZE(types) ? types[type] : 0;
}

static int give(const struct image *i, const struct listed *e, const char *name, uint64_t cookie,
	bool attributes, vfs_entry_call *take, void *context)
{
	bool dot = e->size <= 2 && name[0] == '.' && (e->size == 1 || name[1] == '.');
	struct vfs_entry entry = {.name = name,
		.name_size = e->size,
		.ino = ino_of(i, e->nid),
		.type = type_of(e->type),
		.cookie = cookie};
	struct vfs_attributes a;
	struct erofs_stat s;

	if (attributes && !dot && erofs_reader_stat(&i->reader, e->nid, &s, NULL) == 0) {
		fill(i, &s, &a);
		entry.attributes = &a;
	}
	return take(context, &entry);
}

static int readdir_of(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	_cleanup_(cleanup_list) struct list *own = NULL;
	struct list *l = (struct list *)(uintptr_t)handle;
	const struct listed *entries;
	size_t count;
	int r = 0;

	if (handle == VFS_NO_HANDLE) {
		r = list_open(image_of(fs), ino, &own);
		l = own;
	}
	if (r < 0)
		return r;
	entries = (const struct listed *)(const void *)l->entries.data;
	count = l->entries.size / sizeof *entries;
	for (uint64_t at = cookie; r == 0 && at < count; at++)
		r = give(image_of(fs), &entries[at], (const char *)l->names.data + entries[at].name, at + 1,
			attributes, take, context);
	return r < 0 ? r : 0;
}

/* ---- extended attributes ---------------------------------------------------------------------------- */

struct attribute {
	const char *name;
	void *value;
	size_t room;
	int64_t size; /* -1: not found */
};

static int match(void *context, const char *name, const uint8_t *value, size_t n)
{
	struct attribute *a = context;

	if (strcmp(name, a->name) != 0)
		return 0;
	a->size = (int64_t)n;
	if (a->room >= n && n)
		memcpy(a->value, value, n);
	return 1;
}

static int64_t getxattr_of(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	struct attribute a = {.name = name, .value = value, .room = size, .size = -1};
	struct erofs_stat s;
	int r = stat_ino(image_of(fs), ino, &s);

	if (r == 0)
		r = erofs_reader_xattrs(&image_of(fs)->reader, &s, match, &a, NULL) < 0 ? -EIO : 0;
	if (r < 0)
		return r;
	if (a.size < 0)
		return -ENODATA;
	return size && (uint64_t)a.size > size ? -ERANGE : a.size;
}

static int append_name(void *context, const char *name, const uint8_t *value, size_t n)
{
	struct attribute *a = context;
	size_t size = strlen(name) + 1;

	(void)value;
	(void)n;
	if (a->room >= (uint64_t)a->size + size)
		memcpy((char *)a->value + a->size, name, size);
	a->size += (int64_t)size;
	return 0;
}

static int64_t listxattr_of(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	struct attribute a = {.value = names, .room = size};
	struct erofs_stat s;
	int r = stat_ino(image_of(fs), ino, &s);

	if (r == 0)
		r = erofs_reader_xattrs(&image_of(fs)->reader, &s, append_name, &a, NULL) < 0 ? -EIO : 0;
	if (r < 0)
		return r;
	return size && (uint64_t)a.size > size ? -ERANGE : a.size;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static int statfs_of(struct vfs *fs, struct vfs_statistics *out)
{
	const struct image *i = image_of(fs);

	*out = (struct vfs_statistics){.blocks = i->reader.size / BLOCK_BYTES,
		.files = i->reader.inodes,
		.block_size = BLOCK_BYTES,
		.name_max = VFS_NAME_MAX};
	return 0;
}

static int persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	struct erofs_stat s;
	int r = stat_ino(image_of(fs), ino, &s);

	if (r < 0)
		return r;
	if (room < sizeof ino)
		return -EOVERFLOW;
	memcpy(bytes, &ino, sizeof ino);
	*size = sizeof ino;
	return 0;
}

static int resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	uint64_t ino;

	if (size != sizeof ino)
		return -ESTALE;
	memcpy(&ino, bytes, sizeof ino);
	return getattr(fs, ino, VFS_NO_HANDLE, out);
}

static uint64_t version_of(struct vfs *fs, uint64_t ino)
{
	(void)fs;
	(void)ino;
	return 1;
}

static const struct vfs_operations operations = {
	.name = "erofs",
	.destroy = destroy,
	.lookup = lookup,
	.forget = forget,
	.getattr = getattr,
	.readlink = readlink_of,
	.open = open_file,
	.release = release,
	.read = read_file,
	.seek = seek_file,
	.opendir = opendir_of,
	.releasedir = releasedir,
	.readdir = readdir_of,
	.getxattr = getxattr_of,
	.listxattr = listxattr_of,
	.statfs = statfs_of,
	.version = version_of,
	.persist = persist,
	.resolve = resolve,
};

int erofs_new(int fd, struct vfs **out, struct error *err)
{
	struct image *i = calloc(1, sizeof *i);
	int r = i ? erofs_reader_open(fd, &i->reader, err) : error_no_memory(err, "an image");

	if (r < 0) {
		close(fd);
		free(i);
		return r;
	}
	i->vfs = (struct vfs){.operations = &operations, .read_only = true};
	*out = &i->vfs;
	return 0;
}
