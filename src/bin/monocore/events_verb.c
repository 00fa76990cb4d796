/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"
#include "monocore_observe.h"

struct options {
	bool json, no_stream;
	const char *since, *until;
	char **filters;
};

static const struct option_spec options[] = {
	{"since", 0, OPTION_STRING, "TIME", offsetof(struct options, since),
		"first what has happened since then: 10m (that long ago) or 2026-01-31T23:59:59Z"},
	{"until", 0, OPTION_STRING, "TIME", offsetof(struct options, until), "up to then: also 0s, now"},
	{"filter", 'f', OPTION_LIST, "KEY=VALUE", offsetof(struct options, filters),
		"only what this fits: type, event, sandbox, volume, image, name, id, label; of several with "
		"one "
		"key one must fit"},
	{"no-stream", 0, OPTION_FLAG, NULL, offsetof(struct options, no_stream),
		"what has happened so far, and then end"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print a JSON object for each"},
	{NULL},
};

/* "2026-01-31T23:59:59.123456789Z sandbox start 1a2b3c4d5e6f708 web (image=debian)" */
static void print_plain(const struct monocore_happening *h)
{
	const char *between = " (";
	char time[31];

	printf("%s %s %s%s%s%s%s", clock_rfc3339(h->time, time), h->type, h->action, *h->id ? " " : "", h->id,
		*h->name ? " " : "", h->name);
	for (const char *const *a = h->attributes; *a; a++, between = ", ")
		printf("%s%s", between, *a);
	for (const char *const *l = h->labels; *l; l++, between = ", ")
		printf("%s%s", between, *l);
	puts(between[0] == ',' ? ")" : "");
}

static int print(void *context, const struct monocore_happening *h)
{
	const struct options *o = context;

	if (o->json)
		puts(h->json);
	else
		print_plain(h);
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	struct monocore_events_options events = MONOCORE_EVENTS_OPTIONS_INIT;
	const struct options *o = given;
	struct monocore_error failure;
	uint64_t now = clock_realtime();
	struct error err;
	int r;

	(void)count;
	(void)words;
	events.since = o->no_stream ? 0 : now;
	events.follow = !o->no_stream;
	events.filters = (const char *const *)o->filters;
	if ((o->since && when_parse(o->since, "--since", now, &events.since, &err) < 0) ||
		(o->until && when_parse(o->until, "--until", now, &events.until, &err) < 0)) {
		err.code = ERROR_USAGE;
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	r = monocore_events(cli->mc, &events, print, (void *)(uintptr_t)o, &failure);
	return r < 0 ? cli_fail(cli, &failure) : r ? 1 : output_finish();
}

const struct command events_command = {
	.name = "events",
	.summary = "follow what happens to sandboxes, images and volumes",
	.help = "From now on, a line for each, until it is ended; with --since what has happened before "
		"comes "
		"first. The last 4 to 8 MiB are kept.\n\n"
		"Of sandboxes: create, start, exec, kill, pause, resume, stop, die (with its exit_status), "
		"oom, "
		"remove. Of images: pull, push, tag, untag, save, load, commit. Of volumes: remove.",
	.examples = "monocore events\nmonocore events --since 1h --until 0s\n"
		    "monocore events --filter event=die --filter label=tier=front --json",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
