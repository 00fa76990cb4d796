/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a name in a directory leads to: the values of the two maps that a directory is
 * (docs/formats/monofs.md, "Entries"). The content entry has all that POSIX shows of it but inode number,
 * ctime and atime; the identity entry has the id that it keeps over renames, and who wrote it last.
 *
 * Encodings are canonical: the same entry is the same bytes, and a decoder refuses any other. Integers are
 * little-endian.
 *
 *     content entry:
 *         u8 kind                                  enum entry_kind
 *         and of all kinds but ENTRY_LINK:
 *             u16 mode, u32 uid, u32 gid           mode: 07777
 *             i64 seconds, u32 nanoseconds         mtime
 *             u16 count, then for each extended attribute, sorted by name:
 *                 u8 size, name                    no NUL
 *                 u32 size                         of the value
 *                 value, or id[32]                 id of the OBJECT_VALUE where it is more than 256 bytes
 *         FILE:               u64 size; then the bytes, up to 256, or: u8 depth, refs
 *         DIRECTORY:          id[32] of the node that is the root of its children's map; zeroes: no children
 *         SYMLINK:            u16 size, target     1 to 4,095 bytes, no NUL
 *         LINK:               u16 size, path       from the tree's root, of another entry that is no LINK
 *         CHARACTER, BLOCK:   u32 major, u32 minor
 *     refs:
 *         u16 count, then for each id[32], u64 size; id of zeroes: a hole, at depth 0 only and never behind
 *         another hole. Sizes are not 0 and have the file's as their sum.
 *     identity entry:
 *         id[16], u64 replica, u64 clock; of a directory that has children, id[32] of their map's root
 *     root:
 *         u8 3 (OBJECT_CONTENT), content entry of a directory; or u8 4 (OBJECT_IDENTITY), identity entry
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "monofs/object.h"
#include "monofs/store.h"

#define ENTRY_PATH_MAX    4095u        /* of a path from the root, and of a symbolic link's target */
#define ENTRY_DEPTH_MAX   2048u        /* directories, one in the other */
#define ENTRY_INLINE_MAX  256u         /* bytes of a file that lie in its entry */
#define ENTRY_REFS_MAX    256u         /* chunks or lists that an entry names; more make lists */
#define ENTRY_XATTRS_MAX  65536u       /* bytes of all names and values of an object */
#define ENTRY_SIZE_MAX    (1ull << 62) /* bytes of a file */
#define CONTENT_DEPTH_MAX 8u           /* of lists, one in the other */
#define CONTENT_REF_SIZE  40u          /* bytes of an encoded ref */
#define ENTRY_ID_SIZE     16u

enum entry_kind {
	ENTRY_FILE = 1,
	ENTRY_DIRECTORY,
	ENTRY_SYMLINK,
	ENTRY_FIFO,
	ENTRY_SOCKET,
	ENTRY_CHARACTER,
	ENTRY_BLOCK,
	/* One more name of a file (or of a link, fifo, …) of several: the one whose path is the first
	 * (entry_path_compare()) has what it is, the others have that path. */
	ENTRY_LINK
};

/* Some bytes of a file, one after the other. */
struct content_ref {
	struct object_id id; /* none: a hole, of zeroes */
	uint64_t size;       /* bytes of the file */
};

/* What a file holds. Up to ENTRY_INLINE_MAX bytes are there themselves. */
struct content {
	uint64_t size;
	unsigned depth;       /* of refs: 0: chunks and holes, n: lists of lists … of them; OBJECT_LIST */
	const uint8_t *bytes; /* `size` of them where ref_count is 0 */
	struct content_ref *refs;
	size_t ref_count;
};

struct entry_time {
	int64_t seconds;
	uint32_t nanoseconds;
};

struct entry_xattr {
	const char *name; /* NUL-terminated */
	const uint8_t *value;
	size_t value_size;
	struct object_id object; /* OBJECT_VALUE that has the value; none: it is here */
};

/* Pointers lead into the memory that was decoded, or into `held`. */
struct entry {
	enum entry_kind kind;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	struct entry_time mtime;
	struct entry_xattr *xattrs; /* sorted by name */
	size_t xattr_count;
	struct content content;    /* of a file */
	struct object_id children; /* of a directory: the root of the map of its entries */
	const char *target;        /* of a symbolic link, or of an ENTRY_LINK; not NUL-terminated */
	size_t target_size;
	uint32_t major, minor; /* of a device */
	void *held;            /* entry_free() frees it */
};

void entry_free(struct entry *e); /* a zeroed one is fine */
static inline void cleanup_entry(struct entry *e)
{
	entry_free(e);
}
#define _cleanup_entry_ __attribute__((cleanup(cleanup_entry)))

int entry_encode(
	const struct entry *e, struct buffer *out, struct error *err); /* INVALID: what no entry can be */
/* Errors: CORRUPT, what is wrong; NO_MEMORY. The bytes are borrowed for as long as the entry is used. */
int entry_decode(const void *bytes, size_t n, struct entry *e, struct error *err);
int entry_decode_owned(
	const void *bytes, size_t n, struct entry *e, struct error *err); /* of a copy of them */

/* NULL, or why it is no path from a tree's root: names that are none, too long, '.', '..'. */
const char *entry_path_fault(const char *path, size_t n);

/* The order of paths: by the first name in which they differ, as its directory has it; so it is the order in
 * which a walk comes to them, a directory before what is in it. */
int entry_path_compare(const char *a, size_t a_size, const char *b, size_t b_size);

/* Refs, as an entry and a list have them. Decoding takes at most `most`; c->failed tells. The fault is NULL,
 * or what is wrong with one of `depth` behind another (NULL: it is the first). */
void content_refs_encode(const struct content_ref *refs, size_t count, struct buffer *out);
size_t content_refs_decode(struct cursor *c, struct content_ref *refs, size_t most);
const char *content_ref_fault(
	const struct content_ref *ref, const struct content_ref *before, unsigned depth);

struct identity {
	uint8_t id[ENTRY_ID_SIZE]; /* random; the names of a file of several have the same */
	uint64_t replica;          /* who wrote it last */
	uint64_t clock; /* and when: hybrid logical clock, milliseconds since 1970 << 16 | counter */
	struct object_id children; /* of a directory: the root of the map of the identities */
};
#define IDENTITY_ENCODED_MAX 64u

int identity_encode(const struct identity *i, struct buffer *out, struct error *err);
int identity_decode(const void *bytes, size_t n, struct identity *i, struct error *err);

/* ---- the root (OBJECT_ROOT) and the pair of roots that a commit names ---- */

/* The content root is an OBJECT_ROOT around the entry of the root directory, the identity root one around its
 * identity. */
int root_put_content(struct store_writer *w, const struct entry *e, struct object_id *id, struct error *err);
int root_put_identity(
	struct store_writer *w, const struct identity *i, struct object_id *id, struct error *err);
int root_get_content(
	struct store *s, const struct object_id *id, struct entry *e, struct error *err); /* e owns all */
int root_get_identity(struct store *s, const struct object_id *id, struct identity *i, struct error *err);
