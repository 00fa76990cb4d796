/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a tree of nodes that know where they stand.
 *
 * libyaml gives the events; the tree is ours, with the meanings of YAML 1.2 (scalar.h): a scalar is text, and
 * whether it was plain says whether its text may mean more. An alias is the node of its anchor, not a copy,
 * so that one node may have several parents; what all aliases would be when written out is bounded. A merge
 * ("<<") adds the pairs that a mapping lacks. Keys are text, and no key stands twice.
 *
 * A document is read whole whatever is wrong in it, so that all of it is told: what has no meaning becomes a
 * mistake and is left out. Only what is no YAML ends the reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "project/mistake.h"

#define YAML_BYTES_MAX    (1u << 20) /* of a file */
#define YAML_DEPTH_MAX    64
#define YAML_EXPANDED_MAX (16u << 20) /* bytes that aliases and merges stand for, 64 for each node */

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAPPING };

struct yaml_node;

struct yaml_pair {
	struct yaml_node *key, *value;
	bool merged; /* it came by "<<" */
};

struct yaml_node {
	enum yaml_kind kind;
	bool plain;               /* SCALAR: without quotes, not a block */
	bool block;               /* SCALAR: | or > */
	bool flow;                /* LIST, MAPPING: in [] or {} */
	bool broken;              /* what is wrong with it has been told */
	bool expanded;            /* its variables are in their places (interpolate.h) */
	uint32_t line, column;    /* from 1; columns count characters */
	size_t start, end;        /* bytes of the file; of a block the end of what is last in it */
	char *text;               /* SCALAR: with a NUL behind it, and none inside */
	struct yaml_node **items; /* LIST */
	struct yaml_pair *pairs;  /* MAPPING: in the order of the file, merged ones behind */
	size_t count;             /* of items or pairs */
	uint32_t weight;          /* what it is with all below it, as YAML_EXPANDED_MAX counts */
};

struct yaml_document;

/*
 * Reads the bytes of file number `file` of m. *document is the caller's (yaml_release()), and is given also
 * where mistakes were found. Error: NO_MEMORY; all else is mistakes.
 */
int yaml_parse(const void *bytes, size_t n, struct mistakes *m, uint32_t file,
	struct yaml_document **document, struct error *err);
void yaml_release(struct yaml_document *document);

struct yaml_node *yaml_root(const struct yaml_document *document); /* NULL: there is nothing in it */

/* Text that lives as long as the document; NULL: NO_MEMORY. */
char *yaml_keep_text(struct yaml_document *document, const char *text, size_t n, struct error *err);

/* The value of a key, or NULL: also where node is NULL or no mapping. */
struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);
const struct yaml_pair *yaml_pair(const struct yaml_node *node, const char *key);

static inline struct project_place yaml_place(const struct yaml_node *node, uint32_t file)
{
	return (struct project_place){file, node->line, node->column};
}
