/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Edits of a monocore.yaml: a component comes in, or goes, and every other byte stays what it was: comments,
 * order, quotes, blank lines, the way of its lines' ends. An edit is a splice of the text, at the places that
 * the tree of yaml.h tells; then both texts are read and compared, and the one that comes out has to mean
 * what the other did but for the component (edit_check.h). What cannot be edited in this way is an error, and
 * nothing comes out.
 *
 * Whether what comes out is a good project is for project_load() to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "project/mistake.h"

enum edit_section { EDIT_SANDBOXES, EDIT_BUILDS, EDIT_GROUPS };
extern const char *const edit_section_keys[]; /* "sandboxes" */

/* One thing that a new component has. Those of one key come together, in their order. */
struct edit_setting {
	const char *key;   /* "image" */
	const char *name;  /* of a mapping's pair (scripts: NAME: value), or NULL */
	const char *value; /* UTF-8; of a pair NULL: an empty mapping */
	bool list;         /* an item of a list */
	bool number;       /* written without quotes where it is one: ram, cpus */
};

/*
 * Adds a component with these settings to the section, behind the others; the section is made where it is
 * missing. file is the number of the text in m. Errors: INVALID, told in m where m->count is not 0 (the text
 * is no YAML), or of the name or a value; EXISTS; UNAVAILABLE (as above); NO_MEMORY.
 */
int edit_add(const void *text, size_t n, struct mistakes *m, uint32_t file, enum edit_section section,
	const char *name, const struct edit_setting *settings, size_t count, struct buffer *out,
	struct error *err);

/* Removes it, with the comments that are indented deeper than its name. NOT_FOUND, with the nearest there is;
 * the others as above. */
int edit_remove(const void *text, size_t n, struct mistakes *m, uint32_t file, enum edit_section section,
	const char *name, struct buffer *out, struct error *err);
