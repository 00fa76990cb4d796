/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A release in its place: PREFIX/lib/monocore/releases/VERSION holds all of it, and PREFIX/bin/monocore, a
 * link, is switched to it by one rename. Programs find each other beside the file that runs, so that what
 * runs already stays with the release that it is of.
 */
#pragma once

#include "bin/monocore/own_place.h"
#include "codec/release.h"

/* Makes PREFIX/lib/monocore/releases and locks it: BUSY where another upgrade runs, DENIED where the prefix
 * cannot be written. *path and *lock are the caller's. */
int release_lock(const struct own_place *place, char **path, int *lock, struct error *err);

/* Unpacks the archive in fd, which was checked, and puts it in its place. What it was before goes on to be
 * there. The new program must run on this host: UNAVAILABLE. */
int release_install(
	const struct own_place *place, int fd, const uint8_t *key, const char *releases, struct error *err);

/* Removes releases that neither this program, nor PREFIX/bin/monocore, nor a process is of, and what was half
 * made. What cannot be removed stays. */
void release_sweep(const struct own_place *place, const char *releases);
