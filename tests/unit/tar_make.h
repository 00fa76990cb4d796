/* SPDX-License-Identifier: Apache-2.0 */
/* Archives made by hand, block by block, as our own writer would never write them; and an archive as text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* A header in GNU's dialect (POSIX's ustar with `ustar`), mode 0644, owner 0, time 1. `edit` (may be NULL)
 * changes it before its checksum is computed. */
typedef void (*tar_make_edit)(uint8_t *block);
void tar_make_header(struct buffer *out, const char *name, uint64_t size, char type, tar_make_edit edit);
void tar_make_ustar(struct buffer *out, const char *name, uint64_t size, char type, tar_make_edit edit);
void tar_make_sum(uint8_t *block);                                  /* writes the checksum anew */
void tar_make_data(struct buffer *out, const void *data, size_t n); /* and its padding */

/* One record of a PAX header; then the header of type 'x' or 'g' with all of them, which empties records. */
void tar_make_record(struct buffer *records, const char *key, const void *value, size_t n);
void tar_make_text_record(struct buffer *records, const char *key, const char *value);
void tar_make_pax(struct buffer *out, char type, struct buffer *records);

/* What the reader tells of the archive when that comes in pieces of `piece` bytes, a line an entry:
 *
 *     file NAME MODE UID:GID SECONDS.NANOSECONDS SIZE [xattr NAME=VALUE]... [OFFSET:BYTES]...
 *     link NAME > TARGET ..., dir, symlink, char MAJOR:MINOR, block, fifo
 *
 * and "end" for the two zero blocks, "error CODE" for an error. The caller frees it. */
char *tar_make_text(const void *archive, size_t n, size_t piece);
