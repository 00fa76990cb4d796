/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "bin/cli/output.h"
#include "bin/monofs/dead.h"
#include "bin/monofs/holders.h"
#include "bin/monofs/trees.h"
#include "bin/monofs/verbs.h"

#define HOLDERS_MOST 16

struct options {
	bool force;
};

static const struct option_spec options[] = {
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force),
		"detach it though somebody uses it: who does gets errors from then on"},
	{NULL},
};

static void tell_holders(const char *directory)
{
	struct holder list[HOLDERS_MOST];
	size_t n = holders_find(directory, list, HOLDERS_MOST);

	for (size_t i = 0; i < n; i++)
		complain("  %d %s: %s", (int)list[i].pid, list[i].name, list[i].what);
	if (n == HOLDERS_MOST)
		complain("  and maybe others");
	else if (n == 0)
		complain("  by none that this user may look at");
	complain("-f detaches it all the same");
}

/* Where the last revision failed, the journal has what was written. */
static void add_rest(const char *directory, const char *repository, struct error *err)
{
	_cleanup_(cleanup_mount) struct mount *m = NULL;
	const struct error failure = *err;

	if (mount_find(directory, &m, NULL) == -ERROR_NOT_FOUND && access(repository, F_OK) == 0)
		error_set(err, failure.code,
			"%s; it is unmounted, and what was written since the last revision becomes one by "
			"the "
			"next mount",
			failure.text);
}

/* What state says is gone with its mount. */
static int stop(struct cli *cli, struct mount *m, bool force, struct error *err)
{
	_cleanup_free_ char *directory = text_copy(mount_state(m)->directory, err);
	_cleanup_free_ char *repository = text_copy(mount_state(m)->repository, err);
	int r;

	if (!directory || !repository)
		return cli_complain(cli, err);
	r = mount_stop(m, force, err);
	if (r < 0) {
		int status;

		if (r != -ERROR_BUSY)
			add_rest(directory, repository, err);
		error_prefix(err, "%s", directory);
		status = cli_complain(cli, err);

		if (r == -ERROR_BUSY)
			tell_holders(directory);
		return status;
	}
	if (tree_remove_temporary(repository, directory, err) < 0)
		return cli_complain(cli, err);
	printf(cli->global.quiet ? "%s\n" : "%s is detached\n", directory);
	return 0;
}

/* It goes, but there is nobody who could make a revision of what was written. */
static int clear(struct cli *cli, const char *directory, struct error *err)
{
	if (dead_mount_remove(directory, err) == 0)
		error_set(err, ERROR_SYSTEM,
			"%s is unmounted, but its process had been killed: what was written since the last "
			"revision becomes one when it is mounted again",
			directory);
	return cli_complain(cli, err);
}

static int detach(struct cli *cli, const char *path, bool force)
{
	_cleanup_(cleanup_mount) struct mount *m = NULL;
	struct error err;

	if (dead_mount_is_at(path))
		return clear(cli, path, &err);
	/* The word may be the repository, as that of `mount`. */
	if (mount_find(path, &m, &err) < 0 && mount_find_live(path, &m, NULL) < 0)
		return cli_complain(cli, &err);
	return stop(cli, m, force, &err);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	static char here[] = ".", *only[] = {here};
	const struct options *o = given;
	int status = 0;

	if (!count) {
		words = only;
		count = 1;
	}
	for (int i = 0; i < count; i++) {
		_cleanup_free_ char *path = realpath(words[i], NULL);

		/* Who stands in it holds it himself. */
		if (count == 1 && path && chdir("/") < 0)
			return 1;
		status |= detach(cli, path ? path : words[i], o->force);
	}
	return output_finish() ? 1 : status;
}

const struct command detach_command = {
	.name = "detach",
	.arguments = "[DIR]...",
	.summary = "make a revision of what is mounted, and unmount it",
	.help = "Where something in it is still in use, those who use it are named, and it stays; with -f it "
		"goes all "
		"the same. What was written is a revision when this command ends. A tree of 'monofs tmp' is "
		"removed.",
	.examples = "monofs detach notes\nmonofs detach -f notes",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
