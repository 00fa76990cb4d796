/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file refs. Integers are little-endian, strings are a length (u32) and the bytes.
 *
 *       0   8  "MFSREFS1"
 *       8  16  salt (crypt.h)
 *      24      sealed with the number 0, the 24 bytes before authenticated beside:
 *          u64  version: 1 more with each change
 *          u32  number of references, each:
 *               name (string, 1 to 255 bytes), id of the commit (32 bytes), path (string, up to 4,095)
 *          32   SHA-256 of what was sealed up to here
 *
 * They are sorted by the bytes of their names, each of which is there once.
 */
#pragma once

#include "monofs/references.h"

#define REFERENCES_MAGIC    "MFSREFS1"
#define REFERENCES_HEADER   24u
#define REFERENCES_FILE_MAX (64u << 20)

/* What was sealed. */
int references_decode(const void *bytes, size_t n, struct references *out, struct error *err);
