/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/upper.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "lib/supervisor.h"
#include "sandbox/control.h"

static int ignore(void *context, const void *data, size_t n, struct error *err)
{
	(void)context;
	(void)data;
	(void)n;
	(void)err;
	return 0;
}

/* Until DONE, or STARTED of a machine. */
static int receive(struct upper *u, upper_taker *take, void *context, struct error *err)
{
	for (;;) {
		struct frame f;
		int r = peer_wait(&u->peer, &f, UINT64_MAX, err) < 0 ? -(int)err->code : 0;

		if (r == 0 && f.type == CONTROL_PROGRESS)
			r = supervisor_progress(u->mc, &f, err);
		else if (r == 0 && f.type == MESSAGE_ERROR)
			r = message_error_read(cursor_of(f.payload, f.size), err);
		else if (r == 0 && (f.type == MESSAGE_DONE || f.type == MESSAGE_STARTED))
			return 0;
		else if (r == 0 && f.type == MESSAGE_DATA) {
			r = take(context, f.payload, f.size, err);
			if (r == 0 && !peer_send_u32(&u->peer, u->stream, MESSAGE_CREDIT, CHANNEL_OUT,
					      (uint32_t)f.size))
				r = error_set(err, ERROR_CLOSED, "the sandbox has stopped");
		}
		if (r < 0)
			return r;
	}
}

static int start_machine(struct upper *u, struct error *err)
{
	const struct control_attach how = {.flags = CONTROL_ATTACH_UPPER};
	int r = home_check_space(&u->mc->home, err);

	if (r == 0)
		r = supervisor_spawn(u->mc, u->directory, &u->peer, err);
	if (r == 0)
		r = supervisor_send_start(&u->peer, &how, err);
	return r < 0 ? r : receive(u, ignore, NULL, err);
}

int upper_open(struct upper *u, struct monocore *mc, struct directory *d, const struct record *record,
	struct error *err)
{
	int r;

	*u = (struct upper){.mc = mc, .directory = d, .peer = PEER_NONE, .stream = 1};
	u->was_held = d->lock >= 0;
	r = lock_or_connect(d, record, &u->peer, err);
	u->running = u->peer.fd >= 0;
	if (r < 0)
		u->directory = NULL; /* there is no lock to take back */
	if (r < 0 || u->running)
		return r;
	u->has_no_disk = record->read_only && !record_has_staged(record);
	return u->has_no_disk ? 0 : start_machine(u, err);
}

/* The lock was the supervisor's until it is gone: then it is ours once more, so that whoever starts the
 * sandbox next finds it as it was. */
static void take_back(struct upper *u)
{
	struct directory *d = u->directory, held;
	struct error late;

	if (d->lock < 0 && directory_lock(d, true, &late) < 0)
		return;
	if (!u->was_held) {
		close(TAKE_FD(d->lock));
		return;
	}
	held = *d;
	*d = (struct directory)DIRECTORY_NONE;
	hold_sandbox(u->mc, &held, &late);
}

void upper_close(struct upper *u)
{
	peer_close(&u->peer);
	u->peer = (struct peer)PEER_NONE;
	if (u->directory && !u->running)
		take_back(u);
	u->directory = NULL;
}

static int ask(struct upper *u, uint16_t type, const struct message_request *m, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};

	message_request_encode(type, m, &payload);
	if (payload.failed)
		return error_no_memory(err, "ask the guest");
	return peer_send(&u->peer, ++u->stream, type, 0, payload.data, payload.size)
		       ? 0
		       : error_set(err, ERROR_CLOSED, "the sandbox has stopped");
}

int upper_read(
	struct upper *u, uint32_t which, bool freeze, upper_taker *take, void *context, struct error *err)
{
	const struct message_request m = {.option = freeze, .upper = which};
	int r;

	if (u->has_no_disk)
		return 0;
	r = ask(u, MESSAGE_UPPER, &m, err);
	return r < 0 ? r : receive(u, take, context, err);
}

int upper_remove(struct upper *u, uint32_t which, const char *path, struct error *err)
{
	const struct message_request m = {.path = (char *)(uintptr_t)path, .upper = which};
	int r = ask(u, MESSAGE_REMOVE, &m, err);

	return r < 0 ? r : receive(u, ignore, NULL, err);
}
