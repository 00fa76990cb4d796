/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a sandbox as the host serves it: an image, and what the sandbox has changed in a
 * directory over it, `upper` and `work` in `directory`. Owners and the like are kept as in volumes
 * (NATIVE_OVERRIDE). Without a directory (-1): the image alone, read-only. unsynced: a power cut may take
 * what was changed.
 *
 * Both descriptors are its own from then on, also where it fails. It is never destroyed: it lives as long as
 * the process.
 */
#pragma once

#include "base/error.h"
#include "vfs/vfs.h"

int mcfs_open_overlay(int directory, int image, bool unsynced, struct vfs **fs, struct error *err);
