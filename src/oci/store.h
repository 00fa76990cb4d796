/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of root file systems, each whole from the moment when it has its name: rootfs/<id>.img in the
 * form "erofs", rootfs/<id>.ext4 in the form "ext4".
 *
 * One is made in tmp/<id>.<form>, under an exclusive lock on that file, which is also what other processes
 * that want the same wait for; then it is synced and renamed. A file in tmp/ that nobody has locked was left
 * by a process that died, and goes at the next store_open().
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "oci/image.h"

/* The root file system `id` in a form, checked at its superblock; NOT_FOUND, or CORRUPT. The descriptor is
 * the caller's, with a shared lock. */
int store_find(
	const struct store *s, const char *id, const char *form, int *fd, uint64_t *size, struct error *err);

/* Calls `make` to write it to fd (empty, read-write; `directory` is for other temporary files), unless
 * somebody else has made it meanwhile; then as store_find(). Nothing is left of a `make` that fails. */
typedef int (*store_make_call)(void *context, int fd, int directory, struct error *err);
int store_make(const struct store *s, const char *id, const char *form, store_make_call make, void *context,
	int *fd, uint64_t *size, struct error *err);
