/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file `format`, written once (checked.h):
 *
 *     monofs 1
 *     id 32 hex digits, random
 *     chunks MIN AVERAGE MAX, bytes
 *     encrypted yes|no
 *
 * and the file `replica`, which each copy of a repository has of its own: the number that stands in its
 * commits, and which file it was made for, so that a copied directory gets a number of its own:
 *
 *     monofs-replica 1
 *     number 16 hex digits, random
 *     directory DEVICE INODE of the repository
 */
#pragma once

#include "base/error.h"
#include "codec/chunker.h"

#define FORMAT_ID_SIZE 16u

struct format {
	uint8_t id[FORMAT_ID_SIZE];
	struct chunker_sizes sizes;
	bool encrypted;
};

int format_write(int directory, const struct format *f, struct error *err);
/* NOT_FOUND: no repository; UNAVAILABLE: one of a newer program; CORRUPT. */
int format_read(int directory, struct format *f, struct error *err);

/* A new number where there is none, where it is another directory's, or damaged; `write` false: that one is
 * not kept. */
int format_replica(int directory, bool write, uint64_t *replica, struct error *err);
