/* SPDX-License-Identifier: Apache-2.0 */
/* What an image may cost, as a user writes it: $MONOCORE_IMAGE_LIMITS. */
#pragma once

#include "base/error.h"
#include "oci/image.h"

#define IMAGE_LIMITS_ENV "MONOCORE_IMAGE_LIMITS"

/* "layer_bytes=64G,ratio=5000": members of struct image_limits with their values; those that are not named
 * are left as they are. text NULL: nothing. USAGE names what it does not understand. */
int image_limits_parse(const char *text, struct image_limits *limits, struct error *err);
