/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One header block of a tar archive: where its fields stand and how they are read. Sources: POSIX.1-2017
 * "pax", section "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TAR_BLOCK 512

struct tar_field {
	uint16_t at, size;
	const char *name;
};

#define TAR_FIELD_NAME     ((struct tar_field){0, 100, "name"})
#define TAR_FIELD_MODE     ((struct tar_field){100, 8, "mode"})
#define TAR_FIELD_UID      ((struct tar_field){108, 8, "uid"})
#define TAR_FIELD_GID      ((struct tar_field){116, 8, "gid"})
#define TAR_FIELD_SIZE     ((struct tar_field){124, 12, "size"})
#define TAR_FIELD_MTIME    ((struct tar_field){136, 12, "mtime"})
#define TAR_FIELD_CHECKSUM ((struct tar_field){148, 8, "checksum"})
#define TAR_FIELD_LINK     ((struct tar_field){157, 100, "link name"})
#define TAR_FIELD_MAJOR    ((struct tar_field){329, 8, "device major"})
#define TAR_FIELD_MINOR    ((struct tar_field){337, 8, "device minor"})
#define TAR_FIELD_PREFIX   ((struct tar_field){345, 155, "prefix"})
#define TAR_FIELD_REALSIZE ((struct tar_field){483, 12, "real size"}) /* old GNU sparse */

enum tar_offset {
	TAR_AT_TYPE = 156,
	TAR_AT_MAGIC = 257,
	TAR_AT_SPARSE = 386,   /* old GNU sparse: 4 slots */
	TAR_AT_EXTENDED = 482, /* old GNU sparse: more slots follow in blocks of their own */
	TAR_AT_STAR = 508      /* "tar\0": star's ustar, whose prefix is 131 bytes */
};

enum tar_dialect { TAR_DIALECT_V7, TAR_DIALECT_USTAR, TAR_DIALECT_STAR, TAR_DIALECT_GNU };

bool tar_block_is_zero(const uint8_t *block);
bool tar_block_sum_matches(const uint8_t *block); /* as unsigned bytes, or as signed ones like old tars */
enum tar_dialect tar_block_dialect(const uint8_t *block);

/* An octal number (leading blanks, ended by blank, NUL or the field's end; an empty field is 0) or a
 * base-256 one (GNU: top bit of the first byte set, two's complement below it) in [min, max]. */
int tar_block_number(const uint8_t *block, struct tar_field field, int64_t min, int64_t max, int64_t *value,
	struct error *err);

/* Bytes of a text field before its NUL. */
size_t tar_block_text_size(const uint8_t *block, struct tar_field field);
