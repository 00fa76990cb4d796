/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest tells of the upper of a staged volume (docs/formats/agent.md, UPPER), read as a stranger's
 * archive: a directory comes before what is in it, the names of one in the order of their bytes, each once,
 * so that whoever takes the entries needs no more memory than the tree is deep. Everything else is INVALID:
 * names that lead out, parents that were not told, links to what is no file of the archive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/tar.h"

struct stage_entry {
	const char *path; /* from the volume's root, tidy; "": the root itself */
	const char *name; /* the last part of it */
	uint64_t number;  /* of the entry in the archive, from 0 */
	const struct tar_entry *tar;
	uint32_t mode;      /* as st_mode has it; of a hard link S_IFREG and its mode */
	bool removed;       /* the file, or tree, that was here is not there any more */
	bool opaque;        /* a directory that hides what lies below it */
	bool copied;        /* it was copied from what lies below it, then changed */
	const char *linked; /* of a hard link: the path of the file, an earlier entry; else NULL */
};

/* What is told, in order. Each may fail, which is the end. */
struct stage_calls {
	int (*entry)(void *context, const struct stage_entry *e, struct error *err);
	int (*data)(
		void *context, const struct tar_data *data, struct error *err); /* of a file; holes lack */
	int (*end)(void *context, struct error *err);   /* of every entry, behind its data */
	int (*leave)(void *context, struct error *err); /* the innermost directory that is open is over */
};

struct stage_reader;

/* NULL: no memory. */
struct stage_reader *stage_reader_new(const struct stage_calls *calls, void *context, struct error *err);
void stage_reader_free(struct stage_reader *r);

/* The next bytes of the archive. LIMIT: more than STAGE_ENTRIES_MAX entries, or STAGE_PATHS_MAX bytes of
 * their paths. */
#define STAGE_ENTRIES_MAX 2000000u
#define STAGE_PATHS_MAX   (256u << 20)
int stage_reader_feed(struct stage_reader *r, const void *bytes, size_t n, struct error *err);

/* After the last byte. The root is not left. */
int stage_reader_finish(struct stage_reader *r, struct error *err);
