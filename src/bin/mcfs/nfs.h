/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Serves a directory or an image over NFSv3 (sandbox/nfs_server.h). Returns the exit status. */
int mcfs_nfs(void);
