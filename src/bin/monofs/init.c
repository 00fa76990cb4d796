/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/cli/output.h"
#include "bin/monofs/trees.h"
#include "bin/monofs/verbs.h"

struct options {
	bool encrypt, no_mount;
};

static const struct option_spec options[] = {
	{"encrypt", 0, OPTION_FLAG, NULL, offsetof(struct options, encrypt),
		"encrypt everything under a passphrase, or by --key-file"},
	{"no-mount", 0, OPTION_FLAG, NULL, offsetof(struct options, no_mount),
		"make the repository alone, and no DIR"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_free_ char *directory = NULL, *path = NULL;
	const char *typed = count ? words[0] : ".";
	struct tree_new n = {.encrypt = o->encrypt};
	struct error err;
	bool made = false;
	int status;

	if ((o->no_mount ? tree_path(typed, &directory, &err)
			 : tree_directory(typed, &directory, &made, &err)) < 0)
		return cli_complain(cli, &err);
	if (!(path = text_format(&err, "%s" TREE_SUFFIX, directory)))
		return cli_complain(cli, &err);
	n.path = path;
	n.directory = o->no_mount ? NULL : directory;
	status = tree_make(cli, &n);
	if (status) /* one that is mounted stays */
		tree_directory_forget(directory, &made);
	return status;
}

const struct command init_command = {
	.name = "init",
	.arguments = "[DIR]",
	.summary = "make a repository, and mount its tree at DIR",
	.help = "The repository is DIR.monofs, beside DIR, which is made where it is missing and must be "
		"empty. "
		"Without DIR it is the directory that we are in.\n\n"
		"With --encrypt whoever has the repository but no key sees no name, no file's size and no "
		"content. "
		"The passphrase is asked for, or comes from --passphrase-file, or the key is what --key-file "
		"holds. "
		"Who loses all of them has lost the tree.",
	.examples = "monofs init notes\nmonofs init --encrypt diary\nmonofs init --no-mount backup",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
	.group = GROUP_TREES,
	.words = WORDS_FILES,
};
