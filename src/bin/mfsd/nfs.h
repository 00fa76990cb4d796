/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree over NFSv3, on loopback: for the processes of this user, and for the kernel's client, whose mount is
 * root's. Handles are good over restarts, since their key lies in the repository (nfs-key); what may be
 * mounted is named by random words that are new each time.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vfs/vfs.h"

struct mfsd_nfs;

/* Listens. fs is borrowed. */
int mfsd_nfs_open(int repository, struct vfs *fs, struct mfsd_nfs **out, struct error *err);
uint16_t mfsd_nfs_port(const struct mfsd_nfs *n);
const char *mfsd_nfs_export(const struct mfsd_nfs *n);

/* Serves until mfsd_nfs_stop(), which any thread or a signal's handler may call. */
int mfsd_nfs_run(struct mfsd_nfs *n, struct error *err);
void mfsd_nfs_stop(struct mfsd_nfs *n);
void mfsd_nfs_free(struct mfsd_nfs *n); /* NULL is fine */
CLEANUP_DEFINE(mfsd_nfs, struct mfsd_nfs, mfsd_nfs_free);
