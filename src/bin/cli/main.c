/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/main.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "bin/cli/dispatch.h"
#include "bin/cli/progress.h"

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

int cli_main(struct cli *cli, int argc, char **argv)
{
	int status;

	if (fill_standard_descriptors() < 0)
		return 1;
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	cli->path = "";
	cli->progress = progress_new(cli->program->root->name);
	status = command_dispatch(cli, cli->program->root, "", argc, argv);
	progress_free(cli->progress);
	cli->progress = NULL;
	return status;
}
