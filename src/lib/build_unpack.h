/* SPDX-License-Identifier: Apache-2.0 */
/* An archive that ADD unpacks: its members, and a file without a name that holds their contents meanwhile. */
#pragma once

#include "lib/build_source.h"

struct build_member {
	char *path; /* in the form of layer_path() */
	char *link;
	struct build_facts facts;
	int fd; /* borrowed */
	uint64_t offset;
};

struct build_unpacked {
	struct build_member *members;
	size_t count, room;
	int fd;
	uint64_t size;
};
void build_unpacked_free(struct build_unpacked *u);

/* *u NULL: the file is no archive. Archives are tars, plain or compressed by gzip or zstd. Temporary files
 * are in `directory`. Errors: INVALID for members that lead out of it or a cut archive, LIMIT. */
int build_unpack(const char *directory, const struct build_source *s, const char *path,
	const struct build_facts *facts, struct build_unpacked **u, struct error *err);

int build_member_read(const struct build_member *m, build_taker *take, void *context, struct error *err);
