/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/stats.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/usage_words.h"
#include "bin/monocore/verbs.h"
#include "monocore_observe.h"

#define EVERY_MS 1000

struct options {
	bool all, no_stream, json, history;
	const char *since, *until, *prometheus;
	char **labels;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all), "those that do not run as well"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"only those with this label; KEY alone: with any value"},
	{"no-stream", 0, OPTION_FLAG, NULL, offsetof(struct options, no_stream),
		"once, and not every second"},
	{"history", 0, OPTION_FLAG, NULL, offsetof(struct options, history),
		"what one sandbox has used so far"},
	{"since", 0, OPTION_STRING, "TIME", offsetof(struct options, since),
		"with --history: since then, 10m (that long ago) or 2026-01-31T23:59:59Z; default: 1h"},
	{"until", 0, OPTION_STRING, "TIME", offsetof(struct options, until), "with --history: before then"},
	{"prometheus", 0, OPTION_STRING, "WHERE", offsetof(struct options, prometheus),
		"in Prometheus's text format: into a file, replaced as a whole every ten seconds; to those "
		"who "
		"ask at the socket unix:PATH; or once to standard output, -"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static void write_row(struct table *t, const struct monocore_usage *u)
{
	char text[USAGE_WORDS_SIZE];

	table_row(t);
	table_cell(t, 0, u->name, 0, COLOUR_NONE);
	table_cell(t, 1, usage_cpu(u->cpu_thousandth, text), 0, COLOUR_NONE);
	table_cell(t, 2, usage_pair(u->memory, u->memory_limit, text), 0, COLOUR_NONE);
	table_cell(t, 3, usage_share(u->memory, u->memory_limit, text), 0, COLOUR_NONE);
	table_cell(t, 4, usage_pair(u->disk, u->disk_limit, text), 0, COLOUR_NONE);
	table_cell(t, 5, usage_pair(u->net_received, u->net_sent, text), 0, COLOUR_NONE);
	table_cell(t, 6, usage_pair(u->disk_read, u->disk_written, text), 0, COLOUR_NONE);
	snprintf(text, sizeof text, "%u", u->processes);
	table_cell(t, 7, text, 0, COLOUR_NONE);
}

static int print_table(struct cli *cli, const struct monocore_usage *list, size_t count)
{
	static const char *const titles[] = {"NAME", "CPU", "MEMORY / LIMIT", "MEMORY", "DISK / LIMIT",
		"NET IN / OUT", "DISK READ / WRITTEN", "PIDS"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i]);
	return output_table(cli, &t);
}

static int print_json(struct cli *cli, const struct monocore_usage *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		usage_write_json(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int print_names(const struct monocore_usage *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s\n", list[i].name);
	return output_finish();
}

static int print_once(struct cli *cli, const struct options *o, const struct monocore_stats_options *which)
{
	struct monocore_usage *list;
	struct monocore_error err;
	size_t count;
	int status;

	if (monocore_stats(cli->mc, which, &list, &count, &err) < 0)
		return cli_fail(cli, &err);
	if (!o->no_stream && !o->json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (o->json)
		status = print_json(cli, list, count);
	else
		status = cli->global.quiet ? print_names(list, count) : print_table(cli, list, count);
	monocore_stats_free(list, count);
	return status;
}

/* Numbers are shown until somebody ends it, or nobody reads them any more. */
static int print_all(struct cli *cli, const struct options *o, const struct monocore_stats_options *which)
{
	int status = print_once(cli, o, which);

	while (!o->no_stream && status == 0) {
		poll(NULL, 0, EVERY_MS);
		status = print_once(cli, o, which);
	}
	return status;
}

static int check(const struct options *o, int count, struct error *err)
{
	if (o->history && count != 1)
		return error_set(err, ERROR_USAGE, "--history is of one sandbox");
	if ((o->since || o->until) && !o->history)
		return error_set(err, ERROR_USAGE, "--since and --until go with --history");
	if (o->prometheus && (o->history || o->json || count))
		return error_set(err, ERROR_USAGE, "--prometheus is of all that run, and of now");
	return 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_stats_options which = MONOCORE_STATS_OPTIONS_INIT;
	struct error err;

	if (check(o, count, &err) < 0)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	if (o->history)
		return stats_history(cli, words[0], o->since, o->until, o->json);
	if (o->prometheus)
		return stats_prometheus(cli, o->prometheus, o->no_stream);
	which.names = count ? (const char *const *)words : NULL;
	which.labels = (const char *const *)o->labels;
	which.stopped = o->all;
	return print_all(cli, o, &which);
}

const struct command stats_command = {
	.name = "stats",
	.arguments = "[NAME...]",
	.summary = "show what running sandboxes use",
	.help = "Anew each second, until it is ended; with --json an array a line. CPU is of one cpu: two "
		"that "
		"are busy are 200%. It is what the virtual machine takes of this host; memory, disk and "
		"network "
		"are what the guest says about itself.\n\n"
		"--history shows the past of one sandbox, also of a stopped one: ten seconds a line for the "
		"last "
		"hour, a minute for the last day, ten minutes for the last month, whichever reaches back to "
		"--since.",
	.examples =
		"monocore stats\nmonocore stats --no-stream web db\nmonocore stats --history --since 1d web\n"
		"monocore stats --prometheus /var/lib/node_exporter/monocore.prom",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_SANDBOXES,
};
