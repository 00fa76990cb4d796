/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a repository holds: objects, immutable, each named by a hash of what it is (docs/formats/monofs.md,
 * "Objects"). The id is SHA-256 over the type's byte and the contents, or HMAC-SHA-256 under a key of the
 * repository where that is encrypted, so that who has no key can confirm no content.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OBJECT_ID_SIZE  32u
#define OBJECT_HEX_SIZE 65u /* with its NUL */

struct object_id {
	uint8_t bytes[OBJECT_ID_SIZE];
};

/* number in the formats, name, the most bytes that one may have */
#define OBJECT_TYPES(X) \
	X(CHUNK, 1, "chunk", 1u << 20)       /* bytes of a file */ \
	X(LIST, 2, "list", 1u << 16)         /* of a file of many chunks: some of them, or of such lists */ \
	X(CONTENT, 3, "content", 1u << 24)   /* a node of a directory's names and what they are */ \
	X(IDENTITY, 4, "identity", 1u << 24) /* a node of the same names' ids */ \
	X(ROOT, 5, "root", 1u << 17)         /* the root directory itself, and the two nodes beneath */ \
	X(COMMIT, 6, "commit", 1u << 17) \
	X(VALUE, 7, "value", 1u << 20) /* of an extended attribute that is too large for its entry */

enum object_type {
#define X(name, number, text, most) OBJECT_##name = (number),
	OBJECT_TYPES(X)
#undef X
};
#define OBJECT_TYPE_LAST OBJECT_VALUE
#define OBJECT_MAX       (1u << 24) /* bytes of the largest */

const char *object_type_name(enum object_type type); /* "?" for what is none */
uint32_t object_type_most(enum object_type type);    /* 0 for what is none */

static inline bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
	return memcmp(a->bytes, b->bytes, OBJECT_ID_SIZE) == 0;
}

/* All zeroes stands for "none": an empty directory, no parent. */
static inline bool object_id_is_none(const struct object_id *id)
{
	static const struct object_id none;

	return object_id_equal(id, &none);
}

const char *object_id_hex(const struct object_id *id, char out[OBJECT_HEX_SIZE]); /* returns out */
bool object_id_parse(const char *hex, struct object_id *id);                      /* 64 lower-case digits */
