/* SPDX-License-Identifier: Apache-2.0 */
/* fsx on one file of a mounted file system: static, so that it runs in any guest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsx_path.h"

int main(int argc, char **argv)
{
	static struct fsx_report report;
	struct fsx_options options = {.whole = 1000};
	unsigned calls = FSX_PATH_HOLES | FSX_PATH_MAPS;

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "no-holes"))) {
		fprintf(stderr, "fsx FILE SEED OPERATIONS [no-holes]\n");
		return 2;
	}
	if (argc == 5)
		calls = FSX_PATH_MAPS; /* NFSv3 has neither fallocate nor SEEK_HOLE */
	options.seed = (uint32_t)strtoul(argv[2], NULL, 10);
	options.operations = (unsigned)strtoul(argv[3], NULL, 10);
	if (fsx_path(argv[1], calls, &options, &report)) {
		printf("%u operations\n", report.done);
		return 0;
	}
	printf("%s\n", report.text);
	return 1;
}
