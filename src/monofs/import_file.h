/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the host as entries: one thread's tools to read, cut and store what they hold. */
#pragma once

#include <sys/stat.h>

#include "monofs/content.h"
#include "monofs/repository.h"

struct import_reader {
	struct repository *r;
	struct store_writer *w;
	struct content_writer *contents; /* made when the first file is read */
	struct buffer names, values;     /* of extended attributes */
	struct entry_xattr *xattrs;
	size_t xattr_room;
	uint64_t *reading; /* bytes that were read, counted while it goes on (atomic); may be NULL */
};

int import_reader_init(struct import_reader *i, struct repository *r, struct error *err);
void import_reader_free(struct import_reader *i);

/* Appends the encoded entry of a file. s: as the walk saw it; *whole: it had as many bytes as that says. */
int import_file(struct import_reader *i, int directory, const char *name, const struct stat *s,
	struct buffer *entry, bool *whole, struct error *err);

/* Of what is neither file nor directory. */
int import_other(
	int directory, const char *name, const struct stat *s, struct buffer *entry, struct error *err);

/* Of an open directory, without its children. */
int import_metadata(struct import_reader *i, int fd, const char *name, const struct stat *s,
	struct buffer *entry, struct error *err);

/* One more name of what has the path. */
int import_link(const char *path, struct buffer *entry, struct error *err);
