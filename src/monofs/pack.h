/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs: files of many objects, written once. packs/ab/ab12…: the name is SHA-256 of the whole file in hex,
 * beneath a directory that has its first two digits. Integers are little-endian.
 *
 *     header, 32 bytes
 *       0   8  "MFSPACK1"
 *       8  16  salt (crypt.h); zeroes where nothing is encrypted
 *      24   8  zeroes
 *     frames, one behind the other
 *     directory
 *     padding, random bytes: none where nothing is encrypted
 *     trailer, 64 bytes, and CRYPT_TAG_SIZE where encrypted; it ends the file
 *
 * A frame is the bytes of its objects, one behind the other, compressed as one zstd frame (RFC 8878; form 1)
 * or as they are (form 0), sealed with its number, 0 for the first. No frame has more than OBJECT_MAX bytes.
 * How many objects share one is the writer's choice (store_write.c).
 *
 * The directory, compressed as one zstd frame and sealed with the number 2^64 - 2, is, with F frames and O
 * objects, columns:
 *
 *     u32 F, u32 O
 *     u32 × F  bytes of the frame in the file, seal and all
 *     u32 × F  bytes of its objects
 *     u8  × F  form
 *     u32 × F  number of its objects, 1 or more
 *     u8  × O  type (object.h)
 *     u32 × O  bytes, 1 or more
 *     32  × O  id
 *
 * The frames begin behind the header and leave no gap up to the directory; objects are in the order of their
 * frames, and in a frame in that of their bytes: so all offsets are sums.
 *
 * The trailer, sealed with the number 2^64 - 1:
 *       0   8  where the directory begins
 *       8   8  its bytes in the file, seal and all
 *      16   8  its bytes before compression
 *      24  32  SHA-256 of its bytes in the file
 *      56   8  the first 8 bytes of SHA-256 of the 56 before
 *
 * Nothing is authenticated beside (`about` is empty). The padding makes the file as large as the next of the
 * sizes of Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
 * PURBs", PETS 2019), which are at most 12 % apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/sha256.h"
#include "monofs/crypt.h"
#include "monofs/object.h"

#define PACK_SIZE           (16u << 20) /* bytes of a file from which on it ends */
#define PACK_FILE_MAX       (64u << 20) /* no file is larger */
#define PACK_OBJECTS        (1u << 17)  /* from which on it ends, too */
#define PACK_OBJECTS_MAX    (1u << 18)
#define PACK_DIRECTORY_MAX  (16u << 20) /* bytes before compression */
#define PACK_HEADER_SIZE    32u
#define PACK_TRAILER_SIZE   64u
#define PACK_NAME_DIRECTORY (UINT64_MAX - 1) /* what these are sealed with */
#define PACK_NAME_TRAILER   UINT64_MAX

enum pack_form { PACK_RAW, PACK_ZSTD };

struct pack_frame {
	uint64_t offset; /* in the file */
	uint32_t stored; /* bytes there */
	uint32_t raw;    /* of its objects */
	uint32_t first;  /* object */
	uint32_t count;  /* of objects */
	uint8_t form;
};

struct pack_object {
	struct object_id id;
	uint32_t size;
	uint8_t type;
};

struct pack_directory {
	struct pack_frame *frames;
	struct pack_object *objects;
	uint32_t frame_count, object_count;
	uint32_t frame_room, object_room;
};

void pack_directory_free(struct pack_directory *d);
static inline void cleanup_pack_directory(struct pack_directory *d)
{
	pack_directory_free(d);
}
#define _cleanup_pack_directory_ __attribute__((cleanup(cleanup_pack_directory)))

/* Room for one more frame of n objects, so that pack_directory_add() cannot fail. */
int pack_directory_reserve(struct pack_directory *d, uint32_t n, struct error *err);
/* A frame behind the others; raw and first are found here. */
void pack_directory_add(struct pack_directory *d, const struct pack_frame *frame,
	const struct pack_object *objects, uint32_t n);

/* As it is before compression, appended. */
int pack_directory_encode(const struct pack_directory *d, struct buffer *out, struct error *err);
/* frames_end: where in the file the directory begins. CORRUPT says what is wrong. */
int pack_directory_decode(
	const void *bytes, size_t n, uint64_t frames_end, struct pack_directory *d, struct error *err);

struct pack_trailer {
	uint64_t offset, stored, raw; /* of the directory */
	uint8_t sum[SHA256_SIZE];
};
int pack_trailer_encode(const struct pack_trailer *t, uint8_t out[PACK_TRAILER_SIZE], struct error *err);
/* file_size: of the whole file; growth: as crypt_growth(). */
int pack_trailer_decode(const uint8_t bytes[PACK_TRAILER_SIZE], uint64_t file_size, size_t growth,
	struct pack_trailer *t, struct error *err);

/* The size that a file of n bytes is padded to. */
uint64_t pack_padded(uint64_t n);

/* Where the object's bytes are in its frame's. The frame has it. */
uint32_t pack_offset(const struct pack_directory *d, const struct pack_frame *frame, uint32_t object);
