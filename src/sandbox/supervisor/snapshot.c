/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running machine, saved in an instant of which nothing is lost: what has not changed since its start is
 * copied first; then the agent holds all processes still, and says nothing behind that; what is for the agent
 * waits here from the question on. Between the two ends nothing is on its way then, and the machine is
 * paused. Its memory, its devices and its disk are copied, and what this process knows: the streams of the
 * agent and what waits for it (docs/formats/snapshot.md). Then all goes on.
 *
 * All that while nothing else is done here, but for a held one: it waits for its client between the pause and
 * the copies, so that several machines can be saved at one moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "os/sparse.h"
#include "sandbox/json_file.h"
#include "sandbox/snapshot_format.h"
#include "sandbox/supervisor/supervisor.h"

#define QUIET_TIME (3 * NANOSECONDS_PER_SECOND) /* for all processes to stand still */

static int check(const struct supervisor *s, struct error *err)
{
	if (s->saving.client)
		return error_set(err, ERROR_BUSY, "another snapshot of the sandbox is being made");
	if (s->paused)
		return error_set(err, ERROR_BUSY, "the sandbox is paused: run 'monocore resume %s' first",
			s->record.name);
	if (s->shares)
		return error_set(err, ERROR_UNAVAILABLE,
			"a sandbox with volumes or a root by virtiofs cannot be saved: their servers' state "
			"is "
			"not in the machine");
	if (record_has_staged(&s->record))
		return error_set(err, ERROR_UNAVAILABLE,
			"a sandbox with staged volumes cannot be saved: what lies below them may change");
	if (volumes_are_nfs(s->volumes) || s->record.no_template)
		return error_set(err, ERROR_UNAVAILABLE,
			"a sandbox %s cannot be saved: its machine was booted, and only what a clone of a "
			"template has of its own is told from what it began with",
			s->record.no_template ? "that was made with --no-template" : "with volumes by nfs");
	return vm_snapshot_prepare(s->vm, err);
}

static int make_file(const struct saving *v, const char *name, int *fd, struct error *err)
{
	*fd = fs_open(v->directory, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	return *fd < 0 ? *fd : 0;
}

/* ---- quiet -------------------------------------------------------------------------------------------- */

/* What the agent says before it is quiet is taken as ever. */
static int await_quiet(struct supervisor *s, uint32_t stream, struct error *err)
{
	uint64_t deadline = clock_monotonic() + QUIET_TIME;
	struct frame f;
	int r;

	do {
		r = peer_wait(&s->agent, &f, deadline, err);
		if (r == -ERROR_TIMEOUT)
			return error_set(err, ERROR_BUSY,
				"a process of the sandbox does not stand still: it waits for a file system "
				"or "
				"a device");
		if (r < 0)
			return r;
		if (f.stream == stream && f.type == MESSAGE_DONE)
			return 0;
		if (f.stream == stream && f.type == MESSAGE_ERROR)
			return message_error_read(cursor_of(f.payload, f.size), err);
		if (agent_frame(s, &f, err) < 0) {
			error_prefix(err, "the guest broke the agent's protocol");
			supervisor_fail(s, err);
			return -(int)err->code;
		}
	} while (s->phase == PHASE_RUNNING);
	return error_set(err, ERROR_BUSY, "the sandbox is stopping");
}

static void go_on(struct supervisor *s)
{
	struct saving *v = &s->saving;
	struct error err;

	if (v->since && vm_resume(s->vm, &err) < 0)
		supervisor_fail(s, &err);
	volumes_go_on(s->volumes);
	peer_release(&s->agent);
	peer_send(&s->agent, 0, MESSAGE_GO_ON, 0, NULL, 0);
	peer_flush(&s->agent, NULL);
	if (v->since) {
		agent_send_clock(s);
		supervisor_note(s, "a snapshot was made: the sandbox stood still for %llu ms",
			(unsigned long long)((clock_monotonic() - v->since) / MILLISECONDS(1)));
	}
	v->since = 0;
}

/* What the guest's relay of volumes does by itself may come in between: then once more. */
static int pause_all(struct supervisor *s, struct error *err)
{
	uint64_t deadline = clock_monotonic() + QUIET_TIME;
	int r;

	for (;;) {
		r = volumes_hold(s->volumes, deadline, err);
		if (r == 0)
			r = vm_pause(s->vm, err);
		if (r < 0 || volumes_are_still(s->volumes))
			return r;
		r = vm_resume(s->vm, err);
		volumes_go_on(s->volumes);
		if (r < 0)
			return r;
	}
}

static int be_quiet(struct supervisor *s, struct error *err)
{
	uint32_t stream = ++s->next_stream;
	int r;

	if (!peer_send(&s->agent, stream, MESSAGE_QUIET, 0, NULL, 0))
		return error_no_memory(err, "save the sandbox");
	peer_hold(&s->agent);
	r = await_quiet(s, stream, err);
	if (r == 0)
		r = pause_all(s, err);
	if (r == 0)
		s->saving.since = clock_monotonic();
	else
		go_on(s);
	return r;
}

/* ---- what is saved ------------------------------------------------------------------------------------ */

static int save_hello(struct supervisor *s, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	size_t n;
	const uint8_t *hello = vm_hello(s->vm, &n);
	int r = make_file(&s->saving, SNAPSHOT_HELLO, &fd, err);

	return r == 0 ? fs_write_all(fd, hello, n, SNAPSHOT_HELLO, err) : r;
}

/* What waits for the agent goes to the copy's agent. */
static int save_waiting(struct supervisor *s, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = make_file(&s->saving, SNAPSHOT_WAITING, &fd, err);

	return r == 0 ? fs_write_all(fd, s->agent.out.data, s->agent.out.size, SNAPSHOT_WAITING, err) : r;
}

static int save_volumes(struct supervisor *s, struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_fd_ int fd = -1;
	int r;

	if (!s->volumes)
		return 0;
	volumes_save(s->volumes, &out);
	if (out.failed)
		return error_no_memory(err, "save the sandbox's volumes");
	r = make_file(&s->saving, SNAPSHOT_VOLUMES, &fd, err);
	return r == 0 ? fs_write_all(fd, out.data, out.size, SNAPSHOT_VOLUMES, err) : r;
}

static json_t *describe_stream(const struct stream *t)
{
	return json_pack("{s:I, s:i, s:b, s:b, s:b, s:[bbb], s:I, s:[III]}", "id", (json_int_t)t->id,
		"opener", t->opener, "main", t->main, "detached", t->detached, "started", t->started, "ended",
		t->ended[CHANNEL_IN], t->ended[CHANNEL_OUT], t->ended[CHANNEL_ERR], "entries",
		(json_int_t)t->entries, "unacked", (json_int_t)t->unacked[CHANNEL_IN],
		(json_int_t)t->unacked[CHANNEL_OUT], (json_int_t)t->unacked[CHANNEL_ERR]);
}

static int save_machine(struct supervisor *s, struct error *err)
{
	_cleanup_json_ json_t *machine = json_pack("{s:i, s:s, s:I, s:I, s:[]}", "version", SNAPSHOT_VERSION,
		"machine", vm_machine(s->vm), "moment", (json_int_t)clock_realtime(), "next_stream",
		(json_int_t)s->next_stream, "streams");
	struct map_slot *slot;
	size_t at = 0;

	while (machine && (slot = map_next(&s->streams, &at)))
		if (json_array_append_new(json_object_get(machine, "streams"), describe_stream(slot->value)) <
			0)
			return error_no_memory(err, "save the sandbox");
	return machine ? json_file_write(s->saving.directory, SNAPSHOT_MACHINE, machine, false, err)
		       : error_no_memory(err, "save the sandbox");
}

static int save_disk(struct supervisor *s, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (s->disk_fd < 0)
		return 0;
	r = make_file(&s->saving, SNAPSHOT_DISK, &fd, err);
	return r == 0 ? sparse_copy(s->disk_fd, fd, "the sandbox's disk", err) : r;
}

static int save_all(struct supervisor *s, struct error *err)
{
	_cleanup_fd_ int state = -1;
	int r = make_file(&s->saving, SNAPSHOT_STATE, &state, err);

	if (r == 0)
		r = vm_snapshot_save(s->vm, s->saving.memory, state, err);
	if (r == 0)
		r = save_disk(s, err);
	if (r == 0)
		r = save_machine(s, err);
	if (r == 0)
		r = save_waiting(s, err);
	return r == 0 ? save_volumes(s, err) : r;
}

/* ---- the request -------------------------------------------------------------------------------------- */

static void end(struct supervisor *s)
{
	struct saving *v = &s->saving;

	if (v->since)
		go_on(s);
	if (v->directory >= 0)
		close(TAKE_FD(v->directory));
	if (v->memory >= 0)
		close(TAKE_FD(v->memory));
	v->client = NULL;
}

void snapshot_abandon(struct supervisor *s, const struct client *c)
{
	if (s->saving.client && (!c || s->saving.client == c))
		end(s);
}

static int prepare(struct supervisor *s, const char *directory, struct error *err)
{
	struct saving *v = &s->saving;
	int r;

	if (!*directory || strchr(directory, '/') || !strcmp(directory, "..") || !strcmp(directory, "."))
		return error_set(err, ERROR_INVALID, "'%s' is no directory of snapshots", directory);
	v->directory = r = fs_open(s->home.snapshots, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (r >= 0)
		r = make_file(v, SNAPSHOT_MEMORY, &v->memory, err);
	if (r == 0)
		r = vm_snapshot_base(s->vm, v->memory, err);
	return r == 0 ? save_hello(s, err) : r;
}

static void finish(struct supervisor *s)
{
	struct client *c = s->saving.client;
	uint32_t stream = s->saving.stream;
	struct error err;
	int r = save_all(s, &err);

	end(s);
	if (r < 0)
		peer_send_error(&c->peer, stream, &err);
	else
		client_send(c, stream, MESSAGE_DONE, 0, NULL, 0);
}

int snapshot_request(struct client *c, const struct frame *f, struct error *err)
{
	struct supervisor *s = c->supervisor;
	struct control_snapshot m = {0};
	int r = control_snapshot_decode(cursor_of(f->payload, f->size), &m, err);

	if (r == 0 && (r = check(s, err)) == 0) {
		s->saving = (struct saving){.client = c, .stream = f->stream, .directory = -1, .memory = -1};
		r = prepare(s, m.directory, err);
		if (r == 0)
			r = be_quiet(s, err);
		if (r < 0)
			end(s);
	}
	if (r == 0 && m.hold)
		client_send(c, f->stream, MESSAGE_STARTED, 0, NULL, 0);
	else if (r == 0)
		finish(s);
	control_snapshot_free(&m);
	return r;
}

bool snapshot_from_client(struct client *c, const struct frame *f)
{
	struct supervisor *s = c->supervisor;

	if (s->saving.client != c || s->saving.stream != f->stream)
		return false;
	if (f->type == MESSAGE_END)
		finish(s);
	else
		end(s);
	return true;
}
