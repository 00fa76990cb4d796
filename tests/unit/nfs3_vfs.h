/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the NFS server as a file system, without a socket: each call of vfs.h is one or a few of the
 * protocol's, as bytes. It keeps nothing but the handles of what was looked up, so that what it answers is
 * what the server answers.
 */
#pragma once

#include "vfs/nfs3/server.h"
#include "vfs/vfs.h"

/* The server is borrowed, and must tell users apart (NFS3_IDS_CLIENT). NULL: it could not be mounted. */
struct vfs *nfs3_vfs_new(struct nfs3_server *server, const char *export);
