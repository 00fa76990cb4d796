/* SPDX-License-Identifier: Apache-2.0 */
/* Single files of a sandbox, and what is in its directories. */
#include "lib/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/message.h"
#include "lib/handle.h"

#define ENTRIES_MAX  100000 /* as our agent has it */
#define ENTRIES_STEP 256

int files_connect(struct monocore *mc, const char *name, struct peer *peer, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	int r = find_sandbox(mc, name, &d, &record, err);

	return r < 0 ? r : connect_sandbox(&d, &record, peer, err);
}

int files_receive(struct peer *peer,
	int (*take)(void *context, const void *data, size_t n, struct error *err), void *context,
	struct error *err)
{
	for (;;) {
		struct frame f;
		int r = peer_wait(peer, &f, UINT64_MAX, err);

		if (r < 0)
			return r;
		if (f.type == MESSAGE_ERROR)
			return message_error_read(cursor_of(f.payload, f.size), err);
		if (f.type == MESSAGE_DONE)
			return 0;
		if (f.type != MESSAGE_DATA)
			continue;
		r = take(context, f.payload, f.size, err);
		if (r < 0)
			return r;
		if (!peer_send_u32(peer, 1, MESSAGE_CREDIT, CHANNEL_OUT, (uint32_t)f.size))
			return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
	}
}

/* Waits until the agent has taken enough for `need` more bytes; an ERROR ends it. */
static int await_window(struct peer *peer, uint64_t *window, size_t need, struct error *err)
{
	while (*window < need) {
		struct frame f;
		struct cursor in;
		int r = peer_wait(peer, &f, UINT64_MAX, err);

		if (r < 0)
			return r;
		if (f.type == MESSAGE_ERROR)
			return message_error_read(cursor_of(f.payload, f.size), err);
		in = cursor_of(f.payload, f.size);
		if (f.type == MESSAGE_CREDIT)
			*window += cursor_u32(&in);
	}
	return 0;
}

int files_send(struct peer *peer, uint64_t *window, const void *data, size_t n, struct error *err)
{
	while (n) {
		size_t part = n < 32768 ? n : 32768;
		int r = await_window(peer, window, part, err);

		if (r < 0)
			return r;
		if (!peer_send(peer, 1, MESSAGE_DATA, CHANNEL_IN, data, part))
			return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
		*window -= part;
		data = (const char *)data + part;
		n -= part;
	}
	return 0;
}

static int ignore_data(void *context, const void *data, size_t n, struct error *err)
{
	(void)context;
	(void)data;
	(void)n;
	(void)err;
	return 0;
}

int files_finish(struct peer *peer, struct error *err)
{
	if (!peer_send(peer, 1, MESSAGE_END, CHANNEL_IN, NULL, 0))
		return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
	return files_receive(peer, ignore_data, NULL, err);
}

int files_open(struct peer *peer, uint16_t type, const char *path, uint32_t option, struct error *err)
{
	const struct message_request m = {.path = (char *)path, .option = option};
	_cleanup_buffer_ struct buffer payload = {0};

	message_request_encode(type, &m, &payload);
	if (payload.failed)
		return error_set(err, ERROR_INVALID, "'%s' is no path in a sandbox", path);
	if (!peer_send(peer, 1, type, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "the sandbox has stopped");
	return 0;
}

static int collect(void *context, const void *data, size_t n, struct error *err)
{
	struct buffer *out = context;

	if (out->limit && out->size + n > out->limit)
		return error_set(err, ERROR_LIMIT, "the file is over %zu bytes", out->limit);
	return buffer_append(out, data, n) ? 0 : error_no_memory(err, "read a file");
}

int monocore_file_read(struct monocore *mc, const char *name, const char *path, void **data, size_t *size,
	size_t limit, struct monocore_error *error)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	_cleanup_buffer_ struct buffer bytes = {.limit = limit};
	struct error err;
	int r = files_connect(mc, name, &peer, &err);

	if (r == 0)
		r = files_open(&peer, MESSAGE_READ, path, 0, &err);
	if (r == 0)
		r = files_receive(&peer, collect, &bytes, &err);
	if (r < 0)
		return give_error(error, &err);
	*size = bytes.size;
	*data = bytes.data ? TAKE_PTR(bytes.data) : calloc(1, 1);
	return 0;
}

int monocore_file_write(struct monocore *mc, const char *name, const char *path, const void *data,
	size_t size, uint32_t mode, struct monocore_error *error)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	uint64_t window = STREAM_WINDOW;
	struct error err;
	int r = files_connect(mc, name, &peer, &err);

	if (r == 0)
		r = files_open(&peer, MESSAGE_WRITE, path, mode, &err);
	if (r == 0)
		r = files_send(&peer, &window, data, size, &err);
	if (r == 0)
		r = files_finish(&peer, &err);
	return r < 0 ? give_error(error, &err) : 0;
}

void monocore_file_list_free(struct monocore_file_info *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].link);
	}
	free(list);
}

/* The guest is believed neither in what it says nor in how much. */
static int add_entry(
	const struct frame *f, struct monocore_file_info **list, size_t *count, struct error *err)
{
	struct message_entry m = {0};
	int r;

	if (*count >= ENTRIES_MAX)
		return error_set(err, ERROR_LIMIT, "the directory has over %d entries", ENTRIES_MAX);
	if (*count % ENTRIES_STEP == 0) {
		struct monocore_file_info *grown = reallocarray(*list, *count + ENTRIES_STEP, sizeof *grown);

		if (!grown)
			return error_no_memory(err, "list files");
		*list = grown;
	}
	r = message_entry_decode(cursor_of(f->payload, f->size), &m, err);
	if (r < 0)
		return r;
	(*list)[(*count)++] = (struct monocore_file_info){.name = m.name,
		.mode = m.mode,
		.uid = m.uid,
		.gid = m.gid,
		.size = m.size,
		.mtime = m.mtime,
		.mtime_nanoseconds = m.mtime_nanoseconds,
		.link = m.link};
	return 0;
}

/* STAT and LIST: ENTRY frames until DONE. */
static int query_entries(struct monocore *mc, const char *name, uint16_t type, const char *path,
	uint32_t option, struct monocore_file_info **list, size_t *count, struct error *err)
{
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	int r = files_connect(mc, name, &peer, err);

	*list = NULL;
	*count = 0;
	if (r == 0)
		r = files_open(&peer, type, path, option, err);
	while (r == 0) {
		struct frame f;

		r = peer_wait(&peer, &f, UINT64_MAX, err);
		if (r < 0)
			break;
		r = 0;
		if (f.type == MESSAGE_DONE)
			return 0;
		if (f.type == MESSAGE_ERROR)
			r = message_error_read(cursor_of(f.payload, f.size), err);
		else if (f.type == MESSAGE_ENTRY)
			r = add_entry(&f, list, count, err);
	}
	monocore_file_list_free(*list, *count);
	*list = NULL;
	return r;
}

int monocore_file_stat(struct monocore *mc, const char *name, const char *path, bool follow,
	struct monocore_file_info **info, struct monocore_error *error)
{
	struct error err;
	size_t count;

	if (query_entries(mc, name, MESSAGE_STAT, path, follow, info, &count, &err) < 0)
		return give_error(error, &err);
	if (count == 1)
		return 0;
	monocore_file_list_free(*info, count);
	error_set(&err, ERROR_INVALID, "the guest answered with %zu entries", count);
	return give_error(error, &err);
}

int monocore_file_list(struct monocore *mc, const char *name, const char *directory,
	struct monocore_file_info **list, size_t *count, struct monocore_error *error)
{
	struct error err;

	return query_entries(mc, name, MESSAGE_LIST, directory, 0, list, count, &err) < 0
		       ? give_error(error, &err)
		       : 0;
}
