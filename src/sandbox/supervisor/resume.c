/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox that goes on where a snapshot was made. The directory `resume` of the sandbox holds the machine
 * (docs/formats/snapshot.md). The agent gets WAKE, which makes the machine a sandbox of its own, and what had
 * waited for it; it has the streams that it had, of which only the main process's has a future: nobody waits
 * for the others any more. The directory goes once the agent has answered: the machine has its files open.
 *
 * A new sandbox that was given the running state of its image boots where it cannot go on with that.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "sandbox/disk.h"
#include "sandbox/json_file.h"
#include "sandbox/snapshot.h"
#include "sandbox/snapshot_format.h"
#include "sandbox/supervisor/supervisor.h"

#define HELLO_MAX        65536
#define VOLUMES_SIZE_MAX (64u << 20)

struct resume {
	int directory, memory, state;
	struct buffer hello, waiting, volumes;
	bool has_volumes, fresh;
	json_t *machine;
	struct vm_saved saved;
	struct volumes_saved saved_volumes;
};

CLEANUP_DEFINE(resume, struct resume, resume_close);

void resume_close(struct resume *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < 3; i++) {
		int fd = ((int[]){r->directory, r->memory, r->state})[i];

		if (fd >= 0)
			close(fd);
	}
	buffer_free(&r->hello);
	buffer_free(&r->waiting);
	buffer_free(&r->volumes);
	json_decref(r->machine);
	free(r);
}

static int corrupt(const char *what, struct error *err)
{
	return error_set(err, ERROR_CORRUPT, "the saved machine: %s", what);
}

static int open_files(struct resume *r, struct error *err)
{
	int result = json_file_read(r->directory, SNAPSHOT_MACHINE, &r->machine, err);

	if (result == 0)
		result = fs_read_file(r->directory, SNAPSHOT_HELLO, HELLO_MAX, &r->hello, err);
	if (result == 0)
		result = fs_read_file(r->directory, SNAPSHOT_WAITING, QUEUE_MAX, &r->waiting, err);
	if (result == 0) {
		result = fs_read_file(r->directory, SNAPSHOT_VOLUMES, VOLUMES_SIZE_MAX, &r->volumes, err);
		r->has_volumes = result == 0;
		result = result == -ERROR_NOT_FOUND ? 0 : result;
	}
	if (result == 0)
		r->memory = result = fs_open(r->directory, SNAPSHOT_MEMORY, O_RDONLY | O_NOFOLLOW, 0, err);
	if (result >= 0)
		r->state = result = fs_open(r->directory, SNAPSHOT_STATE, O_RDONLY | O_NOFOLLOW, 0, err);
	return result < 0 ? error_prefix(err, "the saved machine") : 0;
}

int resume_open(struct supervisor *s, struct error *err)
{
	_cleanup_(cleanup_resume) struct resume *r = NULL;
	int directory =
		fs_open(s->directory.fd, SNAPSHOT_RESUME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	const char *machine;
	json_int_t moment;
	int result;

	if (directory < 0)
		return directory == -ERROR_NOT_FOUND ? 0 : directory;
	r = calloc(1, sizeof *r);
	if (!r) {
		close(directory);
		return error_no_memory(err, "go on with a saved machine");
	}
	r->directory = directory;
	r->memory = r->state = -1;
	r->fresh = faccessat(directory, SNAPSHOT_FRESH, F_OK, 0) == 0;
	result = open_files(r, err);
	if (result == 0 && record_has_disk(&s->record) && !snapshot_disk_is_same(s->directory.fd, directory))
		result = error_set(err, ERROR_CORRUPT,
			"its disk has changed since it was made of the snapshot, so the saved machine does "
			"not "
			"go with it any more: remove it, and restore the snapshot again");
	if (result < 0 && r->fresh)
		return resume_drop(s, err->text, err);
	if (result < 0)
		return result;
	machine = json_string_value(json_object_get(r->machine, "machine"));
	if (json_integer_value(json_object_get(r->machine, "version")) != SNAPSHOT_VERSION || !machine)
		return corrupt("it is of another version", err);
	r->saved = (struct vm_saved){.memory = r->memory,
		.state = r->state,
		.hello = r->hello.data,
		.hello_size = r->hello.size,
		.machine = machine};
	moment = json_integer_value(json_object_get(r->machine, "moment"));
	r->saved_volumes = (struct volumes_saved){
		.known = &r->volumes, .moment = moment > 0 ? (uint64_t)moment : UINT64_MAX};
	s->resume = TAKE_PTR(r);
	return 0;
}

bool resume_may_boot(const struct resume *r)
{
	return r && r->fresh;
}

int resume_drop(struct supervisor *s, const char *why, struct error *err)
{
	int r;

	supervisor_note(s, "it does not start from the saved state of its image: %s", why);
	resume_close(TAKE_PTR(s->resume));
	while (s->streams.size) {
		size_t at = 0;

		stream_close(s, map_next(&s->streams, &at)->value);
	}
	s->next_stream = 0;
	if (s->disk_fd >= 0)
		close(TAKE_FD(s->disk_fd));
	r = fs_remove_tree(s->directory.fd, SNAPSHOT_RESUME, err);
	if (r == 0 && record_has_disk(&s->record))
		r = disk_make(s->directory.fd, &s->record, err);
	return r;
}

const struct vm_saved *resume_machine(const struct resume *r)
{
	return r ? &r->saved : NULL;
}

const struct volumes_saved *resume_volumes(const struct resume *r)
{
	return r && r->has_volumes ? &r->saved_volumes : NULL;
}

/* ---- streams ------------------------------------------------------------------------------------------ */

static int read_stream(json_t *json, struct stream *t, struct error *err)
{
	json_int_t id, entries, unacked[CHANNEL_COUNT];
	int opener, main, detached, started, ended[CHANNEL_COUNT];

	if (json_unpack(json, "{s:I, s:i, s:b, s:b, s:b, s:[bbb!], s:I, s:[III!]}", "id", &id, "opener",
		    &opener, "main", &main, "detached", &detached, "started", &started, "ended", &ended[0],
		    &ended[1], &ended[2], "entries", &entries, "unacked", &unacked[0], &unacked[1],
		    &unacked[2]) < 0 ||
		id < 1 || id > UINT32_MAX || entries < 0 || entries > UINT32_MAX)
		return corrupt("a malformed stream", err);
	*t = (struct stream){.id = (uint32_t)id,
		.opener = (uint16_t)opener,
		.main = main,
		.detached = detached,
		.started = started,
		.entries = (uint32_t)entries};
	for (int i = 0; i < CHANNEL_COUNT; i++) {
		if (unacked[i] < 0 || unacked[i] > STREAM_WINDOW)
			return corrupt("a malformed window", err);
		t->ended[i] = ended[i];
		t->unacked[i] = (uint64_t)unacked[i];
	}
	return 0;
}

static int add_stream(struct supervisor *s, json_t *json, struct error *err)
{
	struct stream read, *t;
	int r = read_stream(json, &read, err);

	if (r < 0)
		return r;
	t = malloc(sizeof *t);
	if (!t || map_set(&s->streams, &read.id, sizeof read.id, t, NULL, err) < 0) {
		free(t);
		return error_no_memory(err, "go on with a saved machine");
	}
	*t = read;
	if (t->main)
		s->main = t;
	return 0;
}

/* Those that nobody waits for are told so; the main process's bytes go on to whoever attaches. */
static void abandon_streams(struct supervisor *s)
{
	_cleanup_free_ uint32_t *ids = calloc(s->streams.size + 1, sizeof *ids);
	struct map_slot *slot;
	size_t at = 0, n = 0;

	while (ids && (slot = map_next(&s->streams, &at)))
		ids[n++] = ((struct stream *)slot->value)->id;
	for (size_t i = 0; i < n; i++) {
		struct stream *t = stream_find(s, ids[i]);

		if (t != s->main)
			stream_abandon(s, t);
	}
	for (uint16_t channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
		main_credit(s, channel);
}

int resume_streams(struct supervisor *s, struct error *err)
{
	const json_t *list = json_object_get(s->resume->machine, "streams");
	json_int_t next = json_integer_value(json_object_get(s->resume->machine, "next_stream"));
	int r = 0;

	if (next < 0 || next > UINT32_MAX)
		return corrupt("a malformed number of streams", err);
	s->next_stream = (uint32_t)next;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = add_stream(s, json_array_get(list, i), err);
	if (r == 0 && !s->main)
		return corrupt("its main process had ended", err);
	if (r == 0 && !buffer_append(&s->agent.out, s->resume->waiting.data, s->resume->waiting.size))
		return error_no_memory(err, "go on with a saved machine");
	if (r == 0)
		abandon_streams(s);
	return r == 0 ? peer_flush(&s->agent, err) : r;
}

void resume_done(struct supervisor *s)
{
	resume_close(TAKE_PTR(s->resume));
	fs_remove_tree(s->directory.fd, SNAPSHOT_RESUME, NULL);
}
