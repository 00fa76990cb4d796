/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/cli/events.h"
#include "bin/cli/json.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"

struct options {
	const char *platform;
	bool plain_http, json;
};

static const struct option_spec options[] = {
	{"platform", 0, OPTION_STRING, "OS/ARCH", offsetof(struct options, platform),
		"which of the image's platforms; default: this host's"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"speak HTTP without TLS to the registry"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json),
		"print what happens as JSON, an object a line"},
	{NULL},
};

static int print_json(const struct monocore_pulled *p)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "event");
	json_put_string(&b, "pulled");
	json_put_key(&b, "name");
	json_put_string(&b, p->name);
	json_put_key(&b, "digest");
	json_put_string(&b, p->digest);
	json_put_key(&b, "source");
	json_put_string(&b, p->source);
	json_put_key(&b, "changed");
	json_put_bool(&b, p->changed);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
	return b.failed;
}

static void print_text(const struct cli *cli, const struct monocore_pulled *p)
{
	if (!cli->global.quiet)
		complain("%s %s (%s)", *p->name ? p->name : p->digest,
			p->changed ? "is pulled" : "is up to date", p->digest);
	printf("%s\n", *p->name ? p->name : p->digest);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_pull_options pull = MONOCORE_PULL_OPTIONS_INIT;
	const struct options *o = given;
	int status = 0;

	pull.platform = o->platform;
	pull.plain_http = o->plain_http;
	if (o->json)
		events_to_stdout(cli);
	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct monocore_pulled *pulled;
		struct monocore_error err;

		if (monocore_image_pull(cli->mc, words[i], &pull, &pulled, &err) < 0) {
			status = cli_fail(cli, &err);
			continue;
		}
		progress_clear(cli->progress);
		if (o->json)
			status |= print_json(pulled);
		else
			print_text(cli, pulled);
		monocore_pulled_free(pulled);
	}
	return output_finish() ? 1 : status;
}

const struct command pull_command = {
	.name = "pull",
	.arguments = "IMAGE...",
	.summary = "fetch images from registries",
	.help = "IMAGE is a name as docker has it: alpine, quay.io/acme/x:1.2, localhost:5000/a@sha256:... "
		"Layers are fetched over several connections, checked by their digests, and made into a root "
		"file system as they arrive. What is here already is not fetched again; what was fetched "
		"before "
		"an interruption is kept for the next try.\n\n"
		"Credentials are those of 'monocore login' and 'docker login'. Registries are configured in "
		"registries.json: mirrors, plain HTTP, certificates, and where sandboxes.io leads.\n\n"
		"Prints the whole name of each image.",
	.examples = "monocore pull alpine\nmonocore pull --platform linux/arm64 ghcr.io/acme/tool:2\n"
		    "monocore pull --json debian:12-slim",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.group = GROUP_IMAGES,
};
