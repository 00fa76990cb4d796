/* SPDX-License-Identifier: Apache-2.0 */
/* An archive that comes from a descriptor, plain or compressed: its entries, and the bytes of each, as who
 * asks for them wants them. */
#pragma once

#include <sys/types.h>

#include "codec/tar.h"

struct tar_stream;
int tar_stream_new(int fd, const char *name, struct tar_stream **out, struct error *err); /* fd is borrowed */
void tar_stream_free(struct tar_stream *s);

/* The next entry; what of the last one was not read is left out. 1: there is one, 0: the archive's end. */
int tar_stream_next(struct tar_stream *s, const struct tar_entry **entry, struct error *err);

/* Bytes of the entry as content_source.read() gives them. */
ssize_t tar_stream_read(struct tar_stream *s, void *to, size_t n, uint64_t *hole, struct error *err);
