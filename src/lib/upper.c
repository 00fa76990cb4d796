/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/upper.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "lib/supervisor.h"
#include "sandbox/control.h"

struct reading {
	struct monocore *mc;
	struct peer peer;
	upper_taker *take;
	void *context;
};

/* Until DONE. */
static int receive(struct reading *g, struct error *err)
{
	for (;;) {
		struct frame f;
		int r = peer_wait(&g->peer, &f, UINT64_MAX, err) < 0 ? -(int)err->code : 0;

		if (r == 0 && f.type == CONTROL_PROGRESS)
			r = supervisor_progress(g->mc, &f, err);
		else if (r == 0 && f.type == MESSAGE_ERROR)
			r = error_from_frame(&f, err);
		else if (r == 0 && f.type == MESSAGE_DONE)
			return 0;
		else if (r == 0 && f.type == MESSAGE_DATA) {
			r = g->take(g->context, f.payload, f.size, err);
			if (r == 0 &&
				!peer_send_u32(&g->peer, 1, MESSAGE_CREDIT, CHANNEL_OUT, (uint32_t)f.size))
				r = error_set(err, ERROR_CLOSED, "the sandbox has stopped");
		}
		if (r < 0)
			return r;
	}
}

static int ask_running(struct reading *g, const struct directory *d, const struct record *record, bool freeze,
	struct error *err)
{
	const struct message_request m = {.option = freeze};
	_cleanup_buffer_ struct buffer payload = {0};
	int r = connect_sandbox(d, record, &g->peer, err);

	if (r < 0)
		return r;
	message_request_encode(MESSAGE_UPPER, &m, &payload);
	if (payload.failed || !peer_send(&g->peer, 1, MESSAGE_UPPER, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
	return receive(g, err);
}

static int ask_machine(struct reading *g, struct directory *d, struct error *err)
{
	const struct control_attach how = {.flags = CONTROL_ATTACH_UPPER};
	int r = supervisor_spawn(g->mc, d, &g->peer, err);

	if (r == 0)
		r = supervisor_send_start(&g->peer, &how, err);
	return r < 0 ? r : receive(g, err);
}

/* The lock is the supervisor's until it is gone: then it is ours once more, so that whoever starts the
 * sandbox next finds it as it was. */
static int ask_stopped(
	struct reading *g, struct directory *d, const struct record *record, bool was_held, struct error *err)
{
	struct directory held = DIRECTORY_NONE;
	struct error late;
	int r = record->read_only ? 0 : home_check_space(&g->mc->home, err);

	if (r == 0 && !record->read_only)
		r = ask_machine(g, d, err);
	peer_close(&g->peer);
	g->peer = (struct peer)PEER_NONE;
	if (d->lock < 0 && directory_lock(d, true, &late) < 0)
		return r;
	if (!was_held) {
		close(TAKE_FD(d->lock));
		return r;
	}
	held = *d;
	*d = (struct directory)DIRECTORY_NONE;
	if (hold_sandbox(g->mc, &held, &late) < 0 && r == 0)
		r = error_no_memory(err, "keep a sandbox");
	return r;
}

int upper_read(struct monocore *mc, struct directory *d, const struct record *record, bool freeze,
	upper_taker *take, void *context, struct error *err)
{
	struct reading g = {.mc = mc, .peer = PEER_NONE, .take = take, .context = context};
	bool was_held = d->lock >= 0;
	int r = was_held ? 0 : directory_lock(d, false, err);

	if (r == 0)
		return ask_stopped(&g, d, record, was_held, err);
	if (r == -ERROR_BUSY)
		r = ask_running(&g, d, record, freeze, err);
	peer_close(&g.peer);
	return r;
}
