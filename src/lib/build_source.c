/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/build_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/image.h"
#include "oci/limits.h"
#include "os/fs.h"

#define PIECE     65536
#define LINKS_MAX 40
#define NAMES_MAX 1000000u

CLEANUP_DEFINE(image, struct image, image_free);

void build_source_close(struct build_source *s)
{
	if (s->directory >= 0)
		close(TAKE_FD(s->directory));
	if (s->image_fd >= 0)
		close(TAKE_FD(s->image_fd));
}

static int set_type(struct build_facts *f, mode_t mode)
{
	f->type = S_ISDIR(mode)    ? TAR_DIRECTORY
		  : S_ISLNK(mode)  ? TAR_SYMBOLIC_LINK
		  : S_ISFIFO(mode) ? TAR_FIFO
		  : S_ISCHR(mode)  ? TAR_CHARACTER_DEVICE
		  : S_ISBLK(mode)  ? TAR_BLOCK_DEVICE
				   : TAR_FILE;
	f->skip = S_ISSOCK(mode);
	f->mode = mode & 07777;
	return 0;
}

/* ---- a directory of the host ------------------------------------------------------------------------- */

int build_source_directory(struct build_source *s, int directory, const char *path,
	const struct dockerignore *ignore, struct error *err)
{
	*s = (struct build_source){.directory = -1, .image_fd = -1, .ignore = ignore};
	s->directory = fs_open(directory, path, O_RDONLY | O_DIRECTORY, 0, err);
	return s->directory < 0 ? s->directory : 0;
}

static int open_host(const struct build_source *s, const char *path, int flags, struct error *err)
{
	int fd = fs_open_beneath(s->directory, *path ? path : ".", flags, 0, err);

	if (fd < 0 && errno == EXDEV)
		return error_set(err, ERROR_DENIED, "'%s' leads out of the context", path);
	return fd;
}

/* Everything of the context belongs to root, as docker has it. */
static int stat_host(const struct build_source *s, const char *path, bool follow, struct build_facts *f,
	char **real, struct error *err)
{
	_cleanup_fd_ int fd = open_host(s, path, O_PATH | (follow ? 0 : O_NOFOLLOW), err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "read '%s'", path);
	*f = (struct build_facts){.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
		.mtime = st.st_mtim.tv_sec,
		.mtime_nanoseconds = (uint32_t)st.st_mtim.tv_nsec,
		.device_major = major(st.st_rdev),
		.device_minor = minor(st.st_rdev)};
	set_type(f, st.st_mode);
	if (real && !(*real = text_copy(path, err)))
		return -ERROR_NO_MEMORY;
	return 0;
}

static int link_host(const struct build_source *s, const char *path, char **target, struct error *err)
{
	_cleanup_fd_ int fd = open_host(s, path, O_PATH | O_NOFOLLOW, err);
	char text[4097];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", text, sizeof text - 1);

	if (fd < 0)
		return fd;
	if (n < 0)
		return error_errno(err, errno, "read the link '%s'", path);
	*target = text_copy_bytes(text, (size_t)n, err);
	return *target ? 0 : -ERROR_NO_MEMORY;
}

static bool is_left_out(
	const struct build_source *s, const char *directory, const char *name, struct buffer *path)
{
	if (!s->ignore || !s->ignore->count)
		return false;
	buffer_clear(path);
	buffer_format(path, "%s%s%s", directory, *directory ? "/" : "", name);
	buffer_u8(path, 0);
	return !path->failed && dockerignore_match(s->ignore, (const char *)path->data);
}

struct names {
	char **list;
	size_t count, room;
	struct error *err;
};

static int add_name(struct names *n, const char *name, size_t size)
{
	if (n->count == NAMES_MAX)
		return error_set(n->err, ERROR_LIMIT, "a directory has over %u names", NAMES_MAX);
	if (n->count + 1 >= n->room) {
		size_t room = n->room ? 2 * n->room : 16;
		char **grown = realloc(n->list, room * sizeof *grown);

		if (!grown)
			return error_no_memory(n->err, "read a directory");
		n->list = grown;
		n->room = room;
	}
	n->list[n->count] = text_copy_bytes(name, size, n->err);
	if (!n->list[n->count])
		return -ERROR_NO_MEMORY;
	n->list[++n->count] = NULL;
	return 0;
}

/* A directory that is left out is looked into where something in it may come back. */
static int list_host(const struct build_source *s, const char *path, struct names *out)
{
	_cleanup_fd_ int fd = open_host(s, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, out->err);
	_cleanup_list_ DIR *list = NULL;
	_cleanup_buffer_ struct buffer whole = {0};
	const char *name;
	int r = fd < 0 ? fd : fs_list_open(fd, ".", &list, out->err);

	while (r == 0 && (name = fs_list_next(list))) {
		struct stat st;

		if (is_left_out(s, path, name, &whole) &&
			(!s->ignore->any_back || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
				!S_ISDIR(st.st_mode)))
			continue;
		r = add_name(out, name, strlen(name));
	}
	return r;
}

static int read_host(const struct build_source *s, const char *path, const struct build_facts *f,
	build_taker *take, void *context, struct error *err)
{
	_cleanup_fd_ int fd = open_host(s, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
	_cleanup_free_ char *piece = malloc(PIECE);
	uint64_t left = f->size;
	int r = fd < 0 ? fd : piece ? 0 : error_no_memory(err, "read files");

	while (r == 0 && left) {
		ssize_t n = read(fd, piece, left < PIECE ? (size_t)left : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read '%s'", path);
		if (n == 0)
			return error_set(err, ERROR_BUSY, "'%s' became shorter while it was read", path);
		left -= (uint64_t)n;
		r = take(context, piece, (size_t)n, err);
	}
	return r;
}

/* ---- the root of an image ---------------------------------------------------------------------------- */

int build_source_image(struct build_source *s, struct store *store, const char *digest, struct error *err)
{
	_cleanup_(cleanup_image) struct image *image = NULL;
	struct image_options o = {.pull = IMAGE_PULL_NEVER};
	int r;

	*s = (struct build_source){.directory = -1, .image_fd = -1};
	r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &o.limits, err);
	if (r == 0)
		r = image_open(store, digest, &o, &image, err);
	if (r == 0)
		r = image_open_root(store, image, "erofs", &s->image_fd, err);
	return r < 0 ? r : erofs_reader_open(s->image_fd, &s->reader, err);
}

static int read_erofs_link(
	const struct build_source *s, const struct erofs_stat *st, char **target, struct error *err)
{
	char text[4097];
	int64_t n = erofs_reader_read(&s->reader, st, 0, text, sizeof text - 1, err);

	if (n < 0)
		return (int)n;
	*target = text_copy_bytes(text, (size_t)n, err);
	return *target ? 0 : -ERROR_NO_MEMORY;
}

/* Takes the last name off a path. */
static void go_up(struct buffer *path)
{
	while (path->size && path->data[--path->size] != '/')
		;
}

/* Appends a name to the path that has no links; links: how many may still be followed. What is to be walked
 * then stands in *rest, which a link's target comes before. */
static int step(const struct build_source *s, struct buffer *path, const char *name, size_t n, bool follow,
	char **rest, unsigned *links, struct error *err)
{
	_cleanup_free_ char *target = NULL, *joined = NULL;
	struct erofs_stat st;
	size_t before = path->size;
	int r;

	if (n == 2 && !memcmp(name, "..", 2)) {
		go_up(path);
		return 0;
	}
	if (path->size)
		buffer_u8(path, '/');
	buffer_append(path, name, n);
	if (!buffer_u8(path, 0))
		return error_no_memory(err, "walk a path");
	r = erofs_reader_find(&s->reader, (const char *)path->data, &st, err);
	path->size--;
	if (r < 0 || !S_ISLNK(st.mode) || (!follow && !**rest))
		return r;
	if (!(*links)--)
		return error_set(err, ERROR_INVALID, "'%.*s': too many links", (int)path->size, path->data);
	r = read_erofs_link(s, &st, &target, err);
	if (r < 0)
		return r;
	path->size = *target == '/' ? 0 : before;
	joined = text_format(err, "%s/%s", target, *rest);
	if (!joined)
		return -ERROR_NO_MEMORY;
	free(*rest);
	*rest = TAKE_PTR(joined);
	return 0;
}

static int walk(
	const struct build_source *s, const char *text, bool follow, struct buffer *path, struct error *err)
{
	_cleanup_free_ char *rest = text_copy(text, err);
	unsigned links = LINKS_MAX;
	int r = rest ? 0 : -ERROR_NO_MEMORY;

	while (r == 0) {
		size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/"), behind;
		_cleanup_free_ char *name = text_copy_bytes(rest + skip, n, err);

		if (!name)
			return -ERROR_NO_MEMORY;
		if (!n)
			break;
		behind = skip + n + strspn(rest + skip + n, "/");
		memmove(rest, rest + behind, strlen(rest + behind) + 1);
		if (strcmp(name, "."))
			r = step(s, path, name, n, follow, &rest, &links, err);
	}
	if (r == 0 && !buffer_u8(path, 0))
		return error_no_memory(err, "walk a path");
	return r;
}

static int find_in_image(const struct build_source *s, const char *path, bool follow, struct erofs_stat *st,
	char **real, struct error *err)
{
	_cleanup_buffer_ struct buffer whole = {.limit = 65536};
	int r = walk(s, path, follow, &whole, err);

	if (r == 0)
		r = erofs_reader_find(&s->reader, whole.size > 1 ? (const char *)whole.data : "/", st, err);
	if (r == 0 && real && !(*real = text_copy((const char *)whole.data, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

static int stat_image(const struct build_source *s, const char *path, bool follow, struct build_facts *f,
	char **real, struct error *err)
{
	struct erofs_stat st;
	int r = find_in_image(s, path, follow, &st, real, err);

	if (r < 0)
		return r;
	*f = (struct build_facts){.uid = st.uid,
		.gid = st.gid,
		.size = S_ISREG(st.mode) ? st.size : 0,
		.mtime = st.mtime,
		.mtime_nanoseconds = st.mtime_nanoseconds,
		.device_major = st.device_major,
		.device_minor = st.device_minor};
	return set_type(f, st.mode);
}

static int take_entry(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	(void)nid;
	(void)type;
	if (*name == '.' && (n == 1 || (n == 2 && name[1] == '.')))
		return 0;
	return add_name(context, name, n);
}

static int list_image(const struct build_source *s, const char *path, struct names *out)
{
	struct erofs_stat st;
	int r = find_in_image(s, path, false, &st, NULL, out->err);

	return r < 0 ? r : erofs_reader_list(&s->reader, &st, take_entry, out, out->err);
}

static int read_image(const struct build_source *s, const char *path, const struct build_facts *f,
	build_taker *take, void *context, struct error *err)
{
	_cleanup_free_ char *piece = malloc(PIECE);
	struct erofs_stat st;
	uint64_t at = 0;
	int r = piece ? find_in_image(s, path, false, &st, NULL, err) : error_no_memory(err, "read files");

	while (r == 0 && at < f->size) {
		int64_t n = erofs_reader_read(&s->reader, &st, at, piece, PIECE, err);

		if (n <= 0)
			return n < 0 ? (int)n : error_set(err, ERROR_CORRUPT, "'%s' is cut", path);
		at += (uint64_t)n;
		r = take(context, piece, (size_t)n, err);
	}
	return r;
}

struct attributes {
	struct tar_xattr *list;
	size_t count;
};

static int take_attribute(void *context, const char *name, const uint8_t *value, size_t n)
{
	struct attributes *a = context;
	struct tar_xattr *grown = realloc(a->list, (a->count + 1) * sizeof *grown), *x;

	if (!grown)
		return -ERROR_NO_MEMORY;
	a->list = grown;
	x = &grown[a->count++];
	*x = (struct tar_xattr){.name = text_copy(name, NULL),
		.value = (uint8_t *)text_copy_bytes(value, n, NULL),
		.size = n};
	return x->name && x->value ? 0 : -ERROR_NO_MEMORY;
}

void build_xattrs_free(struct tar_xattr *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].value);
	}
	free(list);
}

int build_source_xattrs(const struct build_source *s, const char *path, struct tar_xattr **list,
	size_t *count, struct error *err)
{
	struct attributes a = {0};
	struct erofs_stat st;
	int r = s->directory >= 0 ? 0 : find_in_image(s, path, false, &st, NULL, err);

	if (r == 0 && s->directory < 0)
		r = erofs_reader_xattrs(&s->reader, &st, take_attribute, &a, err);
	if (r < 0) {
		build_xattrs_free(a.list, a.count);
		return r == -ERROR_NO_MEMORY ? error_no_memory(err, "read attributes") : r;
	}
	*list = a.list;
	*count = a.count;
	return 0;
}

/* ---- both -------------------------------------------------------------------------------------------- */

int build_source_stat(const struct build_source *s, const char *path, bool follow, struct build_facts *f,
	char **real, struct error *err)
{
	return s->directory >= 0 ? stat_host(s, path, follow, f, real, err)
				 : stat_image(s, path, follow, f, real, err);
}

int build_source_link(const struct build_source *s, const char *path, char **target, struct error *err)
{
	struct erofs_stat st;
	int r;

	if (s->directory >= 0)
		return link_host(s, path, target, err);
	r = find_in_image(s, path, false, &st, NULL, err);
	return r < 0 ? r : read_erofs_link(s, &st, target, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int build_source_list(const struct build_source *s, const char *path, char ***list, struct error *err)
{
	struct names names = {.err = err};
	int r = s->directory >= 0 ? list_host(s, path, &names) : list_image(s, path, &names);

	if (r < 0) {
		text_list_free(names.list);
		return r;
	}
	if (names.count)
		qsort(names.list, names.count, sizeof *names.list, compare_names);
	*list = names.list;
	return 0;
}

int build_source_read(const struct build_source *s, const char *path, const struct build_facts *f,
	build_taker *take, void *context, struct error *err)
{
	return s->directory >= 0 ? read_host(s, path, f, take, context, err)
				 : read_image(s, path, f, take, context, err);
}
