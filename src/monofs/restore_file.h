/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a tree are made in a directory of the host: each under one name, in a directory that is open. */
#pragma once

#include <sys/stat.h>

#include "monofs/content.h"
#include "monofs/repository.h"

struct restore_maker {
	struct store *s;
	bool owners;       /* uid and gid are set */
	uint64_t *written; /* bytes, counted while it goes on (atomic) */
};

/* A new file. Nothing is there under the name; what this made is removed where it fails. */
int restore_file(const struct restore_maker *m, int directory, const char *name, const struct entry *e,
	struct error *err);

/* What is neither file nor directory nor ENTRY_LINK; in the same way. */
int restore_other(const struct restore_maker *m, int directory, const char *name, const struct entry *e,
	struct error *err);

/* Mode, owner, attributes and times of a file or directory that is open. extra: attributes that the entry
 * does not have are removed. */
int restore_metadata(const struct restore_maker *m, int fd, const char *name, const struct entry *e,
	bool extra, struct error *err);

/* Whether a file of the host is taken for the one of the entry: as large, and changed at the same time. */
bool restore_is_same(const struct stat *s, const struct entry *e);
