/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository: a directory with all that docs/formats/monofs.md describes. That of a tree which is mounted
 * at DIR is DIR.monofs, beside it.
 *
 *     format      what this is: version, id, sizes of chunks, whether it is encrypted
 *     keys/       slots of the master key
 *     packs/      the objects
 *     index.db    where in the packs they are; can be made again
 *     refs        names of commits
 *     replica     who writes here: a number that no other copy has
 *     journal/    what the live tree has taken and no commit has yet
 *     nfs-key     of handles, where it was served over NFS
 *     known/      what import has seen of directories outside: files that are as they were are not read
 *     locks/      main: who may move "main" by himself (a mount, an import); refs: the file refs
 *     sessions/   who has the objects in use
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "monofs/commit.h"
#include "monofs/crypt.h"
#include "monofs/references.h"
#include "monofs/store.h"

struct repository;

/* What opens the master key. Both NULL: only what needs none. Neither is kept. */
struct repository_secret {
	const char *passphrase;
	const uint8_t *file; /* a key file's contents */
	size_t file_size;
	const uint8_t *master; /* the key itself, as repository_master() of another process gave it */
};

struct repository_new {
	const struct repository_secret *secret; /* NULL: not encrypted */
	struct chunker_sizes sizes;             /* zeroes: the usual ones */
	bool weak;                              /* Argon2id with the least cost: for tests */
};

/* Makes path, which is not there or empty, a repository whose first commit is an empty directory of this
 * user. */
int repository_create(const char *path, const struct repository_new *o, struct error *err);

/* Errors: NOT_FOUND, DENIED (no or a wrong secret: that is told from damage, CORRUPT), UNAVAILABLE (a newer
 * format). */
int repository_open(const char *path, const struct repository_secret *secret, bool read_only,
	const struct progress *progress, struct repository **out, struct error *err);
void repository_close(struct repository *r);
CLEANUP_DEFINE(repository, struct repository, repository_close);

/* Whether the repository at path is encrypted: 1 or 0. */
int repository_is_encrypted(const char *path, struct error *err);

/* The repository that a user means by path (NULL: "."): itself, path.monofs, or that of a directory above.
 * The caller frees it. within (may be NULL): path from the tree's root, "" for itself; freed by the caller.
 * NOT_FOUND says what was looked for. */
int repository_find(const char *path, char **found, char **within, struct error *err);

struct store *repository_store(struct repository *r);
const struct crypt *repository_crypt(struct repository *r);
int repository_directory(struct repository *r); /* a descriptor; the repository's */
const char *repository_path(struct repository *r);
/* INVALID: what is written to path would be written into the repository itself. path may be missing. */
int repository_spare(struct repository *r, const char *path, struct error *err);
uint64_t repository_replica(struct repository *r);
const uint8_t *repository_id(struct repository *r); /* 16 bytes */
/* What opens the repository without a passphrase, CRYPT_KEY_SIZE bytes, until keys are rotated; for processes
 * of the same user. NULL: it is not encrypted. */
const uint8_t *repository_master(struct repository *r);

/* A clock for identities and commits: above everything that this process was shown by repository_saw() and
 * gave out. */
uint64_t repository_clock(struct repository *r);
void repository_saw(struct repository *r, uint64_t clock);

/* "main" is the caller's to move until fd is closed. BUSY names who has it ("mounted at …", "an import").
 * `who` is kept for others' messages. */
int repository_claim(struct repository *r, const char *who, int *fd, struct error *err);

/* A commit by what a user calls it: main, a tag, an id or the first 6 or more digits of it (one that is
 * ambiguous is INVALID and says between what), then any of: ~N (N first parents up), ^N (its Nth parent),
 * @{TIME} (of the first parents, the newest that is not after TIME: "2 days ago", "2026-11-01 12:00", "30m",
 * an RFC 3339 time). "" is main. */
int repository_resolve(
	struct repository *r, const char *revision, struct object_id *commit, struct error *err);

/* A new commit on `main`: stores it, syncs, moves the reference from parents[0]. Fills in replica, clock,
 * generation, and time where it is 0. Errors: BUSY where main is elsewhere. */
int repository_commit(struct repository *r, struct store_writer *w, struct commit *c, struct object_id *id,
	struct error *err);

/* The same, but main stays where it is: a commit that nothing leads to, stored and synced. */
int repository_draft(struct repository *r, struct store_writer *w, struct commit *c, struct object_id *id,
	struct error *err);

/* Reads format, replica, refs and keys/ and tells of each that is damaged, by its name; what is in packs and
 * index is store_check()'s, the rest its owners'. Returns 0 though there is damage. */
int repository_check_files(struct repository *r,
	void (*damaged)(void *context, const char *file, const char *what), void *context, struct error *err);

/* ---- keys ---- */

struct repository_slot {
	char name[17]; /* 16 digits; NUL */
	bool file;     /* of a key file, not of a passphrase */
	int64_t made;  /* seconds since 1970 */
	bool used;     /* it is the one that opened this repository */
};
int repository_slots(struct repository *r, struct repository_slot **out, size_t *count, struct error *err);
/* The slot's name is written to `name`. */
int repository_slot_add(
	struct repository *r, const struct repository_secret *secret, char name[17], struct error *err);
int repository_slot_remove(
	struct repository *r, const char *name, struct error *err); /* the last one: DENIED */

/* Other keys from now on: what is written is sealed by them, and this secret alone opens the repository; all
 * slots of before are gone. What was written before stays sealed as it was until it is written anew
 * (collect_garbage()). BUSY where anybody else has the repository open. */
int repository_rotate(
	struct repository *r, const struct repository_secret *secret, char name[17], struct error *err);
