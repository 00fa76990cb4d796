/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an import has seen of a directory outside, for the next one of the same: known/<16 hex> of the
 * repository, where the name is of the directory's path. It is no part of the format: who loses it reads all
 * files once more. As bytes:
 *
 *     "MFSKNOW1", salt[16], check[32]     SHA-256 of salt and all that follows, as it is stored
 *     blocks: u32 size, then so many bytes, sealed by CRYPT_KNOWN with their number from 0
 *     The last block: id[32] content root, id[32] identity root, path of the directory
 *     The others, one behind the other: records in the order of a walk
 *
 *     record: u8 kind, u8 size, name; and of all but KNOWN_END: key[40]
 *
 * A KNOWN_DIRECTORY is followed by what is in it and a KNOWN_END, which has no name.
 */
#pragma once

#include <sys/stat.h>

#include "monofs/mst.h"
#include "monofs/repository.h"

enum known_kind {
	KNOWN_END = 1,
	KNOWN_DIRECTORY,
	KNOWN_OBJECT, /* also of a file of several names the one that has what it is */
	KNOWN_LINK    /* another name of it */
};

/* By what a file is known again: it is the same file, and has not changed since. */
struct known_key {
	uint64_t inode, size, mode;
	uint64_t mtime, ctime; /* nanoseconds since 1970; 0: not to be known again */
};

struct known_record {
	enum known_kind kind;
	const char *name; /* NUL-terminated, of the reader or the caller */
	struct known_key key;
};

/* started: nanoseconds since 1970, when the import began. What changed so shortly before that it could change
 * again without another time gets a key that is like none. */
struct known_key known_key_of(const struct stat *s, uint64_t started);
bool known_key_same(const struct known_key *now, const struct known_key *before);

struct known_roots {
	struct object_id content, identity;
};

/* ---- reading ---- */

struct known_reader;

/* path: of the directory, absolute. NULL and 0: nothing is known of it. */
int known_open(struct repository *r, const char *path, struct known_reader **out, struct known_roots *roots,
	struct error *err);
void known_close(struct known_reader *k);
CLEANUP_DEFINE(known_reader, struct known_reader, known_close);

/* The record that is next; NULL: the end, or it cannot be read, which known_failed() tells. */
const struct known_record *known_peek(struct known_reader *k);
void known_next(struct known_reader *k);
void known_skip(struct known_reader *k); /* a directory with all that is in it, or what it is */
bool known_failed(const struct known_reader *k);

/* ---- writing: a file that takes the place of the old one at the end ---- */

struct known_writer;
/* NULL and 0: another import writes it. */
int known_create(struct repository *r, const char *path, struct known_writer **out, struct error *err);
void known_discard(struct known_writer *k);
CLEANUP_DEFINE(known_writer, struct known_writer, known_discard);
/* An error is kept for known_finish(). */
void known_put(struct known_writer *k, const struct known_record *record);
int known_finish(struct known_writer *k, const struct known_roots *roots, struct error *err);
