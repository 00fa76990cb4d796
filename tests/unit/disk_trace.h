/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run does to a directory, recorded, and the disks that a power cut could leave of it. The linker
 * leads the product's system calls here (unit/meson.build: trace_link_args).
 *
 * A disk has what was synced. Of what was written since, some arrives and some does not: a write as a whole,
 * in part, or not at all. Names that come and go arrive in their order, up to somewhere, and at least up to
 * the last sync of their directory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What is beneath `directory`, an absolute path, is recorded from now on. What is there counts as synced. */
void trace_begin(const char *directory);
void trace_end(void);
/* A step of the test's own: trace_make() tells of the last one. */
void trace_mark(uint32_t number);

size_t trace_steps(void);

enum trace_cut {
	TRACE_KILLED, /* the process alone: everything that was done is there */
	TRACE_LEAST,  /* nothing that was not synced */
	TRACE_TORN    /* some of it, by `random` */
};
/* Makes `to`, which is not there, what the disk has after that many steps. Returns the last mark before. */
uint32_t trace_make(size_t steps, enum trace_cut cut, uint64_t random, const char *to);
void trace_free(void);
