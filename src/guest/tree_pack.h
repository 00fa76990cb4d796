/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of the sandbox as a tar, of live files that may change meanwhile: owners, modes, times, extended
 * attributes, devices and hard links among the files are kept; sockets are left out, and so is what is gone
 * by the time that its turn comes. Other file systems within the tree belong to it, but for the kernel's own
 * (/proc, /sys, …), which are empty directories. Memory is bounded; it may block.
 */
#pragma once

#include "base/error.h"
#include "guest/tree_entry.h"

/* Packs what `path` names below the root `root`. It is the first entry, under its last name ("." where that
 * is none), and all others are below it. A link at the path's end is packed as a link. */
int tree_pack(int root, const char *path, tree_taker *take, void *context, struct error *err);
