/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the host is gone through in order, beside what is known of it. */
#pragma once

#include "base/map.h"
#include "monofs/import.h"
#include "monofs/import_event.h"

struct import_walk {
	struct repository *r;
	const struct import_options *o;
	struct work_ring *ring;
	struct import_reader *reader; /* for extended attributes of directories */
	struct known_reader *known;   /* NULL: nothing is known */
	bool changes;                 /* directories that are known are told by their changes */
	struct import_result *result;
	/* the walk's own */
	int root;
	uint64_t started;
	dev_t own_device;
	ino_t own_inode;
	struct map names; /* device and inode of what has several names: struct import_names */
	struct import_level *levels;
	size_t depth, room;
	char path[ENTRY_PATH_MAX + 1]; /* of the directory that the walk is in */
	size_t path_size;
};

/* root: the directory, open. */
int import_walk_run(struct import_walk *w, int root, struct error *err);
void import_walk_free(struct import_walk *w);

/* Whether what failed with `code` is not there any more, as if it had not been listed. */
bool import_is_gone(int directory, const char *name, int code);

/* What could not be read is told, and left out; or it is the end. err has why. */
int import_left_out(const struct import_options *o, const char *path, struct error *err);
