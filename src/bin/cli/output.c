/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "bin/cli/events.h"
#include "bin/cli/progress.h"
#include "os/terminal.h"

void complain(const char *format, ...)
{
	char line[2048];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n] = '\n';
	fflush(stdout);
	fwrite(line, 1, (size_t)n + 1, stderr);
}

int cli_complain(struct cli *cli, const struct error *err)
{
	progress_clear(cli->progress);
	complain("%s: %s%s%s", cli->program->root->name, cli->path, *cli->path ? ": " : "", err->text);
	return error_exit_status((int)err->code);
}

int output_finish(void)
{
	int failed = ferror(stdout), errnum = 0;

	if (fflush(stdout) < 0) {
		errnum = errno;
		failed = 1;
	}
	if (!failed)
		return 0;
	clearerr(stdout);
	if (errnum && errnum != EPIPE)
		complain("%s: write standard output: %s", program_invocation_short_name, strerror(errnum));
	else if (!errnum)
		complain("%s: write standard output: not all of it could be written",
			program_invocation_short_name);
	return 1;
}

int output_table(struct cli *cli, struct table *t)
{
	struct error err;
	int r = table_print(t, stdout, terminal_has_colours(STDOUT_FILENO), &err);

	table_free(t);
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}

int output_json(struct cli *cli, struct buffer *b)
{
	struct error err;

	buffer_u8(b, '\n');
	if (b->failed) {
		error_no_memory(&err, "write JSON");
		return cli_complain(cli, &err);
	}
	fwrite(b->data, 1, b->size, stdout);
	return output_finish();
}

void cli_progress(
	void *context, const char *task, const char *unit, uint64_t done, uint64_t total, bool finished)
{
	struct cli *cli = context;

	if (cli->events)
		events_print(task, unit, done, total, finished);
	else
		progress_report_to(cli->progress, task, unit, done, total, finished);
}

int cli_apply_globals(struct cli *cli, const struct command *command, struct error *err)
{
	if (cli->global.directory && chdir(cli->global.directory) < 0)
		return error_errno(err, errno, "--directory: enter '%s'", cli->global.directory);
	cli->global.directory = NULL;
	log_set(cli->global.verbose ? LOG_DEBUG
		: cli->global.quiet ? LOG_ERROR
				    : LOG_WARNING,
		STDERR_FILENO, cli->program->root->name);
	if (!command->children)
		progress_start(cli->progress, cli->global.quiet, cli->global.verbose);
	return 0;
}
