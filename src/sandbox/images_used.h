/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes need of images, by their records. */
#pragma once

#include "oci/store.h"
#include "sandbox/home.h"

/* For store_collect(): the root file systems and manifests of all sandboxes; home is borrowed. */
struct store_keep images_used_keep(const struct home *home);

/* Names of the sandboxes whose image is one of the manifests with these digests: a NULL-terminated list, or
 * NULL where there is none; the caller's. */
int images_used_by(const struct home *home, char *const *manifests, char ***sandboxes, struct error *err);
