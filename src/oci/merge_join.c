/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining trees: the layer's beneath the newer ones; and, when a place turns out to be a symbolic link, what
 * newer layers have beneath it with what is at the link's target.
 *
 * Two nodes for one place become one. The file of the higher layer stays; a directory that is only implied
 * there takes the metadata of an older one, and gives way to an older symbolic link. Who loses to a directory
 * without being one hides, as a whiteout does, what still older layers have. Children follow, each under a
 * floor: the layer below which nothing of the joined tree shows here. Work is kept in a list, not on the
 * stack, since the depth is a stranger's choice.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "oci/merge_parts.h"

enum job_type {
	JOB_JOIN,  /* `other`, which has no parent, into `node`, the same place */
	JOB_SETTLE /* node's children are complete: is it still what it was? */
};

struct job {
	enum job_type type;
	bool mixed; /* what is joined has files of several layers: each must be judged */
	struct node *node, *other;
	uint32_t floor;
};

struct joiner {
	struct merge *m;
	struct job *jobs;
	size_t count, room;
};

static void cleanup_joiner(struct joiner *j)
{
	free(j->jobs);
}

static int add_job(struct joiner *j, struct job job, struct error *err)
{
	if (j->count == j->room) {
		size_t room = j->room ? j->room * 2 : 64;
		struct job *jobs = reallocarray(j->jobs, room, sizeof *jobs);

		if (!jobs)
			return error_no_memory(err, "merge of layers");
		j->jobs = jobs;
		j->room = room;
	}
	j->jobs[j->count++] = job;
	return 0;
}

static uint32_t higher(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* The file that stays at `a`, of its own and b's; `floor` is what the place hides of b's. */
static void choose_file(struct merge *m, struct node *a, struct node *b, uint32_t floor)
{
	struct file *winner = a->file, *loser = b->file;
	uint32_t won = a->layer, lost = b->layer;

	if (winner && won < b->hides)
		winner = NULL;
	if (loser && lost < floor)
		loser = NULL;
	if (loser && (!winner || won < lost)) {
		winner = b->file;
		won = b->layer;
		loser = a->file && a->layer >= b->hides ? a->file : NULL;
		lost = a->layer;
	}
	if (loser && winner == &m->implied && file_is_symlink(loser)) {
		winner = loser;
		won = lost;
	} else if (loser && winner == &m->implied && file_is_directory(loser)) {
		winner = loser;
	} else if (loser && file_is_directory(winner) && !file_is_directory(loser)) {
		a->floor = higher(a->floor, lost);
		a->hides = higher(a->hides, lost);
	}
	if (winner != a->file || won != a->layer)
		node_set_file(a, winner, won);
	node_set_file(b, NULL, 0);
}

/* Forgets what layers below `floor` have beneath n, but not n's own file. */
static void prune_beneath(struct node *n, uint32_t floor)
{
	struct file *own = n->file;
	uint32_t layer = n->layer;

	if (floor == 0)
		return;
	node_set_file(n, NULL, 0);
	node_prune(n, floor);
	node_set_file(n, own, layer);
}

/* One child of a joined tree goes to its place under `parent`. */
static int join_child(struct joiner *j, bool mixed, struct node *parent, struct node *child, uint32_t floor,
	struct error *err)
{
	struct node *there = node_find(parent, child->name, child->entry.name_size);

	child->left = child->right = NULL;
	if (there)
		return add_job(j, (struct job){JOB_JOIN, mixed, there, child, floor}, err);
	if (mixed)
		node_prune(child, floor);
	node_attach(parent, child);
	return 0;
}

static int join_list(struct joiner *j, bool mixed, struct node *parent, struct node *list, uint32_t floor,
	struct error *err)
{
	int r = 0;

	for (struct node *child = list, *next; r == 0 && child; child = next) {
		next = child->right;
		r = join_child(j, mixed, parent, child, floor, err);
	}
	return r;
}

static int join_nodes(struct joiner *j, const struct job *job, struct error *err)
{
	struct node *a = job->node, *b = job->other;
	uint32_t floor = higher(job->floor, a->hides);
	struct node *children;
	int r = 0;

	choose_file(j->m, a, b, floor);
	children = node_take_children(b);
	if (job->mixed)
		prune_beneath(a, higher(b->hides, b->floor));
	floor = higher(floor, a->floor);
	if (a->file && !file_is_directory(a->file)) {
		floor = higher(floor, a->layer);
		r = add_job(j, (struct job){JOB_SETTLE, job->mixed, a, NULL, 0}, err);
	}
	a->hides = higher(a->hides, b->hides);
	a->floor = higher(a->floor, b->floor);
	if (r == 0 && !job->mixed && floor > j->m->number)
		node_drop_list(children);
	else if (r == 0)
		r = join_list(j, job->mixed, a, children, floor, err);
	return r;
}

/* ---- through a symbolic link ------------------------------------------------------------------------ */

struct way {
	struct merge *m;
	struct node *at;
	uint32_t floor; /* what the links on the way hide */
	unsigned links;
};

static int follow(struct way *w, const struct node *link, struct error *err);

static int follow_step(struct way *w, const char *name, size_t n, const struct node *link, struct error *err)
{
	char text[512];

	if (n == 2 && name[0] == '.' && name[1] == '.') {
		w->at = w->at->parent ? w->at->parent : w->at;
		return 0;
	}
	if (n > EROFS_NAME_MAX)
		return error_set(err, ERROR_INVALID, "the symbolic link %s leads to a name of over 255 bytes",
			node_path(link, text, sizeof text));
	w->at = node_make(&w->m->tree, w->at, name, n, err);
	if (!w->at)
		return merge_failed(err);
	if (!w->at->file || file_is_directory(w->at->file))
		return 0;
	if (file_is_symlink(w->at->file) && !w->at->file->target) {
		w->floor = higher(w->floor, w->at->layer);
		return follow(w, w->at, err);
	}
	return error_set(err, ERROR_INVALID,
		"newer layers have files beneath the symbolic link %s, which does not lead to a directory",
		node_path(link, text, sizeof text));
}

/* Goes where `link`, a symbolic link, leads, making the directories that no layer has shown yet. */
static int follow(struct way *w, const struct node *link, struct error *err)
{
	const struct erofs_inode *inode = &link->file->inode;
	char target[4096], text[512];
	const char *path = target, *name;
	size_t n;
	int r = 0;

	if (++w->links > MERGE_LINKS_FOLLOWED || inode->size >= sizeof target)
		return error_set(err, ERROR_INVALID,
			"newer layers have files beneath the symbolic link %s, which leads nowhere",
			node_path(link, text, sizeof text));
	memcpy(target, inode->bytes, (size_t)inode->size);
	target[inode->size] = 0;
	w->at = *target == '/' ? w->m->root : link->parent;
	while (r == 0 && path_component(&path, &name, &n))
		r = follow_step(w, name, n, link, err);
	return r;
}

static int move_to_target(struct joiner *j, struct node *link, struct node *children, struct error *err)
{
	struct way w = {.m = j->m, .floor = link->layer};
	int r = follow(&w, link, err);

	if (r < 0)
		return r;
	if (link->floor > link->layer) {
		/* A newer layer made the directory opaque that it took the link for. */
		prune_beneath(w.at, link->floor);
		w.at->floor = higher(w.at->floor, link->floor);
	}
	for (const struct node *n = w.at; n; n = n->parent)
		w.floor = higher(w.floor, higher(n->hides, n->floor));
	return join_list(j, true, w.at, children, w.floor, err);
}

/* The place is no directory, but may have something beneath: of newer layers, or only whiteouts. */
static int settle(struct joiner *j, struct node *n, bool mixed, struct error *err)
{
	if (!n->file || file_is_directory(n->file) || !n->children)
		return 0;
	if (mixed)
		prune_beneath(n, n->layer);
	if (file_is_symlink(n->file))
		return move_to_target(j, n, node_take_children(n), err);
	if (n->live) {
		n->hides = higher(n->hides, n->layer);
		node_set_file(n, NULL, 0);
		return 0;
	}
	node_drop_list(node_take_children(n));
	return 0;
}

int merge_join(struct merge *m, struct error *err)
{
	_cleanup_(cleanup_joiner) struct joiner j = {.m = m};
	int r = add_job(&j, (struct job){JOB_JOIN, false, m->root, m->layer, 0}, err);

	while (r == 0 && j.count > 0) {
		struct job job = j.jobs[--j.count];

		if (job.type == JOB_JOIN)
			r = join_nodes(&j, &job, err);
		else
			r = settle(&j, job.node, job.mixed, err);
	}
	return r;
}
