/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a live tree has taken and no revision has yet: segments of records, appended and never changed. A
 * record that was appended outlives the process; one that was appended before journal_sync() began outlives a
 * power cut once that has returned. Replay takes records in order and stops at the first that is cut, torn or
 * not there, for good: nothing behind it was ever reported durable.
 *
 * All integers are little-endian. journal/NNNNNNNNNNNNNNNN (the number, 16 digits) is a segment:
 *
 *      0  8   "MFSJRNL1"
 *      8  u64 number
 *     16  16  salt: crypt_salt(), or random where nothing is encrypted
 *     32  u64 check: SipHash-1-3 under the salt of what stands before
 *     40      records, each:
 *                0  u32 size of what is stored from 16 on
 *                4  u32 its number in the segment: grows; the last record's (JOURNAL_END) is 2^32-1
 *                8  u64 check: SipHash-1-3 under the salt of: size, number (u32 each), the same hash of the
 * first 32 stored bytes, and of the others (u64 each) 16      stored: where the repository is encrypted,
 * sealed (crypt.h: CRYPT_JOURNAL, the salt, the number, about: size and number); else as it is: 0  u8  type
 *                          1  3   zeroes
 *                          4  u32 nanoseconds
 *                          8  u64 object
 *                         16  u64 argument
 *                         24  i64 seconds since 1970
 *                         32      body, at most JOURNAL_BODY_MAX
 *
 * Only behind a segment that ends with JOURNAL_END the next one is replayed. journal/base says on which
 * revision they stand:
 *
 *      0  8   "MFSBASE1"
 *      8  u64 first: segments with lower numbers are in the revision, and are removed
 *     16  32  base: the commit
 *     48  u64 next: 0, or: once main's commit has the two roots that follow, `first` is this number
 *     56  32  content root
 *     88  32  identity root
 *    120  u64 check: SipHash-1-3 under 16 zeroes of what stands before
 *
 * So a revision that was made, and whose maker died before it could remove the segments, is known by what it
 * is. The file is replaced as a whole (fs_write_atomic()).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "monofs/crypt.h"
#include "monofs/object.h"

#define JOURNAL_BODY_MAX ((1u << 20) + 4096u)
#define JOURNAL_END      255u

struct journal;

/* A segment is there for as long as somebody holds it, also when it was dropped. */
struct journal_segment {
	atomic_uint users;
	uint64_t number;
	int fd;
	uint8_t salt[CRYPT_SALT_SIZE];
	uint64_t end;  /* bytes of whole records, with the header */
	uint32_t last; /* number of the last record */
	bool dirty;    /* written to since the last sync began */
};
struct journal_segment *journal_segment_hold(struct journal_segment *s); /* returns s */
void journal_segment_drop(struct journal_segment *s);                    /* NULL is fine */

struct journal_record {
	uint8_t type;
	uint64_t object, argument;
	int64_t seconds;
	uint32_t nanoseconds;
	const void *body;
	size_t size;
};

/* Where a record lies. */
struct journal_place {
	struct journal_segment *segment; /* not held */
	uint64_t at;                     /* of the record's header */
};

struct journal_base {
	uint64_t first, next;
	struct object_id commit, content, identity;
};

/* What the journal of a repository stands on. 1: it has one (maybe without a record in it); 0: none. */
int journal_base(int repository, struct journal_base *out, struct error *err);

/* Whether it may have changes that no revision has: 1 or 0. Nobody has it open. Until a live tree has
 * replayed them, nobody else moves main. */
int journal_pending(int repository, struct error *err);

/* repository: its directory, borrowed, as crypt is. `main` is the commit that main is now, with its roots. A
 * journal that is not there is made on it; from one that is there, what main has already is removed. Errors:
 * INVALID, where it stands on another commit; CORRUPT, SYSTEM. Nothing can be appended before
 * journal_replay(). */
int journal_open(int repository, const struct crypt *crypt, const struct object_id *main,
	const struct object_id *content, const struct object_id *identity, struct journal **out,
	struct error *err);
void journal_close(struct journal *j);
CLEANUP_DEFINE(journal, struct journal, journal_close);

/* Calls take() for all records in order; record->body is valid during the call. An error of take() is
 * returned. What cannot be replayed is cut off, and a new segment begun. Once. */
typedef int journal_take(void *context, const struct journal_record *record,
	const struct journal_place *place, struct error *err);
int journal_replay(struct journal *j, journal_take *take, void *context, struct error *err);

/* Appends a record: its body is `size` bytes at body and then more_size at more. From many threads. 0, or a
 * negative errno: then nothing was appended. */
int journal_append(struct journal *j, const struct journal_record *r, const void *more, size_t more_size,
	struct journal_place *place);

/* More that lies in a record's body behind `skip` bytes of it, n bytes, which are there. size: of the whole
 * body. 0 or a negative errno. From many threads. */
int journal_read(const struct journal *j, const struct journal_segment *s, uint64_t at, size_t size,
	size_t skip, void *to, size_t n);

/* What was appended before is on disk. Those who come while one waits for the disk share the next. 0 or a
 * negative errno; after an error all later ones fail. */
int journal_sync(struct journal *j);

uint64_t journal_bytes(struct journal *j);  /* of segments that no revision has */
uint64_t journal_number(struct journal *j); /* of the segment that is appended to */

/* Makes the next segment ahead, so that journal_freeze() need not wait for the disk. One at a time, with
 * that. */
int journal_prepare(struct journal *j, struct error *err);
/* Ends the segment and begins a new one. *through: the number of the one that ended. No journal_append() may
 * be under way. */
int journal_freeze(struct journal *j, uint64_t *through, struct error *err);

/* Space that is set aside beside the segments (journal/reserve), so that a revision can be made on a disk
 * that is full: where there is room again, it is taken. True: some was given back just now. */
void journal_take_reserve(struct journal *j);
bool journal_give_reserve(struct journal *j);

/* A revision with these roots is about to be made of all up to `through`. */
int journal_intend(struct journal *j, uint64_t through, const struct object_id *content,
	const struct object_id *identity, struct error *err);
/* It is `commit`. Segments up to `through` are removed. */
int journal_forget(struct journal *j, uint64_t through, const struct object_id *commit, struct error *err);
