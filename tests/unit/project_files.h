/* SPDX-License-Identifier: Apache-2.0 */
/* A project whose files are in memory, judged as on a host, with an environment of its own. */
#pragma once

#include "project/load.h"

struct memory_file {
	const char *path, *text; /* absolute; text NULL: a directory */
	const char *link;        /* where the path really leads; NULL: it is itself */
};

struct memory_project {
	const struct memory_file *files;
	size_t count;
	const char *const *environment; /* "KEY=value"; NULL-terminated, or NULL */
};

/* Loads /p/monocore.yaml with this text. *p and *m are the caller's. */
int memory_load(const struct memory_project *memory, const char *text, size_t size, struct project **p,
	struct mistakes *m, struct error *err);
