/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 §4): with padding, without line breaks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4) /* characters that n bytes become */

/* With a NUL behind it; the caller frees it. NULL: out of memory. */
char *base64_encode(const void *data, size_t n, struct error *err);

/* Strict: whole groups of four, padding only at the end, no bits left over, nothing else. out has room for
 * n / 4 * 3 bytes; *size gets how many there are. */
bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *size);
