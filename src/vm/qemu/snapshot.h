/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running clone is, written down so that it can be cloned in its turn. Its memory is a private mapping
 * of a file that is never written again (a template's, or an earlier snapshot's): the new memory is a copy of
 * that file, with the pages laid over it that the machine has got of its own since (Linux's
 * Documentation/admin-guide/mm/pagemap.rst tells them). They are read from outside, since QEMU itself can
 * write all of a memory only, and where the holes were.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "vm/qemu/qmp.h"

struct snapshot_source {
	int base;             /* the file that its memory is a private copy of; owned, -1: none */
	int memory, pagemap;  /* /proc/PID/mem and pagemap; owned, -1: not opened */
	uint64_t start, size; /* of the mapping, in QEMU's address space */
};
#define SNAPSHOT_SOURCE_NONE ((struct snapshot_source){.base = -1, .memory = -1, .pagemap = -1})
void snapshot_source_close(struct snapshot_source *s);

/* Finds the memory of the process; to be called before this one gives up the right to look into others.
 * UNAVAILABLE: the host does not let it. */
int snapshot_source_open(struct snapshot_source *s, pid_t pid, struct error *err);

/* Copies the base into the empty file; the machine may run. */
int snapshot_copy_base(const struct snapshot_source *s, int memory, struct error *err);

/* Lays the machine's own pages over it; the machine stands still. */
int snapshot_copy_pages(const struct snapshot_source *s, int memory, struct error *err);

/* The state of the devices of a machine that stands still, into the empty file. */
int snapshot_save_devices(struct qmp *q, int state, struct error *err);
