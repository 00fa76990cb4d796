/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: blobs by their digest, root file systems made of them, and names that lead to blobs.
 *
 *   store/blobs/sha256/<digest>   manifests, indexes, configs, layers as they came; 0400
 *   store/rootfs/<id>.<form>      root file systems
 *   store/partial/<digest>        blobs that are being fetched, or were when a process died: resumed
 *   store/tmp/                    files in the making; what nobody has locked there goes at the next
 * store_open() monocore.db                   names (store_names.c)
 *
 * Each file is whole from the moment when it has its place. Whoever uses one has a descriptor of it with a
 * shared flock(2), and collecting garbage (store_gc.c) takes an exclusive one, without waiting, before it
 * removes a file. So a new name may lead to blobs that were there before: they are locked first and let go
 * only when the name is committed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/oci_json.h"
#include "codec/sha256.h"
#include "oci/image.h"

/* ---- root file systems ---- */

/* The root file system `id` in a form, "erofs" or "ext4", checked at its superblock; NOT_FOUND, or CORRUPT.
 * The descriptor is the caller's, with a shared lock. */
int store_find(
	const struct store *s, const char *id, const char *form, int *fd, uint64_t *size, struct error *err);

/* Calls `make` to write it to fd (empty, read-write; `directory` is for other temporary files), unless
 * somebody else has made it meanwhile; then as store_find(). Nothing is left of a `make` that fails. */
typedef int (*store_make_call)(void *context, int fd, int directory, struct error *err);
int store_make(const struct store *s, const char *id, const char *form, store_make_call make, void *context,
	const struct progress *progress, int *fd, uint64_t *size, struct error *err);

/* ---- blobs ---- */

/* Descriptors that keep blobs from being collected. */
struct store_hold {
	int *fds;
	size_t count;
};
int store_hold_add(struct store_hold *hold, int fd, struct error *err); /* takes fd, also when it fails */
void store_hold_free(struct store_hold *hold);
#define _cleanup_hold_ __attribute__((cleanup(store_hold_free)))

/* The blob, with a shared lock; NOT_FOUND. Its bytes are not looked at. The descriptor is the caller's. */
int store_blob_open(const struct store *s, const char *digest, int *fd, uint64_t *size, struct error *err);

/* A blob of at most `limit` bytes, whole and with its digest checked: CORRUPT. *fd (may be NULL) as above. */
int store_blob_read(const struct store *s, const char *digest, size_t limit, struct buffer *out, int *fd,
	struct error *err);

/* A new blob whose digest shows at its end. */
struct store_ingest {
	const struct store *store;
	int fd;
	char name[40]; /* in tmp/ */
	uint64_t size;
	struct sha256 hash;
};
int store_ingest_start(const struct store *s, struct store_ingest *in, struct error *err);
int store_ingest_write(struct store_ingest *in, const void *bytes, size_t n, struct error *err);

/* Gives it its place. expected: the digest that it must have, else CORRUPT; or NULL. *fd is the caller's,
 * with a shared lock. */
int store_ingest_finish(struct store_ingest *in, const char *expected, char digest[OCI_DIGEST_SIZE], int *fd,
	struct error *err);
void store_ingest_free(struct store_ingest *in); /* removes what was not finished */
#define _cleanup_ingest_ __attribute__((cleanup(store_ingest_free)))

/* All at once. */
int store_blob_put(const struct store *s, const void *bytes, size_t n, const char *expected,
	char digest[OCI_DIGEST_SIZE], int *fd, struct error *err);

/* A blob that is being fetched: the file in partial/ with what an earlier process left in it, locked
 * exclusively; wait = false: BUSY where another process fetches it. */
int store_partial_open(const struct store *s, const char *digest, bool wait, int *fd, struct error *err);

/* Removes one that this process has locked. */
void store_partial_drop(const struct store *s, const char *digest);

/* Its bytes are whole and were checked: syncs it and gives it its place. Its lock becomes a shared one. */
int store_partial_publish(const struct store *s, const char *digest, int fd, struct error *err);

/* The directory of the store, as an OCI layout has it: blobs/sha256/<digest>. Borrowed. */
const char *store_path(const struct store *s);
const char *store_home(const struct store *s);

/* ---- names ---- */

struct store_name {
	char *name; /* canonical: docker.io/library/alpine:3, …@sha256:… where it has no tag */
	char digest[OCI_DIGEST_SIZE]; /* of the manifest or index that it leads to */
	char *media_type;             /* of that */
	uint64_t size;                /* of that */
	char *source;                 /* where it came from: "https://ghcr.io/acme/x", "" made here */
	uint64_t updated;             /* nanoseconds since 1970 */
};
void store_name_free(struct store_name *name);

/* Sets or replaces name->name. Blobs that it leads to are locked by the caller meanwhile. manifest: the one,
 * of those that it leads to, that is here with its config and layers; NULL: none. */
int store_name_set(struct store *s, const struct store_name *name, const char *manifest, struct error *err);

/* A manifest that once was here as a whole, so that something is wrong where it is not. */
bool store_is_whole(struct store *s, const char *manifest);
int store_name_get(
	struct store *s, const char *name, struct store_name *out, struct error *err); /* NOT_FOUND */
int store_name_remove(struct store *s, const char *name, struct error *err);           /* NOT_FOUND */

/* All, sorted by name; the list and what is in it is the caller's. */
int store_name_list(struct store *s, struct store_name **list, size_t *count, struct error *err);
void store_name_list_free(struct store_name *list, size_t count);

/* A manifest that is here says of itself that it is about another, the subject: a signature, a list of what
 * is in it. It stays and moves with that one (image-spec v1.1, manifest.md, "subject"). */
int store_referrer_add(struct store *s, const char *subject, const char *digest, struct error *err);
int store_referrers(
	struct store *s, const char *subject, char ***digests, struct error *err); /* NULL: none */

/* Blobs that are known to be in a repository of a registry (its host), which so can give them to another. */
struct store_origin {
	const char *registry, *repository;
	const char *const *digests;
	size_t count;
};
int store_origin_add(struct store *s, const struct store_origin *origin, struct error *err);
/* store_name_set() with it. */
int store_name_set_from(struct store *s, const struct store_name *name, const char *manifest,
	const struct store_origin *origin, struct error *err);
/* One that has it, but `not_in`; *repository NULL: none is known. The caller frees it. */
int store_origin_find(struct store *s, const char *digest, const char *registry, const char *not_in,
	char **repository, struct error *err);

/* ---- steps of builds ---- */

/* What a step of a build has made, by a digest of all that it depends on. These images are kept as those
 * that have names are. */
int store_step_set(struct store *s, const char *key, const char *digest, struct error *err);
int store_step_get(
	struct store *s, const char *key, char digest[OCI_DIGEST_SIZE], struct error *err); /* NOT_FOUND */
int store_steps_used(struct store *s, char *const *keys, struct error *err);                /* just now */

/* ---- garbage ---- */

/* What others than names need: lists of ids of root file systems, and of digests of manifests. Asked while
 * what may go is locked, so that nobody begins to need it unseen. The lists are freed by who asked. */
struct store_keep {
	int (*list)(void *context, char ***roots, char ***digests, struct error *err);
	/* Says of a name that it goes, too; may be NULL: all stay. */
	bool (*drop)(void *context, const struct store_name *name);
	void *context;
	uint64_t steps_since; /* steps that were last used before (nanoseconds since 1970) go, too */
};

struct store_garbage {
	uint64_t names, blobs, roots, bytes; /* removed */
};

/* Removes blobs, halves of blobs and root file systems that no name, nothing of `keep` (may be NULL) and no
 * process needs. dry_run: only counts. */
int store_collect(struct store *s, const struct store_keep *keep, bool dry_run, struct store_garbage *garbage,
	struct error *err);

/* ---- check ---- */

struct store_problem {
	const char *name;   /* of an image, or "" */
	const char *digest; /* of the blob, or "" */
	const char *text;   /* what is wrong */
};

/* Reads every blob and follows every name; calls tell() for each problem. remove: damaged blobs and root
 * file systems are removed, so that they are fetched or made anew. Returns 0 whatever it finds. */
int store_check_all(struct store *s, bool remove, const struct progress *progress,
	void (*tell)(void *context, const struct store_problem *problem), void *context, struct error *err);
