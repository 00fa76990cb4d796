/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that make, mount and detach trees have in common. */
#pragma once

#include "bin/monofs/place.h"

#define TREE_SUFFIX    ".monofs"   /* of the repository that belongs to a directory */
#define TREE_TEMPORARY "temporary" /* a file in a repository of `monofs tmp`: it goes when it is detached */
#define TREE_TMP       "monofs-tmp-"

/* Makes the mount point where it is missing (*made), and gives its absolute path, which the caller frees.
 * EXISTS: it is not empty, is mounted already, or lies in a mounted tree. After an error nothing is made. */
int tree_directory(const char *typed, char **path, bool *made, struct error *err);
/* Removes it again where it was made: nothing came of it. */
void tree_directory_forget(const char *path, bool *made);
/* The absolute path alone; the directory need not be there. */
int tree_path(const char *typed, char **path, struct error *err);

/* Starts mfsd for p->repository, with the rest of *o as the verb has it. */
int tree_mount(struct place *p, const char *directory, const struct mount_options *o, struct error *err);

/* Makes a repository at `path`, and mounts it at `directory` (NULL: not), of which it tells. Returns the exit
 * status. */
struct tree_new {
	const char *path, *directory;
	bool encrypt;
};
int tree_make(struct cli *cli, const struct tree_new *n);

/* Says what is mounted where. */
int tree_tell(struct cli *cli, const char *repository, const char *directory);

/* Removes what a repository of `monofs tmp` leaves behind: itself, and the mount point that was made for it.
 * Any other is left alone. */
int tree_remove_temporary(const char *repository, const char *directory, struct error *err);
