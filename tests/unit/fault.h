/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one allocation or one system call fail, each in its turn:
 *
 *     for (unsigned n = 1; fault_arm(FAULT_MEMORY, n); n++)
 *             CHECK(call() < 0 || !fault_happened());
 *
 * fault_arm() is false when the call before made fewer than n - 1 of them, so all had their turn. The
 * linker's
 * --wrap leads the calls of the product here, those that shared libraries make among themselves not; so the
 * program is linked with the list in meson.build. All threads are counted together.
 */
#pragma once

#include <stdbool.h>

enum fault_kind {
	FAULT_MEMORY, /* malloc and all that allocates by it */
	FAULT_DISK,   /* write, pwrite, fsync, ftruncate, rename, chmod: as on a full or failing disk */
	FAULT_SHORT   /* write, pwrite take half of what they are given: no failure, as it were */
};

bool fault_arm(enum fault_kind kind, unsigned n); /* the n-th from now on fails, once */
void fault_disarm(void);
bool fault_happened(void); /* since it was armed */

/* Blocks that the product holds now: to find what it leaks where no sanitizer is there to tell. */
long fault_blocks(void);
