/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/output.h"
#include "bin/monocore/volumes.h"

struct options {
	bool force, configuration, json;
};

static const struct option_spec options[] = {
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force),
		"also where the host has changed the same file meanwhile: that is lost"},
	{"configuration", 0, OPTION_FLAG, NULL, offsetof(struct options, configuration),
		"also what the sandbox has changed in the configuration of its own project"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_volume_apply_options apply = MONOCORE_VOLUME_APPLY_OPTIONS_INIT;
	const struct options *o = given;
	struct monocore_volume_change *list;
	const char *const *paths;
	struct monocore_error err;
	const char *sandbox;
	size_t size;

	(void)count;
	volume_words(words, &sandbox, &paths);
	apply.force = o->force;
	apply.configuration = o->configuration;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_volume_apply(cli->mc, sandbox, paths, &apply, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	if (!cli->global.quiet)
		return volume_print_changes(cli, list, size, o->json);
	monocore_volume_changes_free(list, size);
	return 0;
}

const struct command volume_apply_command = {
	.name = "apply",
	.arguments = "[SANDBOX] [PATH]...",
	.summary = "make what a sandbox has changed in its staged volumes on this host",
	.help = VOLUME_WORDS_HELP
	"Makes the changes that 'monocore volume diff' shows, and prints them. Nothing outside of the "
	"volume's directory is touched, whatever links there are; each file is replaced as a whole. Where it "
	"is stopped half-way, the same again does the rest. Owners, setuid bits and devices are kept beside "
	"the files, as in any volume.\n\n"
	"Where a change is in conflict with one that was made here meanwhile, nothing is applied; name other "
	"paths, or give --force. The same goes for the files that make up the sandbox's project "
	"(monocore.yaml, "
	"its modules, .env, files of variables), which the next command believes: name other paths, or, "
	"after a "
	"look, give --configuration.\n\n"
	"A throw-away sandbox (monocore tmp) that has ended is removed once nothing is staged in it.",
	.examples = "monocore volume apply web\n"
		    "monocore volume apply web /app/src /app/README.md",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOX,
};
