/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over a directory tree: every directory before what is in it, names sorted by bytes, without
 * following links, and without going into other file systems mounted there (their mount points show empty).
 */
#pragma once

#include <sys/stat.h>

#include "base/error.h"

struct walk_file {
	const char *path; /* from the top on, "." for the top */
	int directory;    /* where `name` is */
	const char *name;
	const struct stat *stat;
};

typedef int (*walk_call)(void *context, const struct walk_file *file, struct error *err);

/* `name` is the top's for messages. */
int walk_tree(int top, const char *name, walk_call call, void *context, struct error *err);

/* The error of a system call on a file of the walk, with a hint where it is one of permissions. */
int walk_failed(struct error *err, int errnum, const char *top, const char *path);
