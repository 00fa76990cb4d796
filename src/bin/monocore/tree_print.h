/* SPDX-License-Identifier: Apache-2.0 */
/* A tree of things with names, on a terminal and as JSON. */
#pragma once

#include "bin/monocore/command.h"

struct tree_node {
	const char *kind; /* "sandbox", "build", "image", "layer" */
	char *name, *made_by;
	uint64_t size;
	bool sized, shared, above; /* above: what is in it was shown already */
	struct tree_node **children;
	size_t count;
};

/* A new child; NULL: out of memory. name is copied. */
struct tree_node *tree_node_add(struct tree_node *parent, const char *kind, const char *name);
void tree_node_free(struct tree_node *node);

/* What is below the root. Returns the exit status. */
int tree_print(const struct tree_node *root);
int tree_print_json(struct cli *cli, const struct tree_node *root);
