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
		"only this one of the image's platforms; default: all that are here"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"speak HTTP without TLS to the registry"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json),
		"print what happens as JSON, an object a line"},
	{NULL},
};

static int print_json(const struct monocore_pushed *p)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "event");
	json_put_string(&b, "pushed");
	json_put_key(&b, "name");
	json_put_string(&b, p->name);
	json_put_key(&b, "digest");
	json_put_string(&b, p->digest);
	json_put_key(&b, "partial");
	json_put_bool(&b, p->partial);
	json_put_key(&b, "uploaded");
	json_put_number(&b, (int64_t)p->uploaded);
	json_put_key(&b, "mounted");
	json_put_number(&b, (int64_t)p->mounted);
	json_put_key(&b, "there");
	json_put_number(&b, (int64_t)p->there);
	json_put_close(&b, '}');
	buffer_u8(&b, '\n');
	fwrite(b.data, 1, b.size, stdout);
	return b.failed;
}

static void print_text(const struct cli *cli, const struct monocore_pushed *p)
{
	if (!cli->global.quiet)
		complain("%s is pushed%s (%llu blobs sent, %llu mounted, %llu there already)", p->name,
			p->partial ? " for one platform, the others are not here" : "",
			(unsigned long long)p->uploaded, (unsigned long long)p->mounted,
			(unsigned long long)p->there);
	printf("%s\n", p->digest);
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_push_options push = MONOCORE_PUSH_OPTIONS_INIT;
	const struct options *o = given;
	int status = 0;

	push.platform = o->platform;
	push.plain_http = o->plain_http;
	if (o->json)
		events_to_stdout(cli);
	if (cli_open(cli) < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct monocore_pushed *pushed;
		struct monocore_error err;

		if (monocore_image_push(cli->mc, words[i], &push, &pushed, &err) < 0) {
			status = cli_fail(cli, &err);
			continue;
		}
		progress_clear(cli->progress);
		if (o->json)
			status |= print_json(pushed);
		else
			print_text(cli, pushed);
		monocore_pushed_free(pushed);
	}
	return output_finish() ? 1 : status;
}

const struct command push_command = {
	.name = "push",
	.arguments = "IMAGE...",
	.summary = "send images to registries",
	.help = "IMAGE is the name of an image that is here ('monocore tag' gives it another), and its "
		"registry "
		"is where it goes. Layers that the registry has are not sent again, not even those of "
		"another "
		"repository there. An upload that breaks off goes on where the registry stands.\n\n"
		"Prints the digest that the name leads to at the registry.",
	.examples = "monocore tag app localhost:5000/team/app:1\nmonocore push localhost:5000/team/app:1",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_IMAGES,
	.group = GROUP_IMAGES,
};
