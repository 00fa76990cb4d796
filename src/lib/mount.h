/* SPDX-License-Identifier: Apache-2.0 */
/* What serves a file system on this host starts with: src/lib/mount.c, src/lib/serve.c. */
#pragma once

#include "lib/handle.h"

/* The EROFS file of an image, which is pulled where it is not there. *fd is the caller's. */
int open_image_root(struct monocore *mc, const char *name, const char *platform, int *fd, struct error *err);
