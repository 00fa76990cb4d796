/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: a process gives up the file system but for what it names. Linux 5.13 and later; the kernel's
 * Documentation/userspace-api/landlock.rst describes the calls. ABI 2 (Linux 5.19) is what we count on,
 * newer kernels also cut off TCP, abstract sockets and signals to the outside.
 *
 * All calls are async-signal-safe, for use between fork and exec, and fail with -1 and errno.
 */
#pragma once

#include <stdbool.h>

enum landlock_rights {
	LANDLOCK_READ = 1,
	LANDLOCK_EXECUTE = 2,
	LANDLOCK_WRITE = 4, /* files and directories are written, made and removed; no devices */
	LANDLOCK_REMOVE = 8 /* empty directories are removed */
};

enum landlock_scope {
	LANDLOCK_ALONE =
		1, /* signals and abstract sockets of processes outside are out of reach, too (ABI 6) */
	LANDLOCK_NETWORK = 2 /* TCP stays */
};

/* The ABI's number; 0: this kernel has no landlock, or it is switched off. */
int landlock_abi(void);

/* A rule set that denies everything but what `scope` (enum landlock_scope) leaves. Returns its descriptor. */
int landlock_new(int abi, unsigned scope);

/* Allows `rights` on path and, where it is a directory, on all beneath it; of a file what makes sense there.
 */
int landlock_allow(int rules, const char *path, unsigned rights);

/* Binds the calling thread and its children, for good. Needs no_new_privs. */
int landlock_enter(int rules);
