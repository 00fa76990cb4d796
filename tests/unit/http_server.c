/* SPDX-License-Identifier: Apache-2.0 */
#include "http_server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "test.h"

#define TABLE_MAX 32

struct http_server {
	const struct http_answer *table;
	unsigned used[TABLE_MAX];
	char host[32], url[48];
	const struct http_server *other;
	int listener;
	pthread_t thread;
	pthread_mutex_t lock; /* over what follows */
	struct buffer log, received;
};

/* ---- requests --------------------------------------------------------------------------------------- */

struct request {
	struct buffer bytes; /* the head with a NUL in place of its empty line, and the body */
	size_t head, body;   /* of the body: size; it begins at head */
	char *method, *target;
};

static bool receive(int fd, struct buffer *b, size_t until)
{
	while (b->size < until) {
		ssize_t n;

		if (!buffer_reserve(b, 65536))
			return false;
		n = recv(fd, b->data + b->size, 65536, 0);
		if (n <= 0)
			return false;
		b->size += (size_t)n;
		/* Not even HTTP: somebody tries TLS. */
		if (!isupper(b->data[0]))
			return false;
	}
	return true;
}

static size_t find_end(const struct buffer *b)
{
	const char *end = b->size ? memmem(b->data, b->size, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - (const char *)b->data) + 4 : 0;
}

static bool read_request(int fd, struct request *q)
{
	const char *length;
	char *space;

	while (!(q->head = find_end(&q->bytes)))
		if (!receive(fd, &q->bytes, q->bytes.size + 1))
			return false;
	q->bytes.data[q->head - 1] = 0;
	length = strcasestr((char *)q->bytes.data, "\ncontent-length:");
	q->body = length ? strtoul(length + strlen("\ncontent-length:"), NULL, 10) : 0;
	if (!receive(fd, &q->bytes, q->head + q->body))
		return false;
	space = strchr((char *)q->bytes.data, ' ');
	q->method = text_copy_bytes(q->bytes.data, (size_t)(space - (char *)q->bytes.data), NULL);
	q->target = text_copy_bytes(space + 1, strcspn(space + 1, " "), NULL);
	return q->method && q->target;
}

static void log_request(struct http_server *s, const struct request *q)
{
	const char *authorization = strcasestr((char *)q->bytes.data, "\nauthorization: ");

	authorization = authorization ? authorization + strlen("\nauthorization: ") : "-";
	buffer_format(&s->log, "%s %s %.*s\n", q->method, q->target, (int)strcspn(authorization, "\r"),
		authorization);
}

/* ---- answers ---------------------------------------------------------------------------------------- */

static bool fits(const struct http_answer *a, const struct request *q)
{
	size_t n = strlen(a->target);
	bool begins = n && a->target[n - 1] == '*';

	return (!a->method || !strcmp(a->method, q->method)) &&
	       (begins ? !strncmp(a->target, q->target, n - 1) : !strcmp(a->target, q->target)) &&
	       (!a->when || strcasestr((char *)q->bytes.data, a->when));
}

static const struct http_answer *choose(struct http_server *s, const struct request *q)
{
	static const struct http_answer none = {.status = 404};

	for (size_t i = 0; s->table[i].target; i++)
		if (fits(&s->table[i], q) && (!s->table[i].times || s->used[i] < s->table[i].times)) {
			s->used[i]++;
			return &s->table[i];
		}
	return &none;
}

static void fill_in(const struct http_server *s, const char *text, struct buffer *out)
{
	while (*text) {
		size_t n = strcspn(text, "{");

		buffer_append(out, text, n);
		text += n;
		if (text_starts(text, "{url}")) {
			buffer_append_text(out, s->url);
			text += strlen("{url}");
		} else if (text_starts(text, "{other}")) {
			buffer_append_text(out, s->other->url);
			text += strlen("{other}");
		} else if (*text) {
			buffer_u8(out, (uint8_t)*text++);
		}
	}
}

static void send_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

static void answer(struct http_server *s, int fd, const struct request *q, const struct http_answer *a)
{
	_cleanup_buffer_ struct buffer b = {0};
	size_t size = a->body ? a->size ? a->size : strlen(a->body) : 0;

	if (a->status == 0)
		return;
	buffer_format(&b, "HTTP/1.1 %d Said\r\nConnection: close\r\n", a->status);
	fill_in(s, a->headers ? a->headers : "", &b);
	if (a->status != 204 && !(a->headers && strcasestr(a->headers, "content-length:")))
		buffer_format(&b, "Content-Length: %zu\r\n", size);
	buffer_append_text(&b, "\r\n");
	if (strcmp(q->method, "HEAD") != 0 && !a->size)
		fill_in(s, a->body ? a->body : "", &b);
	else if (strcmp(q->method, "HEAD") != 0)
		buffer_append(&b, a->body, size);
	send_all(fd, b.data, b.size - a->cut);
}

/* Whether it is to hang up. */
static bool serve(struct http_server *s, int fd)
{
	const struct timeval patience = {.tv_sec = 10};
	const struct http_answer *a = NULL;
	struct request q = {0};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (read_request(fd, &q)) {
		pthread_mutex_lock(&s->lock);
		log_request(s, &q);
		a = choose(s, &q);
		if (a->status >= 200 && a->status < 300)
			buffer_append(&s->received, q.bytes.data + q.head, q.body);
		pthread_mutex_unlock(&s->lock);
		answer(s, fd, &q, a);
	}
	buffer_free(&q.bytes);
	free(q.method);
	free(q.target);
	return !a || !a->stay;
}

static void *run(void *context)
{
	struct http_server *s = context;
	int fd;

	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (serve(s, fd))
			shutdown(fd, SHUT_WR);
		/* Until the other side has all of it: a reset would take what is on the way. */
		while (recv(fd, (char[4096]){0}, 4096, 0) > 0)
			;
		close(fd);
	}
	return NULL;
}

/* ---- the server ------------------------------------------------------------------------------------- */

struct http_server *http_server_start(const struct http_answer *table, struct http_server *other)
{
	struct http_server *s = calloc(1, sizeof *s);
	struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof place;
	size_t rows = 0;

	CHECK(s);
	while (table[rows].target)
		rows++;
	CHECK(rows <= TABLE_MAX);
	s->table = table;
	s->other = other;
	pthread_mutex_init(&s->lock, NULL);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(s->listener >= 0 && bind(s->listener, (struct sockaddr *)&place, size) == 0 &&
		listen(s->listener, 64) == 0 &&
		getsockname(s->listener, (struct sockaddr *)&place, &size) == 0);
	snprintf(s->host, sizeof s->host, "127.0.0.1:%u", ntohs(place.sin_port));
	snprintf(s->url, sizeof s->url, "http://%s", s->host);
	CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
	return s;
}

void http_server_stop(struct http_server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	buffer_free(&s->log);
	buffer_free(&s->received);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

char *http_server_host(const struct http_server *s)
{
	return (char *)s->host;
}

const char *http_server_log(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	buffer_u8(&s->log, 0);
	s->log.size--;
	pthread_mutex_unlock(&s->lock);
	return (const char *)s->log.data;
}

unsigned http_server_count(struct http_server *s, const char *beginning)
{
	unsigned count = 0;

	for (const char *line = http_server_log(s); *line; line = strchr(line, '\n') + 1)
		count += text_starts(line, beginning);
	return count;
}

const void *http_server_received(struct http_server *s, size_t *size)
{
	*size = s->received.size;
	return s->received.data;
}
