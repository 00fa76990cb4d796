/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"
#include "codec/json.h"

struct options {
	bool json;
};

static const struct option_spec options[] = {
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* Lines hold names that a guest has chosen. */
static void print_line(const char *line)
{
	for (; *line; line++)
		putchar((unsigned char)*line < 0x20 || *line == 0x7f ? '?' : *line);
	putchar('\n');
}

/* The newest come first. */
static void print_all(const json_t *entries)
{
	for (size_t i = json_array_size(entries); i > 0; i--) {
		const char *line = json_string_value(json_object_get(json_array_get(entries, i - 1), "line"));

		if (line)
			print_line(line);
	}
}

static void print(const char *text)
{
	_cleanup_json_ json_t *groups = json_loads(text, 0, NULL);

	for (size_t i = 0; i < json_array_size(groups); i++) {
		print_all(json_object_get(json_array_get(groups, i), "denials"));
		print_all(json_object_get(json_array_get(groups, i), "names"));
	}
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_error err;
	char *json;

	(void)count;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_network_why(cli->mc, words[0], &json, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		printf("%s\n", json);
	else
		print(json);
	monocore_free(json);
	return output_finish();
}

const struct command net_why_command = {
	.name = "why",
	.arguments = "NAME",
	.summary = "tell what was denied to a sandbox of late, and why",
	.help = "A line for each destination, the last one at the end: what decided, and what would allow "
		"it.",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOX,
};
