/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Healthchecks: the record's command is run in the guest again and again, as a client would run it, and what
 * comes of it is the sandbox's health (sandbox/health.h). One runs at a time; a paused sandbox is not asked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "sandbox/supervisor/supervisor.h"

#define PAUSED_LOOK_MS 500

static void on_timer(uv_timer_t *timer);

static void wake_in(struct supervisor *s, uint64_t nanoseconds)
{
	uint64_t milliseconds = nanoseconds / MILLISECONDS(1) + (nanoseconds % MILLISECONDS(1) != 0);

	uv_update_time(&s->loop);
	uv_timer_start(&s->check.timer, on_timer, milliseconds < INT64_MAX ? milliseconds : INT64_MAX, 0);
}

static void wait_for_next(struct supervisor *s)
{
	uint64_t now = clock_monotonic(), next = s->check.health.next;

	wake_in(s, next > now ? next - now : 0);
}

static void set_health(struct supervisor *s, const char *health)
{
	supervisor_event(s, "health", "health", health);
	free(s->status.health);
	s->status.health = text_copy(health, NULL);
}

static void report(struct supervisor *s, bool good, const char *why)
{
	struct check *c = &s->check;
	uint64_t failures = c->health.failures;
	bool changed = health_result(&c->health, good, c->began, clock_monotonic());

	if (changed || (c->health.failures == 1 && !failures))
		supervisor_note(s, "healthcheck: %s%s%.*s: the sandbox is %s", good ? "good" : why,
			c->size ? ": " : "", (int)c->size, c->output, health_name(c->health.state));
	if (changed) {
		set_health(s, health_name(c->health.state));
		supervisor_set_state(s, "running", NULL);
	}
	wait_for_next(s);
}

static void collect(struct check *c, const struct frame *f)
{
	size_t n = f->size < sizeof c->output - c->size ? f->size : sizeof c->output - c->size;

	memcpy(c->output + c->size, f->payload, n);
	c->size += n;
}

static void take_result(struct supervisor *s, const struct frame *f)
{
	struct message_exited m = {0};
	struct error err;
	char why[64];

	while (s->check.size && s->check.output[s->check.size - 1] == '\n')
		s->check.size--;
	if (f->type == MESSAGE_ERROR) {
		message_error_read(cursor_of(f->payload, f->size), &err);
		report(s, false, err.text);
		return;
	}
	if (message_exited_decode(cursor_of(f->payload, f->size), &m, &err) < 0)
		m.code = 1;
	if (m.signal)
		snprintf(why, sizeof why, "ended by signal %u", m.signal);
	else
		snprintf(why, sizeof why, "status %u", m.code & 255);
	report(s, !m.signal && !m.code, why);
}

/* What the agent says about a check. */
static void on_check(struct supervisor *s, struct stream *t, const struct frame *f)
{
	bool late = s->check.late;

	(void)t;
	if (f->type == MESSAGE_DATA)
		collect(&s->check, f);
	if (f->type != MESSAGE_EXITED && f->type != MESSAGE_ERROR)
		return;
	s->check.stream = NULL; /* which the caller closes */
	s->check.late = false;
	if (!late && s->phase == PHASE_RUNNING)
		take_result(s, f);
}

static void begin(struct supervisor *s)
{
	struct check *c = &s->check;
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_exec m = {.flags = EXEC_DEFAULT_ENV,
		.argv = s->record.health_command,
		.env = s->record.env,
		.workdir = s->record.workdir,
		.user = s->record.user,
		.rlimits = s->record.rlimits,
		.rlimit_count = s->record.rlimit_count};

	c->began = clock_monotonic();
	c->size = 0;
	message_exec_encode(&m, &payload);
	c->stream = payload.failed ? NULL : stream_open(s, NULL, 0, MESSAGE_EXEC, NULL);
	if (!c->stream) {
		report(s, false, "out of memory");
		return;
	}
	c->stream->own = on_check;
	peer_send(&s->agent, c->stream->id, MESSAGE_EXEC, 0, payload.data, payload.size);
	wake_in(s, s->record.health_timeout);
}

/* A check whose time is over is killed; as long as it is there all the same, there is no other. */
static void give_up(struct supervisor *s)
{
	struct check *c = &s->check;

	if (!c->late)
		peer_send_u32(&s->agent, c->stream->id, MESSAGE_SIGNAL, 0, SIGKILL);
	else
		c->began = clock_monotonic();
	c->late = true;
	report(s, false, "it took too long");
}

static void on_timer(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->phase != PHASE_RUNNING)
		return;
	if (s->paused)
		wake_in(s, MILLISECONDS(PAUSED_LOOK_MS));
	else if (s->check.stream)
		give_up(s);
	else
		begin(s);
	supervisor_watch(s);
}

void checks_start(struct supervisor *s)
{
	if (!s->record.health_command)
		return;
	s->check.health = (struct health){.interval = s->record.health_interval,
		.start_period = s->record.health_start_period,
		.retries = s->record.health_retries};
	health_start(&s->check.health, clock_monotonic());
	if (s->status.origin && !strcmp(s->status.origin, "snapshot"))
		s->check.health.next = s->check.health.started; /* it has been running for long */
	set_health(s, health_name(HEALTH_STARTING));
	wait_for_next(s);
}
