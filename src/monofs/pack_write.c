/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monofs/pack_file.h"
#include "os/fs.h"

#define DIRECTORY_LEVEL 3 /* of zstd */

static int write_at(const struct pack *p, const uint8_t *bytes, size_t n, uint64_t at, struct error *err)
{
	while (n) {
		ssize_t wrote = pwrite(p->fd, bytes, n, (off_t)at);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, errno, "write a pack");
		bytes += wrote;
		n -= (size_t)wrote;
		at += (size_t)wrote;
	}
	return 0;
}

/* What is written counts only once all of it is there: after an error the next writes over it. */
static int append(struct pack *p, const void *bytes, size_t n, struct error *err)
{
	int r = write_at(p, bytes, n, p->size, err);

	if (r < 0)
		return r;
	sha256_update(&p->sum, bytes, n);
	p->size += n;
	return 0;
}

static int write_header(struct pack *p, struct error *err)
{
	uint8_t header[PACK_HEADER_SIZE] = "MFSPACK1";

	memcpy(header + 8, p->salt, CRYPT_SALT_SIZE);
	return append(p, header, sizeof header, err);
}

int pack_create(
	int packs, const char *temporary, const struct crypt *crypt, struct pack **out, struct error *err)
{
	_cleanup_(cleanup_pack) struct pack *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return error_no_memory(err, "begin a pack");
	p->fd = fs_open(packs, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	if (p->fd < 0)
		return error_prefix(err, "begin a pack");
	snprintf(p->temporary, sizeof p->temporary, "%s", temporary);
	crypt_salt(crypt, p->salt);
	r = sha256_init(&p->sum, err);
	if (r == 0)
		r = write_header(p, err);
	if (r < 0) {
		unlinkat(packs, temporary, 0);
		return r;
	}
	*out = TAKE_PTR(p);
	return 0;
}

int pack_write_frame(struct pack *p, const struct crypt *crypt, enum pack_form form, const void *bytes,
	size_t n, struct pack_frame *frame, struct error *err)
{
	_cleanup_buffer_ struct buffer sealed = {0};
	uint64_t at = p->size;
	int r = 0;

	if (crypt->encrypted) {
		r = crypt_seal(crypt, CRYPT_PACK, p->salt, p->directory.frame_count, NULL, 0, bytes, n,
			&sealed, err);
		bytes = sealed.data;
		n = sealed.size;
	}
	if (r == 0)
		r = append(p, bytes, n, err);
	p->ending |= r < 0;
	if (r < 0)
		return r;
	*frame = (struct pack_frame){.offset = at, .stored = (uint32_t)n, .form = (uint8_t)form};
	return 0;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static int compress_directory(const struct pack *p, struct buffer *out, uint64_t *raw_size, struct error *err)
{
	_cleanup_buffer_ struct buffer raw = {0};
	int r = pack_directory_encode(&p->directory, &raw, err);
	size_t n;

	if (r < 0)
		return r;
	*raw_size = raw.size;
	if (!buffer_reserve(out, ZSTD_compressBound(raw.size)))
		return error_no_memory(err, "end a pack");
	n = ZSTD_compress(out->data, out->capacity, raw.data, raw.size, DIRECTORY_LEVEL);
	if (ZSTD_isError(n))
		return error_set(err, ERROR_SYSTEM, "compress a pack's directory: %s", ZSTD_getErrorName(n));
	out->size = n;
	return 0;
}

static int write_directory(
	struct pack *p, const struct crypt *crypt, struct pack_trailer *t, struct error *err)
{
	_cleanup_buffer_ struct buffer compressed = {0}, sealed = {0};
	int r = compress_directory(p, &compressed, &t->raw, err);

	if (r == 0)
		r = crypt_seal(crypt, CRYPT_PACK, p->salt, PACK_NAME_DIRECTORY, NULL, 0, compressed.data,
			compressed.size, &sealed, err);
	if (r == 0)
		r = sha256_of(sealed.data, sealed.size, t->sum, err);
	t->offset = p->size;
	t->stored = sealed.size;
	return r < 0 ? r : append(p, sealed.data, sealed.size, err);
}

/* n: bytes that come behind it. */
static int write_padding(struct pack *p, size_t n, struct error *err)
{
	uint64_t left = pack_padded(p->size + n) - p->size - n;
	uint8_t bytes[4096];
	int r = 0;

	while (r == 0 && left) {
		size_t part = left < sizeof bytes ? (size_t)left : sizeof bytes;

		randombytes_buf(bytes, part);
		r = append(p, bytes, part, err);
		left -= part;
	}
	return r;
}

static int write_trailer(
	struct pack *p, const struct crypt *crypt, const struct pack_trailer *t, struct error *err)
{
	_cleanup_buffer_ struct buffer sealed = {0};
	uint8_t bytes[PACK_TRAILER_SIZE];
	int r = pack_trailer_encode(t, bytes, err);

	if (r == 0)
		r = crypt_seal(crypt, CRYPT_PACK, p->salt, PACK_NAME_TRAILER, NULL, 0, bytes, sizeof bytes,
			&sealed, err);
	return r < 0 ? r : append(p, sealed.data, sealed.size, err);
}

int pack_finish(struct pack *p, const struct crypt *crypt, struct error *err)
{
	const uint64_t size = p->size;
	const struct sha256 sum = p->sum;
	struct pack_trailer trailer;
	int r = write_directory(p, crypt, &trailer, err);

	p->ending = true;
	if (r == 0 && crypt->encrypted)
		r = write_padding(p, PACK_TRAILER_SIZE + CRYPT_TAG_SIZE, err);
	if (r == 0)
		r = write_trailer(p, crypt, &trailer, err);
	if (r == 0 && ftruncate(p->fd, (off_t)p->size) < 0)
		r = error_errno(err, errno, "end a pack");
	if (r == 0)
		r = sha256_final(&p->sum, p->name, err);
	if (r < 0) {
		p->size = size;
		p->sum = sum;
	}
	return r;
}

int pack_sync(struct pack *p, struct error *err)
{
	char path[PACK_PATH_SIZE];

	return fsync(p->fd) < 0 ? error_errno(err, errno, "sync the pack %s", pack_path(p->name, path)) : 0;
}

int pack_publish(struct pack *p, int packs, struct error *err)
{
	char path[PACK_PATH_SIZE], directory[3];

	pack_path(p->name, path);
	snprintf(directory, sizeof directory, "%.2s", path);
	if (mkdirat(packs, directory, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make packs/%s", directory);
	if (renameat(packs, p->temporary, packs, path) < 0)
		return error_errno(err, errno, "name the pack %s", path);
	*p->temporary = 0;
	return 0;
}
