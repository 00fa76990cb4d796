/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small messages, and what all decoders share. A decoder reads every field through a cursor that fails
 * once and for good, judges at the end, and leaves *m empty where it refuses.
 */
#include "codec/message.h"

#include "codec/message_parts.h"

#define VERSION_TEXT_MAX 256
#define ERROR_TEXT_LIMIT 4096

const char *message_name(uint16_t type)
{
	switch (type) {
#define X(name, code, sender, meaning) \
	case MESSAGE_##name: \
		return #name;
		MESSAGES(X)
#undef X
	default:
		return "?";
	}
}

int message_finish(const struct cursor *in, const char *name, struct error *err)
{
	if (in->failed)
		return error_set(
			err, ERROR_INVALID, "%s message: it is cut, or a field is out of range", name);
	if (in->left)
		return error_set(
			err, ERROR_INVALID, "%s message: %zu bytes stand behind its end", name, in->left);
	return 0;
}

char *message_string(struct cursor *in, size_t most)
{
	struct cursor ahead = *in;
	size_t n;

	if (!cursor_bytes(&ahead, &n) || n > most) {
		in->failed = true;
		return NULL;
	}
	return cursor_string(in);
}

void message_list_encode(char *const *list, struct buffer *out)
{
	uint32_t n = 0;

	while (list && list[n])
		n++;
	buffer_u32(out, n);
	for (uint32_t i = 0; i < n; i++)
		buffer_string(out, list[i]);
}

void message_list_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

char **message_list(struct cursor *in)
{
	uint32_t n = cursor_u32(in);
	char **list;

	/* Each string takes 4 bytes at least: a count that lies costs no memory. */
	if (in->failed || n > in->left / 4 || !(list = calloc((size_t)n + 1, sizeof *list))) {
		in->failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < n && !in->failed; i++)
		list[i] = cursor_string(in);
	if (in->failed) {
		message_list_free(list);
		return NULL;
	}
	return list;
}

void message_u64_encode(uint64_t value, struct buffer *out)
{
	buffer_u64(out, value);
}

int message_u64_decode(struct cursor in, uint64_t *value, struct error *err)
{
	*value = cursor_u64(&in);
	return message_finish(&in, "u64", err);
}

void message_u32_encode(uint32_t value, struct buffer *out)
{
	buffer_u32(out, value);
}

int message_u32_decode(struct cursor in, uint32_t *value, struct error *err)
{
	*value = cursor_u32(&in);
	return message_finish(&in, "u32", err);
}

void message_resize_encode(const struct message_resize *m, struct buffer *out)
{
	buffer_u16(out, m->rows);
	buffer_u16(out, m->columns);
}

int message_resize_decode(struct cursor in, struct message_resize *m, struct error *err)
{
	m->rows = cursor_u16(&in);
	m->columns = cursor_u16(&in);
	return message_finish(&in, "RESIZE", err);
}

void message_shutdown_encode(const struct message_shutdown *m, struct buffer *out)
{
	buffer_u32(out, m->milliseconds);
	buffer_u8(out, m->discard);
}

int message_shutdown_decode(struct cursor in, struct message_shutdown *m, struct error *err)
{
	m->milliseconds = cursor_u32(&in);
	m->discard = message_bool(&in);
	return message_finish(&in, "SHUTDOWN", err);
}

void message_hello_encode(const struct message_hello *m, struct buffer *out)
{
	buffer_u16(out, m->version);
	buffer_string(out, m->kernel);
	buffer_string(out, m->missing);
}

int message_hello_decode(struct cursor in, struct message_hello *m, struct error *err)
{
	*m = (struct message_hello){0};
	m->version = cursor_u16(&in);
	m->kernel = message_string(&in, VERSION_TEXT_MAX);
	m->missing = message_string(&in, VERSION_TEXT_MAX);
	if (message_finish(&in, "HELLO", err) < 0) {
		message_hello_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_hello_free(struct message_hello *m)
{
	message_string_free(&m->kernel);
	message_string_free(&m->missing);
}

void message_error_encode(const struct message_error *m, struct buffer *out)
{
	buffer_u32(out, m->code);
	buffer_string(out, m->text);
}

int message_error_decode(struct cursor in, struct message_error *m, struct error *err)
{
	*m = (struct message_error){0};
	m->code = cursor_u32(&in);
	m->text = message_string(&in, ERROR_TEXT_LIMIT);
	if (m->code == ERROR_NONE || m->code >= ERROR_COUNT)
		in.failed = true;
	if (message_finish(&in, "ERROR", err) < 0) {
		message_error_free(m);
		return -ERROR_INVALID;
	}
	return 0;
}

void message_error_free(struct message_error *m)
{
	message_string_free(&m->text);
}

int message_error_read(struct cursor in, struct error *err)
{
	struct message_error m;
	int r = message_error_decode(in, &m, err);

	if (r == 0)
		r = error_set(err, (enum error_code)m.code, "%s", m.text);
	message_error_free(&m);
	return r;
}

void message_exited_encode(const struct message_exited *m, struct buffer *out)
{
	buffer_u32(out, m->code);
	buffer_u32(out, m->signal);
	buffer_u8(out, m->out_of_memory);
	buffer_u8(out, m->staged);
}

int message_exited_decode(struct cursor in, struct message_exited *m, struct error *err)
{
	m->code = cursor_u32(&in);
	m->signal = cursor_u32(&in);
	m->out_of_memory = message_bool(&in);
	m->staged = message_bool(&in);
	if (m->code > 255 || m->signal > 127 || (m->code && m->signal))
		in.failed = true;
	return message_finish(&in, "EXITED", err);
}
