/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t memory_oom_kills(const struct boot *b)
{
	static const char key[] = "\noom_kill ";
	char text[512];
	ssize_t n = pread(b->cgroup_memory_events, text, sizeof text - 1, 0);
	const char *at;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, key);
	return at ? strtoull(at + sizeof key - 1, NULL, 10) : 0;
}
