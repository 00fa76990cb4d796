/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that the store has under names: what there is to list, to find by what a user writes, and to
 * tell about. What is damaged or missing shows as empty members; store_check_all() says why.
 */
#pragma once

#include "oci/store.h"

struct catalog_image {
	char *name;                   /* canonical: "docker.io/library/alpine:3" */
	char *familiar;               /* as docker shows it: "alpine:3" */
	char target[OCI_DIGEST_SIZE]; /* what the name leads to: a manifest or an index */
	char *media_type;             /* of that */
	uint64_t target_size;         /* of that */
	char *source;                 /* "https://ghcr.io/acme/x", or "" */
	uint64_t updated;             /* nanoseconds since 1970: the name */

	/* Of one platform: the one asked for, else the first that is here; "" where none is. */
	char manifest[OCI_DIGEST_SIZE], config[OCI_DIGEST_SIZE];
	char *platform;     /* "linux/arm64/v8" */
	uint64_t created;   /* nanoseconds since 1970, as the config says; 0: it does not */
	uint64_t root_size; /* of the root file system, 0: not made yet */

	char **platforms; /* all that are here as a whole */
	char **digests;   /* what it may be named by: target, manifests, configs */
	char **manifests; /* those of the platforms */
	uint64_t size;    /* of all its blobs that are here, compressed as they are */
};

struct catalog {
	struct catalog_image *images; /* sorted by name */
	size_t count;
	char *registry; /* that names without one mean */
};
void catalog_free(struct catalog *c);
#define _cleanup_catalog_ __attribute__((cleanup(catalog_free)))

/* platform: "linux/amd64"; NULL: this host's, which then is only preferred. */
int catalog_open(struct store *s, const char *platform, struct catalog *c, struct error *err);

struct catalog_match {
	const struct catalog_image **images; /* borrowed from the catalog; at least one */
	size_t count;                        /* over one only for an id that has several names */
	bool by_name;                        /* else by digest or the start of one */
	char digest[OCI_DIGEST_SIZE];        /* that was meant: by name the target */
};
void catalog_match_free(struct catalog_match *m);
#define _cleanup_match_ __attribute__((cleanup(catalog_match_free)))

/* Finds an image by a name as docker writes it, NAME@DIGEST, a digest of its target, of a manifest or of a
 * config, or the only start of one, at least 4 digits, with or without "sha256:". Errors: NOT_FOUND, with
 * what was probably meant; INVALID where a start could be several, which are named. */
int catalog_find(const struct catalog *c, const char *text, struct catalog_match *match, struct error *err);

/* Everything about an image as a JSON object with docker's members (Id, RepoTags, RepoDigests, Created,
 * Architecture, Os, Size, Config, RootFS) and Source, Target, Manifest, Platforms, Referrers. The caller
 * frees it. */
int catalog_describe(struct store *s, const struct catalog *c, const struct catalog_match *match, char **json,
	struct error *err);

struct catalog_step {
	char *created_by, *comment;
	char digest[OCI_DIGEST_SIZE]; /* of the layer's blob, or "" */
	uint64_t created;             /* nanoseconds since 1970; 0: it does not say */
	uint64_t size;                /* of the layer's blob */
	bool empty;                   /* made no layer */
};
void catalog_steps_free(struct catalog_step *steps, size_t count);

/* How an image was made, the oldest step first. */
int catalog_history(const struct store *s, const struct catalog_image *image, struct catalog_step **steps,
	size_t *count, struct error *err);

/* The same of an image that lies on disk (neither a name, nor a digest, nor a root file system). */
struct reference;
int catalog_history_on_disk(
	const struct reference *ref, struct catalog_step **steps, size_t *count, struct error *err);

/* Has a new name (as a user writes it) lead to what was found; *name is the canonical one, the caller's. */
int catalog_tag(struct store *s, const struct catalog *c, const struct catalog_match *match, const char *text,
	char **name, struct error *err);
