/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus's text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
 */
#include <string.h>

#include "base/text.h"
#include "lib/handle.h"
#include "monocore_observe.h"

/* X(name, type, help, value of a struct monocore_usage *u) */
#define METRICS(X) \
	X("cpu_seconds_total", "counter", "Time of the host's cpus", (double)u->cpu / 1e9) \
	X("cpus", "gauge", "Cpus it has", u->cpus) \
	X("memory_bytes", "gauge", "Memory in use, caches left out", u->memory) \
	X("memory_limit_bytes", "gauge", "Memory it has", u->memory_limit) \
	X("disk_bytes", "gauge", "Bytes in use of its writable disk", u->disk) \
	X("disk_limit_bytes", "gauge", "Size of its writable disk", u->disk_limit) \
	X("disk_read_bytes_total", "counter", "Bytes read from its disks", u->disk_read) \
	X("disk_written_bytes_total", "counter", "Bytes written to its disks", u->disk_written) \
	X("network_receive_bytes_total", "counter", "Bytes received", u->net_received) \
	X("network_transmit_bytes_total", "counter", "Bytes sent", u->net_sent) \
	X("processes", "gauge", "Processes", u->processes)

static double value_of(size_t metric, const struct monocore_usage *u)
{
	size_t n = 0;

#define X(name, type, help, value) \
	if (n++ == metric) \
		return (double)(value);
	METRICS(X)
#undef X
	return 0;
}

/* Counters of a sandbox that has not told any yet would begin twice. */
static void write_metric(struct buffer *b, size_t metric, const char *name, const char *type,
	const char *help, const struct monocore_usage *list, size_t count)
{
	buffer_format(
		b, "# HELP monocore_sandbox_%s %s.\n# TYPE monocore_sandbox_%s %s\n", name, help, name, type);
	for (size_t i = 0; i < count; i++)
		if (list[i].time)
			buffer_format(b, "monocore_sandbox_%s{name=\"%s\",id=\"%s\"} %.17g\n", name,
				list[i].name, list[i].id, value_of(metric, &list[i]));
}

static void write_up(struct buffer *b, const struct monocore_usage *list, size_t count)
{
	buffer_append_text(b, "# HELP monocore_sandbox_up Whether it runs: 1; it stands still: 0.\n"
			      "# TYPE monocore_sandbox_up gauge\n");
	for (size_t i = 0; i < count; i++)
		buffer_format(b, "monocore_sandbox_up{name=\"%s\",id=\"%s\"} %d\n", list[i].name, list[i].id,
			list[i].state == MONOCORE_RUNNING);
}

/* A sandbox's name and id hold nothing that would have to be escaped. */
int monocore_stats_prometheus(struct monocore *mc, char **text, struct monocore_error *error)
{
	const struct monocore_stats_options which = {.version = 1, .recent = true};
	_cleanup_buffer_ struct buffer b = {0};
	struct monocore_usage *list;
	struct error err;
	size_t count, metric = 0;
	int r = monocore_stats(mc, &which, &list, &count, error);

	if (r < 0)
		return r;
	write_up(&b, list, count);
#define X(name, type, help, value) write_metric(&b, metric++, name, type, help, list, count);
	METRICS(X)
#undef X
	monocore_stats_free(list, count);
	*text = buffer_take_text(&b);
	if (*text)
		return 0;
	error_no_memory(&err, "write metrics");
	return give_error(error, &err);
}
