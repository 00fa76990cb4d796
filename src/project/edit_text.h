/* SPDX-License-Identifier: Apache-2.0 */
/* A new component, as YAML. */
#pragma once

#include "project/edit.h"

struct edit_style {
	const char *newline;
	size_t indent; /* of the component's name: spaces */
	size_t step;   /* deeper, what is in it */
	bool quoted;   /* FLOW: as JSON has it */
};

/* Text as a scalar, quoted where it has to be. flow: inside of [] or {}. INVALID: it is no UTF-8, or holds a
 * NUL. */
int edit_put_scalar(
	struct buffer *out, const char *text, bool flow, bool quoted, bool number, struct error *err);

/* "NAME:" and a line for each thing, every line with its end. */
int edit_put_block(struct buffer *out, const struct edit_style *style, const char *name,
	const struct edit_setting *settings, size_t count, struct error *err);

/* "NAME: {image: x, ports: [y]}" */
int edit_put_flow(struct buffer *out, const struct edit_style *style, const char *name,
	const struct edit_setting *settings, size_t count, struct error *err);
