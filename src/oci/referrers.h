/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests about other manifests: signatures, lists of what is in an image. They come along when an image is
 * pulled, and go along when it is pushed (distribution-spec v1.1, "Listing Referrers", "Pushing Manifests
 * with Subject"; registries without that API keep them in an index under the tag sha256-<digest>).
 */
#pragma once

#include "base/error.h"
#include "oci/registry.h"
#include "oci/store.h"

/* Fetches the referrers of `subject` into the store, and those of theirs. What cannot be had is passed over:
 * an image is no worse for it; *missed counts. */
int referrers_pull(struct store *s, struct registry *r, const char *subject, struct store_hold *hold,
	unsigned *missed, struct error *err);

/* Adds a manifest that was pushed to the index that stands for the API, where the registry has none.
 * `answered`: it said that it knows the subject. */
int referrers_push(struct registry *r, const void *manifest, size_t n, bool answered, struct error *err);
