/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image with one layer more: its config and its manifest, from those of its base. Pure; the same input
 * always gives the same bytes. Each step of a build is one of these, and so is a commit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "oci/layer_writer.h"

#define COMMIT_CONFIG_MEDIA_TYPE   "application/vnd.oci.image.config.v1+json"
#define COMMIT_MANIFEST_MEDIA_TYPE "application/vnd.oci.image.manifest.v1+json"

/* How a sandbox was run, which is how its image will be: what is NULL stays as the base has it. */
struct commit_run {
	char *const *entrypoint; /* an empty list: none */
	char *const *cmd;
	char *const *env;    /* in place of the base's */
	char *const *labels; /* "key=value", beside the base's */
	const char *workdir, *user, *stop_signal;
};

struct commit_options {
	const char *author;           /* NULL: none */
	const char *comment;          /* NULL: none */
	const char *created_by;       /* the command that made the layer; NULL: none */
	const struct commit_run *run; /* may be NULL */
	char *const *changes;         /* instructions (commit_change.h); may be NULL */
	bool history;                 /* a base without a history gets one whose steps say nothing */
};

/* The config of the new image. `layer` without entries is none: only an entry of the history says that there
 * was something. Members that nobody here knows are kept, and all stay in their order; a base without a
 * history gets none. `created` is the layer's newest time, but never before the base's. Errors: USAGE for a
 * change that is none, INVALID for a base that is none. */
int commit_config(const void *base, size_t n, const struct layer *layer, const struct commit_options *options,
	struct buffer *out, struct error *err);

/* The manifest: the base's layers, in OCI's media types, and the new one, where it has entries. `config` is
 * what commit_config() has given. */
int commit_manifest(const void *base, size_t n, const struct layer *layer, const char *config_digest,
	uint64_t config_size, struct buffer *out, struct error *err);
