/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar that a sandbox sends, laid out beneath a directory of the host.
 *
 * The sandbox is hostile, and may say anything at any moment. What holds all the same: nothing is made,
 * changed or removed outside of the directory, because every part of every name is opened by itself, below
 * the one before, and never through a link (what earlier entries or earlier copies made included). Files come
 * with the caller as owner, with the permissions of the archive within the umask, without setuid bits; no
 * device is made. A file appears under its name when it is complete. A directory is never replaced by
 * something else, nor something else by a directory. Memory is bounded by the depth of the tree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct extract_options {
	int directory;    /* all is written beneath it; borrowed. May be an O_PATH descriptor */
	const char *name; /* of the archive's first entry, its root, in `directory`; borrowed. NULL: the root
			   * is `directory` itself, and what is below it is written there */
	bool directory_wanted; /* a root that is none is an error; always so without a name */
};

struct extraction;

int extraction_new(const struct extract_options *options, struct extraction **x, struct error *err);
int extraction_feed(struct extraction *x, const void *data, size_t n, struct error *err);
int extraction_finish(struct extraction *x, struct error *err); /* after the last byte */
uint64_t extraction_devices(const struct extraction *x);        /* how many were left out */
void extraction_free(struct extraction *x);
