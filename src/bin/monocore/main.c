/* SPDX-License-Identifier: Apache-2.0 */
/* The monocore command. */
#include "bin/cli/main.h"
#include "bin/monocore/output.h"
#include "bin/monocore/root.h"

#if !defined(RELEASE_KEY) || !defined(RELEASE_URL)
#error "the build sets RELEASE_KEY and RELEASE_URL"
#endif

int main(int argc, char **argv)
{
	struct cli cli = {
		.program = &monocore_program, .release_key = RELEASE_KEY, .release_url = RELEASE_URL};
	int status = cli_main(&cli, argc, argv);

	cli_close(&cli);
	return status;
}
