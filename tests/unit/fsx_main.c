/* SPDX-License-Identifier: Apache-2.0 */
/* fsx on one file of a mounted file system: static, so that it runs in any guest. */
#include <stdio.h>
#include <stdlib.h>

#include "fsx_path.h"

int main(int argc, char **argv)
{
	static struct fsx_report report;
	struct fsx_options options = {.whole = 1000};

	if (argc != 4) {
		fprintf(stderr, "fsx FILE SEED OPERATIONS\n");
		return 2;
	}
	options.seed = (uint32_t)strtoul(argv[2], NULL, 10);
	options.operations = (unsigned)strtoul(argv[3], NULL, 10);
	if (fsx_path(argv[1], FSX_PATH_HOLES | FSX_PATH_MAPS, &options, &report)) {
		printf("%u operations\n", report.done);
		return 0;
	}
	printf("%s\n", report.text);
	return 1;
}
