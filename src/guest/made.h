/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent itself makes in a sandbox's root so that it can mount there: mount points, files that others
 * are bound over, directories of volumes. These are no changes of the sandbox's: they bear a mark, by which
 * upper.c leaves them out for as long as they are what the agent has made, and the directory around them
 * keeps its time.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define MADE_ATTRIBUTE "trusted.monocore.made"

/* As mkdirat(2), with a mark; `at` may be O_PATH. A beneath_maker. */
int made_directory(int at, const char *name, mode_t mode);

/* Makes an empty file `name` in the directory `at`, for whatever has that name; the name is left free where
 * that does not go. False, with errno. */
bool made_file(int at, const char *name);

/* Whether the open file or directory is still what the agent has made; for a directory, what is in it does
 * not count. */
bool made_is_untouched(int fd, const struct stat *s);
