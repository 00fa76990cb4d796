/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process in namespaces of its own, and a root directory that holds only what is named. Between fork and
 * exec: the calls marked "child" are async-signal-safe and fail with -1 and errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NAMESPACE_PATHS_MAX 64

/* A part of the host's file system that the program sees, read-only, at the same path or at another. */
struct namespace_path {
	const char *source;
	const char *target; /* NULL: as source */
	bool optional;      /* no error where source does not exist */
};

/* As fork(2), with the child in new namespaces (CLONE_NEW* bits). In a new pid namespace it is process 1:
 * all others there end with it. */
pid_t namespaces_fork(unsigned long flags);

/* Parent: in the child's user namespace, this user is itself and nobody else is anybody. */
int namespaces_map_self(pid_t child);

/* Child, in a new mount namespace: a tmpfs with the paths bound into it becomes the root directory, all
 * read-only, without devices and set-user-id, and the host's root is gone. A path that is a relative
 * symbolic link (/lib on a system with a merged /usr) becomes the same link. At most NAMESPACE_PATHS_MAX. */
int namespaces_change_root(const struct namespace_path *paths, size_t count);
