/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening what an image or a process of the sandbox may have laid out to mislead: openat2(2) with rules for
 * links, in one place. Everything is opened O_CLOEXEC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How a path is followed. None follows a magic link of /proc. */
enum beneath {
	BENEATH_ROOT,  /* `at` is the root: absolute links and ".." stay within */
	BENEATH_ONLY,  /* whatever leads out of `at` is EXDEV */
	BENEATH_FLAT,  /* no link at all: ELOOP */
	BENEATH_MOUNT, /* from the root, and nothing on another mount: EXDEV */
	BENEATH_KNOWN, /* no link, no other mount, and nothing that the kernel would have to ask for: EAGAIN
			*/
};

/* The new descriptor, or -1 with errno. */
int beneath_open(int at, const char *path, int flags, mode_t mode, enum beneath how);

/* Makes one directory: mkdirat(2), or as made.h has it. */
typedef int beneath_maker(int at, const char *name, mode_t mode);

/* Makes a directory and its parents below `at` (0755, root's) and opens it O_PATH; links to directories are
 * followed as `how` has it. -1 with errno. */
int beneath_make(int at, const char *path, enum beneath how, beneath_maker *make);

#define BENEATH_LEAF_SIZE 256

/* The directory that holds what `path` names below the root `at`, O_PATH, and the name it has there in leaf
 * (BENEATH_LEAF_SIZE bytes). With `follow` a link of that name leads on, also to a name that is not there
 * yet, but for one that somebody has planted in a directory that all may write to (EACCES, as by the kernel's
 * fs.protected_symlinks). EISDIR: the path ends in "/", "." or "..". -1 with errno. */
int beneath_parent(int at, const char *path, bool follow, char *leaf);

/* The directory `name` in the directory `at`, O_PATH: made when missing; whatever else has that name, a link
 * above all, makes way. -1 with errno. */
int beneath_insist(int at, const char *name, beneath_maker *make);
