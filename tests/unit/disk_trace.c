/* SPDX-License-Identifier: Apache-2.0 */
#include "disk_trace.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "monofs_place.h"
#include "test.h"

#define STEPS_MAX 20000u
#define FILES_MAX 2000u

enum kind { WRITE, TRUNCATE, SYNC, CREATE, MAKE_DIRECTORY, RENAME, REMOVE, MARK };

/* Of WRITE, TRUNCATE, SYNC: a file by its number, which it keeps when it is renamed. Of the others: paths. */
struct step {
	enum kind kind;
	unsigned file;
	uint64_t offset, size;
	uint8_t *bytes;
	char *path, *to;
};

static struct {
	char directory[PATH_MAX];
	bool on;
	pthread_mutex_t lock;
	struct step steps[STEPS_MAX];
	size_t count;
	/* Files by number: the inode while it is recorded. */
	ino_t inodes[FILES_MAX];
	unsigned files;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- recording ----------------------------------------------------------------------------------------- */

/* The path beneath the directory ("" is itself), or NULL: it is elsewhere, or is not recorded: SQLite's index
 * is made again. */
static const char *within(const char *path)
{
	size_t n = strlen(trace.directory);

	if (!trace.on || strncmp(path, trace.directory, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	path += n + (path[n] == '/');
	return strncmp(path, "index.db", 8) == 0 ? NULL : path;
}

static const char *path_of_fd(int fd, char out[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n < 0)
		return NULL;
	out[n] = 0;
	return within(out);
}

static const char *path_at(int fd, const char *name, char out[PATH_MAX])
{
	char directory[PATH_MAX];

	if (name[0] == '/') {
		snprintf(out, PATH_MAX, "%s", name);
		return within(out);
	}
	if (!path_of_fd(fd, directory))
		return NULL;
	if (!strcmp(name, "."))
		snprintf(out, PATH_MAX, "%s", directory);
	else
		snprintf(out, PATH_MAX, "%.2000s/%.2000s", directory, name);
	return within(out);
}

static struct step *add(enum kind kind)
{
	struct step *s = &trace.steps[trace.count];

	if (trace.count == STEPS_MAX)
		abort();
	trace.count++;
	*s = (struct step){.kind = kind};
	return s;
}

static unsigned new_file(ino_t inode)
{
	if (trace.files == FILES_MAX)
		abort();
	trace.inodes[trace.files] = inode;
	return trace.files++;
}

/* The last that had the inode: they are used again. */
static unsigned file_of(ino_t inode)
{
	for (unsigned i = trace.files; i-- > 0;)
		if (trace.inodes[i] == inode)
			return i;
	return new_file(inode);
}

static unsigned file_of_fd(int fd)
{
	struct stat s;

	return fstat(fd, &s) < 0 ? UINT_MAX : file_of(s.st_ino);
}

static void note_write(int fd, const struct iovec *v, int count, uint64_t offset, ssize_t done)
{
	char path[PATH_MAX];
	struct step *s;
	size_t at = 0;

	if (!trace.on || done <= 0 || !path_of_fd(fd, path))
		return;
	pthread_mutex_lock(&trace.lock);
	s = add(WRITE);
	s->file = file_of_fd(fd);
	s->offset = offset;
	s->size = (uint64_t)done;
	s->bytes = malloc((size_t)done);
	for (int i = 0; i < count && at < (size_t)done; i++) {
		size_t n = v[i].iov_len < (size_t)done - at ? v[i].iov_len : (size_t)done - at;

		memcpy(s->bytes + at, v[i].iov_base, n);
		at += n;
	}
	pthread_mutex_unlock(&trace.lock);
}

static void note_file(int fd, enum kind kind, uint64_t size)
{
	char path[PATH_MAX];
	struct step *s;
	struct stat st;
	const char *in;

	if (!trace.on || !(in = path_of_fd(fd, path)) || fstat(fd, &st) < 0)
		return;
	pthread_mutex_lock(&trace.lock);
	s = add(kind);
	s->file = S_ISDIR(st.st_mode) ? UINT_MAX : file_of(st.st_ino);
	s->path = S_ISDIR(st.st_mode) ? strdup(in) : NULL;
	s->size = size;
	pthread_mutex_unlock(&trace.lock);
}

static void note_names(enum kind kind, const char *path, const char *to, unsigned file)
{
	struct step *s;

	if (!path)
		return;
	pthread_mutex_lock(&trace.lock);
	s = add(kind);
	s->path = strdup(path);
	s->to = to ? strdup(to) : NULL;
	s->file = file;
	pthread_mutex_unlock(&trace.lock);
}

void trace_mark(uint32_t number)
{
	pthread_mutex_lock(&trace.lock);
	add(MARK)->offset = number;
	pthread_mutex_unlock(&trace.lock);
}

#define WRAP(result, name, ...) \
	result __real_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

WRAP(ssize_t, write, int fd, const void *bytes, size_t n)
{
	const struct iovec v = {(void *)bytes, n};
	off_t at = trace.on ? lseek(fd, 0, SEEK_CUR) : -1;
	ssize_t r = __real_write(fd, bytes, n);

	if (at >= 0)
		note_write(fd, &v, 1, (uint64_t)at, r);
	return r;
}

WRAP(ssize_t, pwrite64, int fd, const void *bytes, size_t n, off64_t at)
{
	const struct iovec v = {(void *)bytes, n};
	ssize_t r = __real_pwrite64(fd, bytes, n, at);

	note_write(fd, &v, 1, (uint64_t)at, r);
	return r;
}

WRAP(ssize_t, pwritev64, int fd, const struct iovec *v, int count, off64_t at)
{
	ssize_t r = __real_pwritev64(fd, v, count, at);

	note_write(fd, v, count, (uint64_t)at, r);
	return r;
}

WRAP(int, ftruncate64, int fd, off64_t size)
{
	int r = __real_ftruncate64(fd, size);

	if (r == 0)
		note_file(fd, TRUNCATE, (uint64_t)size);
	return r;
}

WRAP(int, fsync, int fd)
{
	int r = __real_fsync(fd);

	if (r == 0)
		note_file(fd, SYNC, 0);
	return r;
}

WRAP(int, fdatasync, int fd)
{
	int r = __real_fdatasync(fd);

	if (r == 0)
		note_file(fd, SYNC, 0);
	return r;
}

static int note_open(int fd, int flags, bool there)
{
	char path[PATH_MAX];
	const char *in;
	struct stat s;

	if (fd < 0 || !trace.on || !(in = path_of_fd(fd, path)) || fstat(fd, &s) < 0)
		return fd;
	if (!there && flags & O_CREAT)
		note_names(CREATE, in, NULL, new_file(s.st_ino));
	else if (flags & O_TRUNC)
		note_file(fd, TRUNCATE, 0);
	return fd;
}

int __real_openat64(int fd, const char *path, int flags, ...);
int __wrap_openat64(int fd, const char *path, int flags, ...);
int __wrap_openat64(int fd, const char *path, int flags, ...)
{
	va_list arguments;
	bool there;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	there = trace.on && faccessat(fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return note_open(__real_openat64(fd, path, flags, mode), flags, there);
}

WRAP(int, mkdirat, int fd, const char *name, mode_t mode)
{
	int r = __real_mkdirat(fd, name, mode);
	char path[PATH_MAX];

	if (r == 0 && trace.on)
		note_names(MAKE_DIRECTORY, path_at(fd, name, path), NULL, UINT_MAX);
	return r;
}

WRAP(int, renameat, int from, const char *name, int to, const char *new_name)
{
	char path[PATH_MAX], new_path[PATH_MAX];
	const char *was = trace.on ? path_at(from, name, path) : NULL;
	int r = __real_renameat(from, name, to, new_name);

	if (r == 0 && was)
		note_names(RENAME, was, path_at(to, new_name, new_path), UINT_MAX);
	return r;
}

WRAP(int, unlinkat, int fd, const char *name, int flags)
{
	int r = __real_unlinkat(fd, name, flags);
	char path[PATH_MAX];

	if (r == 0 && trace.on)
		note_names(REMOVE, path_at(fd, name, path), NULL, UINT_MAX);
	return r;
}

/* ---- a disk -------------------------------------------------------------------------------------------- */

/* A file's bytes, as they are in the page cache, and as they are on disk. */
struct bytes {
	uint8_t *data;
	size_t size;
};
struct file {
	struct bytes now, synced;
	size_t first; /* of the steps since the last sync */
};
struct disk_entry {
	char *path;
	unsigned file; /* UINT_MAX: a directory */
};

struct disk {
	struct file files[FILES_MAX];
	struct disk_entry entries[FILES_MAX];
	size_t count;
};

static struct {
	struct bytes files[FILES_MAX];
	struct disk_entry entries[FILES_MAX];
	size_t count;
} initial;

static void put(struct bytes *b, uint64_t at, const uint8_t *bytes, size_t n)
{
	if (b->size < at + n) {
		b->data = realloc(b->data, (size_t)at + n);
		memset(b->data + b->size, 0, (size_t)at + n - b->size);
		b->size = (size_t)at + n;
	}
	if (n)
		memcpy(b->data + at, bytes, n);
}

static struct bytes copy_of(const struct bytes *b)
{
	struct bytes copy = {.size = b->size};

	copy.data = malloc(b->size + 1);
	if (b->size)
		memcpy(copy.data, b->data, b->size);
	return copy;
}

static void load(const char *path, const char *in)
{
	DIR *d = opendir(path);
	struct dirent *e;

	CHECK(d);
	while ((e = readdir(d)) != NULL) {
		char deeper[PATH_MAX], name[PATH_MAX];
		struct disk_entry *to = &initial.entries[initial.count];
		struct stat s;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strncmp(e->d_name, "index.db", 8))
			continue;
		snprintf(deeper, sizeof deeper, "%.2000s/%s", path, e->d_name);
		snprintf(name, sizeof name, "%.2000s%s%s", in, *in ? "/" : "", e->d_name);
		CHECK(lstat(deeper, &s) == 0 && initial.count < FILES_MAX);
		initial.count++;
		*to = (struct disk_entry){strdup(name), S_ISDIR(s.st_mode) ? UINT_MAX : file_of(s.st_ino)};
		if (S_ISDIR(s.st_mode)) {
			load(deeper, name);
		} else {
			struct bytes *b = &initial.files[to->file];
			int fd = open(deeper, O_RDONLY | O_CLOEXEC);

			b->size = (size_t)s.st_size;
			b->data = malloc(b->size + 1);
			CHECK(fd >= 0 && read(fd, b->data, b->size) == (ssize_t)b->size);
			close(fd);
		}
	}
	closedir(d);
}

void trace_begin(const char *directory)
{
	snprintf(trace.directory, sizeof trace.directory, "%s", directory);
	trace.count = 0;
	trace.files = 0;
	initial.count = 0;
	load(directory, "");
	trace.on = true;
}

void trace_end(void)
{
	trace.on = false;
}

size_t trace_steps(void)
{
	return trace.count;
}

static void apply_data(struct bytes *b, const struct step *s, uint64_t part)
{
	if (s->kind == WRITE)
		put(b, s->offset, s->bytes, (size_t)part);
	else if (s->size < b->size)
		b->size = (size_t)s->size;
	else
		put(b, s->size, NULL, 0);
}

static struct disk_entry *find(struct disk *d, const char *path)
{
	for (size_t i = 0; i < d->count; i++)
		if (!strcmp(d->entries[i].path, path))
			return &d->entries[i];
	return NULL;
}

static void take_out(struct disk *d, const char *path)
{
	struct disk_entry *e = find(d, path);

	if (!e)
		return;
	free(e->path);
	*e = d->entries[--d->count];
}

static void apply_name(struct disk *d, const struct step *s)
{
	struct disk_entry *e;

	if (s->kind == REMOVE) {
		take_out(d, s->path);
	} else if (s->kind == RENAME) {
		take_out(d, s->to);
		e = find(d, s->path);
		if (e) {
			free(e->path);
			e->path = strdup(s->to);
		}
	} else {
		CHECK(d->count < FILES_MAX);
		d->entries[d->count++] = (struct disk_entry){strdup(s->path), s->file};
	}
}

static bool is_data(const struct step *s)
{
	return s->kind == WRITE || s->kind == TRUNCATE;
}

static bool is_name(const struct step *s)
{
	return s->kind >= CREATE && s->kind <= REMOVE;
}

/* How many steps' names have arrived: all before the last sync of a directory have, and of a file that was
 * made since its own, as journalling file systems have it. */
static size_t names_arrived(size_t steps, enum trace_cut cut, uint64_t *random)
{
	size_t least = 0;

	for (size_t i = 0; i < steps; i++)
		if (trace.steps[i].kind == SYNC)
			least = i;
	if (cut == TRACE_KILLED)
		return steps;
	return cut == TRACE_LEAST ? least : least + monofs_random(random) % (steps - least + 1);
}

static void apply_files(struct disk *d, size_t steps, enum trace_cut cut, uint64_t *random)
{
	for (size_t i = 0; i < steps; i++) {
		const struct step *s = &trace.steps[i];
		struct file *f = s->file < FILES_MAX ? &d->files[s->file] : NULL;

		if (is_data(s)) {
			apply_data(&f->now, s, s->size);
		} else if (s->kind == SYNC && f) {
			free(f->synced.data);
			f->synced = copy_of(&f->now);
			f->first = i + 1;
		}
	}
	for (size_t i = 0; cut == TRACE_TORN && i < steps; i++) {
		const struct step *s = &trace.steps[i];
		uint64_t luck = monofs_random(random) % 4;

		if (!is_data(s) || i < d->files[s->file].first || luck == 0)
			continue;
		apply_data(&d->files[s->file].synced, s,
			luck == 1 ? monofs_random(random) % (s->size + 1) : s->size);
	}
}

static void write_file(const char *path, const struct bytes *b)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK(b->size == 0 || __real_write(fd, b->data, b->size) == (ssize_t)b->size);
	close(fd);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct disk_entry *)a)->path, ((const struct disk_entry *)b)->path);
}

static void write_out(struct disk *d, enum trace_cut cut, const char *to)
{
	char path[PATH_MAX];

	CHECK(mkdir(to, 0700) == 0);
	qsort(d->entries, d->count, sizeof *d->entries, by_path);
	for (size_t i = 0; i < d->count; i++) {
		const struct disk_entry *e = &d->entries[i];

		snprintf(path, sizeof path, "%.2000s/%.2000s", to, e->path);
		if (e->file == UINT_MAX)
			CHECK(mkdir(path, 0700) == 0);
		else
			write_file(path,
				cut == TRACE_KILLED ? &d->files[e->file].now : &d->files[e->file].synced);
	}
}

uint32_t trace_make(size_t steps, enum trace_cut cut, uint64_t random, const char *to)
{
	struct disk *d = calloc(1, sizeof *d);
	uint32_t mark = 0;
	size_t names;

	CHECK(d && steps <= trace.count);
	for (unsigned i = 0; i < trace.files; i++) {
		d->files[i].now = copy_of(&initial.files[i]);
		d->files[i].synced = copy_of(&initial.files[i]);
	}
	for (size_t i = 0; i < initial.count; i++)
		d->entries[d->count++] =
			(struct disk_entry){strdup(initial.entries[i].path), initial.entries[i].file};
	apply_files(d, steps, cut, &random);
	names = names_arrived(steps, cut, &random);
	for (size_t i = 0; i < steps; i++) {
		if (is_name(&trace.steps[i]) && i < names)
			apply_name(d, &trace.steps[i]);
		if (trace.steps[i].kind == MARK)
			mark = (uint32_t)trace.steps[i].offset;
	}
	write_out(d, cut, to);
	for (unsigned i = 0; i < trace.files; i++) {
		free(d->files[i].now.data);
		free(d->files[i].synced.data);
	}
	for (size_t i = 0; i < d->count; i++)
		free(d->entries[i].path);
	free(d);
	return mark;
}

void trace_free(void)
{
	for (size_t i = 0; i < trace.count; i++) {
		free(trace.steps[i].bytes);
		free(trace.steps[i].path);
		free(trace.steps[i].to);
	}
	for (size_t i = 0; i < initial.count; i++)
		free(initial.entries[i].path);
	for (unsigned i = 0; i < trace.files; i++)
		free(initial.files[i].data);
	trace.count = 0;
}
