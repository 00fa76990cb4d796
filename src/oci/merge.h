/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers to one root file system, newest layer first, each read once.
 *
 * The entries of one layer first make a tree of their own, as if unpacked alone: a later entry replaces an
 * earlier one, links find what the layer has, paths go through its symbolic links. When the layer ends, its
 * tree is joined beneath the tree of the newer layers, which win, and its whiteouts and opaque directories
 * begin to hide what older layers will bring. Only then do two things become known, and both can reach back:
 *
 *   - a hard link to a path that its own layer lacks means a file of an older layer;
 *   - what a newer layer has beneath a path that an older one makes a symbolic link belongs at the link's
 *     target, found within the root.
 *
 * The merge does no I/O: data of files go to a sink as they come. The sink is told whether a file looks
 * hidden by newer layers; such data are kept aside until the layer ends, for a hard link to it may be
 * visible, and claimed or forgotten then. docs/formats/rootfs.md has the rules.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/tar.h"
#include "disk/erofs.h"

struct merge_sink {
	void *context;
	/* One file: begin, data in rising order of offset, end. `end` fills in the data of *inode. */
	int (*begin)(void *context, uint64_t size, bool hidden, struct error *err);
	int (*data)(void *context, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err);
	int (*end)(void *context, struct erofs_inode *inode, struct error *err);
	/* A hidden file turned out to be visible: make its data ones of the image. */
	int (*claim)(void *context, struct erofs_inode *inode, struct error *err);
	/* The layer is over: forget the hidden data that nobody claimed. */
	int (*forget)(void *context, struct error *err);
};

struct merge_options {
	uint64_t entries; /* the most files and directories, hidden ones too; 0: 4,000,000 */
	uint64_t memory;  /* the most bytes for names, links and attributes, hidden ones too; 0: 2 GiB */
	uint64_t seed;    /* a random number that the images' makers cannot know */
	bool plain;       /* names such as ".wh.x" mean themselves: not a layer but a directory */
};

struct merge;

int merge_new(const struct merge_options *options, const struct merge_sink *sink, struct merge **m,
	struct error *err);
void merge_free(struct merge *m);

/* `layer` counts down from the newest to 0, the oldest. */
int merge_layer_begin(struct merge *m, uint32_t layer, struct error *err);

/* One entry: merge_entry, for a regular file its data, merge_entry_end. */
int merge_entry(struct merge *m, const struct tar_entry *e, struct error *err);
int merge_data(struct merge *m, uint64_t offset, const uint8_t *bytes, size_t n, struct error *err);
int merge_entry_end(struct merge *m, struct error *err);

int merge_layer_end(struct merge *m, struct error *err);

/* After the oldest layer: the tree for erofs_writer_finish(), owned by the merge. */
int merge_finish(struct merge *m, struct erofs_inode **root, struct error *err);
