/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/man_page.h"
#include "bin/monocore/output.h"
#include "bin/monocore/root.h"
#include "bin/monocore/self.h"

static int write_page(
	const char *directory, const struct command *command, const char *path, struct error *err)
{
	_cleanup_free_ char *name =
		text_format(err, "%s/monocore%s%s.1.scd", directory, *path ? "-" : "", path);
	FILE *out;
	int bad;

	if (!name)
		return -ERROR_NO_MEMORY;
	out = fopen(name, "we");
	if (!out)
		return error_errno(err, errno, "write '%s'", name);
	man_write(out, command, path);
	bad = ferror(out);
	if (fclose(out) < 0 || bad)
		return error_errno(err, errno, "write '%s'", name);
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct error err;

	(void)given;
	(void)count;
	if (write_page(words[0], &monocore_root, "", &err) < 0)
		return cli_complain(cli, &err);
	for (const struct command *const *c = monocore_root.children; *c; c++)
		if (!(*c)->hidden && !(*c)->later && write_page(words[0], *c, (*c)->name, &err) < 0)
			return cli_complain(cli, &err);
	return 0;
}

const struct command self_man_command = {
	.name = "man",
	.arguments = "DIR",
	.summary = "write the sources of the manual pages, for scdoc, into a directory",
	.least = 1,
	.most = 1,
	.run = run,
	.group = GROUP_HOST,
	.words = WORDS_FILES,
	.hidden = true, /* for the build */
};
