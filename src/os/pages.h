/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for what is large and filled at once. A fault for each page of 4 KiB takes longer than what a pack's
 * directory is read for; the kernel is asked for large pages where there are enough bytes for one
 * (Documentation/admin-guide/mm/transhuge.rst).
 */
#pragma once

#include <stddef.h>

/* n bytes as by malloc(), for free(). NULL: memory is out. */
void *pages_alloc(size_t n);
