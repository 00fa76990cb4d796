/* SPDX-License-Identifier: Apache-2.0 */
/* JSON documents (RFC 8259, by jansson) with errors that say where. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

CLEANUP_DEFINE(json_document, json_t, json_decref);
#define _cleanup_json_ _cleanup_(cleanup_json_document)

/*
 * Parses a document of at most `limit` bytes whose root is an object; of a member that stands there twice the
 * last counts, or, with `strict`, it is an error. `what` starts each message: "FILE:LINE:COLUMN: ..." where
 * it is the name of a file. Errors: INVALID, LIMIT, NO_MEMORY.
 */
int json_parse(const void *bytes, size_t n, size_t limit, bool strict, const char *what, json_t **root,
	struct error *err);

/* A string, or NULL where the member is missing or null; it belongs to the object. Error INVALID where it is
 * something else, naming `what` and the member. */
int json_text(const json_t *object, const char *key, const char *what, const char **text, struct error *err);

/* Appends a document to out, as json_dumps() writes it with these flags; json NULL is no memory, too. Errors:
 * NO_MEMORY (json_dumps() itself may lose that, and give out what is no JSON). */
int json_write(const json_t *json, size_t flags, struct buffer *out, struct error *err);

/* Overwrites all strings of a document that holds secrets (its parser's own copies are out of reach). */
void json_wipe(json_t *value);
