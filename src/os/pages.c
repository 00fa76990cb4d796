/* SPDX-License-Identifier: Apache-2.0 */
#include "os/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LARGE ((size_t)2 << 20)

void *pages_alloc(size_t n)
{
	void *p;

	if (n < LARGE)
		return malloc(n);
	if (posix_memalign(&p, LARGE, n) != 0)
		return NULL;
	/* No more than a wish. What is behind the last whole one stays small, and none of it is wasted. */
	madvise(p, n / LARGE * LARGE, MADV_HUGEPAGE);
	return p;
}
