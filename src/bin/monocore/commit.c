/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct commit_options {
	const char *author, *message;
	char **changes;
	bool pause, no_pause;
};

#define FIELD(name) offsetof(struct commit_options, name)

static const struct option_spec rows[] = {
	{"author", 0, OPTION_STRING, "TEXT", FIELD(author), "say who made it"},
	{"message", 'm', OPTION_STRING, "TEXT", FIELD(message), "say what was done"},
	{"change", 0, OPTION_LIST, "INSTRUCTION", FIELD(changes),
		"change the image's config by this instruction of a Dockerfile"},
	{"pause", 0, OPTION_FLAG, NULL, FIELD(pause), "let its processes stand still meanwhile; the default"},
	{"no-pause", 0, OPTION_FLAG, NULL, FIELD(no_pause), "let them go on, and files be torn"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct commit_options *o = given;
	struct monocore_commit_options options = MONOCORE_COMMIT_OPTIONS_INIT;
	struct monocore_error err;
	char *digest = NULL;

	(void)count;
	options.author = o->author;
	options.message = o->message;
	options.changes = (const char *const *)o->changes;
	options.no_pause = o->no_pause && !o->pause;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_commit(cli->mc, words[0], words[1], &options, &digest, &err) < 0)
		return cli_fail(cli, &err);
	progress_clear(cli->progress);
	puts(digest);
	monocore_free(digest);
	return 0;
}

const struct command commit_command = {
	.name = "commit",
	.arguments = "SANDBOX IMAGE",
	.summary = "make an image of what a sandbox has changed",
	.help = "What SANDBOX has changed in its root file system becomes one layer more on the image that "
		"it was "
		"made of, kept under the name IMAGE, and the digest is printed. A sandbox that is stopped is "
		"read by a "
		"virtual machine of its own, which runs nothing of it.\n\n"
		"The new image runs what SANDBOX runs, with its environment, user, directory and labels. "
		"Instructions "
		"of --change come on top: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, SHELL, "
		"STOPSIGNAL, USER, VOLUME, "
		"WORKDIR. The "
		"same changes always give the same digest.",
	.examples = "monocore commit web acme/web:2\n"
		    "monocore commit -m 'tools' --change 'CMD [\"bash\"]' box acme/tools",
	.options = rows,
	.size = sizeof(struct commit_options),
	.least = 2,
	.most = 2,
	.run = run,
	.group = GROUP_IMAGES,
	.words = WORDS_SANDBOX,
};
