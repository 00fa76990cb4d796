/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_error err;
	bool was_there;
	char *name;

	(void)given;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_logout(cli->mc, count ? words[0] : NULL, &name, &was_there, &err) < 0)
		return cli_fail(cli, &err);
	if (cli->global.quiet)
		printf("%s\n", name);
	else
		printf(was_there ? "the credentials for %s are removed\n" : "nobody was logged in at %s\n",
			name);
	monocore_free(name);
	return output_finish();
}

const struct command logout_command = {
	.name = "logout",
	.group = GROUP_IMAGES,
	.arguments = "[REGISTRY]",
	.summary = "forget credentials for a registry",
	.help = "They are removed from docker's config.json, and from the credential helper that it names. "
		"Without "
		"REGISTRY, those for the default registry, docker.io.",
	.examples = "monocore logout ghcr.io",
	.most = 1,
	.run = run,
};
