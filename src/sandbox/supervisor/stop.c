/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends. The main process ends by itself or by a signal → the guest is shut down (or, where nobody keeps its
 * disk, killed) → the VM's process ends → the end is written down, clients are told, a throw-away sandbox is
 * removed. A timer stands behind every step that waits for the guest.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/event_log.h"
#include "sandbox/supervisor/keeper.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/volume_monofs.h"

#define SHUTDOWN_GRACE_MS 1000            /* for the processes that are left when the main one has ended */
#define SHUTDOWN_LIMIT_MS 20000           /* to sync and unmount */
#define KILL_LIMIT_MS     10000           /* for a killed main process to be reaped */
#define EXIT_LOST         (128 + SIGKILL) /* status of a main process whose VM went away */

void supervisor_note(struct supervisor *s, const char *format, ...)
{
	char line[ERROR_TEXT_MAX + 64];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = '?';
	log_debug("%.*s", n, line);
	line[n++] = '\n';
	if (s->output)
		output_append(s->output, OUTPUT_SYSTEM, line, (size_t)n, NULL);
}

void supervisor_event(struct supervisor *s, const char *action, const char *key, const char *value)
{
	if (!s->upper_only)
		event_tell_sandbox(&s->home, s->directory.id, &s->record, action, key, value);
}

int supervisor_set_state(struct supervisor *s, const char *state, struct error *err)
{
	char *copy;

	if (s->upper_only)
		return 0;
	copy = text_copy(state, err);
	if (!copy)
		return -ERROR_NO_MEMORY;
	free(s->status.state);
	s->status.state = copy;
	s->status.pid = strcmp(state, "stopped") ? (uint64_t)s->pid : 0;
	return status_write(s->directory.fd, &s->status, !s->discard, err);
}

static void set_reason(struct supervisor *s, const char *reason)
{
	free(s->status.reason);
	s->status.reason = text_copy(reason, NULL);
}

static void on_stop_timer(uv_timer_t *timer);

/* Goes to the next step on the way down and gives it `milliseconds`. */
static void enter_step(struct supervisor *s, enum stop_step step, uint64_t milliseconds)
{
	s->phase = PHASE_STOPPING;
	s->stop_step = step;
	uv_timer_start(&s->stop_timer, on_stop_timer, milliseconds, 0);
}

static void shut_guest_down(struct supervisor *s)
{
	_cleanup_buffer_ struct buffer payload = {0};

	s->phase = PHASE_STOPPING;
	if (s->discard || s->upper_only) {
		vm_kill(s->vm);
		return;
	}
	buffer_u32(&payload, SHUTDOWN_GRACE_MS);
	buffer_u8(&payload, 0);
	if (payload.failed || !peer_send(&s->agent, 0, MESSAGE_SHUTDOWN, 0, payload.data, payload.size))
		vm_kill(s->vm);
	enter_step(s, STOP_SHUTDOWN, SHUTDOWN_LIMIT_MS);
}

static void kill_main(struct supervisor *s)
{
	if (s->discard || !s->main) {
		shut_guest_down(s);
		return;
	}
	peer_send_u32(&s->agent, s->main->id, MESSAGE_SIGNAL, 0, SIGKILL);
	enter_step(s, STOP_KILLED, KILL_LIMIT_MS);
}

/* The step has not led anywhere in time. */
static void on_stop_timer(uv_timer_t *timer)
{
	static const char late[] = "the guest did not shut down in time: its VM was killed";
	struct supervisor *s = timer->data;

	if (s->stop_step == STOP_ASKED) {
		kill_main(s);
	} else {
		supervisor_note(s, "%s", late);
		set_reason(s, late);
		vm_kill(s->vm);
	}
	supervisor_watch(s);
}

void supervisor_stop(struct supervisor *s, uint64_t grace)
{
	s->asked_to_stop = true;
	if (s->phase == PHASE_ENDED || s->stop_step > STOP_ASKED)
		return;
	snapshot_abandon(s, NULL);
	if (s->paused && vm_resume(s->vm, NULL) == 0) {
		s->paused = false;
		agent_send_clock(s);
	}
	if (grace == 0 || !s->main) {
		kill_main(s);
		return;
	}
	peer_send_u32(&s->agent, s->main->id, MESSAGE_SIGNAL, 0, (uint32_t)s->record.stop_signal);
	enter_step(s, STOP_ASKED, grace / 1000000);
}

void supervisor_main_exited(struct supervisor *s, const struct message_exited *m)
{
	s->main_exited = true;
	s->status.exit_status = m->signal ? 128 + (m->signal & 127) : m->code & 255;
	if (m->out_of_memory) {
		set_reason(s, "out of memory");
		supervisor_event(s, "oom", NULL, NULL);
	}
	s->discard = s->record.discard && !m->staged;
	shut_guest_down(s);
}

void supervisor_fail(struct supervisor *s, const struct error *why)
{
	supervisor_note(s, "%s", why->text);
	set_reason(s, why->text);
	uv_poll_stop(&s->agent_poll); /* whatever else it says */
	vm_kill(s->vm);
}

/* The main process's streams end with the VM: whoever is attached learns a status; whose sandbox it is, and
 * where nobody had asked for the end, the reason. */
static void tell_lost(struct supervisor *s)
{
	struct message_exited m = {.signal = SIGKILL};
	_cleanup_buffer_ struct buffer payload = {0};
	struct error why;

	message_exited_encode(&m, &payload);
	error_set(&why, ERROR_START, "the sandbox broke down: %s", s->status.reason ? s->status.reason : "");
	for (struct client *c = s->clients; c; c = c->next)
		if (c->attached && c->owner && !c->dropped && s->status.reason && s->phase != PHASE_STOPPING)
			peer_send_error(&c->peer, c->main_stream, &why);
		else if (c->attached)
			client_send(c, c->main_stream, MESSAGE_EXITED, 0, payload.data, payload.size);
}

static void tell_open_streams(struct supervisor *s)
{
	struct map_slot *slot;
	struct error gone;
	size_t at = 0;

	error_set(&gone, ERROR_CLOSED, "the sandbox has stopped%s%s", s->status.reason ? ": " : "",
		s->status.reason ? s->status.reason : "");
	while ((slot = map_next(&s->streams, &at))) {
		struct stream *t = slot->value;

		if (t->client && !t->client->dropped)
			peer_send_error(&t->client->peer, t->client_stream, &gone);
	}
	for (struct client *c = s->clients; c; c = c->next)
		if (c->stop_stream)
			client_send(c, c->stop_stream, MESSAGE_DONE, 0, NULL, 0);
}

/* Why a VM ended that nobody told to. */
static void explain_end(struct supervisor *s, int r, const struct error *err)
{
	size_t n = 0;
	const char *panic = console_panic(&s->console, &n);
	struct error why;

	if (panic)
		error_set(&why, ERROR_CLOSED, "the guest's kernel panicked: %.*s", (int)n, panic);
	else if (r < 0)
		why = *err;
	else
		error_set(&why, ERROR_CLOSED, "the guest shut itself down");
	supervisor_note(s, "%s", why.text);
	set_reason(s, why.text);
}

const char *supervisor_end_state(struct supervisor *s)
{
	char reason[RESTART_REASON_SIZE];

	free(TAKE_PTR(s->status.health));
	if (!s->life || s->asked_to_stop || s->upper_only ||
		!restart_next(&s->life->restart, (int)s->status.exit_status, clock_monotonic() - s->born))
		return "stopped";
	s->life->again = true;
	set_reason(s, restart_reason(&s->life->restart, s->status.reason ? s->status.reason : "", reason));
	supervisor_note(s, "ended with status %u: %s", (unsigned)s->status.exit_status, s->status.reason);
	return "restarting";
}

bool supervisor_signal_ends(const struct supervisor *s, uint32_t number)
{
	return number == SIGKILL || number == SIGTERM || number == s->record.stop_signal;
}

static void tell_death(struct supervisor *s)
{
	char status[24];

	snprintf(status, sizeof status, "%llu", (unsigned long long)s->status.exit_status);
	supervisor_event(s, "die", "exit_status", status);
}

void supervisor_vm_ended(struct supervisor *s)
{
	struct error err;
	int r;

	if (s->phase == PHASE_ENDED)
		return;
	r = vm_wait(s->vm, &err);
	uv_timer_stop(&s->stop_timer);
	if (!s->main_exited) {
		s->status.exit_status = EXIT_LOST;
		if (!s->status.reason && s->phase != PHASE_STOPPING)
			explain_end(s, r, &err);
		tell_lost(s);
	}
	if (s->lost_output)
		supervisor_note(
			s, "%llu bytes of output could not be kept", (unsigned long long)s->lost_output);
	s->phase = PHASE_ENDED;
	s->status.finished = clock_realtime();
	tell_death(s);
	if (!s->discard && supervisor_set_state(s, supervisor_end_state(s), &err) < 0)
		log_error("write down the end of %s: %s", s->record.name, err.text);
	tell_open_streams(s);
}

static void free_streams(struct supervisor *s)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&s->streams, &at)))
		free(slot->value);
	map_free(&s->streams);
	s->main = NULL;
}

static void note_tree(void *context, const char *text)
{
	supervisor_note(context, "%s", text);
}

/* Its servers have ended: nobody writes there any more. */
static void release_trees(struct supervisor *s)
{
	char how[48];

	snprintf(how, sizeof how, "exited with %u", (unsigned)s->status.exit_status);
	if (s->phase == PHASE_ENDED)
		volume_trees_release(s->trees, s->status.exit_status == 0, how, note_tree, s);
	volume_trees_free(TAKE_PTR(s->trees));
}

void supervisor_cleanup(struct supervisor *s)
{
	struct error err;

	/* Nobody is answered any more: who comes now waits for the lock. */
	unlinkat(s->directory.fd, "control", 0);
	if (s->listener >= 0)
		close(s->listener);
	s->agent.fd = -1; /* the VM's */
	peer_close(&s->agent);
	volumes_close(TAKE_PTR(s->volumes)); /* which uses the VM's */
	vm_free(TAKE_PTR(s->vm));
	networks_close(TAKE_PTR(s->networks)); /* before its addresses may be another's */
	shares_close(TAKE_PTR(s->shares));
	release_trees(s);
	volume_fills_close(TAKE_PTR(s->fills));
	resume_close(TAKE_PTR(s->resume));
	free_streams(s);
	output_close(TAKE_PTR(s->output));
	root_close(&s->root);
	if (s->disk_fd >= 0)
		close(s->disk_fd);
	if (s->console.fd >= 0)
		close(s->console.fd);
	if (s->discard && !s->upper_only &&
		directory_remove(&s->home, &s->directory, s->record.name, &err) < 0)
		log_error("%s", err.text);
	status_free(&s->status);
	record_free(&s->record);
	directory_close(&s->directory);
	home_close(&s->home);
}
