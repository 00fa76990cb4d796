/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's output stream, shared by the half that takes file data and the half that writes the tree. */
#pragma once

#include "disk/erofs.h"

#define EROFS_BUFFER (1u << 20) /* writes to the file are of this size where they can be */

struct erofs_page { /* memory for inline data and chunk lists, released with the writer */
	struct erofs_page *next;
	size_t used, size;
	uint8_t bytes[];
};

struct erofs_file { /* the file whose data is coming in */
	bool open;
	uint64_t size, at; /* of the file */
	uint64_t start;    /* in the output, a block's boundary */
	bool small;        /* collected in `bytes` */
	uint8_t chunk_bits;
	uint32_t *chunks; /* NULL until the first hole of a whole chunk */
	uint32_t chunk_count;
	uint8_t bytes[EROFS_INLINE_MAX];
};

struct erofs_writer {
	int fd;
	const char *name;
	uint64_t limit;
	uint8_t uuid[16];
	uint64_t base; /* of the buffer, in the output */
	size_t fill;
	uint8_t *buffer;
	size_t inline_left; /* of the memory that small files may take */
	size_t chunks_left; /* of that for lists of chunks */
	bool chunked;
	struct erofs_page *pages;
	struct erofs_file file;
};

/* n bytes of memory that lives as long as the writer, aligned for anything; NULL: no memory. */
void *erofs_memory(struct erofs_writer *w, size_t n);

int erofs_put(struct erofs_writer *w, const uint8_t *bytes, size_t n, struct error *err);
int erofs_skip(struct erofs_writer *w, uint64_t n, struct error *err); /* n zero bytes, as a hole if large */
int erofs_align(struct erofs_writer *w, struct error *err);            /* to a block's boundary */
int erofs_flush(struct erofs_writer *w, struct error *err);
