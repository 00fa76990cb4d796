/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

void qmp_close(struct qmp *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	buffer_free(&q->in);
}

/* The first of these keys tells what an object is. */
static const struct {
	const char *key;
	enum qmp_message what;
	const char *within; /* the part of the value that counts */
} kinds[] = {{"QMP", QMP_GREETING, NULL}, {"return", QMP_RETURN, NULL}, {"error", QMP_ERROR, "desc"},
	{"event", QMP_EVENT, NULL}};

int qmp_parse(const char *line, size_t n, enum qmp_message *what, json_t **value, struct error *err)
{
	_cleanup_json_ json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		json_t *v = json_object_get(object, kinds[i].key);

		if (v && kinds[i].within)
			v = json_object_get(v, kinds[i].within);
		if (!v || ((kinds[i].what == QMP_ERROR || kinds[i].what == QMP_EVENT) && !json_is_string(v)))
			continue;
		*what = kinds[i].what;
		*value = json_incref(v);
		return 0;
	}
	return error_set(err, ERROR_INVALID, "QEMU sent something that is no QMP");
}

static int wait_readable(struct qmp *q, uint64_t deadline, struct error *err)
{
	struct pollfd p = {.fd = q->fd, .events = POLLIN};
	int n;

	while ((n = poll(&p, 1, clock_poll_timeout(deadline))) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "wait for QEMU");
	return n > 0 ? 0 : error_set(err, ERROR_TIMEOUT, "QEMU does not answer");
}

static int read_more(struct qmp *q, uint64_t deadline, struct error *err)
{
	int r = wait_readable(q, deadline, err);
	ssize_t n;

	if (r < 0)
		return r;
	if (q->in.size > QMP_LINE_MAX)
		return error_set(err, ERROR_LIMIT, "QEMU sent a line of over %u bytes", QMP_LINE_MAX);
	if (!buffer_reserve(&q->in, 65536))
		return error_no_memory(err, "read from QEMU");
	n = recv(q->fd, q->in.data + q->in.size, 65536, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return error_set(err, ERROR_CLOSED, "QEMU ended");
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return error_errno(err, errno, "read from QEMU");
	q->in.size += n > 0 ? (size_t)n : 0;
	return 0;
}

/* The next message that is no event. */
static int next_message(
	struct qmp *q, enum qmp_message *what, json_t **value, uint64_t deadline, struct error *err)
{
	for (;;) {
		const uint8_t *end = q->in.size ? memchr(q->in.data, '\n', q->in.size) : NULL;
		_cleanup_json_ json_t *got = NULL;
		int r;

		if (!end) {
			r = read_more(q, deadline, err);
			if (r < 0)
				return r;
			continue;
		}
		r = qmp_parse((char *)q->in.data, (size_t)(end - q->in.data), what, &got, err);
		buffer_consume(&q->in, (size_t)(end - q->in.data) + 1);
		if (r < 0)
			return r;
		if (*what == QMP_EVENT)
			continue;
		*value = TAKE_PTR(got);
		return 0;
	}
}

static int send_line(struct qmp *q, const char *line, size_t size, int fd, struct error *err)
{
	struct iovec part = {.iov_base = (char *)line, .iov_len = size};
	union {
		char bytes[CMSG_SPACE(sizeof fd)];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *header;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		header = CMSG_FIRSTHDR(&m);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(header), &fd, sizeof fd);
	}
	/* Commands are short and answered before the next one: the socket's buffer always has room, unless
	 * QEMU has stopped reading. */
	while ((n = sendmsg(q->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)size)
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return error_set(err, ERROR_CLOSED, "QEMU ended");
	if (n >= 0 || errno == EAGAIN)
		return error_set(err, ERROR_TIMEOUT, "QEMU takes no commands");
	return error_errno(err, errno, "send to QEMU");
}

/* Takes the greeting and enters command mode. */
static int enter(struct qmp *q, uint64_t deadline, struct error *err)
{
	_cleanup_json_ json_t *greeting = NULL;
	enum qmp_message what;
	int r = next_message(q, &what, &greeting, deadline, err);

	if (r < 0)
		return r;
	if (what != QMP_GREETING)
		return error_set(err, ERROR_INVALID, "QEMU sent no greeting");
	q->open = true;
	return qmp_execute(q, "qmp_capabilities", NULL, -1, deadline, NULL, err);
}

int qmp_execute(struct qmp *q, const char *command, json_t *arguments, int fd, uint64_t deadline,
	json_t **result, struct error *err)
{
	_cleanup_json_ json_t *request = NULL, *value = NULL;
	_cleanup_buffer_ struct buffer line = {0};
	_cleanup_free_ char *text = NULL;
	enum qmp_message what;
	int r;

	request = arguments ? json_pack("{s:s, s:o}", "execute", command, "arguments", arguments)
			    : json_pack("{s:s}", "execute", command);
	text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	if (!text || !buffer_append_text(&line, text) || !buffer_append(&line, "\n", 1))
		return error_no_memory(err, "send a command to QEMU");
	r = q->open ? 0 : enter(q, deadline, err);
	if (r == 0)
		r = send_line(q, (char *)line.data, line.size, fd, err);
	if (r == 0)
		r = next_message(q, &what, &value, deadline, err);
	if (r < 0)
		return error_prefix(err, "QEMU's command %s", command);
	if (what == QMP_ERROR)
		return error_set(err, ERROR_SYSTEM, "QEMU refused %s: %s", command, json_string_value(value));
	if (what != QMP_RETURN)
		return error_set(err, ERROR_INVALID, "QEMU answered %s with a second greeting", command);
	if (result)
		*result = TAKE_PTR(value);
	return 0;
}
