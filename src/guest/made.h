/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent itself makes in a sandbox's root so that it can mount there: mount points, files that others
 * are bound over, directories of volumes. These are no changes of the sandbox's: they bear a mark, by which
 * upper.c leaves them out for as long as they are what the agent has made. The directory around them, which
 * the overlay has copied for their sake, keeps its time and, in a sandbox where nothing has run yet, bears a
 * mark, too.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "guest/beneath.h"

#define MADE_ATTRIBUTE "trusted.monocore.made"
#define MADE_AROUND    "trusted.monocore.around"

/* As mkdirat(2), with marks; `at` may be O_PATH. The first is for a sandbox where nothing has run yet. */
int made_directory_first(int at, const char *name, mode_t mode);
int made_directory(int at, const char *name, mode_t mode);
static inline beneath_maker *made_maker(bool first)
{
	return first ? made_directory_first : made_directory;
}

/* Makes an empty file `name` in the directory `at`, for whatever has that name; the name is left free where
 * that does not go. first: nothing has run yet. False, with errno. */
bool made_file(int at, const char *name, bool first);

/* Marks an open directory as it is now as one that the agent has made. */
void made_mark(int fd);

/* Whether the open file or directory is still what the agent has made, or a directory still what it was when
 * something was made in it; what is in a directory does not count. */
bool made_is_untouched(int fd, const struct stat *s);
