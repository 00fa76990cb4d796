/* SPDX-License-Identifier: Apache-2.0 */
/* Text: formatting into fresh memory, and the small parsers every layer needs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A formatted string; the caller frees it. NULL: out of memory, with *err set. */
char *text_format(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A copy of text; the caller frees it. NULL: out of memory, with *err set. */
char *text_copy(const char *text, struct error *err);
char *text_copy_bytes(const void *bytes, size_t n, struct error *err); /* with a NUL behind them */

/* An absolute path without "." and "..", which are taken for what they say, whatever links there are; the
 * caller frees it. NULL: out of memory, with *err set. */
char *text_clean_path(const char *path, struct error *err);

bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/* NULL-terminated lists of strings, each string and the array owned by the list. */
void text_list_free(char **list);
static inline void cleanup_text_list(char ***list)
{
	text_list_free(*list);
}
#define _cleanup_text_list_ __attribute__((cleanup(cleanup_text_list)))
size_t text_list_size(char *const *list);                             /* list may be NULL: 0 */
int text_list_add(char ***list, const char *text, struct error *err); /* appends a copy; *list may be NULL */
char **text_list_copy(char *const *list, struct error *err);          /* NULL: out of memory */

/* A decimal number in [0, max]: digits only, all of the text. Error INVALID or LIMIT, naming `what`. */
int text_parse_u64(const char *text, uint64_t max, const char *what, uint64_t *value, struct error *err);

/* A size in bytes: "512", "64K", "512M", "1G", "1GiB", "2T" (powers of 1,024; case does not matter; a
 * fraction such as "1.5G" is allowed). A bare number counts `unit` bytes. */
int text_parse_size(const char *text, uint64_t unit, const char *what, uint64_t *bytes, struct error *err);

/* A duration in nanoseconds: "30s", "5m", "1h", "250ms", "2d", sums of these ("1h30m"), or a bare number
 * of seconds. */
int text_parse_duration(const char *text, const char *what, uint64_t *nanoseconds, struct error *err);

/* bytes as "1.5 MiB" into out (at least 16 bytes). Returns out. */
const char *text_human_size(uint64_t bytes, char *out, size_t size);

/* Edit distance (insert, delete, replace, swap of neighbours), for "did you mean". Strings over 63 bytes
 * are as far apart as can be. */
size_t text_distance(const char *a, const char *b);

/* The nearest of `candidates` (NULL-terminated) to `text`, or NULL where none is near enough to suggest. */
const char *text_nearest(const char *text, const char *const *candidates);
