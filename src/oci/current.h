/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "oci/image.h"

/* Whether what a user wrote for an image leads to this manifest ("sha256:…"), as far as can be known without
 * asking a registry: *other is true only where it is here and is another one. Nothing is checked or made. */
int image_is_other(
	struct store *store, const char *reference, const char *manifest, bool *other, struct error *err);

/* Whether a name leads to this manifest in the store. */
int image_is_named(
	struct store *store, const char *name, const char *manifest, bool *named, struct error *err);
