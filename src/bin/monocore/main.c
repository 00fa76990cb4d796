/* SPDX-License-Identifier: Apache-2.0 */
/* The monocore command. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "bin/monocore/dispatch.h"
#include "bin/monocore/output.h"
#include "bin/monocore/progress.h"
#include "bin/monocore/root.h"

#if !defined(RELEASE_KEY) || !defined(RELEASE_URL)
#error "the build sets RELEASE_KEY and RELEASE_URL"
#endif

/* A closed standard descriptor would be given to the first file that is opened, which would then be read or
 * written as a standard stream. What takes its place refuses both, as a closed one does. */
static int fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	struct cli cli = {.path = "", .release_key = RELEASE_KEY, .release_url = RELEASE_URL};
	int status;

	if (fill_standard_descriptors() < 0)
		return 1;
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	cli.progress = progress_new();
	status = command_dispatch(&cli, &monocore_root, "", argc, argv);
	cli_close(&cli);
	progress_free(cli.progress);
	return status;
}
