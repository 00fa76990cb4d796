/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, written piece by piece into a buffer. Commas come by themselves: one is put before a value or a key
 * unless it is the first one behind '[', '{' or ':'.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

void json_put_open(struct buffer *b, char bracket);  /* '{' or '[' */
void json_put_close(struct buffer *b, char bracket); /* '}' or ']' */
void json_put_key(struct buffer *b, const char *key);
/* Bytes that are no UTF-8 become U+FFFD. NULL is null. */
void json_put_text(struct buffer *b, const char *text, size_t size);
void json_put_string(struct buffer *b, const char *text);
void json_put_list(struct buffer *b, char *const *list); /* an array of strings; NULL: an empty one */
void json_put_number(struct buffer *b, int64_t number);
void json_put_bool(struct buffer *b, bool value);
void json_put_raw(struct buffer *b, const char *json); /* JSON that somebody else wrote */

/* Nanoseconds since 1970 as an RFC 3339 string; 0 is null. */
void json_put_time(struct buffer *b, uint64_t time);
