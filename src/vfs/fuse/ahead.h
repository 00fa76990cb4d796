/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's kernel forgets a directory's attributes when it has made or removed something in it, and asks
 * for them with the next step into it. A client that says so (fuse_options.ahead) gets them before the reply,
 * in a message of our own: docs/formats/volume.md. And it asks for extended attributes time and again, which
 * hardly any object has.
 */
#pragma once

#include <stdint.h>

#include "vfs/fuse/operations.h"

/* To be called before the reply to a request that has changed the directory. */
void fuse_tell_ahead(struct fuse_session_data *data, uint64_t directory);

/* To be called before the reply that an object lacks an extended attribute: it may have none at all. */
void fuse_tell_bare(struct fuse_session_data *data, uint64_t ino);
