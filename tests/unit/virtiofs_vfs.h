/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest of the virtiofs server as a file system: each call of vfs.h is one or a few FUSE requests through
 * its queues. It keeps nothing, so that what it answers is what the server answers.
 */
#pragma once

#include "vfs/vfs.h"
#include "virtiofs_front.h"

/* fd: the connection to the server, which runs; its own from now on. */
struct vfs *virtiofs_vfs_new(int fd);
struct front *virtiofs_vfs_front(struct vfs *fs);

/* A request by itself: 0 or the answer's errno, negative. out gets what follows the answer's header; *got
 * (where not NULL) how many bytes that are. */
struct fuse_ask {
	uint32_t opcode;
	uint64_t node;
	const struct vfs_caller *who; /* NULL: root */
	const void *in[3];
	size_t in_size[3];
	void *out;
	size_t room;
	size_t *got;
};
int virtiofs_ask(struct vfs *fs, const struct fuse_ask *ask);
int virtiofs_greet(struct vfs *fs); /* FUSE_INIT, as virtiofs_vfs_new() does by itself */
