/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of names that layers are merged in.
 *
 * A node is a place: a name under a parent. What stands there is a file (a directory is one too), from some
 * layer; layers are numbered from 0, the oldest. A place without a file is a directory that some entry's
 * path implies, or carries nothing but a mark:
 *
 *   hides = n   what layers below n have here and beneath does not show (a whiteout of layer n)
 *   floor = n   what layers below n have beneath does not show (an opaque directory, or a directory that
 *               replaced something else)
 *
 * Files are counted by the nodes that name them, so that hard links share one. All memory comes from one
 * arena and goes at once. Siblings stand in a treap, ordered by bytes: no order of insertion that a stranger
 * chooses makes it slow, as long as he does not know the seed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "disk/erofs.h"

struct file {
	struct erofs_inode inode;
	uint32_t references; /* nodes and resolved links that mean it */
	bool hidden;         /* its data are in the spool */
	struct file *alias;  /* of a link to an older layer: what it turned out to be */
	const char *target;  /* of a link to an older layer, until it is found: the path there */
	uint32_t from;       /* of such a link: its layer */
	struct file *next;   /* in the list of hidden files, or of links to find */
};

struct node {
	struct erofs_entry entry;
	struct node *parent;
	struct node *left, *right; /* siblings */
	struct node *children;
	struct file *file;
	uint32_t priority;
	uint32_t layer; /* of `file` */
	uint32_t hides, floor;
	uint32_t live; /* children that are live, see node_is_live() */
	char name[];
};

struct arena_page;

struct tree {
	struct arena_page *pages;
	uint64_t bytes;        /* of all pages */
	uint64_t nodes, limit; /* nodes made, and the most that may be */
	uint64_t random;
};

void tree_free(struct tree *t);
void *tree_memory(struct tree *t, size_t n); /* aligned, not zeroed; NULL: out of memory */
char *tree_text(struct tree *t, const char *text, size_t n);

struct node *node_new(struct tree *t, const char *name, size_t n, struct error *err);
struct node *node_find(const struct node *parent, const char *name, size_t n);
struct node *node_make(struct tree *t, struct node *parent, const char *name, size_t n, struct error *err);
void node_attach(struct node *parent, struct node *child); /* no sibling of that name may be there */

static inline bool node_is_live(const struct node *n) /* something stands here or beneath */
{
	return n->file || n->live > 0;
}

bool file_is_directory(const struct file *f);
bool file_is_symlink(const struct file *f);

void node_set_file(struct node *n, struct file *f, uint32_t layer); /* counts; f may be NULL */

/* Takes all children off: a sorted list through `right`. Their parent is no longer one. */
struct node *node_take_children(struct node *n);

/* Forgets a list as node_take_children() gives it, with all beneath. */
void node_drop_list(struct node *list);

/* Forgets what layers below `floor` have at n and beneath. */
void node_prune(struct node *n, uint32_t floor);

/* "/a/b/c" into out, cut at the front where it is longer. Returns out. */
const char *node_path(const struct node *n, char *out, size_t size);
