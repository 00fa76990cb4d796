/* SPDX-License-Identifier: Apache-2.0 */
/* One pack as a file: written by pack_write.c, read by pack_read.c. Locks are the caller's (store_parts.h).
 */
#pragma once

#include <zstd.h>

#include "monofs/pack.h"

#define PACK_PATH_SIZE      (2 + 1 + SHA256_HEX_SIZE)
#define PACK_TEMPORARY_SIZE 96u

struct pack {
	struct pack_directory directory;
	uint8_t salt[CRYPT_SALT_SIZE];
	int fd;
	uint64_t size; /* of the file, as far as it is written */
	/* while it is written */
	struct sha256 sum;
	bool ending;                         /* it may be finished, and takes no frame any more */
	char temporary[PACK_TEMPORARY_SIZE]; /* its name until pack_publish(); "" */
	uint8_t name[SHA256_SIZE];           /* since pack_finish() */
	/* the store's */
	unsigned references;
	uint64_t serial; /* of this struct, among all of this process's store */
	int64_t number;  /* in the index; 0: not there yet */
	uint64_t used;   /* when, last: counts uses */
};

void pack_close(struct pack *p); /* a file that was not published is removed by who knows its directory */
CLEANUP_DEFINE(pack, struct pack, pack_close);

/* "ab/ab12…" into out, which is returned. */
const char *pack_path(const uint8_t name[SHA256_SIZE], char out[PACK_PATH_SIZE]);
/* The name that a path's last part is. */
bool pack_path_parse(const char *file, uint8_t name[SHA256_SIZE]);

/* ---- writing ---- */

/* packs: the directory. */
int pack_create(
	int packs, const char *temporary, const struct crypt *crypt, struct pack **out, struct error *err);

/* The frame at the end: sealed and written, not yet in the directory. Where this fails the pack has what it
 * had before, and is `ending`: a frame of another's place in it would be sealed with the same nonce as this
 * one, which somebody may have seen. */
int pack_write_frame(struct pack *p, const struct crypt *crypt, enum pack_form form, const void *bytes,
	size_t n, struct pack_frame *frame, struct error *err);

/* Directory, padding, trailer; the pack has its name, and nothing is written behind it. Where this fails it
 * may be tried again. */
int pack_finish(struct pack *p, const struct crypt *crypt, struct error *err);

/* Its bytes are on disk. Once this has failed nobody knows whether they ever will be. */
int pack_sync(struct pack *p, struct error *err);

/* Renamed to where its name says; the directories are yet to be synced. */
int pack_publish(struct pack *p, int packs, struct error *err);

/* ---- reading ---- */

/* Its directory is read and verified. Errors: NOT_FOUND, CORRUPT, naming the file. */
int pack_open(int packs, const uint8_t name[SHA256_SIZE], const struct crypt *crypt, struct pack **out,
	struct error *err);

/* The same of what is open as fd, which is the pack's from then on. */
int pack_attach(int fd, const uint8_t name[SHA256_SIZE], const struct crypt *crypt, struct pack **out,
	struct error *err);

/* A frame's objects, raw bytes of them to out, which has room for frame->raw and CRYPT_TAG_SIZE more. */
int pack_read_frame(const struct pack *p, uint32_t number, const struct pack_frame *frame,
	const struct crypt *crypt, ZSTD_DCtx *decompressor, struct buffer *scratch, uint8_t *out,
	struct error *err);

/* All bytes, for their sum: CORRUPT where the name is not SHA-256 of them. */
int pack_verify(const struct pack *p, struct error *err);
