/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/attributes.h"
#include "os/fs.h"

/* What the host's own policy gives its files, which is no property of theirs. */
#define LABEL "security.selinux"

int import_reader_init(struct import_reader *i, struct repository *r, struct error *err)
{
	*i = (struct import_reader){.r = r};
	return store_writer_new(repository_store(r), &i->w, err);
}

void import_reader_free(struct import_reader *i)
{
	content_writer_free(i->contents);
	store_writer_free(i->w);
	buffer_free(&i->names);
	buffer_free(&i->values);
	free(i->xattrs);
	*i = (struct import_reader){0};
}

static void common(const struct stat *s, struct entry *e)
{
	e->mode = s->st_mode & 07777;
	e->uid = s->st_uid;
	e->gid = s->st_gid;
	e->mtime.seconds = s->st_mtim.tv_sec;
	e->mtime.nanoseconds = (uint32_t)s->st_mtim.tv_nsec;
}

/* ---- extended attributes ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry_xattr *)a)->name, ((const struct entry_xattr *)b)->name);
}

/* A value that an entry can have; a larger one is an object. */
static int take_value(struct import_reader *i, size_t from, struct entry_xattr *x, struct error *err)
{
	x->value_size = i->values.size - from;
	if (x->value_size <= ENTRY_INLINE_MAX)
		return 0;
	return store_put(i->w, OBJECT_VALUE, i->values.data + from, x->value_size, &x->object, NULL, err);
}

static int grow_xattrs(struct import_reader *i, size_t count, struct error *err)
{
	size_t room = i->xattr_room ? 2 * i->xattr_room : 16;
	struct entry_xattr *more;

	if (count < i->xattr_room)
		return 0;
	more = realloc(i->xattrs, room * sizeof *more);
	if (!more)
		return error_no_memory(err, "read extended attributes");
	i->xattrs = more;
	i->xattr_room = room;
	return 0;
}

static int read_values(struct import_reader *i, int fd, const char *name, size_t *count, struct error *err)
{
	const char *at = (const char *)i->names.data, *end = at + i->names.size;

	for (; at < end; at += strlen(at) + 1) {
		size_t from = i->values.size;
		int r = strcmp(at, LABEL) == 0 ? 0 : fs_xattr_get(fd, name, at, &i->values, err);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (i->values.size > ENTRY_XATTRS_MAX)
			return error_set(err, ERROR_LIMIT, "%s: too many extended attributes", name);
		r = grow_xattrs(i, *count, err);
		if (r < 0)
			return r;
		i->xattrs[*count] = (struct entry_xattr){.name = at};
		r = take_value(i, from, &i->xattrs[(*count)++], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_xattrs(struct import_reader *i, int fd, const char *name, struct entry *e, struct error *err)
{
	size_t count = 0, at = 0;
	int r;

	buffer_clear(&i->names);
	buffer_clear(&i->values);
	r = fs_xattr_list(fd, name, &i->names, err);
	if (r < 0 || i->names.size == 0)
		return r;
	r = read_values(i, fd, name, &count, err);
	if (r < 0)
		return r;
	/* The values lie one behind the other, and the memory moves no more. */
	for (size_t k = 0; k < count; k++) {
		i->xattrs[k].value = i->values.data + at;
		at += i->xattrs[k].value_size;
	}
	qsort(i->xattrs, count, sizeof *i->xattrs, by_name);
	e->xattrs = i->xattrs;
	e->xattr_count = count;
	return 0;
}

/* ---- files ---- */

struct reading {
	int fd;
	const char *name;
	uint64_t at, size;
	bool sparse;
	uint64_t data_end; /* up to here there is data, as far as is known */
	uint64_t *count;
};

/* How many bytes from `at` on are a hole; data_end is set behind it. */
static uint64_t hole_at(struct reading *f)
{
	off_t data = lseek(f->fd, (off_t)f->at, SEEK_DATA), end;

	if (data < 0 || (uint64_t)data > f->size) {
		f->data_end = f->size;
		return data < 0 && errno == ENXIO ? f->size - f->at : 0;
	}
	end = lseek(f->fd, data, SEEK_HOLE);
	f->data_end = end < 0 || (uint64_t)end > f->size ? f->size : (uint64_t)end;
	return (uint64_t)data - f->at;
}

static ssize_t read_file(void *context, void *to, size_t n, uint64_t *hole, struct error *err)
{
	struct reading *f = context;
	size_t done = 0;

	if (f->sparse && f->at >= f->data_end && f->at < f->size) {
		*hole = hole_at(f);
		f->at += *hole;
		if (*hole)
			return 0;
	}
	/* Less than was asked for would be the end: holes are read as zeroes where they come in between. */
	while (done < n && f->at < f->size) {
		size_t part = n - done;
		ssize_t r;

		if (part > f->size - f->at)
			part = (size_t)(f->size - f->at);
		r = pread(f->fd, (uint8_t *)to + done, part, (off_t)f->at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_errno(err, errno, "read %s", f->name);
		if (r == 0)
			f->size = f->at;
		done += (size_t)r;
		f->at += (uint64_t)r;
	}
	if (f->count)
		__atomic_fetch_add(f->count, done, __ATOMIC_RELAXED);
	return (ssize_t)done;
}

int import_file(struct import_reader *i, int directory, const char *name, const struct stat *s,
	struct buffer *entry, bool *whole, struct error *err)
{
	_cleanup_fd_ int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct reading f = {.fd = fd, .name = name, .size = (uint64_t)s->st_size, .count = i->reading};
	struct content_source source = {.read = read_file, .context = &f};
	struct entry e = {.kind = ENTRY_FILE};
	struct stat now;
	int r = 0;

	if (fd < 0)
		return error_errno(err, errno, "open %s", name);
	if (fstat(fd, &now) < 0)
		return error_errno(err, errno, "open %s", name);
	if (!S_ISREG(now.st_mode) || now.st_ino != s->st_ino)
		return error_set(err, ERROR_NOT_FOUND, "%s: it was replaced while it was read", name);
	if (!i->contents)
		r = content_writer_new(i->w, repository_crypt(i->r), &i->contents, err);
	if (r < 0)
		return r;
	common(s, &e);
	f.sparse = s->st_size > (off_t)ENTRY_INLINE_MAX && (uint64_t)s->st_blocks * 512 < f.size;
	r = read_xattrs(i, fd, name, &e, err);
	if (r == 0)
		r = content_write(i->contents, &source, &e.content, err);
	*whole = e.content.size == (uint64_t)s->st_size;
	return r < 0 ? r : entry_encode(&e, entry, err);
}

/* ---- the others ---- */

static enum entry_kind kind_of(mode_t mode)
{
	if (S_ISLNK(mode))
		return ENTRY_SYMLINK;
	if (S_ISFIFO(mode))
		return ENTRY_FIFO;
	if (S_ISSOCK(mode))
		return ENTRY_SOCKET;
	return S_ISCHR(mode) ? ENTRY_CHARACTER : ENTRY_BLOCK;
}

int import_other(
	int directory, const char *name, const struct stat *s, struct buffer *entry, struct error *err)
{
	char target[ENTRY_PATH_MAX + 1];
	struct entry e = {.kind = kind_of(s->st_mode)};

	common(s, &e);
	if (e.kind == ENTRY_SYMLINK) {
		ssize_t n = readlinkat(directory, name, target, sizeof target);

		if (n < 0)
			return error_errno(err, errno, "read the link %s", name);
		/* What every system shows and none heeds. */
		e.mode = 0777;
		e.target = target;
		e.target_size = (size_t)n;
	}
	if (e.kind == ENTRY_CHARACTER || e.kind == ENTRY_BLOCK) {
		e.major = fs_device_major(s->st_rdev);
		e.minor = fs_device_minor(s->st_rdev);
	}
	return entry_encode(&e, entry, err);
}

int import_metadata(struct import_reader *i, int fd, const char *name, const struct stat *s,
	struct buffer *entry, struct error *err)
{
	struct entry e = {.kind = ENTRY_DIRECTORY};
	int r = read_xattrs(i, fd, name, &e, err);

	common(s, &e);
	return r < 0 ? r : entry_encode(&e, entry, err);
}

int import_link(const char *path, struct buffer *entry, struct error *err)
{
	struct entry e = {.kind = ENTRY_LINK, .target = path, .target_size = strlen(path)};

	return entry_encode(&e, entry, err);
}
