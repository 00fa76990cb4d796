/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images whose running state after their set-up is saved (monocore build --snapshot): a snapshot whose tag is
 * made of the image's digest. A new sandbox of the image that asks for the same machine and the same main
 * process goes on there in place of booting.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define IMAGE_SNAPSHOT_TAG_SIZE 48

/* The tag for an image, "image-" and the beginning of its digest. False: it has no digest, nor such a
 * snapshot. */
bool image_snapshot_tag(const char *digest, char tag[IMAGE_SNAPSHOT_TAG_SIZE]);

/* Whether a snapshot is one of these. Whoever makes them chooses other tags. */
bool image_snapshot_is(const char *tag);

/* The snapshot that a new sandbox with this record and so many networks goes on with, and its tag in the
 * record. *fd stays -1 where there is none that fits; why not is a line of the log. */
int image_snapshot_find(
	const struct home *home, struct record *record, size_t networks, int *fd, struct error *err);
