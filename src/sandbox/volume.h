/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes as the host has them: what a --volume says, which directory or file that is, and the named ones, in
 * $MONOCORE_HOME/volumes/NAME.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

/* What stands for a volume: SOURCE:TARGET[:OPTION[,OPTION]...]. SOURCE is a path where it begins with "/",
 * "./",
 * "../" or "~", or is one of ".", ".."; otherwise a name. Options: ro, rw, squash, stage. *m is the caller's:
 * record_mount_free(). A path is made absolute and must be there; "~" is $HOME. USAGE, NOT_FOUND,
 * UNAVAILABLE. */
int volume_parse(const char *text, struct record_mount *m, struct error *err);

/* "~" or "~/..." with $HOME in its place; the caller frees it. USAGE. */
int volume_expand_home(const char *source, char **path, struct error *err);

/* How volumes come into the sandbox. */
enum volume_driver {
	VOLUME_DRIVER_SERIAL, /* FUSE over the port of volumes (codec/volume.h) */
	VOLUME_DRIVER_VIRTIOFS,
	VOLUME_DRIVER_NFS
};

/* "virtiofs", "nfs", or, for the first, "fuse", "serial", "" or NULL; USAGE. */
int volume_driver_parse(const char *text, enum volume_driver *driver, struct error *err);

/* Judges all of a sandbox together and puts outer targets before inner ones. USAGE. */
int volume_check_targets(struct record_mount *mounts, uint32_t count, struct error *err);

/* The directory or the regular file behind it, O_PATH; a named volume that is not there is made. DENIED: it
 * is, or holds, or lies in $MONOCORE_HOME. */
int volume_open(const struct home *home, const struct record_mount *m, struct error *err);

/* Opens the directory of all volumes that have names, which is made where it is missing. */
int volume_directory(const struct home *home, int *fd, struct error *err);

/* Held for sharing while a sandbox with named volumes is made known, alone while one is removed. */
int volume_lock(const struct home *home, bool alone, int *lock, struct error *err);

/* Names of all named volumes, in order; a text list, the caller's. */
int volume_list(const struct home *home, char ***names, struct error *err);

/* Names of the sandboxes that mount the named volume; a text list, the caller's. */
int volume_users(const struct home *home, const char *name, char ***users, struct error *err);

/* BUSY: a sandbox has it. NOT_FOUND. */
int volume_remove(const struct home *home, const char *name, struct error *err);
