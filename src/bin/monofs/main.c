/* SPDX-License-Identifier: Apache-2.0 */
/* The monofs command. */
#include "bin/cli/main.h"
#include "bin/monofs/root.h"

int main(int argc, char **argv)
{
	struct cli cli = {.program = &monofs_program};

	return cli_main(&cli, argc, argv);
}
