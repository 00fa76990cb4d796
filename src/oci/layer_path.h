/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a layer: their one form, their order, and what a whiteout is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum layer_name {
	LAYER_NAME_PLAIN,
	LAYER_NAME_WHITEOUT, /* ".wh.NAME": what older layers have as NAME does not show */
	LAYER_NAME_OPAQUE    /* ".wh..wh..opq": what older layers have in the directory does not show */
};

/* `path` without "." and doubled slashes into *out, with a NUL; "" is the root. INVALID: absolute, "..", a
 * name over 255 bytes, a directory on the way that is called as a whiteout, another name in ".wh." that means
 * nothing. *kind (may be NULL) is the last name's. */
int layer_path(const char *path, struct buffer *out, enum layer_name *kind, struct error *err);

/* The order of entries: negative, 0 or positive. A whiteout compares as what it removes. Both are in the form
 * of layer_path(). */
int layer_path_compare(const char *a, const char *b);

/* Whether `path` is beneath `above`, in the same sense. */
bool layer_path_is_beneath(const char *path, const char *above);
