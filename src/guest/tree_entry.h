/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of a file system as entries of a tar, for the walks of tree_pack.c and upper.c, which say where an
 * object is and what it is called. An object is opened only once it is known to be a file or a directory,
 * without following a link and without waiting for anybody, and looked at again when it is open: who swaps it
 * meanwhile gains nothing.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/map.h"
#include "codec/tar.h"
#include "guest/attributes.h"

#define TREE_PIECE 65536

/* Takes a piece of the archive. */
typedef int tree_taker(void *context, const void *data, size_t n, struct error *err);

struct tree_entries {
	tree_taker *take;
	void *context;
	attribute_filter *wanted; /* attributes */
	bool may_vanish;          /* an object that has gone since its name was read is no error */
	const char *asked;        /* for errors, while it may not */
	struct buffer path;       /* of the entry at hand, with a NUL: the walk writes it */
	struct buffer out;        /* not yet taken */
	struct map links;         /* device and inode of a file with several names: the first of them */
	size_t links_size;
};
void tree_entries_free(struct tree_entries *e);

const char *tree_entries_path(const struct tree_entries *e);

/* errno is of an object that could not be opened: 0 where it has just gone, and that is no error. */
int tree_entries_gone(const struct tree_entries *e, struct error *err);

/* The header of an object without data. fd: the object where it is open, for its attributes; otherwise -1. */
int tree_entries_header(struct tree_entries *e, enum tar_type type, const struct stat *s, const char *link,
	int fd, struct error *err);

/* The object `leaf` of the directory `at`, by its lstat(2); no directory. *known: whether a tar can hold such
 * a thing; a socket is left to the walk. */
int tree_entries_object(struct tree_entries *e, int at, const char *leaf, const struct stat *s, bool *known,
	struct error *err);

/* The archive's end, and what has not been taken. */
int tree_entries_finish(struct tree_entries *e, struct error *err);
