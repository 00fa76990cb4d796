/* SPDX-License-Identifier: Apache-2.0 */
/*
 * $MONOCORE_HOME: the one directory that holds a user's state. It is 0700 and belongs to the user; a home
 * of somebody else is refused.
 */
#pragma once

#include "base/error.h"

struct home {
	char *path;    /* absolute */
	int fd;        /* the directory */
	int sandboxes; /* sandboxes/ */
	int names;     /* names/: symbolic links, name → id */
	int events;    /* events/: event_log.h */
	int snapshots; /* snapshots/ */
};

/* path NULL: $MONOCORE_HOME, else ~/.monocore (of the password database where HOME is not set). */
int home_open(const char *path, struct home *home, struct error *err);
void home_close(struct home *home);

/* A start must not fill the disk: NO_SPACE where less than 5 % or 1 GiB is free behind the home. The
 * environment variable MONOCORE_DISK_RESERVE (a size) replaces both bounds. */
int home_check_space(const struct home *home, struct error *err);
