/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions and what is about them, as they are printed. */
#pragma once

#include <stdio.h>

#include "base/buffer.h"
#include "monofs/commit.h"
#include "monofs/tree.h"

#define WORDS_ID   13 /* the first 12 digits, NUL */
#define WORDS_TIME 48

const char *words_id(const struct object_id *id, char out[WORDS_ID]); /* returns out */

const char *words_plural(uint64_t n); /* "s", but where it is one */

/* "2026-11-26 15:20:11 +0100", at the place where it was made; also of years that have five digits. */
const char *words_time(struct entry_time time, int32_t zone, char out[WORDS_TIME]);

/* A name, or a path, to a stream: control bytes as '?' where that is a terminal. */
void words_name(FILE *out, const char *name, size_t size);

/* "drwxr-xr-x" */
#define WORDS_MODE 11
const char *words_mode(const struct entry *e, char out[WORDS_MODE]);
const char *words_kind(enum entry_kind kind); /* "file", "directory" … */

/* Minutes east of UTC, here and now. */
int32_t words_zone(void);

/* "id":"…" */
void json_put_id(struct buffer *b, const char *key, const struct object_id *id);
/* "time":"2026-11-26T15:20:11.123456789Z"; years that RFC 3339 has not become seconds since 1970. */
void json_put_entry_time(struct buffer *b, const char *key, struct entry_time time);
void json_put_count(struct buffer *b, const char *key, uint64_t n);
void json_put_member(struct buffer *b, const char *key, const char *text);
