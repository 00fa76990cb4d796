/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/import_known.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/siphash.h"
#include "base/text.h"
#include "os/fs.h"

#define DIRECTORY   "known"
#define MAGIC       "MFSKNOW1"
#define MAGIC_SIZE  8u
#define HEADER_SIZE (MAGIC_SIZE + CRYPT_SALT_SIZE + SHA256_SIZE)
#define BLOCK_SIZE  65536u
#define BLOCK_MOST  (BLOCK_SIZE + 1024u)
#define KEY_SIZE    40u
#define ROOTS_SIZE  (2u * OBJECT_ID_SIZE)
/* Clocks of file systems: those that tell nanoseconds move in ticks, others in up to two seconds. */
#define TICK_FINE   MILLISECONDS(20)
#define TICK_COARSE MILLISECONDS(2000)

static uint64_t nanoseconds(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t->tv_nsec;
}

struct known_key known_key_of(const struct stat *s, uint64_t started)
{
	struct known_key key = {.inode = s->st_ino,
		.size = (uint64_t)s->st_size,
		.mode = s->st_mode,
		.mtime = nanoseconds(&s->st_mtim),
		.ctime = nanoseconds(&s->st_ctim)};
	uint64_t tick = s->st_ctim.tv_nsec ? TICK_FINE : TICK_COARSE;

	if (key.ctime + tick >= started)
		key.ctime = 0;
	return key;
}

bool known_key_same(const struct known_key *now, const struct known_key *before)
{
	return now->ctime != 0 && now->inode == before->inode && now->size == before->size &&
	       now->mode == before->mode && now->mtime == before->mtime && now->ctime == before->ctime;
}

static void known_name(const char *path, char name[32])
{
	static const uint64_t seed[2];

	snprintf(name, 32, DIRECTORY "/%016llx", (unsigned long long)siphash(seed, path, strlen(path)));
}

/* ---- reading ---- */

struct known_reader {
	const struct crypt *crypt;
	int fd;
	uint64_t offset; /* of the next block */
	uint64_t last;   /* of the last one, which has no records */
	uint64_t number; /* of the next block */
	uint8_t salt[CRYPT_SALT_SIZE];
	uint8_t *stored, *block; /* room for BLOCK_MOST and two of it */
	size_t at, filled;       /* of block: bytes that were not taken yet */
	bool failed, has_record;
	struct known_record record;
	char name[MST_NAME_MAX + 1];
};

void known_close(struct known_reader *k)
{
	if (!k)
		return;
	if (k->fd >= 0)
		close(k->fd);
	free(k->stored);
	free(k->block);
	free(k);
}

static bool read_exactly(int fd, void *to, size_t n, uint64_t offset)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = pread(fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));

		if (r <= 0)
			return false;
		done += (size_t)r;
	}
	return true;
}

/* The block at an offset, as it is stored. 0: there is none. */
static size_t read_block(struct known_reader *k, uint64_t offset)
{
	uint8_t size_bytes[4];
	struct cursor c = cursor_of(size_bytes, sizeof size_bytes);
	size_t size;

	if (!read_exactly(k->fd, size_bytes, sizeof size_bytes, offset))
		return 0;
	size = cursor_u32(&c);
	if (size == 0 || size > BLOCK_MOST || !read_exactly(k->fd, k->stored, size, offset + 4))
		return 0;
	return size;
}

/* Goes over all blocks: whether they are what was written, where the last one is, and its number. */
static bool verify(struct known_reader *k, uint64_t *last_number)
{
	_cleanup_sha256_ struct sha256 hash = {0};
	uint8_t header[HEADER_SIZE], sum[SHA256_SIZE], size_bytes[4];
	uint64_t offset = HEADER_SIZE, number = 0;
	struct error err;
	struct stat s;
	size_t n;

	if (fstat(k->fd, &s) < 0 || !read_exactly(k->fd, header, HEADER_SIZE, 0) ||
		memcmp(header, MAGIC, MAGIC_SIZE) != 0 || sha256_init(&hash, &err) < 0)
		return false;
	memcpy(k->salt, header + MAGIC_SIZE, CRYPT_SALT_SIZE);
	sha256_update(&hash, k->salt, CRYPT_SALT_SIZE);
	while (offset < (uint64_t)s.st_size && (n = read_block(k, offset)) > 0) {
		for (unsigned i = 0; i < 4; i++)
			size_bytes[i] = (uint8_t)(n >> 8 * i);
		sha256_update(&hash, size_bytes, 4);
		sha256_update(&hash, k->stored, n);
		k->last = offset;
		*last_number = number++;
		offset += 4 + n;
	}
	return number > 0 && offset == (uint64_t)s.st_size && sha256_final(&hash, sum, &err) == 0 &&
	       memcmp(sum, header + MAGIC_SIZE + CRYPT_SALT_SIZE, SHA256_SIZE) == 0;
}

/* A block's plain bytes go behind those that were not taken yet. */
static bool open_block(struct known_reader *k, uint64_t offset, uint64_t number)
{
	size_t n = read_block(k, offset), plain = 0;

	memmove(k->block, k->block + k->at, k->filled - k->at);
	k->filled -= k->at;
	k->at = 0;
	if (n == 0 || k->filled > BLOCK_MOST)
		return false;
	if (crypt_open(k->crypt, CRYPT_KNOWN, k->salt, number, NULL, 0, k->stored, n, k->block + k->filled,
		    &plain, NULL) < 0)
		return false;
	k->filled += plain;
	k->offset = offset + 4 + n;
	return true;
}

static bool read_roots(struct known_reader *k, uint64_t number, const char *path, struct known_roots *roots)
{
	bool ok = open_block(k, k->last, number) && k->filled == ROOTS_SIZE + strlen(path) &&
		  memcmp(k->block + ROOTS_SIZE, path, strlen(path)) == 0;

	if (!ok)
		return false;
	memcpy(roots->content.bytes, k->block, OBJECT_ID_SIZE);
	memcpy(roots->identity.bytes, k->block + OBJECT_ID_SIZE, OBJECT_ID_SIZE);
	k->at = k->filled = 0;
	k->offset = HEADER_SIZE;
	return true;
}

int known_open(struct repository *r, const char *path, struct known_reader **out, struct known_roots *roots,
	struct error *err)
{
	_cleanup_(cleanup_known_reader) struct known_reader *k = calloc(1, sizeof *k);
	char name[32];
	uint64_t last = 0;

	*out = NULL;
	if (!k)
		return error_no_memory(err, "read what is known");
	k->fd = -1;
	k->crypt = repository_crypt(r);
	k->stored = malloc(BLOCK_MOST);
	k->block = malloc(2 * (size_t)BLOCK_MOST);
	if (!k->stored || !k->block)
		return error_no_memory(err, "read what is known");
	known_name(path, name);
	k->fd = openat(repository_directory(r), name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (k->fd < 0 || !verify(k, &last) || !read_roots(k, last, path, roots))
		return 0;
	*out = TAKE_PTR(k);
	return 0;
}

/* A record from what is in memory; false: it is not all there. */
static bool parse(struct known_reader *k)
{
	struct cursor c = cursor_of(k->block + k->at, k->filled - k->at);
	const uint8_t *name;
	size_t n;

	k->record.kind = (enum known_kind)cursor_u8(&c);
	n = cursor_u8(&c);
	name = cursor_take(&c, n);
	if (k->record.kind != KNOWN_END) {
		k->record.key.inode = cursor_u64(&c);
		k->record.key.size = cursor_u64(&c);
		k->record.key.mode = cursor_u64(&c);
		k->record.key.mtime = cursor_u64(&c);
		k->record.key.ctime = cursor_u64(&c);
	}
	if (c.failed)
		return false;
	memcpy(k->name, name, n);
	k->name[n] = 0;
	k->record.name = k->name;
	k->at = k->filled - c.left;
	return true;
}

const struct known_record *known_peek(struct known_reader *k)
{
	if (k->has_record)
		return &k->record;
	while (!k->failed && !parse(k)) {
		if (k->offset == k->last)
			return NULL;
		k->failed = !open_block(k, k->offset, k->number++);
	}
	k->has_record = !k->failed;
	return k->has_record ? &k->record : NULL;
}

void known_next(struct known_reader *k)
{
	k->has_record = false;
}

void known_skip(struct known_reader *k)
{
	const struct known_record *record = known_peek(k);
	uint64_t depth = 0;

	while (record) {
		if (record->kind == KNOWN_DIRECTORY)
			depth++;
		else if (record->kind == KNOWN_END)
			depth--;
		known_next(k);
		if (depth == 0)
			return;
		record = known_peek(k);
	}
}

bool known_failed(const struct known_reader *k)
{
	return k->failed;
}

/* ---- writing ---- */

struct known_writer {
	struct repository *r;
	int fd;
	char name[32], temporary[64];
	uint64_t number;
	uint8_t salt[CRYPT_SALT_SIZE];
	struct sha256 hash;
	struct buffer block, out;
	char *path;
	int code; /* of the first failure */
	struct error err;
};

void known_discard(struct known_writer *k)
{
	if (!k)
		return;
	if (k->fd >= 0) {
		close(k->fd);
		unlinkat(repository_directory(k->r), k->temporary, 0);
	}
	buffer_free(&k->block);
	buffer_free(&k->out);
	free(k->path);
	free(k);
}

int known_create(struct repository *r, const char *path, struct known_writer **out, struct error *err)
{
	_cleanup_(cleanup_known_writer) struct known_writer *k = calloc(1, sizeof *k);
	static const uint8_t header[HEADER_SIZE];
	int code;

	*out = NULL;
	if (!k)
		return error_no_memory(err, "write what is known");
	k->r = r;
	k->fd = -1;
	known_name(path, k->name);
	snprintf(k->temporary, sizeof k->temporary, "%s.new", k->name);
	crypt_salt(repository_crypt(r), k->salt);
	k->path = text_copy(path, err);
	code = k->path ? sha256_init(&k->hash, err) : -(int)ERROR_NO_MEMORY;
	if (code < 0)
		return code;
	sha256_update(&k->hash, k->salt, CRYPT_SALT_SIZE);
	/* What a killed import left is taken over; while another one writes it, this one does not. */
	code = fs_lock(repository_directory(r), k->temporary, FS_LOCK_EXCLUSIVE, false, &k->fd, err);
	if (code < 0)
		return code == -(int)ERROR_BUSY ? 0 : code;
	if (ftruncate(k->fd, 0) < 0)
		return error_errno(err, errno, "write %s", k->temporary);
	code = fs_write_all(k->fd, header, sizeof header, k->temporary, err);
	if (code < 0)
		return code;
	*out = TAKE_PTR(k);
	return 0;
}

static void write_block(struct known_writer *k)
{
	size_t n = k->block.size + crypt_growth(repository_crypt(k->r));

	if (k->code < 0 || k->block.size == 0)
		return;
	buffer_clear(&k->out);
	buffer_u32(&k->out, (uint32_t)n);
	k->code = crypt_seal(repository_crypt(k->r), CRYPT_KNOWN, k->salt, k->number++, NULL, 0,
		k->block.data, k->block.size, &k->out, &k->err);
	buffer_clear(&k->block);
	if (k->code < 0)
		return;
	sha256_update(&k->hash, k->out.data, k->out.size);
	k->code = fs_write_all(k->fd, k->out.data, k->out.size, k->temporary, &k->err);
}

void known_put(struct known_writer *k, const struct known_record *record)
{
	size_t n = record->kind == KNOWN_END ? 0 : strlen(record->name);

	buffer_u8(&k->block, (uint8_t)record->kind);
	buffer_u8(&k->block, (uint8_t)n);
	if (record->kind != KNOWN_END) {
		buffer_append(&k->block, record->name, n);
		buffer_u64(&k->block, record->key.inode);
		buffer_u64(&k->block, record->key.size);
		buffer_u64(&k->block, record->key.mode);
		buffer_u64(&k->block, record->key.mtime);
		buffer_u64(&k->block, record->key.ctime);
	}
	if (k->block.failed && k->code == 0)
		k->code = error_no_memory(&k->err, "write what is known");
	if (k->block.size >= BLOCK_SIZE)
		write_block(k);
}

int known_finish(struct known_writer *k, const struct known_roots *roots, struct error *err)
{
	uint8_t header[HEADER_SIZE];
	int directory = repository_directory(k->r);

	write_block(k);
	buffer_append(&k->block, roots->content.bytes, OBJECT_ID_SIZE);
	buffer_append(&k->block, roots->identity.bytes, OBJECT_ID_SIZE);
	buffer_append_text(&k->block, k->path);
	write_block(k);
	memcpy(header, MAGIC, MAGIC_SIZE);
	memcpy(header + MAGIC_SIZE, k->salt, CRYPT_SALT_SIZE);
	if (k->code == 0)
		k->code = sha256_final(&k->hash, header + MAGIC_SIZE + CRYPT_SALT_SIZE, &k->err);
	if (k->code < 0) {
		if (err)
			*err = k->err;
		return k->code;
	}
	if (pwrite(k->fd, header, sizeof header, 0) != (ssize_t)sizeof header)
		return error_errno(err, errno, "write %s", k->temporary);
	if (renameat(directory, k->temporary, directory, k->name) < 0)
		return error_errno(err, errno, "rename %s", k->temporary);
	close(k->fd);
	k->fd = -1;
	return 0;
}
