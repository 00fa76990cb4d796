/* SPDX-License-Identifier: Apache-2.0 */
/* Differences between trees, counted, kept and printed. */
#pragma once

#include <stdio.h>

#include "base/buffer.h"
#include "monofs/tree.h"

#define DIFFERENCES_KEPT 1000000u

struct difference {
	enum tree_change change;
	unsigned what;
	enum entry_kind kind;  /* of what is there now, or was */
	char *path, *old_path; /* old_path: NULL where nothing was renamed */
};

/* Differences in times alone do not count, unless `times`. */
struct difference_list {
	bool times;
	size_t keep; /* at most so many are kept; 0: they are counted only */
	struct difference *list;
	size_t count, room;
	uint64_t added, changed, removed, left_out;
};
void difference_list_free(struct difference_list *l);
#define _cleanup_differences_ _cleanup_(difference_list_free)

/* A tree_difference_take whose context is a difference_list. */
int difference_collect(void *list, const struct tree_difference *d, struct error *err);

/* "A path", a line each, behind `indent`: A added, D removed, M changed, P other mode, owner or attributes, T
 * other time, R renamed ("R old -> new"), and M, P, T behind an R where that was changed, too. */
void difference_print_list(FILE *out, const struct difference_list *l, const char *indent);
void difference_put_json(struct buffer *b, const struct difference_list *l); /* an array */

/* Whether this one is not to be told of: a change of times alone. */
bool difference_is_time(const struct tree_difference *d);
