/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host, or a tar archive, as a tree of the repository. Two workers read, cut and compress;
 * files whose size, times and inode are as the last import of the same directory saw them are not read
 * (known/).
 */
#pragma once

#include "base/error.h"
#include "base/progress.h"
#include "monofs/repository.h"

struct import_options {
	const struct object_id *parent;  /* the commit whose ids are kept by path, NULL: none */
	bool all;                        /* read everything, whatever is known */
	unsigned workers;                /* 0: one for each processor, at most 8 */
	size_t names_most;               /* bytes of names of an archive in memory, about; 0: 64 MiB */
	const struct progress *progress; /* bytes, may be NULL */
	/* Told of each thing that could not be read, and left out; NULL: the import fails at the first. */
	void (*skipped)(void *context, const char *path, const char *why);
	void *context;
};

struct import_result {
	struct object_id content, identity;         /* roots, for repository_commit() */
	uint64_t files, directories, others, bytes; /* of the tree */
	uint64_t read_files, read_bytes;            /* what was not known */
	struct store_written written;
};

/* The repository itself, where it lies in the directory, is left out, and so is what is removed meanwhile.
 * Nothing is synced yet. */
int import_directory(struct repository *r, const char *path, const struct import_options *o,
	struct import_result *out, struct error *err);
/* fd: an archive as tar(5) has it, plain or compressed by gzip or zstd. */
int import_tar(struct repository *r, int fd, const char *name, const struct import_options *o,
	struct import_result *out, struct error *err);
