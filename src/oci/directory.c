/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory as the only layer of an image. Where an ordinary user calls, what is his becomes root's, since
 * that is how such directories come about (unpacked archives, debootstrap in a user namespace); other owners
 * stay. Sockets are left out, as tar does. Labels of the host's security module are not the guest's.
 */
#include "oci/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/text.h"
#include "oci/build_parts.h"
#include "oci/walk.h"

#define READ_BYTES  (256u << 10)
#define XATTRS_MAX  (256u << 10)
#define COARSE_TIME MILLISECONDS(20) /* the kernel's clock for files ticks every 1 to 10 ms */

static uint32_t owner(uint32_t id, uint32_t mine)
{
	return mine != 0 && id == mine ? 0 : id;
}

/* ---- the id ----------------------------------------------------------------------------------------- */

struct hashing {
	struct sha256 sum;
	const char *name;
	uint64_t newest; /* change of a file */
};

static uint64_t nanoseconds(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t->tv_nsec;
}

static int hash_file(void *context, const struct walk_file *f, struct error *err)
{
	struct hashing *h = context;
	const struct stat *s = f->stat;
	uint64_t changed = nanoseconds(&s->st_ctim);
	uint64_t numbers[] = {s->st_mode, owner(s->st_uid, geteuid()), owner(s->st_gid, getegid()),
		S_ISDIR(s->st_mode) ? 0 : (uint64_t)s->st_size, nanoseconds(&s->st_mtim), changed, s->st_dev,
		s->st_ino, s->st_rdev, s->st_nlink};

	(void)err;
	h->newest = changed > h->newest ? changed : h->newest;
	sha256_update(&h->sum, f->path, strlen(f->path) + 1);
	sha256_update(&h->sum, numbers, sizeof numbers);
	return 0;
}

static int hash_tree(
	int root, const char *name, const char *salt, uint8_t *hash, uint64_t *newest, struct error *err)
{
	struct hashing h = {.name = name};
	int r = sha256_init(&h.sum, err);

	if (r < 0)
		return r;
	sha256_update(&h.sum, salt, strlen(salt));
	sha256_update(&h.sum, "directory\n", 10);
	r = walk_tree(root, name, hash_file, &h, err);
	if (r == 0)
		r = sha256_final(&h.sum, hash, err);
	sha256_free(&h.sum);
	*newest = h.newest;
	return r;
}

int directory_id(int root, const char *name, const char *salt, uint8_t hash[SHA256_SIZE], struct error *err)
{
	uint64_t newest = 0;
	struct timespec tick = {.tv_nsec = COARSE_TIME};
	int r = hash_tree(root, name, salt, hash, &newest, err);

	if (r < 0 || clock_realtime() - newest > COARSE_TIME || clock_realtime() < newest)
		return r;
	/* A change within the same tick of the clock would not show: let the tick pass and look again. */
	nanosleep(&tick, NULL);
	return hash_tree(root, name, salt, hash, &newest, err);
}

/* ---- the image -------------------------------------------------------------------------------------- */

struct reading {
	struct assembly a;
	const char *name;
	struct map links; /* of files with several names: device and inode, to the first name */
	uint64_t done;
	uint8_t *bytes;
	char target[PATH_MAX];
};

static void reading_free(struct reading *r)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&r->links, &at)))
		free(slot->value);
	map_free(&r->links);
	free(r->bytes);
	assembly_free(&r->a);
}

static int read_failed(const struct reading *r, const struct walk_file *f, struct error *err)
{
	return walk_failed(err, errno, r->name, f->path);
}

static bool is_kept(const char *xattr)
{
	return strcmp(xattr, "security.selinux") != 0 && strcmp(xattr, "security.ima") != 0 &&
	       strcmp(xattr, "security.evm") != 0;
}

static int add_xattr(struct tar_entry *e, int fd, const char *name, struct error *err)
{
	struct tar_xattr *list = reallocarray(e->xattrs, e->xattr_count + 1, sizeof *list);
	uint8_t value[65536];
	ssize_t n;

	if (!list)
		return error_no_memory(err, "extended attributes");
	e->xattrs = list;
	n = fgetxattr(fd, name, value, sizeof value);
	if (n < 0)
		return errno == ENODATA ? 0 : error_errno(err, errno, "attribute %s", name);
	list += e->xattr_count++;
	*list = (struct tar_xattr){.name = text_copy(name, err), .size = (size_t)n};
	list->value = malloc(n ? (size_t)n : 1);
	if (!list->name || !list->value)
		return error_no_memory(err, "extended attributes");
	memcpy(list->value, value, (size_t)n);
	return 0;
}

static int read_xattrs(struct tar_entry *e, int fd, struct error *err)
{
	_cleanup_free_ char *names = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);
	int r = 0;

	if (n <= 0)
		return n == 0 || errno == ENOTSUP ? 0 : error_errno(err, errno, "attributes");
	n += 1024;
	names = malloc((size_t)n);
	if (!names)
		return error_no_memory(err, "extended attributes");
	n = flistxattr(fd, names, (size_t)n);
	if (n < 0)
		return error_errno(err, errno, "attributes");
	for (const char *name = names; r == 0 && name < names + n; name += strlen(name) + 1)
		if (is_kept(name))
			r = add_xattr(e, fd, name, err);
	return r;
}

/* One run of data, which may end early where the file became shorter. */
static int read_run(struct reading *r, int fd, uint64_t at, uint64_t end, struct error *err)
{
	while (at < end) {
		size_t want = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
		ssize_t n = pread(fd, r->bytes, want, (off_t)at);
		int result;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read");
		if (n == 0)
			return 0; /* the id will tell that it changed */
		result = merge_data(r->a.merge, at, r->bytes, (size_t)n, err);
		if (result < 0)
			return result;
		at += (uint64_t)n;
		r->done += (uint64_t)n;
		assembly_show(&r->a, r->done, false);
	}
	return 0;
}

static int read_data(struct reading *r, int fd, uint64_t size, struct error *err)
{
	uint64_t at = 0;
	int result = 0;

	while (result == 0 && at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data < 0)
			return error_errno(err, errno, "read");
		hole = lseek(fd, data, SEEK_HOLE);
		at = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
		result = read_run(r, fd, (uint64_t)data, at, err);
	}
	return result;
}

/* The first name of a file that has several, or NULL: then this is it. */
static int find_link(struct reading *r, const struct walk_file *f, char **link, struct error *err)
{
	uint64_t key[2] = {f->stat->st_dev, f->stat->st_ino};
	char *path;
	int result;

	*link = NULL;
	if (S_ISDIR(f->stat->st_mode) || f->stat->st_nlink < 2)
		return 0;
	*link = map_get(&r->links, key, sizeof key);
	if (*link)
		return 0;
	path = text_copy(f->path, err);
	if (!path)
		return -ERROR_NO_MEMORY;
	result = map_set(&r->links, key, sizeof key, path, NULL, err);
	if (result < 0)
		free(path);
	return result;
}

static bool set_type(struct tar_entry *e, const struct stat *s)
{
	static const struct {
		mode_t mode;
		enum tar_type type;
	} types[] = {{S_IFREG, TAR_FILE}, {S_IFDIR, TAR_DIRECTORY}, {S_IFLNK, TAR_SYMBOLIC_LINK},
		{S_IFCHR, TAR_CHARACTER_DEVICE}, {S_IFBLK, TAR_BLOCK_DEVICE}, {S_IFIFO, TAR_FIFO}};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((s->st_mode & S_IFMT) == types[i].mode) {
			e->type = types[i].type;
			return true;
		}
	return false;
}

static int read_target(struct reading *r, const struct walk_file *f, struct tar_entry *e, struct error *err)
{
	ssize_t n = readlinkat(f->directory, f->name, r->target, sizeof r->target - 1);

	if (n < 0)
		return read_failed(r, f, err);
	r->target[n] = 0;
	e->link = r->target;
	return 0;
}

/* A file or directory: attributes, and the data of a file. */
static int read_opened(struct reading *r, const struct walk_file *f, struct tar_entry *e, struct error *err)
{
	_cleanup_fd_ int fd = openat(f->directory, f->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC |
			(e->type == TAR_DIRECTORY ? O_DIRECTORY : 0));
	int result;

	if (fd < 0)
		return read_failed(r, f, err);
	result = read_xattrs(e, fd, err);
	if (result == 0)
		result = merge_entry(r->a.merge, e, err);
	if (result == 0)
		result = read_data(r, fd, e->size, err);
	if (result < 0)
		return error_prefix(err, "%s/%s", r->name, f->path);
	return merge_entry_end(r->a.merge, err);
}

static int read_entry(struct reading *r, const struct walk_file *f, struct tar_entry *e, struct error *err)
{
	int result;

	if (e->type == TAR_FILE || e->type == TAR_DIRECTORY)
		return read_opened(r, f, e, err);
	result = e->type == TAR_SYMBOLIC_LINK ? read_target(r, f, e, err) : 0;
	if (result == 0)
		result = merge_entry(r->a.merge, e, err);
	return result < 0 ? result : merge_entry_end(r->a.merge, err);
}

static int read_file(void *context, const struct walk_file *f, struct error *err)
{
	struct reading *r = context;
	const struct stat *s = f->stat;
	struct tar_entry e = {.path = (char *)(uintptr_t)f->path,
		.mode = s->st_mode & 07777,
		.uid = owner(s->st_uid, geteuid()),
		.gid = owner(s->st_gid, getegid()),
		.mtime = s->st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)s->st_mtim.tv_nsec,
		.device_major = major(s->st_rdev),
		.device_minor = minor(s->st_rdev)};
	int result;

	if (!set_type(&e, s))
		return 0; /* a socket */
	result = find_link(r, f, &e.link, err);
	if (result < 0)
		return result;
	if (e.link)
		e.type = TAR_HARD_LINK;
	if (e.type == TAR_FILE)
		e.size = (uint64_t)s->st_size;
	result = read_entry(r, f, &e, err);
	for (size_t i = 0; i < e.xattr_count; i++) {
		free(e.xattrs[i].name);
		free(e.xattrs[i].value);
	}
	free(e.xattrs);
	return result;
}

int build_directory(const struct build *build, int root, const char *name, struct error *err)
{
	_cleanup_(reading_free) struct reading r = {.name = name};
	int result = assembly_start(&r.a, build, true, err);

	r.bytes = result == 0 ? malloc(READ_BYTES) : NULL;
	if (result == 0 && !r.bytes)
		result = error_no_memory(err, "read a directory");
	if (result == 0)
		result = merge_layer_begin(r.a.merge, 0, err);
	if (result == 0)
		result = walk_tree(root, name, read_file, &r, err);
	if (result == 0)
		result = merge_layer_end(r.a.merge, err);
	if (result == 0)
		result = assembly_finish(&r.a, err);
	assembly_show(&r.a, r.done, true);
	return result;
}
