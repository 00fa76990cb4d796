/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the merge share: building one layer, joining it beneath the newer ones, links. */
#pragma once

#include "oci/merge.h"
#include "oci/tree.h"

#define MERGE_LINKS_FOLLOWED 40 /* as Linux does for one path */

struct merge {
	struct tree tree;
	struct merge_sink sink;
	bool plain;
	uint64_t memory;     /* the most bytes of the tree, but for what one entry takes */
	struct file implied; /* stands for a directory that the path of an entry implies: older layers may
				give its metadata, or show that it is a symbolic link */
	struct node *root;   /* of all newer layers */
	struct node *layer;  /* root of the layer that is being read; NULL between layers */
	uint32_t number;     /* of that layer */
	struct file *hidden; /* files of the layer whose data are in the spool */
	struct file *links;  /* links that await an older layer, of all layers so far */
	size_t link_count;
	struct file *open; /* the regular file whose data are coming */
};

/* The code of an error that a function told by returning NULL. */
static inline int merge_failed(const struct error *err)
{
	return err ? -(int)err->code : -ERROR_NO_MEMORY;
}

/* What stands between slashes: steps over "/" and ".", false at the end. */
bool path_component(const char **path, const char **name, size_t *n);

/* Joins the layer's tree beneath the newer ones. */
int merge_join(struct merge *m, struct error *err);

/* Looks for what the links of newer layers name in the layer that just ended. */
int merge_find_links(struct merge *m, struct error *err);
