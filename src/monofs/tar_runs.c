/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/tar_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monofs/entry.h"
#include "os/fs.h"

#define BLOCK_SIZE 65536u
#define TEMPORARY  "known/archive.new"

struct block {
	uint64_t offset;
	size_t stored, plain;
	size_t key, key_size; /* the path of its first name, in `keys` */
};

struct run {
	size_t first, count; /* blocks */
	/* where it is read: */
	struct buffer bytes; /* of a block */
	size_t loaded;       /* which one, from 0; `count`: none */
	size_t at;
	struct tar_name name;
	bool ended;
};

struct tar_runs {
	const struct crypt *crypt;
	int fd;
	uint8_t salt[CRYPT_SALT_SIZE];
	uint64_t size;
	struct run *runs;
	struct block *blocks;
	size_t run_count, run_room, block_count, block_room;
	struct buffer keys;
	struct buffer block, sealed; /* that is written, that is read */
};

bool tar_name_is_directory(const struct tar_name *n)
{
	return n->entry_size == 0 || n->entry[0] == ENTRY_DIRECTORY;
}

int tar_path_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t most = a_size < b_size ? a_size : b_size;

	for (size_t i = 0; i < most; i++) {
		if (a[i] == b[i])
			continue;
		/* What is in a directory comes before a longer name than its. */
		if (a[i] == '/' || b[i] == '/')
			return a[i] == '/' ? -1 : 1;
		return (uint8_t)a[i] < (uint8_t)b[i] ? -1 : 1;
	}
	return a_size < b_size ? -1 : a_size > b_size;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* Without O_TMPFILE the name is there for a moment. */
static int open_file(int directory, struct error *err)
{
	int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	unlinkat(directory, TEMPORARY, 0);
	fd = fs_open(directory, TEMPORARY, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	if (fd >= 0)
		unlinkat(directory, TEMPORARY, 0);
	return fd;
}

int tar_runs_new(struct repository *r, struct tar_runs **out, struct error *err)
{
	_cleanup_(cleanup_tar_runs) struct tar_runs *t = calloc(1, sizeof *t);

	if (!t)
		return error_no_memory(err, "keep names of an archive");
	t->crypt = repository_crypt(r);
	crypt_salt(t->crypt, t->salt);
	t->fd = open_file(repository_directory(r), err);
	if (t->fd < 0)
		return error_prefix(err, "keep names of an archive");
	*out = TAKE_PTR(t);
	return 0;
}

void tar_runs_free(struct tar_runs *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		close(t->fd);
	for (size_t i = 0; i < t->run_count; i++)
		buffer_free(&t->runs[i].bytes);
	free(t->runs);
	free(t->blocks);
	buffer_free(&t->keys);
	buffer_free(&t->block);
	buffer_free(&t->sealed);
	free(t);
}

/* Room for one more. */
static int grow(void **list, size_t size, size_t count, size_t *room, struct error *err)
{
	size_t more = *room ? 2 * *room : 16;
	void *p;

	if (count < *room)
		return 0;
	p = reallocarray(*list, more, size);
	if (!p)
		return error_no_memory(err, "keep names of an archive");
	*list = p;
	*room = more;
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

int tar_runs_begin(struct tar_runs *t, struct error *err)
{
	int r = grow((void **)&t->runs, sizeof *t->runs, t->run_count, &t->run_room, err);

	if (r == 0)
		t->runs[t->run_count++] = (struct run){.first = t->block_count};
	return r;
}

static int begin_block(struct tar_runs *t, const struct tar_name *n, struct error *err)
{
	int r = grow((void **)&t->blocks, sizeof *t->blocks, t->block_count, &t->block_room, err);

	if (r < 0)
		return r;
	t->blocks[t->block_count] = (struct block){.key = t->keys.size, .key_size = n->path_size};
	return buffer_append(&t->keys, n->path, n->path_size)
		       ? 0
		       : error_no_memory(err, "keep names of an archive");
}

static int end_block(struct tar_runs *t, struct error *err)
{
	struct block *b = &t->blocks[t->block_count];
	int r;

	buffer_clear(&t->sealed);
	r = crypt_seal(t->crypt, CRYPT_KNOWN, t->salt, t->block_count, NULL, 0, t->block.data, t->block.size,
		&t->sealed, err);
	if (r == 0)
		r = fs_write_all(t->fd, t->sealed.data, t->sealed.size, "names of an archive", err);
	if (r < 0)
		return r;
	b->offset = t->size;
	b->stored = t->sealed.size;
	b->plain = t->block.size;
	t->size += b->stored;
	t->block_count++;
	t->runs[t->run_count - 1].count++;
	buffer_clear(&t->block);
	return 0;
}

int tar_runs_put(struct tar_runs *t, const struct tar_name *n, struct error *err)
{
	int r = t->block.size ? 0 : begin_block(t, n, err);

	if (r < 0)
		return r;
	buffer_bytes(&t->block, n->path, n->path_size);
	buffer_u8(&t->block, n->alone);
	buffer_u64(&t->block, n->number);
	buffer_bytes(&t->block, n->entry, n->entry_size);
	if (t->block.failed)
		return error_no_memory(err, "keep names of an archive");
	return t->block.size >= BLOCK_SIZE ? end_block(t, err) : 0;
}

int tar_runs_end(struct tar_runs *t, struct error *err)
{
	int r = t->block.size ? end_block(t, err) : 0;
	struct run *run = &t->runs[t->run_count - 1];

	run->loaded = run->count;
	return r;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

size_t tar_runs_count(const struct tar_runs *t)
{
	return t->run_count;
}

static int read_stored(struct tar_runs *t, const struct block *b, struct error *err)
{
	buffer_clear(&t->sealed);
	if (!buffer_reserve(&t->sealed, b->stored))
		return error_no_memory(err, "read names of an archive");
	while (t->sealed.size < b->stored) {
		ssize_t n = pread(t->fd, t->sealed.data + t->sealed.size, b->stored - t->sealed.size,
			(off_t)(b->offset + t->sealed.size));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, n < 0 ? errno : EIO, "read names of an archive");
		t->sealed.size += (size_t)n;
	}
	return 0;
}

static int load(struct tar_runs *t, struct run *run, size_t block, struct error *err)
{
	const struct block *b = &t->blocks[run->first + block];
	int r;

	run->at = 0;
	if (run->loaded == block)
		return 0;
	run->loaded = run->count;
	buffer_clear(&run->bytes);
	r = read_stored(t, b, err);
	if (r == 0 && !buffer_reserve(&run->bytes, b->plain))
		r = error_no_memory(err, "read names of an archive");
	if (r == 0)
		r = crypt_open(t->crypt, CRYPT_KNOWN, t->salt, run->first + block, NULL, 0, t->sealed.data,
			t->sealed.size, run->bytes.data, &run->bytes.size, err);
	if (r == 0)
		run->loaded = block;
	return r;
}

/* The next name of the block that is loaded. 1: there is one. */
static int parse(struct run *run, struct error *err)
{
	struct cursor c = cursor_of(run->bytes.data + run->at, run->bytes.size - run->at);
	struct tar_name *n = &run->name;

	if (c.left == 0)
		return 0;
	n->path = (const char *)cursor_bytes(&c, &n->path_size);
	n->alone = cursor_u8(&c);
	n->number = cursor_u64(&c);
	n->entry = cursor_bytes(&c, &n->entry_size);
	if (c.failed || n->path_size > ENTRY_PATH_MAX)
		return error_set(err, ERROR_CORRUPT, "names of an archive are not what was written");
	run->at = run->bytes.size - c.left;
	return 1;
}

/* The last block that begins with this path or one before. */
static size_t block_of(const struct tar_runs *t, const struct run *run, const char *path, size_t path_size)
{
	size_t low = 0, high = run->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		const struct block *b = &t->blocks[run->first + middle];
		const char *key = (const char *)t->keys.data + b->key;

		if (tar_path_compare(key, b->key_size, path, path_size) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int tar_runs_find(struct tar_runs *t, size_t number, const char *path, size_t path_size, struct tar_name *out,
	struct error *err)
{
	struct run *run = &t->runs[number];
	int r = load(t, run, block_of(t, run, path, path_size), err), order = -1;

	while (r == 0 && order < 0) {
		r = parse(run, err);
		if (r <= 0)
			return r;
		order = tar_path_compare(run->name.path, run->name.path_size, path, path_size);
		r = 0;
	}
	*out = run->name;
	return r < 0 ? r : order == 0;
}

int tar_runs_rewind(struct tar_runs *t, size_t number, struct error *err)
{
	struct run *run = &t->runs[number];
	int r = load(t, run, 0, err);

	run->ended = false;
	return r < 0 ? r : tar_runs_next(t, number, err);
}

const struct tar_name *tar_runs_at(const struct tar_runs *t, size_t number)
{
	return t->runs[number].ended ? NULL : &t->runs[number].name;
}

int tar_runs_next(struct tar_runs *t, size_t number, struct error *err)
{
	struct run *run = &t->runs[number];
	int r = parse(run, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (run->loaded + 1 >= run->count) {
		run->ended = true;
		return 0;
	}
	r = load(t, run, run->loaded + 1, err);
	if (r == 0)
		r = parse(run, err);
	return r < 0 ? r : 0;
}
