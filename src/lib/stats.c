/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sandboxes use: their supervisors are asked, many at once, and what they have kept is read. What does
 * not run, or ends meanwhile, has no numbers; that is no error.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/handle.h"
#include "lib/labels.h"
#include "monocore_observe.h"
#include "os/fs.h"
#include "sandbox/control.h"
#include "sandbox/metrics.h"

#define AT_ONCE      64 /* connections */
#define GUEST_LIMIT  (1 * NANOSECONDS_PER_SECOND)
#define ANSWER_LIMIT (2 * NANOSECONDS_PER_SECOND)
#define HISTORY      (3600 * NANOSECONDS_PER_SECOND)

void monocore_stats_free(struct monocore_usage *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].id);
		free(list[i].name);
	}
	free(list);
}

static bool wants(struct peer *p, uint32_t stream, bool recent)
{
	const uint8_t payload = recent;

	return peer_send(p, stream, CONTROL_STATS, 0, &payload, 1);
}

/* A sandbox that is just starting has no socket, and is not waited for. */
static void ask(struct monocore *mc, const struct monocore_usage *u, bool recent, struct peer *p)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;

	*p = (struct peer)PEER_NONE;
	if (u->state != MONOCORE_RUNNING && u->state != MONOCORE_PAUSED)
		return;
	d.fd = openat(mc->home.sandboxes, u->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.fd >= 0 && control_connect(d.fd, &p->fd, NULL) == 0)
		wants(p, 1, recent);
}

static uint64_t used(uint64_t total, uint64_t free_bytes, uint64_t most)
{
	uint64_t n = total > free_bytes ? total - free_bytes : 0;

	return n < most ? n : most;
}

static void take(struct monocore_usage *u, const struct control_stats *m)
{
	const struct message_usage *g = &m->usage;

	u->time = m->time;
	u->cpu = m->cpu;
	u->cpu_thousandth = m->cpu_thousandth;
	u->memory = used(g->memory_total, g->memory_available, u->memory_limit);
	u->disk = used(g->disk_total, g->disk_free, u->disk_limit);
	u->disk_read = g->disk_read;
	u->disk_written = g->disk_written;
	u->net_received = g->net_received;
	u->net_sent = g->net_sent;
	u->processes = g->processes;
}

/* Waits for the answer on either stream. False: there is none until the deadline. */
static bool answered(struct peer *p, struct monocore_usage *u, uint64_t deadline)
{
	struct control_stats m;
	struct frame f;

	while (peer_wait(p, &f, deadline, NULL) > 0) {
		if (f.type == MESSAGE_ERROR)
			return true; /* it is ending */
		if (f.type != CONTROL_STATS_ARE ||
			control_stats_decode(cursor_of(f.payload, f.size), &m, NULL) < 0)
			continue;
		take(u, &m);
		return true;
	}
	return false;
}

static void ask_all(struct monocore *mc, struct monocore_usage *list, size_t count, bool recent)
{
	struct peer peers[AT_ONCE];
	uint64_t start = clock_monotonic();

	for (size_t i = 0; i < count; i++)
		ask(mc, &list[i], recent, &peers[i]);
	for (size_t i = 0; i < count; i++) {
		struct peer *p = &peers[i];

		if (p->fd >= 0 && !answered(p, &list[i], start + GUEST_LIMIT) && wants(p, 2, true))
			answered(p, &list[i], start + ANSWER_LIMIT);
		peer_close(p);
	}
}

static int describe(struct monocore *mc, const char *name, struct monocore_usage *u, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_status_ struct status status = {0};
	bool interrupted;
	int r = directory_find(&mc->home, name, &d, err);

	if (r == 0)
		r = record_read(d.fd, &record, err);
	if (r == 0)
		r = status_read(d.fd, &status, err);
	if (r < 0)
		return error_prefix(err, "sandbox %s", name);
	*u = (struct monocore_usage){.id = TAKE_PTR(record.id),
		.name = TAKE_PTR(record.name),
		.state = sandbox_state(&d, &status, &interrupted),
		.cpus = (uint32_t)record.cpus,
		.memory_limit = record.memory,
		.disk_limit = record_has_disk(&record) ? record.disk : UINT64_MAX};
	return 0;
}

static bool is_alive(enum monocore_state s)
{
	return s == MONOCORE_STARTING || s == MONOCORE_RUNNING || s == MONOCORE_PAUSED;
}

/* The ids of those that the options mean. */
static int choose(struct monocore *mc, const struct monocore_stats_options *o, char ***ids,
	struct monocore_error *error)
{
	struct monocore_sandbox_info *all;
	struct error err = {0};
	size_t count;
	int r = monocore_list(mc, &all, &count, error);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		if ((o->stopped || is_alive(all[i].state)) &&
			has_labels((const char *const *)all[i].labels, o->labels))
			r = text_list_add(ids, all[i].id, &err);
	monocore_list_free(all, count);
	return r < 0 ? give_error(error, &err) : 0;
}

static int stats(struct monocore *mc, const char *const *names, bool named, bool recent,
	struct monocore_usage **out, size_t *count, struct error *err)
{
	size_t n = text_list_size((char *const *)names), made = 0;
	struct monocore_usage *list = calloc(n + 1, sizeof *list);
	int r = list ? 0 : error_no_memory(err, "count what sandboxes use");

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = describe(mc, names[i], &list[made], err);
		if (r == 0)
			made++;
		else if (!named && r != -ERROR_NO_MEMORY)
			r = 0; /* removed meanwhile */
	}
	if (r < 0) {
		monocore_stats_free(list, made);
		return r;
	}
	for (size_t i = 0; i < made; i += AT_ONCE)
		ask_all(mc, list + i, made - i < AT_ONCE ? made - i : AT_ONCE, recent);
	for (size_t i = 0; i < made; i++)
		if (list[i].disk_limit == UINT64_MAX)
			list[i].disk_limit = 0;
	*out = list;
	*count = made;
	return 0;
}

int monocore_stats(struct monocore *mc, const struct monocore_stats_options *options,
	struct monocore_usage **list, size_t *count, struct monocore_error *error)
{
	const struct monocore_stats_options none = MONOCORE_STATS_OPTIONS_INIT;
	const struct monocore_stats_options *o = options ? options : &none;
	_cleanup_text_list_ char **ids = NULL;
	struct error err;
	int r;

	if (!o->names && (r = choose(mc, o, &ids, error)) < 0)
		return r;
	r = stats(mc, o->names ? o->names : (const char *const *)ids, o->names != NULL, o->recent, list,
		count, &err);
	return r < 0 ? give_error(error, &err) : 0;
}

/* ---- the past --------------------------------------------------------------------------------------- */

static int give_spans(
	const struct metrics_span *spans, size_t n, struct monocore_usage_span **out, struct error *err)
{
	struct monocore_usage_span *list = calloc(n + 1, sizeof *list);

	if (!list)
		return error_no_memory(err, "read metrics");
	for (size_t i = 0; i < n; i++)
		list[i] = (struct monocore_usage_span){.time = spans[i].time * NANOSECONDS_PER_SECOND,
			.length = spans[i].length * NANOSECONDS_PER_SECOND,
			.observed = spans[i].observed,
			.cpu = spans[i].cpu,
			.memory = spans[i].memory,
			.disk = spans[i].disk,
			.disk_read = spans[i].disk_read,
			.disk_written = spans[i].disk_written,
			.net_received = spans[i].net_received,
			.net_sent = spans[i].net_sent,
			.processes = spans[i].processes};
	*out = list;
	return 0;
}

static int history(struct monocore *mc, const char *name, uint64_t since, uint64_t until,
	struct monocore_usage_span **list, size_t *count, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_metrics_ struct metrics *m = NULL;
	_cleanup_free_ struct metrics_span *spans = NULL;
	_cleanup_free_ char *path = NULL;
	uint64_t now = clock_realtime() / NANOSECONDS_PER_SECOND;
	int r = directory_find(&mc->home, name, &d, err);

	*count = 0;
	if (r < 0)
		return r;
	if (faccessat(d.fd, METRICS_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return give_spans(NULL, 0, list, err); /* it never ran for long */
	path = text_format(err, "%s/sandboxes/%s/" METRICS_FILE, mc->home.path, d.id);
	r = path ? metrics_open(path, &m, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		r = metrics_read(m, since / NANOSECONDS_PER_SECOND, until / NANOSECONDS_PER_SECOND, now,
			&spans, count, err);
	return r == 0 ? give_spans(spans, *count, list, err) : r;
}

int monocore_stats_history(struct monocore *mc, const char *name, uint64_t since, uint64_t until,
	struct monocore_usage_span **list, size_t *count, struct monocore_error *error)
{
	uint64_t now = clock_realtime();
	struct error err;

	return history(mc, name, since ? since : now - HISTORY, until ? until : now, list, count, &err) < 0
		       ? give_error(error, &err)
		       : 0;
}
