/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/pack_file.h"
#include "os/fs.h"
#include "os/pages.h"

void pack_close(struct pack *p)
{
	if (!p)
		return;
	pack_directory_free(&p->directory);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

const char *pack_path(const uint8_t name[SHA256_SIZE], char out[PACK_PATH_SIZE])
{
	sha256_hex(name, out + 3);
	out[0] = out[3];
	out[1] = out[4];
	out[2] = '/';
	return out;
}

bool pack_path_parse(const char *file, uint8_t name[SHA256_SIZE])
{
	struct object_id id;
	bool ok = strnlen(file, OBJECT_HEX_SIZE) == OBJECT_HEX_SIZE - 1 && object_id_parse(file, &id);

	if (ok)
		memcpy(name, id.bytes, SHA256_SIZE);
	return ok;
}

static int read_at(const struct pack *p, void *to, size_t n, uint64_t at, struct error *err)
{
	uint8_t *out = to;

	while (n) {
		ssize_t got = pread(p->fd, out, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, errno, "read");
		if (got == 0)
			return error_set(err, ERROR_CORRUPT, "it ends too early");
		out += got;
		n -= (size_t)got;
		at += (size_t)got;
	}
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static int read_header(struct pack *p, const struct crypt *crypt, struct error *err)
{
	static const uint8_t zeroes[CRYPT_SALT_SIZE];
	uint8_t header[PACK_HEADER_SIZE];
	struct stat s;
	int r;

	if (fstat(p->fd, &s) < 0)
		return error_errno(err, errno, "look at it");
	if (!S_ISREG(s.st_mode) || s.st_size > PACK_FILE_MAX ||
		(size_t)s.st_size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE + crypt_growth(crypt))
		return error_set(
			err, ERROR_CORRUPT, "no pack is like that: %lld bytes", (long long)s.st_size);
	p->size = (uint64_t)s.st_size;
	r = read_at(p, header, sizeof header, 0, err);
	if (r < 0)
		return r;
	memcpy(p->salt, header + 8, sizeof p->salt);
	if (memcmp(header, "MFSPACK1", 8) != 0 || memcmp(header + 24, zeroes, 8) != 0 ||
		(!crypt->encrypted && memcmp(p->salt, zeroes, sizeof zeroes) != 0))
		return error_set(err, ERROR_CORRUPT, "it does not begin as a pack of this repository");
	return 0;
}

static int read_trailer(
	const struct pack *p, const struct crypt *crypt, struct pack_trailer *t, struct error *err)
{
	uint8_t bytes[PACK_TRAILER_SIZE + CRYPT_TAG_SIZE];
	size_t n = PACK_TRAILER_SIZE + crypt_growth(crypt);
	int r = read_at(p, bytes, n, p->size - n, err);

	if (r == 0)
		r = crypt_open(
			crypt, CRYPT_PACK, p->salt, PACK_NAME_TRAILER, NULL, 0, bytes, n, bytes, &n, err);
	if (r == 0)
		r = pack_trailer_decode(bytes, p->size, crypt_growth(crypt), t, err);
	return r;
}

static int decompress(ZSTD_DCtx *decompressor, const void *bytes, size_t n, void *out, size_t room,
	const char *what, struct error *err)
{
	size_t got = decompressor ? ZSTD_decompressDCtx(decompressor, out, room, bytes, n)
				  : ZSTD_decompress(out, room, bytes, n);

	if (ZSTD_isError(got))
		return error_set(err, ERROR_CORRUPT, "decompress its %s: %s", what, ZSTD_getErrorName(got));
	if (got != room)
		return error_set(err, ERROR_CORRUPT, "its %s decompresses to %zu bytes and should to %zu",
			what, got, room);
	return 0;
}

static int read_directory(struct pack *p, const struct crypt *crypt, struct error *err)
{
	_cleanup_free_ uint8_t *stored = NULL;
	struct pack_trailer t;
	uint8_t *raw, sum[SHA256_SIZE];
	int r = read_trailer(p, crypt, &t, err);
	size_t n;

	if (r < 0)
		return r;
	stored = pages_alloc((size_t)(t.stored + t.raw) + 1);
	if (!stored)
		return error_no_memory(err, "read a pack's directory");
	raw = stored + t.stored;
	r = read_at(p, stored, (size_t)t.stored, t.offset, err);
	if (r == 0)
		r = sha256_of(stored, (size_t)t.stored, sum, err);
	if (r == 0 && memcmp(sum, t.sum, sizeof sum) != 0)
		r = error_set(err, ERROR_CORRUPT, "its directory was changed");
	if (r == 0)
		r = crypt_open(crypt, CRYPT_PACK, p->salt, PACK_NAME_DIRECTORY, NULL, 0, stored,
			(size_t)t.stored, stored, &n, err);
	if (r == 0)
		r = decompress(NULL, stored, n, raw, (size_t)t.raw, "directory", err);
	if (r == 0)
		r = pack_directory_decode(raw, (size_t)t.raw, t.offset, &p->directory, err);
	return r;
}

int pack_attach(int fd, const uint8_t name[SHA256_SIZE], const struct crypt *crypt, struct pack **out,
	struct error *err)
{
	_cleanup_(cleanup_pack) struct pack *p = calloc(1, sizeof *p);
	int r;

	if (!p) {
		close(fd);
		return error_no_memory(err, "open a pack");
	}
	p->fd = fd;
	memcpy(p->name, name, sizeof p->name);
	r = read_header(p, crypt, err);
	if (r == 0)
		r = read_directory(p, crypt, err);
	if (r == 0)
		*out = TAKE_PTR(p);
	return r;
}

static int open_file(int packs, const char *path, struct error *err)
{
	struct stat s;

	if (fstatat(packs, path, &s, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(s.st_mode))
		return error_set(err, ERROR_CORRUPT, "it is no file");
	return fs_open(packs, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, err);
}

int pack_open(int packs, const uint8_t name[SHA256_SIZE], const struct crypt *crypt, struct pack **out,
	struct error *err)
{
	char path[PACK_PATH_SIZE];
	int fd = open_file(packs, pack_path(name, path), err);
	int r = fd < 0 ? fd : pack_attach(fd, name, crypt, out, err);

	return r < 0 ? error_prefix(err, "read the pack %s", path) : 0;
}

/* ---- frames ----------------------------------------------------------------------------------------- */

/* As it lies in the file, and then opened in its place, in *n bytes. */
static int read_stored(const struct pack *p, uint32_t number, const struct pack_frame *frame,
	const struct crypt *crypt, uint8_t *to, size_t *n, struct error *err)
{
	int r = read_at(p, to, frame->stored, frame->offset, err);

	return r < 0 ? r
		     : crypt_open(crypt, CRYPT_PACK, p->salt, number, NULL, 0, to, frame->stored, to, n, err);
}

static int read_raw(const struct pack *p, uint32_t number, const struct pack_frame *frame,
	const struct crypt *crypt, uint8_t *out, struct error *err)
{
	size_t n = frame->raw + crypt_growth(crypt);

	if (frame->stored != n)
		return error_set(err, ERROR_CORRUPT, "frame %u has %u bytes and should have %zu", number,
			frame->stored, n);
	return read_stored(p, number, frame, crypt, out, &n, err);
}

static int read_compressed(const struct pack *p, uint32_t number, const struct pack_frame *frame,
	const struct crypt *crypt, ZSTD_DCtx *decompressor, struct buffer *scratch, uint8_t *out,
	struct error *err)
{
	size_t n;
	int r;

	buffer_clear(scratch);
	if (!buffer_reserve(scratch, frame->stored + (size_t)1))
		return error_no_memory(err, "read a frame");
	r = read_stored(p, number, frame, crypt, scratch->data, &n, err);
	return r < 0 ? r : decompress(decompressor, scratch->data, n, out, frame->raw, "frame", err);
}

int pack_read_frame(const struct pack *p, uint32_t number, const struct pack_frame *frame,
	const struct crypt *crypt, ZSTD_DCtx *decompressor, struct buffer *scratch, uint8_t *out,
	struct error *err)
{
	int r = frame->form == PACK_RAW
			? read_raw(p, number, frame, crypt, out, err)
			: read_compressed(p, number, frame, crypt, decompressor, scratch, out, err);
	char path[PACK_PATH_SIZE];

	return r < 0 ? error_prefix(err, "frame %u of the pack %s", number, pack_path(p->name, path)) : 0;
}

int pack_verify(const struct pack *p, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(1 << 18);
	uint8_t sum[SHA256_SIZE];
	struct sha256 s;
	int r = bytes ? sha256_init(&s, err) : error_no_memory(err, "verify a pack");

	for (uint64_t at = 0; r == 0 && at < p->size;) {
		size_t n = p->size - at < 1 << 18 ? (size_t)(p->size - at) : 1 << 18;

		r = read_at(p, bytes, n, at, err);
		if (r == 0)
			sha256_update(&s, bytes, n);
		at += n;
	}
	if (r == 0)
		r = sha256_final(&s, sum, err);
	if (r == 0 && memcmp(sum, p->name, sizeof sum) != 0)
		r = error_set(err, ERROR_CORRUPT, "its bytes are not those that its name is the hash of");
	return r;
}
