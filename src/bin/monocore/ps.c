/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/bulk.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/when.h"

#define IMAGE_COLUMNS   40
#define COMMAND_COLUMNS 32
#define PORTS_COLUMNS   40

struct options {
	bool all, json, no_trunc;
	char **labels;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all), "those that do not run as well"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", offsetof(struct options, labels),
		"only those with this label; KEY alone: with any value"},
	{"no-trunc", 0, OPTION_FLAG, NULL, offsetof(struct options, no_trunc),
		"cut neither images, commands nor ports"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static bool has_ended(const struct monocore_sandbox_info *s)
{
	return s->state == MONOCORE_STOPPED || s->state == MONOCORE_RESTARTING;
}

static void write_json(struct buffer *b, const struct monocore_sandbox_info *s)
{
	json_put_open(b, '{');
	json_put_key(b, "name");
	json_put_string(b, s->name);
	json_put_key(b, "id");
	json_put_string(b, s->id);
	json_put_key(b, "image");
	json_put_string(b, s->image);
	json_put_key(b, "command");
	json_put_string(b, s->command);
	json_put_key(b, "state");
	json_put_string(b, monocore_state_name(s->state));
	json_put_key(b, "labels");
	json_put_open(b, '{');
	for (char **l = s->labels; l && *l; l++) {
		const char *equals = strchrnul(*l, '=');

		json_put_text(b, *l, (size_t)(equals - *l));
		buffer_u8(b, ':');
		json_put_string(b, *equals ? equals + 1 : "");
	}
	json_put_close(b, '}');
	json_put_key(b, "groups");
	json_put_list(b, s->groups);
	json_put_key(b, "addresses");
	json_put_list(b, s->addresses);
	json_put_key(b, "ports");
	json_put_list(b, s->ports);
	json_put_key(b, "created");
	json_put_time(b, s->created);
	json_put_key(b, "started");
	json_put_time(b, s->started);
	json_put_key(b, "finished");
	json_put_time(b, s->finished);
	json_put_key(b, "exit_status");
	if (has_ended(s))
		json_put_number(b, s->exit_status);
	else
		json_put_raw(b, "null");
	json_put_key(b, "interrupted");
	json_put_bool(b, s->interrupted);
	json_put_key(b, "reason");
	json_put_string(b, s->reason);
	json_put_key(b, "health");
	json_put_string(b, s->health);
	json_put_key(b, "restarts");
	json_put_number(b, (int64_t)s->restarts);
	json_put_close(b, '}');
}

static enum colour colour_of(const struct monocore_sandbox_info *s)
{
	switch (s->state) {
	case MONOCORE_RUNNING:
		return !strcmp(s->health, "unhealthy")  ? COLOUR_RED
		       : !strcmp(s->health, "starting") ? COLOUR_YELLOW
							: COLOUR_GREEN;
	case MONOCORE_STARTING:
	case MONOCORE_PAUSED:
	case MONOCORE_RESTARTING:
		return COLOUR_YELLOW;
	case MONOCORE_STOPPED:
		return s->exit_status ? COLOUR_RED : COLOUR_DIM;
	default:
		return COLOUR_DIM;
	}
}

/* "10.1.2.3, 10.4.5.6"; "-": none. */
static const char *join(char *const *list, bool ports, char *out, size_t size)
{
	char text[128];
	size_t n = 0;

	snprintf(out, size, "-");
	for (char *const *item = list; item && *item && n < size; item++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "",
			ports ? port_brief(*item, text, sizeof text) : *item);
	return out;
}

static void write_row(
	struct table *t, const struct monocore_sandbox_info *s, const struct options *o, uint64_t now)
{
	char text[64], span[16], many[1024];
	bool alive = STATES_ALIVE & (1u << s->state);

	table_row(t);
	table_cell(t, 0, s->name, 0, COLOUR_NONE);
	table_cell(t, 1, s->image, o->no_trunc ? 0 : IMAGE_COLUMNS, COLOUR_NONE);
	table_cell(t, 2, s->command, o->no_trunc ? 0 : COMMAND_COLUMNS, COLOUR_NONE);
	if (has_ended(s))
		snprintf(text, sizeof text, "%s (%d)%s", monocore_state_name(s->state), s->exit_status,
			s->interrupted ? " interrupted" : "");
	else if (s->state == MONOCORE_RUNNING && *s->health)
		snprintf(text, sizeof text, "%s (%s)", monocore_state_name(s->state), s->health);
	else
		snprintf(text, sizeof text, "%s", monocore_state_name(s->state));
	table_cell(t, 3, text, 0, colour_of(s));
	table_cell(t, 4,
		alive && !has_ended(s) && s->started
			? when_span(now > s->started ? now - s->started : 0, span)
			: "-",
		0, COLOUR_NONE);
	table_cell(t, 5, when_span(now > s->created ? now - s->created : 0, span), 0, COLOUR_NONE);
	table_cell(t, 6, join(s->addresses, false, many, sizeof many), 0, COLOUR_NONE);
	table_cell(
		t, 7, join(s->ports, true, many, sizeof many), o->no_trunc ? 0 : PORTS_COLUMNS, COLOUR_NONE);
}

static int print_table(
	struct cli *cli, const struct monocore_sandbox_info *list, size_t count, const struct options *o)
{
	static const char *const titles[] = {
		"NAME", "IMAGE", "COMMAND", "STATE", "UPTIME", "AGE", "ADDRESS", "PORTS"};
	struct table t = {.columns = ARRAY_SIZE(titles)};
	uint64_t now = clock_realtime();

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i], o, now);
	return output_table(cli, &t);
}

static int print_json(struct cli *cli, const struct monocore_sandbox_info *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		write_json(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int print_names(const struct monocore_sandbox_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s\n", list[i].name);
	return output_finish();
}

/* Moves what is to be shown to the front, newest first; returns how many. What is not stays behind them,
 * so that all can still be released. */
static size_t choose(struct monocore_sandbox_info *list, size_t count, const struct options *o)
{
	size_t kept = 0;

	for (size_t i = 0; i < count / 2; i++) {
		struct monocore_sandbox_info t = list[i];

		list[i] = list[count - 1 - i];
		list[count - 1 - i] = t;
	}
	for (size_t i = 0; i < count; i++) {
		struct monocore_sandbox_info t = list[i];

		if (!(o->all || (STATES_ALIVE & (1u << t.state))) || !labels_match(t.labels, o->labels))
			continue;
		list[i] = list[kept];
		list[kept++] = t;
	}
	return kept;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_sandbox_info *list;
	struct monocore_error err;
	size_t size, kept;
	int status;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_list(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	kept = choose(list, size, o);
	if (o->json)
		status = print_json(cli, list, kept);
	else if (cli->global.quiet)
		status = print_names(list, kept);
	else
		status = print_table(cli, list, kept, o);
	monocore_list_free(list, size);
	return status;
}

const struct command ps_command = {
	.name = "ps",
	.summary = "list sandboxes",
	.help = "Newest first. Without --all, only those that run, are paused or are about "
		"to be restarted. With --quiet, names alone.",
	.examples = "monocore ps -a\nmonocore ps -q --label project=shop\nmonocore ps --json",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
