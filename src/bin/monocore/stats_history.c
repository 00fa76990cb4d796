/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/output.h"
#include "bin/monocore/stats.h"
#include "bin/monocore/usage_words.h"
#include "codec/when.h"

#define TIME_SIZE 20 /* "2026-01-31T23:59:59" and a NUL */

/* The finest spans have ten seconds: no fraction, and a 'Z' behind what is cut. */
static const char *span_time(uint64_t time, char out[32])
{
	clock_rfc3339(time, out);
	snprintf(out + TIME_SIZE - 1, 2, "Z");
	return out;
}

static uint32_t cpu_of(const struct monocore_usage_span *s)
{
	return s->observed ? (uint32_t)((double)s->cpu * 1000 / (double)s->observed) : 0;
}

static void write_row(struct table *t, const struct monocore_usage_span *s)
{
	char text[USAGE_WORDS_SIZE];

	table_row(t);
	table_cell(t, 0, span_time(s->time, text), 0, COLOUR_NONE);
	table_cell(t, 1, when_span(s->length, text), 0, COLOUR_NONE);
	table_cell(t, 2, usage_cpu(cpu_of(s), text), 0, COLOUR_NONE);
	table_cell(t, 3, text_human_size(s->memory, text, sizeof text), 0, COLOUR_NONE);
	table_cell(t, 4, text_human_size(s->disk, text, sizeof text), 0, COLOUR_NONE);
	table_cell(t, 5, usage_pair(s->net_received, s->net_sent, text), 0, COLOUR_NONE);
	table_cell(t, 6, usage_pair(s->disk_read, s->disk_written, text), 0, COLOUR_NONE);
	snprintf(text, sizeof text, "%u", s->processes);
	table_cell(t, 7, text, 0, COLOUR_NONE);
}

static int print_table(struct cli *cli, const struct monocore_usage_span *list, size_t count)
{
	static const char *const titles[] = {
		"TIME", "SPAN", "CPU", "MEMORY", "DISK", "NET IN / OUT", "DISK READ / WRITTEN", "PIDS"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		write_row(&t, &list[i]);
	return output_table(cli, &t);
}

static void write_json(struct buffer *b, const struct monocore_usage_span *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {{"nanoseconds", s->length}, {"observed_nanoseconds", s->observed},
		{"cpu_nanoseconds", s->cpu}, {"memory", s->memory}, {"disk", s->disk},
		{"disk_read", s->disk_read}, {"disk_written", s->disk_written},
		{"net_received", s->net_received}, {"net_sent", s->net_sent}, {"processes", s->processes}};

	json_put_open(b, '{');
	json_put_key(b, "time");
	json_put_time(b, s->time);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		json_put_key(b, numbers[i].key);
		json_put_number(b, (int64_t)(numbers[i].value & INT64_MAX));
	}
	json_put_close(b, '}');
}

static int print_json(struct cli *cli, const struct monocore_usage_span *list, size_t count)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		write_json(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

int stats_history(struct cli *cli, const char *name, const char *since, const char *until, bool json)
{
	uint64_t now = clock_realtime(), from = 0, to = 0;
	struct monocore_usage_span *list;
	struct monocore_error failure;
	struct error err;
	size_t count;
	int status;

	if ((since && when_parse(since, "--since", now, &from, &err) < 0) ||
		(until && when_parse(until, "--until", now, &to, &err) < 0)) {
		err.code = ERROR_USAGE;
		return cli_complain(cli, &err);
	}
	if (monocore_stats_history(cli->mc, name, from, to, &list, &count, &failure) < 0)
		return cli_fail(cli, &failure);
	status = json ? print_json(cli, list, count) : print_table(cli, list, count);
	monocore_free(list);
	return status;
}
