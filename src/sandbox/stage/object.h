/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the host's directory, for diff.c and apply.c. */
#pragma once

#include "sandbox/stage/reader.h"
#include "sandbox/stage/stage.h"

/* An object that was looked up: object_put() when it is not needed any more. ino 0: there is none. */
struct object {
	struct vfs *fs;
	struct vfs_attributes a;
};
#define OBJECT_NONE ((struct object){0})
void object_put(struct object *o);
#define _cleanup_object_ __attribute__((cleanup(object_put)))

static inline bool object_there(const struct object *o)
{
	return o->a.ino != 0;
}

/* The root is never put back. path: for errors. */
int object_root(struct vfs *fs, struct object *o, struct error *err);
int object_find(struct vfs *fs, uint64_t parent, const char *name, const char *path, struct object *o,
	struct error *err);
/* By its path from the root; what is not there, or lies behind something that is no directory, is none. */
int object_walk(struct vfs *fs, const char *path, struct object *o, struct error *err);

/* The parent of a path, and the last name in it (part of path). */
int object_walk_parent(
	struct vfs *fs, const char *path, struct object *parent, const char **name, struct error *err);

/* Nanoseconds since 1970. */
uint64_t object_changed(const struct vfs_attributes *a);

/* Names in a directory, sorted by their bytes, without "." and ".."; a text list, the caller's. */
int object_names(struct vfs *fs, uint64_t ino, const char *path, char ***names, struct error *err);

/* Whether mode, owner, attributes, target and device of the host's object are not the entry's; of the same
 * type. 1: they differ. */
int object_differs(
	const struct stage_view *v, const struct object *o, const struct stage_entry *e, struct error *err);

/* Gives the host's object, of the entry's type, mode, owner and attributes of the entry; to a file, the time.
 */
int object_dress(
	const struct stage_view *v, struct object *o, const struct stage_entry *e, struct error *err);
