/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar laid out beneath a directory of the sandbox. The archive may be a stranger's, and processes of the
 * sandbox may change the tree while it is written. What holds all the same:
 *
 * - Nothing is made, changed or removed that is not beneath the directory. Names lose leading slashes and
 *   "./", and ".." is an error. Links on the way to a name, be they the archive's or the sandbox's, are
 *   followed only to where they stay beneath; where the directory is the root itself, as within a chroot.
 * - The last name of a path is never followed.
 * - Everything but directories is made under a temporary name and appears when it is whole.
 *
 * Modes, times and extended attributes are the archive's, and owners with PUT_KEEP_OWNERS. A directory that
 * is there already is left as it is, but for what goes into it; with PUT_KEEP_OWNERS (the archive is to be
 * unpacked as it is) it becomes what the archive says. An entry for the directory itself ("./") is ignored.
 * Where directories and others meet in one name, the archive's takes it, with PUT_KEEP_DIRECTORIES it is an
 * error, but that a link to a directory beneath is taken for that directory. Memory is bounded; it may block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tree_unpack;

/* Beside enum put_flags: the directory is empty, nobody else is in it, and it is of no use until all is
 * there. Everything is made under its own name and with its own mode, which takes fewer calls. */
#define TREE_UNPACK_ALONE (1u << 31)

/* Unpacks into `path` below the root `root`, which is borrowed. */
int tree_unpack_new(
	int root, const char *path, uint32_t flags, struct tree_unpack **unpack, struct error *err);
int tree_unpack_feed(struct tree_unpack *u, const void *data, size_t n, struct error *err);
int tree_unpack_finish(struct tree_unpack *u, struct error *err); /* after the last byte */
void tree_unpack_free(struct tree_unpack *u);                     /* removes what is half written */
