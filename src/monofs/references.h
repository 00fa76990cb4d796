/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of commits: "main", and tags. All lie in one file, `refs`, that is replaced as a whole, sealed where
 * the repository is encrypted, with a counter that grows with each change (docs/formats/monofs.md,
 * "References").
 */
#pragma once

#include "base/error.h"
#include "monofs/commit.h"
#include "monofs/crypt.h"

#define REFERENCE_MAIN     "main"
#define REFERENCE_TAG      "tag/" /* before the name of one */
#define REFERENCE_NAME_MAX 255u
#define REFERENCES_MAX     100000u

struct reference {
	char *name; /* "main", or "tag/NAME" */
	struct object_id commit;
	char *path; /* of a tag: what it is about; "" */
};
struct references {
	uint64_t version;
	struct reference *list; /* sorted by name */
	size_t count;
};
void references_free(struct references *r);
static inline void cleanup_references(struct references *r)
{
	references_free(r);
}
#define _cleanup_references_ __attribute__((cleanup(cleanup_references)))

/* None at all: an empty list. */
int references_read(int directory, const struct crypt *crypt, struct references *out, struct error *err);
/* NULL: there is none. */
const struct reference *references_find(const struct references *r, const char *name);
/* The name as users call it, of main or a tag, that is near to what one typed; NULL: none is. It is r's. */
const char *references_nearest(const struct references *r, const char *typed);

/* Sets a name, or removes it (commit NULL), durably. expected: what it leads to now, NULL: whatever; none: it
 * is not there. BUSY where it leads to something else. The commit was synced before (store_sync()). */
int references_set(int directory, const struct crypt *crypt, const char *name, const struct object_id *commit,
	const char *path, const struct object_id *expected, struct error *err);

/* Whether it can be a tag's name: no '/' first or last, none of "~^:@{", no control byte, not what reads as
 * an id. */
int reference_name_check(const char *name, struct error *err);
