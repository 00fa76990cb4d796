/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of edit.h share. */
#pragma once

#include "project/edit.h"
#include "project/edit_lines.h"
#include "project/yaml.h"

struct edit {
	struct edit_text t;
	const struct yaml_node *root;
	const char *key; /* of the section */
	const char *name;
	const struct edit_setting *settings;
	size_t count;
	struct buffer *out;
	bool tidy; /* blank lines around what is removed go, too */
};

/* The place is written in a way that no splice is known for. */
int edit_refuse(const struct edit *e, struct error *err);

void edit_copy(const struct edit *e, size_t from, size_t to); /* of the text to what comes out */

/* Where a pair ends as it is written, also of one whose value is an alias. */
size_t edit_pair_end(const struct edit *e, const struct yaml_pair *pair);

/* The start of the line behind what is written in a block's node up to `end`, and behind the comments there
 * that are indented by at least `indent`. */
size_t edit_behind(const struct edit *e, const struct yaml_node *node, size_t end, size_t indent);

/* The last pair that is written here, not merged; NULL: none. */
const struct yaml_pair *edit_last_pair(const struct yaml_node *mapping);

int edit_add_text(const struct edit *e, struct error *err);
int edit_remove_text(const struct edit *e, const struct yaml_pair *section, const struct yaml_pair *pair,
	struct error *err);
