/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that are about this program itself, and those that it does not have yet. */
#include <stdio.h>
#include <string.h>

#include "bin/cli/completion.h"
#include "bin/cli/help_page.h"
#include "bin/cli/man_page.h"
#include "bin/cli/output.h"
#include "bin/cli/version.h"
#include "bin/monofs/place.h"
#include "bin/monofs/verbs.h"

static void print_revisions(struct place *p)
{
	_cleanup_references_ struct references list = {0};

	if (references_read(
		    repository_directory(p->repository), repository_crypt(p->repository), &list, NULL) < 0)
		return;
	for (size_t i = 0; i < list.count; i++)
		puts(text_starts(list.list[i].name, REFERENCE_TAG) ? list.list[i].name + strlen(REFERENCE_TAG)
								   : list.list[i].name);
}

static void print_keys(struct place *p)
{
	_cleanup_free_ struct repository_slot *list = NULL;
	size_t count;

	if (repository_slots(p->repository, &list, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		puts(list[i].name);
}

/* For the scripts: an error must not disturb the line that is being typed, and nothing is asked. */
static int run_names(struct cli *cli, const void *given, int count, char **words)
{
	_cleanup_place_ struct place place = {0};

	(void)given;
	if (place_open(cli, NULL, PLACE_READ | PLACE_SILENT, &place, NULL) < 0)
		return 0;
	if (count && !strcmp(words[0], "keys"))
		print_keys(&place);
	else
		print_revisions(&place);
	return output_finish();
}

const struct command complete_names_command = {
	.name = "complete-names",
	.arguments = "[revisions|keys]",
	.summary = "print the names of all tags or keys, for completion",
	.most = 1,
	.run = run_names,
	.hidden = true,
	.group = GROUP_HOST,
};

const struct command completion_command = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.examples = "source <(monofs completion bash)\n"
		    "monofs completion zsh > ~/.zfunc/_monofs\n"
		    "monofs completion fish > ~/.config/fish/completions/monofs.fish",
	.least = 1,
	.most = 1,
	.run = completion_run,
	.group = GROUP_HOST,
	.words = WORDS_SHELLS,
};

const struct command man_command = {
	.name = "man",
	.arguments = "DIR",
	.summary = "write the sources of the manual pages, for scdoc, into a directory",
	.least = 1,
	.most = 1,
	.run = man_run,
	.hidden = true, /* for the build */
	.group = GROUP_HOST,
	.words = WORDS_FILES,
};

const struct command version_command = {
	.name = "version",
	.summary = "show the version",
	.options = version_rows,
	.size = sizeof(struct version_options),
	.run = version_run,
	.group = GROUP_HOST,
};

const struct command help_command = {
	.name = "help",
	.arguments = "[COMMAND]...",
	.summary = "explain a command",
	.examples = "monofs help import\nmonofs help key add",
	.most = WORDS_ANY,
	.run = help_run,
	.group = GROUP_HOST,
	.words = WORDS_COMMANDS,
};

const struct command sync_command = {
	.name = "sync",
	.summary = "exchange revisions with another place",
	.most = WORDS_ANY,
	.later = true,
	.group = GROUP_LATER,
};
