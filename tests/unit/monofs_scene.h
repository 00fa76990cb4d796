/* SPDX-License-Identifier: Apache-2.0 */
/* A repository and a directory of the host beside it, for tests of what goes in and out. */
#pragma once

#include "monofs/import.h"
#include "monofs/restore.h"
#include "monofs/tree.h"
#include "monofs_place.h"

struct scene {
	struct repository *r;
	char repository[256], host[256], target[256]; /* target: not there yet */
	struct import_result result;                  /* of the last import */
};
struct scene *scene_new(bool encrypted);
void scene_free(struct scene *s);
void scene_reopen(struct scene *s, bool encrypted);

/* host/path */
const char *scene_path(const struct scene *s, const char *path);
void scene_write(const struct scene *s, const char *path, const void *bytes, size_t n);
void scene_text(const struct scene *s, const char *path, const char *text);
void scene_directory(const struct scene *s, const char *path);

/* Waits until what was changed can be known again: clocks of files go in ticks. */
void scene_settle(void);

/* The newest revision; what host is becomes one. */
struct object_id scene_main(const struct scene *s);
struct object_id scene_import(struct scene *s);
struct object_id scene_commit(
	struct scene *s, const struct object_id *content, const struct object_id *identity);

/* What is in a directory of the host, a line for each name, in order, with all that a restore brings back.
 * The caller frees. */
char *scene_list(const char *path);

/* A tree made by hand: names in the order of a walk, directories before what is in them. */
struct scene_item {
	const char *path;
	enum entry_kind kind;
	const char *text; /* what a file holds, or a link's target */
	unsigned id;      /* of its identity; 0: the name's by path in `parent`, or a new one */
	uint32_t mode;    /* 0: 0644, or 0755 */
};
struct object_id scene_tree(struct scene *s, const struct scene_item *items, size_t count);
