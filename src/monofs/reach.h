/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All objects that the references of a repository lead to, each looked into once: the newest revisions first.
 * What is shared is told of the first that leads to it.
 */
#pragma once

#include "monofs/id_set.h"
#include "monofs/tree.h"

/* Where an object was met. */
struct reach_place {
	const char *revision; /* 64 digits; NULL: a reference */
	const char *path;     /* in it; NULL: none, a commit or a root itself */
};

struct reach {
	struct repository *r;
	const struct progress *progress; /* may be NULL */
	/* Of each chunk and value, every time that it is met where what names it is looked into. */
	int (*leaf)(void *context, enum object_type type, const struct object_id *id,
		const struct reach_place *at, struct error *err);
	/* An object that cannot be read or lies: *err has why. 0: on without it. */
	int (*broken)(void *context, enum object_type type, const struct object_id *id,
		const struct reach_place *at, struct error *err);
	/* A revision, when all that it leads to was looked into. May be NULL. */
	int (*took)(void *context, const struct commit *c, const struct reach_place *at, struct error *err);
	void *context;
	/* results, freed by reach_free() */
	struct id_set nodes;  /* all that are no leaves */
	struct id_set leaves; /* of these 8 bytes each: others may be taken for one */
	uint64_t commits, files, bytes;
	/* reach_all()'s own */
	struct buffer path;
	char revision[OBJECT_HEX_SIZE];
	unsigned depth;
	struct object_id *stack;
	size_t stack_count, stack_room;
};

int reach_all(struct reach *r, struct error *err);
void reach_free(struct reach *r);
