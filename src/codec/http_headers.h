/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of HTTP header fields that a client of registries reads. The bytes are a server's: bounded, and
 * whoever writes against the grammar is told apart from whoever says nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HTTP_HEADER_MAX 16384u /* bytes of one value */

/*
 * Link (RFC 8288): the target of the first link with rel="next" and no context of its own, as it stands
 * there: a URI or a reference relative to the request's (RFC 3986 §5 resolves it). *target is the caller's,
 * NULL where no link says next. Errors: INVALID, LIMIT, NO_MEMORY.
 */
int http_link_next(const char *value, size_t n, char **target, struct error *err);

/* Retry-After (RFC 9110 §10.2.3): seconds to wait from `now` (seconds since 1970) on; a date that has passed
 * is 0. False where it is neither a number nor a date. */
bool http_retry_after(const char *value, size_t n, uint64_t now, uint64_t *seconds);

/* Content-Range (RFC 9110 §14.4). */
struct http_range {
	uint64_t first, size; /* of the body within the whole; size 0: nothing ("bytes *" and a total) */
	uint64_t total;       /* 0 where not known ("bytes 0-9" and a star) */
	bool total_known;
};
bool http_content_range(const char *value, size_t n, struct http_range *range);

/*
 * Range of an answer to an upload (distribution-spec v1.1, "Pushing a blob in chunks"): "0-1023" or
 * "bytes=0-1023" is 1024 bytes received. "0-0" is 1, though registries say it before the first byte, too:
 * the caller knows whether it has sent any.
 */
bool http_upload_range(const char *value, size_t n, uint64_t *received);

/* ---- the words of such values, for parsers of other fields ------------------------------------------ */

struct header_cursor {
	const char *at, *end;
};

void header_skip_space(struct header_cursor *c);        /* spaces and tabs */
void header_skip_list(struct header_cursor *c);         /* these and commas: empty elements of a list */
bool header_take(struct header_cursor *c, char wanted); /* this character, if it is the next */
size_t header_token(struct header_cursor *c, const char **token); /* RFC 9110 §5.6.2; 0: none is next */

/* A parameter's value: a quoted string (§5.6.4; its escapes are resolved), or what stands up to a comma, a
 * semicolon or white space: more than a token, since servers leave out the quotes around URLs. No control
 * characters. The caller owns *value. */
int header_value(struct header_cursor *c, char **value, struct error *err);
