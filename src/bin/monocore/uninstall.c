/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/installed.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

/* The image that was kept for it goes, too: with all that nothing else needs. *gone: there was one. */
static int release_image(struct cli *cli, const char *name, bool *gone)
{
	struct monocore_error failure;
	struct error err;
	_cleanup_free_ char *own = installed_image(name, &err);

	if (!own)
		return cli_complain(cli, &err);
	*gone = monocore_image_remove(cli->mc, own, true, NULL, &failure) == 0;
	return *gone || failure.code == MONOCORE_NOT_FOUND ? 0 : cli_fail(cli, &failure);
}

static int remove_script(const char *directory, const char *name, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/%s", directory, name);
	int there = installed_look(directory, name, NULL, err);

	if (!path)
		return -ERROR_NO_MEMORY;
	if (there <= 0)
		return there;
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "remove %s", path);
	return 1;
}

static int uninstall(struct cli *cli, const char *directory, const char *name)
{
	struct error err;
	bool gone = false;
	int r = installed_check_name(name, &err), status;

	if (r == 0)
		r = remove_script(directory, name, &err);
	if (r < 0)
		return cli_complain(cli, &err);
	status = release_image(cli, name, &gone);
	if (status)
		return status;
	if (r == 0 && !gone) {
		error_set(&err, ERROR_NOT_FOUND,
			"there is no command '%s' in %s; 'monocore install --list' lists those there are",
			name, directory);
		return cli_complain(cli, &err);
	}
	printf("%s\n", name);
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct error err;
	_cleanup_free_ char *directory = installed_directory(&err);
	int status = 0;

	(void)given;
	if (!directory)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		int bad = uninstall(cli, directory, words[i]);

		status = status ? status : bad;
	}
	return output_finish() ? 1 : status;
}

const struct command uninstall_command = {
	.name = "uninstall",
	.arguments = "NAME...",
	.summary = "remove a command made by install",
	.help = "With the image that was kept for it, where nothing else needs it. A file that 'monocore "
		"install' "
		"did not write, or that was changed since, stays.",
	.examples = "monocore uninstall jq",
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_SANDBOXES,
	.words = WORDS_INSTALLED,
};
