/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON documents of an image: OCI image-spec v1.1 (index, manifest, config), their docker schema 2
 * twins, and manifest.json of `docker save`. The input is a stranger's: sizes and counts are bounded, and
 * an error names the field ("manifest: layers[2].digest: …"). Fields that nobody here needs are not looked
 * at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define OCI_JSON_MAX    (8u << 20) /* bytes of one document */
#define OCI_DIGEST_SIZE 72         /* "sha256:", 64 digits, NUL */
#define OCI_INDEX_MAX   4096u      /* manifests in one index */
#define OCI_LAYERS_MAX  65536u     /* layers in one manifest: what the caller allows is less */

enum oci_media {
	OCI_MEDIA_OTHER,
	OCI_MEDIA_INDEX,
	OCI_MEDIA_MANIFEST,
	OCI_MEDIA_CONFIG,
	OCI_MEDIA_LAYER,        /* plain, gzip or zstd: the bytes themselves tell */
	OCI_MEDIA_FOREIGN_LAYER /* to be fetched elsewhere, by Windows' licence */
};
enum oci_media oci_media_type(const char *media_type);

struct oci_descriptor {
	char digest[OCI_DIGEST_SIZE]; /* "sha256:" and 64 lower-case digits */
	uint64_t size;
	char *media_type;                  /* "" where not given */
	char *name;                        /* annotation org.opencontainers.image.ref.name, or "" */
	char *image;                       /* annotation io.containerd.image.name, the whole name, or "" */
	char *os, *architecture, *variant; /* of `platform`, or "" */
	bool attestation; /* not an image but a statement about one (buildkit's "unknown/unknown") */
};

struct oci_index {
	struct oci_descriptor *manifests;
	size_t count;
};
void oci_index_free(struct oci_index *index);
int oci_index_parse(const void *json, size_t n, struct oci_index *index, struct error *err);

struct oci_manifest {
	struct oci_descriptor config;
	struct oci_descriptor *layers; /* the oldest first */
	size_t count;
};
void oci_manifest_free(struct oci_manifest *manifest);
int oci_manifest_parse(const void *json, size_t n, struct oci_manifest *manifest, struct error *err);

/* docker's HEALTHCHECK */
struct oci_health {
	char **command;                           /* an argument vector; NULL: nothing is checked */
	uint64_t interval, timeout, start_period; /* nanoseconds; unset: 0 */
	uint64_t retries;
};

struct oci_config {
	char **entrypoint, **cmd, **env; /* unset: NULL */
	char **volumes, **exposed_ports;
	char **labels;                      /* "key=value" */
	char **diff_ids;                    /* as digests, the oldest layer's first */
	char *workdir, *user, *stop_signal; /* unset: "" */
	char *os, *architecture, *variant, *created;
	struct oci_health health;
};
void oci_config_free(struct oci_config *config);
int oci_config_parse(const void *json, size_t n, struct oci_config *config, struct error *err);

/* What a document says it is, "application/vnd.oci.image.index.v1+json" and so on, by its mediaType or, where
 * it has none, by its members: a constant, "" for what is neither index nor manifest, JSON or not. Errors:
 * NO_MEMORY. */
int oci_document_type(const void *json, size_t n, const char **type, struct error *err);

/* One image of manifest.json: names within the archive. */
struct docker_image {
	char *config;
	char **tags, **layers;
};
struct docker_images {
	struct docker_image *images;
	size_t count;
};
void docker_images_free(struct docker_images *images);
int docker_images_parse(const void *json, size_t n, struct docker_images *images, struct error *err);

/* "sha256:" and 64 lower-case hexadecimal digits. */
bool oci_digest_valid(const char *digest);
