/* SPDX-License-Identifier: Apache-2.0 */
/* What both kinds of PID 1 of the benchmarks begin with. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return alphasort(a, b);
}

/* Those of /modules, in the order of their names. */
static void load_modules(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, NULL, by_name);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && names[i]->d_name[0] != '.')
			syscall(SYS_finit_module, fd, "", 0);
		close(fd);
	}
}
