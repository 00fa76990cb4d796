/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs as JSON objects, by a table of their fields: one table writes, reads and frees.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum field_kind {
	FIELD_TEXT,   /* char *, owned */
	FIELD_LIST,   /* char **, NULL-terminated, owned; NULL and empty are the same */
	FIELD_NUMBER, /* uint64_t, at most 2^63-1 */
	FIELD_FLAG    /* bool */
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
};

/* A new JSON object; NULL: out of memory. Bytes that are not UTF-8 (a file name, an argument) are kept: text
 * is written as an array of byte values where it has to be. */
json_t *fields_to_json(const struct field *fields, size_t count, const void *object, struct error *err);

/* Fills a zeroed struct. Missing members stay zero (text becomes ""), unknown ones are ignored, a member of
 * another type is CORRUPT. On failure the struct is freed. */
int fields_from_json(
	const struct field *fields, size_t count, const json_t *json, void *object, struct error *err);

void fields_free(const struct field *fields, size_t count, void *object);
