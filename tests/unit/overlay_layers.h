/* SPDX-License-Identifier: Apache-2.0 */
/* Unions of file systems in memory, and what is found in them. */
#pragma once

#include "base/cleanup.h"
#include "vfs/overlay/overlay.h"
#include "vfs_fault.h"
#include "vfs_make.h"

#define LOWERS 3

/* Layers in memory, with a file system in front of the upper that can fail. */
struct layers {
	struct vfs *lower[LOWERS], *upper, *fault, *fs;
	uint64_t directory, work;
	size_t count;
	enum overlay_form form;
	bool read_only;
};

void layers_end(struct layers *l);
#define _cleanup_layers_ __attribute__((cleanup(layers_end)))
struct vfs *new_memory(void);
void make_layers(struct layers *l, size_t count);
int try_mount(struct layers *l, struct error *err);
/* The union of them; nothing is remembered of one that was there. */
void mount_layers(struct layers *l);
uint64_t look_up(struct vfs *fs, uint64_t parent, const char *name);
void make_whiteout(struct vfs *fs, uint64_t parent, const char *name);
/* All names of a directory are these, sorted, with a space behind each. */
void check_names(struct vfs *fs, uint64_t directory, const char *expected);
bool has_mark(struct layers *l, const char *name);
/* The work directory has nothing in it but an empty index. */
void check_work(struct layers *l, const char *index);
/* A lower file "a", "d/b", "c". */
void make_linked(struct layers *l);
