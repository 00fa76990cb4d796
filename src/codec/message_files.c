/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that name a path, what they are answered with, and what the guest uses. */
#include "codec/message_parts.h"
#include "codec/volume.h"

#define NANOSECONDS_MAX 999999999

enum request_option { OPTION_NONE, OPTION_U8, OPTION_U32 };

static enum request_option option_of(uint16_t type)
{
	switch (type) {
	case MESSAGE_PUT:
	case MESSAGE_WRITE:
		return OPTION_U32;
	case MESSAGE_STAT:
	case MESSAGE_UPPER:
		return OPTION_U8;
	default:
		return OPTION_NONE;
	}
}

static bool has_upper(uint16_t type)
{
	return type == MESSAGE_UPPER || type == MESSAGE_REMOVE;
}

void message_request_encode(uint16_t type, const struct message_request *m, struct buffer *out)
{
	if (type != MESSAGE_UPPER)
		buffer_string(out, m->path);
	if (option_of(type) == OPTION_U32)
		buffer_u32(out, m->option);
	else if (option_of(type) == OPTION_U8)
		buffer_u8(out, m->option != 0);
	if (has_upper(type))
		buffer_u32(out, m->upper);
}

int message_request_decode(uint16_t type, struct cursor in, struct message_request *m, struct error *err)
{
	*m = (struct message_request){0};
	if (type != MESSAGE_UPPER)
		m->path = message_string(&in, MESSAGE_PATH_MAX);
	if (option_of(type) == OPTION_U32)
		m->option = cursor_u32(&in);
	else if (option_of(type) == OPTION_U8)
		m->option = message_bool(&in);
	if (has_upper(type))
		m->upper = cursor_u32(&in);
	if (has_upper(type) && m->upper >= VOLUMES_MAX && m->upper != UPPER_ROOT)
		in.failed = true;
	if (!in.failed && m->path && !*m->path)
		in.failed = true;
	if (type == MESSAGE_PUT && m->option & ~(uint32_t)(PUT_KEEP_OWNERS | PUT_KEEP_DIRECTORIES))
		in.failed = true;
	if (type == MESSAGE_WRITE && m->option & ~(uint32_t)07777)
		in.failed = true;
	if (message_finish(&in, message_name(type), err) < 0) {
		message_request_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_request_free(struct message_request *m)
{
	message_string_free(&m->path);
}

void message_entry_encode(const struct message_entry *m, struct buffer *out)
{
	buffer_string(out, m->name);
	buffer_u32(out, m->mode);
	buffer_u32(out, m->uid);
	buffer_u32(out, m->gid);
	buffer_u64(out, m->size);
	buffer_u64(out, (uint64_t)m->mtime);
	buffer_u32(out, m->mtime_nanoseconds);
	buffer_string(out, m->link);
}

int message_entry_decode(struct cursor in, struct message_entry *m, struct error *err)
{
	*m = (struct message_entry){0};
	m->name = message_string(&in, MESSAGE_PATH_MAX);
	m->mode = cursor_u32(&in);
	m->uid = cursor_u32(&in);
	m->gid = cursor_u32(&in);
	m->size = cursor_u64(&in);
	m->mtime = (int64_t)cursor_u64(&in);
	m->mtime_nanoseconds = cursor_u32(&in);
	m->link = message_string(&in, MESSAGE_PATH_MAX);
	if (m->mode > 0177777 || m->mtime_nanoseconds > NANOSECONDS_MAX)
		in.failed = true;
	if (message_finish(&in, "ENTRY", err) < 0) {
		message_entry_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_entry_free(struct message_entry *m)
{
	message_string_free(&m->name);
	message_string_free(&m->link);
}

void message_usage_encode(const struct message_usage *m, struct buffer *out)
{
	buffer_u64(out, m->cpu_nanoseconds);
	buffer_u64(out, m->memory_total);
	buffer_u64(out, m->memory_available);
	buffer_u64(out, m->disk_total);
	buffer_u64(out, m->disk_free);
	buffer_u64(out, m->disk_read);
	buffer_u64(out, m->disk_written);
	buffer_u64(out, m->net_received);
	buffer_u64(out, m->net_sent);
	buffer_u32(out, m->processes);
	buffer_u32(out, m->load_milli);
}

int message_usage_decode(struct cursor in, struct message_usage *m, struct error *err)
{
	m->cpu_nanoseconds = cursor_u64(&in);
	m->memory_total = cursor_u64(&in);
	m->memory_available = cursor_u64(&in);
	m->disk_total = cursor_u64(&in);
	m->disk_free = cursor_u64(&in);
	m->disk_read = cursor_u64(&in);
	m->disk_written = cursor_u64(&in);
	m->net_received = cursor_u64(&in);
	m->net_sent = cursor_u64(&in);
	m->processes = cursor_u32(&in);
	m->load_milli = cursor_u32(&in);
	return message_finish(&in, "USAGE", err);
}
