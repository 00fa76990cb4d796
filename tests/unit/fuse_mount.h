/* SPDX-License-Identifier: Apache-2.0 */
/* File systems that are served by a process of their own and mounted by FUSE, for tests. */
#pragma once

#include <sys/types.h>

#include "vfs/fuse/fuse.h"

struct fuse_mount {
	char path[64]; /* of a directory that was made for it */
	pid_t child;
};

/* In the process that serves. again: an earlier one served the same. NULL: it could not. */
typedef struct vfs *fuse_mount_make(const void *context, bool again);

void fuse_mount_open(
	struct fuse_mount *m, fuse_mount_make *make, const void *context, const struct fuse_options *options);
/* The server is behind a socket, to which requests are relayed one by one; it is killed after every so many
 * requests (0: never), and another goes on. */
void fuse_mount_open_relayed(struct fuse_mount *m, fuse_mount_make *make, const void *context,
	const struct fuse_options *options, unsigned each);
void fuse_mount_close(struct fuse_mount *m); /* and the server has ended well */
