/* SPDX-License-Identifier: Apache-2.0 */
/* Which repository a command is about, and that opened; and the process behind its mount, where there is one.
 */
#pragma once

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/command.h"
#include "bin/monofs/secret.h"
#include "monofs/mount.h"
#include "monofs/repository.h"

enum place_flags {
	PLACE_READ = 1,   /* nothing is written */
	PLACE_SILENT = 2, /* nothing is asked */
	PLACE_FRESH = 4   /* what a mounted tree has that no revision has becomes one first */
};

struct place {
	char *path; /* of the repository */
	struct repository *repository;
	struct mount *live; /* of its live tree; NULL: none, or it does not answer */
	struct progress progress;
	struct secret secret;
};

/* The repository that `path` (NULL: ".") is in, of the mount that it is in, or that lies there or beside. */
int place_find(const char *path, struct place *p, struct error *err);

/* The same, opened. The key comes from the process of a mount, where one runs, before anybody is asked. */
int place_open(struct cli *cli, const char *path, unsigned flags, struct place *p, struct error *err);

/* Opens the repository at p->path; for one that was just made, with p->secret. */
int place_open_found(struct cli *cli, unsigned flags, struct place *p, struct error *err);

void place_close(struct place *p);
#define _cleanup_place_ _cleanup_(place_close)

/* The progress of this command, for the calls of the library. */
struct progress place_progress(struct cli *cli);

/* "main" is this command's to move until fd is closed: repository_claim(). BUSY, too, where a mount that was
 * killed has left changes that no revision has. */
int place_claim(struct place *p, const char *who, int *fd, struct error *err);

/* A revision as it was typed; NULL: main. */
int place_resolve(struct place *p, const char *revision, struct object_id *commit, struct error *err);

/* A path in the tree as it was typed, without what it has too much of: "./a//b/" is "a/b". The caller frees
 * it. NULL is "". INVALID: it leads out of the tree. */
int place_path(const char *typed, char **path, struct error *err);
