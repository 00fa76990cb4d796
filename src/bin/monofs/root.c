/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/root.h"

#include "bin/monofs/verbs.h"

#ifndef MONOFS_VERSION
#error "the build sets MONOFS_VERSION"
#endif

static const struct option_spec shared[] = {
	{"directory", 'C', OPTION_STRING, "DIR", offsetof(struct global_options, directory),
		"work in DIR, as if started there: in a tree, or beside its repository"},
	{"passphrase-file", 0, OPTION_STRING, "FILE", offsetof(struct global_options, passphrase_file),
		"read the passphrase from FILE; default: asked for on the terminal, else from the file that "
		"$MONOFS_PASSPHRASE_FILE names"},
	{"key-file", 0, OPTION_STRING, "FILE", offsetof(struct global_options, key_file),
		"open the repository by what FILE holds, in place of a passphrase"},
	{"quiet", 'q', OPTION_FLAG, NULL, offsetof(struct global_options, quiet),
		"print names alone, and no progress"},
	{"verbose", 0, OPTION_FLAG, NULL, offsetof(struct global_options, verbose),
		"say on standard error what is being done"},
	{"help", 'h', OPTION_FLAG, NULL, offsetof(struct global_options, help), "show this help"},
	{NULL},
};

static const struct command *const children[] = {
	&init_command,
	&tmp_command,
	&clone_command,
	&mount_command,
	&detach_command,
	&import_command,
	&export_command,
	&restore_command,
	&rev_command,
	&commit_command,
	&tag_command,
	&checkout_command,
	&diff_command,
	&ls_command,
	&cat_command,
	&stats_command,
	&check_command,
	&gc_command,
	&repack_command,
	&key_command,
	&completion_command,
	&complete_names_command,
	&man_command,
	&version_command,
	&help_command,
	&sync_command,
	NULL,
};

static const struct environment_variable environment[] = {
	{"MONOFS_PASSPHRASE_FILE",
		"A file that holds the passphrase, for commands that have no terminal to ask "
		"at. --passphrase-file comes before it."},
	{"MONOFS_AUTHOR", "Who makes revisions; default: USER@HOST."},
	{"XDG_RUNTIME_DIR", "Where mounts have their sockets; default: /tmp/monofs-UID."},
	{"TMPDIR", "Where 'monofs tmp' has its repositories; default: /tmp."},
	{"MONOCORE_LIBEXEC",
		"The directory of the programs that monofs starts; default: where it is installed."},
	{"NO_COLOR", "Set: no colours."},
	{NULL},
};

static const struct command root = {
	.name = "monofs",
	.arguments = "COMMAND [ARGUMENT...]",
	.summary = "versioned, deduplicated, encrypted file systems that can be mounted",
	.help = "A tree lives in a repository, DIR.monofs, and is mounted at DIR, beside it. What is written "
		"there "
		"becomes a revision by itself; nothing that a revision has is ever lost, and what is equal "
		"is stored "
		"once. A repository may also be used without a mount, to keep revisions of other "
		"directories.\n\n"
		"A command without a DIR finds the repository by the directory that it is started in, or "
		"that -C "
		"names: a mounted tree, a repository, or a directory that lies in or beside one.\n\n"
		"A revision (REV) is main, the newest one; a tag; an id, or the first six or more digits of "
		"it; and "
		"behind any of these ~N, N revisions before; ^N, the Nth parent; @{TIME}, the newest that is "
		"not "
		"after TIME: 'main@{2 days ago}', 'main@{2026-11-01 12:00}', 'main@{30m}'.\n\n"
		"The exit status is 0, 1 for a failure or for damage that was found, and 2 for wrong usage.",
	.examples = "monofs init notes\n"
		    "monofs -C notes rev\n"
		    "monofs -C notes diff main~1 main --patch\n"
		    "monofs import ~/src backup\n"
		    "monofs detach notes",
	.options = root_rows,
	.children = children,
	.size = sizeof(struct root_options),
};

static const char *const groups[] = {
	[GROUP_TREES] = "Trees",
	[GROUP_REVISIONS] = "Revisions",
	[GROUP_REPOSITORY] = "Repositories",
	[GROUP_HOST] = "This program",
	[GROUP_LATER] = NULL,
};

static const char *version(void)
{
	return MONOFS_VERSION;
}

const struct program monofs_program = {
	.root = &root,
	.shared = shared,
	.environment = environment,
	.groups = groups,
	.complete_names = "complete-names",
	.complete = "completion",
	.version = version,
};
