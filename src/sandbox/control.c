/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/control.h"

#include <stdlib.h>

#include "os/unix_socket.h"

void control_attach_encode(const struct control_attach *m, struct buffer *out)
{
	buffer_u32(out, m->flags);
	buffer_u16(out, m->rows);
	buffer_u16(out, m->columns);
	if (m->flags & CONTROL_ATTACH_COMMAND)
		buffer_append(out, m->command.data, m->command.left);
}

int control_attach_decode(struct cursor in, struct control_attach *m, struct error *err)
{
	m->flags = cursor_u32(&in);
	m->rows = cursor_u16(&in);
	m->columns = cursor_u16(&in);
	if (m->flags & CONTROL_ATTACH_COMMAND && !in.failed) {
		m->command = in;
		return 0;
	}
	m->command = (struct cursor){.failed = true};
	return cursor_done(&in) ? 0 : error_set(err, ERROR_INVALID, "a malformed request to attach");
}

void control_snapshot_encode(const struct control_snapshot *m, struct buffer *out)
{
	buffer_string(out, m->directory);
	buffer_u8(out, m->hold);
}

int control_snapshot_decode(struct cursor in, struct control_snapshot *m, struct error *err)
{
	m->directory = cursor_string(&in);
	m->hold = cursor_u8(&in);
	if (cursor_done(&in))
		return 0;
	control_snapshot_free(m);
	return error_set(err, ERROR_INVALID, "a malformed request to save the machine");
}

void control_snapshot_free(struct control_snapshot *m)
{
	free(m->directory);
	m->directory = NULL;
}

void control_progress_encode(const struct control_progress *m, struct buffer *out)
{
	buffer_string(out, m->task);
	buffer_string(out, m->unit);
	buffer_u64(out, m->done);
	buffer_u64(out, m->total);
	buffer_u8(out, m->finished);
}

int control_progress_decode(struct cursor in, struct control_progress *m, struct error *err)
{
	m->task = cursor_string(&in);
	m->unit = cursor_string(&in);
	m->done = cursor_u64(&in);
	m->total = cursor_u64(&in);
	m->finished = cursor_u8(&in);
	if (cursor_done(&in))
		return 0;
	control_progress_free(m);
	return error_set(err, ERROR_INVALID, "a malformed report of progress");
}

void control_progress_free(struct control_progress *m)
{
	free(m->task);
	free(m->unit);
	m->task = m->unit = NULL;
}

void control_stats_encode(const struct control_stats *m, struct buffer *out)
{
	buffer_u64(out, m->time);
	buffer_u64(out, m->cpu);
	buffer_u32(out, m->cpu_thousandth);
	message_usage_encode(&m->usage, out);
}

int control_stats_decode(struct cursor in, struct control_stats *m, struct error *err)
{
	m->time = cursor_u64(&in);
	m->cpu = cursor_u64(&in);
	m->cpu_thousandth = cursor_u32(&in);
	return message_usage_decode(in, &m->usage, err);
}

int control_listen(int fd, int *listener, struct error *err)
{
	return unix_socket_listen(fd, "control", listener, err);
}

int control_connect(int fd, int *connection, struct error *err)
{
	int r = unix_socket_connect(fd, "control", connection, err);

	return r == -ERROR_NOT_FOUND ? error_set(err, ERROR_NOT_FOUND, "the sandbox is not running") : r;
}
