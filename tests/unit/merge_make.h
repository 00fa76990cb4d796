/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers written down as text, merged into an EROFS image, and the image as text again.
 *
 * A line of a layer is an entry: a letter, a path, and what belongs to it:
 *
 *     d PATH [MODE]         f PATH [DATA]         s PATH TARGET         h PATH TARGET
 *     p PATH                c PATH MAJOR:MINOR
 *
 * DATA "@N" is a file of N bytes, "begin" at its start, "end" at its end and a hole between them. A line of
 * the image is the same, in the order of names within their directories; directories show their mode, and a
 * further name of a file is "h" with the first name.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* layers: the oldest first, NULL at the end. Returns the image's text, or "error CODE", or NULL where
 * there is no memory. The caller frees it.
 * fd (-1: none is wanted) gets the image, and must be empty. */
char *merge_make(const char *const *layers, uint64_t seed, int fd, struct error *err);

/* The image only. */
int merge_make_image(const char *const *layers, uint64_t seed, int fd, struct error *err);

/* The text of an image. */
char *merge_make_text(int fd, struct error *err);
