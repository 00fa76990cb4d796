/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls for images share: the store, what is in it, and the one that was meant. */
#pragma once

#include "lib/handle.h"
#include "oci/catalog.h"

/* The images of installed commands, each with its command's name behind it: nothing but `uninstall` says that
 * they are not used any more. */
#define IMAGES_INSTALLED "monocore.local/installed:"

struct images {
	struct store *store;
	struct catalog catalog;
	struct catalog_match match;
};
void images_close(struct images *i);
#define _cleanup_images_ __attribute__((cleanup(images_close)))

/* Both leave *i to images_close(), also when they fail. */
int images_open(struct monocore *mc, const char *platform, struct images *i, struct error *err);
int images_find(
	struct monocore *mc, const char *image, const char *platform, struct images *i, struct error *err);
