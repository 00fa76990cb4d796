/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/metrics.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/supervisor/supervisor.h"

#define EVERY_MS  (METRICS_EVERY * 1000)
#define RATE_TIME MILLISECONDS(500) /* the least that a rate is measured over */

struct counts {
	uint64_t at; /* clock_monotonic() */
	uint64_t cpu, disk_read, disk_written, net_received, net_sent;
};

struct metrics_keeper {
	struct supervisor *s;
	uv_timer_t timer;
	uint32_t asked;             /* the stream on which the timer has asked the agent; 0: it never has */
	struct message_usage usage; /* as the guest said last */
	uint64_t time;              /* when it said so, since 1970; 0: never */
	uint64_t rate_at, rate_cpu; /* what the rate is measured from */
	uint32_t cpu_thousandth;
	struct counts kept; /* what is in the file, or on the way there */

	/* The thread's, while it works. */
	uv_work_t work;
	bool working;
	char *path;
	struct metrics *file;
	struct metrics_span adding;
	uint64_t now;
	bool failed; /* told once */
};

/* Of all threads of the engine's process. The kernel tells that of any process. */
static uint64_t cpu_time(const struct supervisor *s)
{
	struct timespec t;
	clockid_t clock;

	if (!s->vm || clock_getcpuclockid(vm_pid(s->vm), &clock) || clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t measure(struct metrics_keeper *k)
{
	uint64_t cpu = cpu_time(k->s), now = clock_monotonic(), span = now - k->rate_at;

	if (span < RATE_TIME)
		return cpu;
	k->cpu_thousandth = cpu > k->rate_cpu ? (uint32_t)((cpu - k->rate_cpu) * 1000 / span) : 0;
	k->rate_at = now;
	k->rate_cpu = cpu;
	return cpu;
}

/* A counter that has gone back has begun anew. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static uint64_t disk_used(const struct message_usage *u)
{
	return u->disk_total > u->disk_free ? u->disk_total - u->disk_free : 0;
}

static uint64_t memory_used(const struct message_usage *u)
{
	return u->memory_total > u->memory_available ? u->memory_total - u->memory_available : 0;
}

static void add(uv_work_t *work)
{
	struct metrics_keeper *k = work->data;
	struct error err;
	int r = k->file ? 0 : metrics_open(k->path, &k->file, &err);

	if (r == 0)
		r = metrics_add(k->file, k->now, &k->adding, &err);
	if (r < 0 && !k->failed)
		log_error("keep metrics: %s", err.text);
	k->failed = r < 0;
}

static void on_added(uv_work_t *work, int status)
{
	struct metrics_keeper *k = work->data;

	(void)status;
	k->working = false;
}

/* What was used since the last time goes to the file; where that is slow, all the more the next time. */
static void keep(struct metrics_keeper *k)
{
	const struct message_usage *u = &k->usage;
	const struct counts now = {
		clock_monotonic(), measure(k), u->disk_read, u->disk_written, u->net_received, u->net_sent};

	if (k->working)
		return;
	k->adding = (struct metrics_span){.observed = now.at - k->kept.at,
		.cpu = grown(now.cpu, k->kept.cpu),
		.memory = memory_used(u),
		.disk = disk_used(u),
		.disk_read = grown(now.disk_read, k->kept.disk_read),
		.disk_written = grown(now.disk_written, k->kept.disk_written),
		.net_received = grown(now.net_received, k->kept.net_received),
		.net_sent = grown(now.net_sent, k->kept.net_sent),
		.processes = u->processes};
	k->now = clock_realtime() / NANOSECONDS_PER_SECOND;
	k->kept = now;
	k->working = uv_queue_work(&k->s->loop, &k->work, add, on_added) == 0;
}

static int ask(struct supervisor *s, struct stream *t)
{
	return peer_send(&s->agent, t->id, MESSAGE_METRICS, 0, NULL, 0) ? 0 : -ERROR_CLOSED;
}

static void on_timer(uv_timer_t *timer)
{
	struct metrics_keeper *k = timer->data;
	struct supervisor *s = k->s;
	struct stream *t;

	if (s->phase != PHASE_RUNNING)
		return;
	if (s->paused)
		k->kept.at = clock_monotonic();
	else if (k->asked && stream_find(s, k->asked))
		keep(k); /* the guest has not answered since */
	else if ((t = stream_open(s, NULL, 0, MESSAGE_METRICS, NULL))) {
		k->asked = t->id;
		ask(s, t);
	}
	supervisor_watch(s);
}

struct metrics_keeper *metrics_keeper_open(struct supervisor *s)
{
	struct metrics_keeper *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->path = text_format(NULL, "%s/sandboxes/%s/" METRICS_FILE, s->home.path, s->directory.id);
	if (!k->path || uv_timer_init(&s->loop, &k->timer) < 0) {
		free(k->path);
		free(k);
		return NULL;
	}
	k->s = s;
	k->timer.data = k->work.data = k;
	k->rate_at = k->kept.at = clock_monotonic();
	uv_update_time(&s->loop); /* the start may have taken long */
	uv_timer_start(&k->timer, on_timer, EVERY_MS, EVERY_MS);
	return k;
}

void metrics_keeper_stop(struct metrics_keeper *k)
{
	if (k)
		uv_timer_stop(&k->timer);
}

void metrics_keeper_free(struct metrics_keeper *k)
{
	if (!k)
		return;
	metrics_close(k->file);
	free(k->path);
	free(k);
}

static void tell(struct metrics_keeper *k, struct client *c, uint32_t stream)
{
	_cleanup_buffer_ struct buffer payload = {0};
	const struct control_stats m = {
		.time = k->time, .cpu = measure(k), .cpu_thousandth = k->cpu_thousandth, .usage = k->usage};

	control_stats_encode(&m, &payload);
	if (!payload.failed)
		client_send(c, stream, CONTROL_STATS_ARE, 0, payload.data, payload.size);
}

int metrics_keeper_take(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err)
{
	struct metrics_keeper *k = s->metrics;
	int r = k ? message_usage_decode(cursor_of(f->payload, f->size), &k->usage, err) : 0;

	if (!k || r < 0)
		return r;
	k->time = clock_realtime();
	if (t->client)
		tell(k, t->client, t->client_stream);
	else
		keep(k);
	return 0;
}

int metrics_keeper_request(struct supervisor *s, struct client *c, const struct frame *f, struct error *err)
{
	struct cursor in = cursor_of(f->payload, f->size);
	bool recent = cursor_u8(&in);
	struct stream *t;

	if (!cursor_done(&in))
		return error_set(err, ERROR_INVALID, "a malformed request for statistics");
	if (!s->metrics)
		return error_no_memory(err, "count what the sandbox uses");
	if (recent || s->paused) {
		tell(s->metrics, c, f->stream);
		return 0;
	}
	t = stream_open(s, c, f->stream, CONTROL_STATS, err);
	return t ? ask(s, t) : -ERROR_NO_MEMORY;
}
