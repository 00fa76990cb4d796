/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "oci/image.h"
#include "sandbox/control.h"
#include "sandbox/snapshot.h"
#include "vm/vm.h"

#ifndef MONOCORE_VERSION
#error "the build sets MONOCORE_VERSION"
#endif

#define STARTING_LIMIT (150 * NANOSECONDS_PER_SECOND)

_Static_assert(
	sizeof(((struct monocore_error *)0)->text) == ERROR_TEXT_MAX, "the error text is copied whole");
#define X(name, exit_status, http_status, meaning) \
	_Static_assert((int)MONOCORE_##name == (int)ERROR_##name, "the public code " #name);
ERROR_CODES(X)
#undef X

const char *monocore_version(void)
{
	return MONOCORE_VERSION;
}

int monocore_exit_status(int code)
{
	return error_exit_status(code);
}

void monocore_free(void *memory)
{
	free(memory);
}

void monocore_free_strings(char **list)
{
	text_list_free(list);
}

int give_error(struct monocore_error *out, const struct error *err)
{
	if (out) {
		out->code = (int)err->code;
		memcpy(out->text, err->text, sizeof out->text);
	}
	return -(int)err->code;
}

static void report_progress(void *context, const struct progress_event *e)
{
	struct monocore *mc = context;

	pthread_mutex_lock(&mc->telling);
	mc->user_progress.report(mc->user_progress.context, e->task, e->unit, e->done, e->total, e->finished);
	pthread_mutex_unlock(&mc->telling);
}

/* Every command begins with what killed processes left. */
static int sweep(const struct home *home, struct error *err)
{
	store_sweep(home->path);
	vm_sweep(home->path);
	snapshot_sweep(home);
	return directory_sweep(home, err);
}

int monocore_open(
	const struct monocore_open_options *options, struct monocore **out, struct monocore_error *error)
{
	struct monocore *mc = calloc(1, sizeof *mc);
	struct error err;
	int r;

	if (!mc) {
		error_no_memory(&err, "open monocore");
		return give_error(error, &err);
	}
	pthread_mutex_init(&mc->mutex, NULL);
	pthread_mutex_init(&mc->telling, NULL);
	if (options && options->progress.report) {
		mc->user_progress = options->progress;
		mc->progress = (struct progress){.report = report_progress, .context = mc};
	}
	r = home_open(options ? options->home : NULL, &mc->home, &err);
	if (r == 0 && (r = sweep(&mc->home, &err)) < 0)
		home_close(&mc->home);
	if (r < 0) {
		free(mc);
		return give_error(error, &err);
	}
	*out = mc;
	return 0;
}

void monocore_close(struct monocore *mc)
{
	if (!mc)
		return;
	while (mc->held) {
		struct held *h = mc->held;

		mc->held = h->next;
		directory_close(&h->directory);
		free(h);
	}
	home_close(&mc->home);
	pthread_mutex_destroy(&mc->mutex);
	pthread_mutex_destroy(&mc->telling);
	free(mc);
}

const char *monocore_home(const struct monocore *mc)
{
	return mc->home.path;
}

int hold_sandbox(struct monocore *mc, struct directory *d, struct error *err)
{
	struct held *h = calloc(1, sizeof *h);

	if (!h) {
		directory_close(d);
		return error_no_memory(err, "keep a sandbox");
	}
	h->directory = *d;
	pthread_mutex_lock(&mc->mutex);
	h->next = mc->held;
	mc->held = h;
	pthread_mutex_unlock(&mc->mutex);
	return 0;
}

static void take_held_lock(struct monocore *mc, struct directory *d)
{
	pthread_mutex_lock(&mc->mutex);
	for (struct held **link = &mc->held; *link; link = &(*link)->next) {
		struct held *h = *link;

		if (strcmp(h->directory.id, d->id))
			continue;
		d->lock = TAKE_FD(h->directory.lock);
		*link = h->next;
		directory_close(&h->directory);
		free(h);
		break;
	}
	pthread_mutex_unlock(&mc->mutex);
}

int find_sandbox(
	struct monocore *mc, const char *name, struct directory *d, struct record *record, struct error *err)
{
	int r = directory_find(&mc->home, name, d, err);

	if (r < 0)
		return r;
	take_held_lock(mc, d);
	r = record_read(d->fd, record, err);
	if (r < 0)
		return error_prefix(err, "sandbox %s", name);
	return 0;
}

int connect_sandbox(
	const struct directory *d, const struct record *record, struct peer *peer, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	uint64_t deadline = clock_monotonic() + STARTING_LIMIT;

	for (;;) {
		int r = control_connect(d->fd, &peer->fd, err);

		if (r == 0)
			return 0;
		if (r != -ERROR_NOT_FOUND)
			return error_prefix(err, "sandbox %s", record->name);
		if (!directory_is_locked(d))
			return error_set(err, ERROR_BUSY, "sandbox '%s' is not running", record->name);
		if (clock_monotonic() > deadline)
			return error_set(err, ERROR_TIMEOUT, "sandbox '%s' does not answer", record->name);
		nanosleep(&pause, NULL);
	}
}

int lock_or_connect(struct directory *d, const struct record *record, struct peer *peer, struct error *err)
{
	for (;;) {
		int r = d->lock >= 0 ? 0 : directory_lock(d, false, err);

		if (r != -ERROR_BUSY)
			return r;
		r = connect_sandbox(d, record, peer, err);
		if (r != -ERROR_BUSY)
			return r;
	}
}

int request(struct peer *peer, uint16_t type, const struct buffer *payload, uint16_t also,
	struct frame *frame, uint64_t deadline, struct error *err)
{
	int r;

	if ((payload && payload->failed) ||
		!peer_send(peer, 1, type, 0, payload ? payload->data : NULL, payload ? payload->size : 0))
		return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
	do {
		r = peer_wait(peer, frame, deadline, err);
		if (r < 0)
			return r == -ERROR_CLOSED ? error_set(err, ERROR_CLOSED, "the sandbox has stopped")
						  : r;
		if (frame->type == MESSAGE_ERROR && frame->stream <= 1)
			return message_error_read(cursor_of(frame->payload, frame->size), err);
	} while (frame->stream != 1 || (frame->type != MESSAGE_DONE && (!also || frame->type != also)));
	return 0;
}

enum monocore_state sandbox_state(const struct directory *d, const struct status *status, bool *interrupted)
{
	static const struct {
		const char *name;
		enum monocore_state state;
	} states[] = {{"starting", MONOCORE_STARTING}, {"running", MONOCORE_RUNNING},
		{"paused", MONOCORE_PAUSED}, {"stopped", MONOCORE_STOPPED},
		{"restarting", MONOCORE_RESTARTING}};
	enum monocore_state state = MONOCORE_CREATED;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (!strcmp(status->state, states[i].name))
			state = states[i].state;
	*interrupted = state != MONOCORE_CREATED && state != MONOCORE_STOPPED && !directory_is_locked(d);
	return *interrupted ? MONOCORE_STOPPED : state;
}

const char *monocore_state_name(enum monocore_state state)
{
	static const char *const names[] = {
		"created", "starting", "running", "paused", "stopped", "restarting"};

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : "?";
}
