/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/bulk.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"
#include "monocore_observe.h"
#include "os/terminal.h"

CLEANUP_DEFINE(project, struct monocore_project, monocore_project_close);

#define PORTS_COLUMNS 40

struct options {
	bool json, watch;
};

static const struct option_spec options[] = {
	{"watch", 0, OPTION_FLAG, NULL, offsetof(struct options, watch), "again each second, until Ctrl-C"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* What is shown: the components, and what those of them that run use. */
struct view {
	struct monocore_project_component *list;
	size_t count;
	struct monocore_usage *usage;
	size_t usage_count;
};

static void view_free(struct view *v)
{
	monocore_project_status_free(v->list, v->count);
	monocore_stats_free(v->usage, v->usage_count);
	*v = (struct view){0};
}

static bool is_alive(const struct monocore_project_component *c)
{
	return c->info && (STATES_ALIVE & (1u << c->info->state));
}

/* Numbers that are not known are no reason not to show the rest. */
static int look(struct cli *cli, const struct monocore_project *project, char *const *names, struct view *v,
	struct monocore_error *err)
{
	struct monocore_stats_options o = MONOCORE_STATS_OPTIONS_INIT;
	_cleanup_free_ const char **running = NULL;
	struct monocore_error ignored;
	size_t n = 0;

	if (monocore_project_status(cli->mc, project, (const char *const *)names, &v->list, &v->count, err) <
		0)
		return -1;
	running = calloc(v->count + 1, sizeof *running);
	for (size_t i = 0; running && i < v->count; i++)
		if (is_alive(&v->list[i]))
			running[n++] = v->list[i].info->id;
	o.names = running;
	o.recent = true;
	if (n && monocore_stats(cli->mc, &o, &v->usage, &v->usage_count, &ignored) < 0)
		v->usage_count = 0;
	return 0;
}

static const struct monocore_usage *usage_of(const struct view *v, const struct monocore_project_component *c)
{
	for (size_t i = 0; c->info && i < v->usage_count; i++)
		if (!strcmp(v->usage[i].id, c->info->id) && v->usage[i].time)
			return &v->usage[i];
	return NULL;
}

/* ---- table -------------------------------------------------------------------------------------------- */

static enum colour colour_of(const struct monocore_project_component *c)
{
	if (!c->info || c->info->state == MONOCORE_CREATED)
		return COLOUR_DIM;
	if (c->info->state == MONOCORE_STOPPED)
		return c->info->exit_status ? COLOUR_RED : COLOUR_DIM;
	if (!strcmp(c->info->health, "unhealthy") || c->info->state == MONOCORE_RESTARTING)
		return COLOUR_RED;
	return c->info->state == MONOCORE_RUNNING && strcmp(c->info->health, "starting") != 0 ? COLOUR_GREEN
											      : COLOUR_YELLOW;
}

static void write_state(struct table *t, const struct monocore_project_component *c)
{
	const struct monocore_sandbox_info *i = c->info;
	char text[128], status[24] = "";

	if (i && (i->state == MONOCORE_STOPPED || i->state == MONOCORE_RESTARTING))
		snprintf(status, sizeof status, " (%d)", i->exit_status);
	if (i && *i->health)
		snprintf(status, sizeof status, ", %s", i->health);
	snprintf(text, sizeof text, "%s%s%s%s%s%s", i ? monocore_state_name(i->state) : "-", status,
		is_alive(c) && !strcmp(i->origin, "snapshot") ? ", from a snapshot" : "",
		i && i->interrupted ? " interrupted" : "", c->changed ? ", to be changed" : "",
		c->removed ? ", removed from the file" : "");
	table_cell(t, 1, text, 0, colour_of(c));
}

static void write_usage(struct table *t, const struct monocore_usage *u)
{
	char a[24], b[24], text[64];

	for (size_t column = 3; column < 7; column++)
		table_cell(t, column, "-", 0, COLOUR_NONE);
	if (!u)
		return;
	snprintf(text, sizeof text, "%u.%u%%", u->cpu_thousandth / 10, u->cpu_thousandth % 10);
	table_cell(t, 3, text, 0, COLOUR_NONE);
	snprintf(text, sizeof text, "%s / %s", text_human_size(u->memory, a, sizeof a),
		text_human_size(u->memory_limit, b, sizeof b));
	table_cell(t, 4, text, 0, COLOUR_NONE);
	table_cell(t, 5, text_human_size(u->disk, a, sizeof a), 0, COLOUR_NONE);
	snprintf(text, sizeof text, "%s / %s", text_human_size(u->net_received, a, sizeof a),
		text_human_size(u->net_sent, b, sizeof b));
	table_cell(t, 6, text, 0, COLOUR_NONE);
}

static void write_places(struct table *t, const struct monocore_sandbox_info *i)
{
	char text[256] = "-", port[128];
	size_t n = 0;

	for (char **a = i ? i->addresses : NULL; a && *a && n < sizeof text; a++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "", *a);
	table_cell(t, 7, text, 0, COLOUR_NONE);
	snprintf(text, sizeof text, "-");
	n = 0;
	for (char **p = i ? i->ports : NULL; p && *p && n < sizeof text; p++)
		n += (size_t)snprintf(
			text + n, sizeof text - n, "%s%s", n ? ", " : "", port_brief(*p, port, sizeof port));
	table_cell(t, 8, text, PORTS_COLUMNS, COLOUR_NONE);
}

static void write_row(struct table *t, const struct view *v, size_t at, uint64_t now)
{
	const struct monocore_project_component *c = &v->list[at];
	char span[16];

	table_row(t);
	table_cell(t, 0, c->name, 0, COLOUR_NONE);
	write_state(t, c);
	table_cell(t, 2,
		is_alive(c) && c->info->started
			? when_span(now > c->info->started ? now - c->info->started : 0, span)
			: "-",
		0, COLOUR_NONE);
	write_usage(t, usage_of(v, c));
	write_places(t, c->info);
}

static void fill_table(struct table *t, const struct view *v)
{
	static const char *const titles[] = {
		"NAME", "STATE", "UPTIME", "CPU", "MEMORY", "DISK", "NET IN / OUT", "ADDRESS", "PORTS"};
	uint64_t now = clock_realtime();

	*t = (struct table){.columns = ARRAY_SIZE(titles)};
	table_titles(t, titles);
	for (size_t i = 0; i < v->count; i++)
		write_row(t, v, i, now);
}

/* ---- JSON --------------------------------------------------------------------------------------------- */

static void put_number(struct buffer *b, const char *key, uint64_t value)
{
	json_put_key(b, key);
	json_put_number(b, (int64_t)value);
}

static void put_text(struct buffer *b, const char *key, const char *value)
{
	json_put_key(b, key);
	json_put_string(b, value);
}

static void write_info(struct buffer *b, const struct monocore_sandbox_info *i)
{
	put_text(b, "health", i->health);
	put_text(b, "origin", i->origin);
	json_put_key(b, "started");
	json_put_time(b, i->started);
	json_put_key(b, "exit_status");
	if (i->state == MONOCORE_STOPPED)
		json_put_number(b, i->exit_status);
	else
		json_put_raw(b, "null");
	json_put_key(b, "interrupted");
	json_put_bool(b, i->interrupted);
	put_text(b, "reason", i->reason);
	put_number(b, "restarts", i->restarts);
	json_put_key(b, "addresses");
	json_put_list(b, i->addresses);
	json_put_key(b, "ports");
	json_put_list(b, i->ports);
}

static void write_numbers(struct buffer *b, const struct monocore_usage *u)
{
	json_put_key(b, "usage");
	if (!u) {
		json_put_raw(b, "null");
		return;
	}
	json_put_open(b, '{');
	put_number(b, "cpu_thousandth", u->cpu_thousandth);
	put_number(b, "memory", u->memory);
	put_number(b, "memory_limit", u->memory_limit);
	put_number(b, "disk", u->disk);
	put_number(b, "net_received", u->net_received);
	put_number(b, "net_sent", u->net_sent);
	json_put_close(b, '}');
}

static void write_json(struct buffer *b, const struct view *v)
{
	json_put_open(b, '[');
	for (size_t i = 0; i < v->count; i++) {
		const struct monocore_project_component *c = &v->list[i];

		json_put_open(b, '{');
		put_text(b, "name", c->name);
		put_text(b, "sandbox", c->sandbox);
		put_text(b, "image", c->image);
		put_text(b, "state", c->info ? monocore_state_name(c->info->state) : NULL);
		json_put_key(b, "changed");
		json_put_bool(b, c->changed);
		json_put_key(b, "removed");
		json_put_bool(b, c->removed);
		if (c->info)
			write_info(b, c->info);
		write_numbers(b, usage_of(v, c));
		json_put_close(b, '}');
	}
	json_put_close(b, ']');
}

/* ---- once, or again and again ------------------------------------------------------------------------- */

static int show(struct cli *cli, const struct options *o, const struct view *v)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct table t;

	if (o->json) {
		write_json(&b, v);
		return output_json(cli, &b);
	}
	if (cli->global.quiet) {
		for (size_t i = 0; i < v->count; i++)
			printf("%s\n", v->list[i].name);
		return output_finish();
	}
	fill_table(&t, v);
	return output_table(cli, &t);
}

/* On a terminal over what was there before. */
static int watch(
	struct cli *cli, const struct options *o, const struct monocore_project *project, char *const *names)
{
	const struct timespec pause = {.tv_sec = 1};
	bool over = terminal_is(STDOUT_FILENO) && !o->json;
	int status = 0;

	while (status == 0) {
		_cleanup_(view_free) struct view v = {0};
		struct monocore_error err;

		if (look(cli, project, names, &v, &err) < 0)
			return cli_fail(cli, &err);
		if (over)
			printf("\033[H\033[J");
		status = show(cli, o, &v);
		nanosleep(&pause, NULL);
	}
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(cleanup_project) struct monocore_project *project = NULL;
	_cleanup_(view_free) struct view v = {0};
	struct monocore_error err;
	int status = cli_open_project(cli, &project);

	if (status == 0 && cli_open(cli) < 0)
		status = 1;
	if (status)
		return status;
	if (o->watch)
		return watch(cli, o, project, count ? words : NULL);
	if (look(cli, project, count ? words : NULL, &v, &err) < 0)
		return cli_fail(cli, &err);
	return show(cli, o, &v);
}

const struct command status_command = {
	.name = "status",
	.arguments = "[NAME...]",
	.summary = "show the state and use of the project's sandboxes",
	.help = "A row for each sandbox of the project's file, and for each that was started for it and is "
		"not in "
		"the file any more. Of one that runs, with how much of its cpus (100% is one), memory and "
		"disk it "
		"uses and what has come and gone over its network; these numbers are up to ten seconds old. "
		"'to "
		"be changed' tells that the file, or the image, is another by now than what it was made of: "
		"'monocore up' makes it anew.",
	.examples = "monocore status\nmonocore status web --watch\nmonocore status --json",
	.options = options,
	.size = sizeof(struct options),
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_COMPONENTS,
};
