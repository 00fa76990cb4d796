/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_server.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "codec/dns.h"
#include "test.h"

#define EVIL 0xc6336442u /* 198.51.100.66 */

struct stream {
	uv_tcp_t tcp;
	uv_write_t write;
	struct dns_server *s;
	uint8_t in[600], out[65537];
	size_t have;
};

static bool ordered(const struct dns_query *q, const char *order)
{
	size_t n = strlen(order);

	return strncmp(q->name, order, n) == 0 && (q->name[n] == '.' || q->name[n] == '-');
}

static void put16(struct buffer *b, unsigned v)
{
	buffer_u8(b, (uint8_t)(v >> 8));
	buffer_u8(b, (uint8_t)v);
}

static void put_record(struct buffer *b, const char *owner, size_t owner_size, unsigned type, uint32_t ttl,
	const void *data, size_t n)
{
	buffer_append(b, owner, owner_size);
	put16(b, type);
	put16(b, 1);
	put16(b, ttl >> 16);
	put16(b, ttl & 0xffff);
	put16(b, (unsigned)n);
	buffer_append(b, data, n);
}

static void put_address(
	struct buffer *b, const char *owner, size_t owner_size, uint32_t ttl, uint32_t address)
{
	uint32_t data = htonl(address);

	put_record(b, owner, owner_size, DNS_A, ttl, &data, 4);
}

/* A reply with this id; `flags` has its code and TC. */
static void put_reply(
	struct buffer *b, const struct dns_query *q, uint16_t id, unsigned flags, uint32_t address)
{
	static const char web[] = "\3web\7example";
	unsigned answers = 1, authorities = 0;
	size_t count_at = b->size + 6;

	put16(b, id);
	put16(b, 0x8180 | flags);
	put16(b, 1);
	put16(b, 0);
	put16(b, 0);
	put16(b, 0);
	buffer_append(b, q->message + 12, q->question_end - 12);
	if (flags & 0x20f) {
		answers = 0;
	} else if (ordered(q, "big") || ordered(q, "half")) {
		for (answers = 0; answers < 200; answers++)
			put_address(b, "\xc0\x0c", 2, 300, address + answers);
	} else if (ordered(q, "chain")) {
		put_record(b, "\xc0\x0c", 2, DNS_CNAME, 60, web, sizeof web);
		put_address(b, web, sizeof web, 300, address);
		answers = 2;
	} else {
		put_address(b, "\xc0\x0c", 2, ordered(q, "brief") ? 1 : 300, address);
	}
	if ((flags & 15) == DNS_NXDOMAIN) {
		put_record(b, "", 1, DNS_SOA, 900, "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x3c", 22);
		authorities = 1;
	}
	b->data[count_at + 1] = (uint8_t)answers;
	b->data[count_at + 3] = (uint8_t)authorities;
}

static unsigned flags_of(const struct dns_query *q, bool tcp)
{
	if (ordered(q, "nx"))
		return DNS_NXDOMAIN;
	if (ordered(q, "fail"))
		return DNS_SERVFAIL;
	if (ordered(q, "old") && q->edns)
		return DNS_FORMERR;
	return !tcp && (ordered(q, "big") || ordered(q, "half")) ? 0x200 : 0;
}

static void send_udp(uv_udp_t *udp, const struct buffer *b, const struct sockaddr *to)
{
	uv_buf_t buf = uv_buf_init((char *)b->data, (unsigned)b->size);

	CHECK(uv_udp_try_send(udp, &buf, 1, to) == (int)b->size);
}

static void forge(struct dns_server *s, const struct dns_query *q, const struct sockaddr *to)
{
	_cleanup_buffer_ struct buffer b = {0};

	put_reply(&b, q, (uint16_t)(q->id + 1), 0, EVIL);
	send_udp(&s->udp, &b, to);
	buffer_clear(&b);
	put_reply(&b, q, q->id, 0, EVIL);
	send_udp(&s->stranger, &b, to);
	b.data[13] ^= 1; /* the question's first letter */
	send_udp(&s->udp, &b, to);
	buffer_clear(&b);
	buffer_append(&b, q->message, 2);
	buffer_append(&b, "garbage", 7);
	send_udp(&s->udp, &b, to);
	buffer_clear(&b);
	put_reply(&b, q, q->id, 0, EVIL);
	b.data[7] = 9; /* more answers than there are */
	send_udp(&s->udp, &b, to);
}

static void answer_udp(struct dns_server *s, const uint8_t *message, size_t n, const struct sockaddr *from)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct dns_query q;

	CHECK_INT(dns_parse_query(message, n, &q), 0);
	if (ordered(&q, "spoof"))
		forge(s, &q, from);
	put_reply(&b, &q, q.id, flags_of(&q, false), s->address);
	send_udp(&s->udp, &b, from);
}

static void on_udp(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct dns_server *s = udp->data;
	const uint8_t *message = (const uint8_t *)buf->base;
	struct dns_query q;

	(void)flags;
	if (n <= 0 || !from)
		return;
	s->queries++;
	CHECK_INT(dns_parse_query(message, (size_t)n, &q), 0);
	s->last_port = ntohs(((const struct sockaddr_in *)from)->sin_port);
	s->last_id = q.id;
	if (ordered(&q, "silent") || (ordered(&q, "lost") && !s->lost)) {
		s->lost = true;
	} else if (ordered(&q, "held")) {
		s->held++;
		s->held_from = *(const struct sockaddr_in *)from;
		memcpy(s->held_query, message, (size_t)n);
		s->held_size = (size_t)n;
	} else {
		answer_udp(s, message, (size_t)n, from);
	}
}

void dns_server_release(struct dns_server *s)
{
	answer_udp(s, s->held_query, s->held_size, (const struct sockaddr *)&s->held_from);
}

static void alloc_udp(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char datagram[4096];

	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(datagram, sizeof datagram);
}

static void on_stream_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_written(uv_write_t *write, int status)
{
	struct stream *st = write->data;

	(void)status;
	if (!uv_is_closing((uv_handle_t *)&st->tcp))
		uv_close((uv_handle_t *)&st->tcp, on_stream_closed);
}

static void answer_tcp(struct stream *st)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct dns_query q;
	uv_buf_t buf;

	CHECK_INT(dns_parse_query(st->in + 2, st->have - 2, &q), 0);
	put16(&b, 0);
	put_reply(&b, &q, q.id, flags_of(&q, true), st->s->address);
	b.data[0] = (uint8_t)((b.size - 2) >> 8);
	b.data[1] = (uint8_t)(b.size - 2);
	memcpy(st->out, b.data, b.size);
	buf = uv_buf_init((char *)st->out, (unsigned)(ordered(&q, "half") ? b.size / 2 : b.size));
	st->write.data = st;
	uv_write(&st->write, (uv_stream_t *)&st->tcp, &buf, 1, on_written);
}

static void alloc_tcp(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct stream *st = handle->data;

	(void)suggested;
	*buf = uv_buf_init((char *)st->in + st->have, (unsigned)(sizeof st->in - st->have));
}

static void on_tcp(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct stream *st = stream->data;

	(void)buf;
	if (n < 0) {
		if (!uv_is_closing((uv_handle_t *)stream))
			uv_close((uv_handle_t *)stream, on_stream_closed);
		return;
	}
	st->have += (size_t)n;
	if (st->have > 2 && st->have == 2u + (size_t)(st->in[0] << 8 | st->in[1]))
		answer_tcp(st);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct stream *st = calloc(1, sizeof *st);

	CHECK(st && status == 0);
	st->s = server->data;
	st->s->streams++;
	st->tcp.data = st;
	CHECK_INT(uv_tcp_init(server->loop, &st->tcp), 0);
	CHECK_INT(uv_accept(server, (uv_stream_t *)&st->tcp), 0);
	CHECK_INT(uv_read_start((uv_stream_t *)&st->tcp, alloc_tcp, on_tcp), 0);
}

static struct sockaddr_in address_of(unsigned n, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000000 + n)};
}

/* A port that is free for TCP and UDP. */
static uint16_t free_port(unsigned n)
{
	for (int i = 0; i < 100; i++) {
		struct sockaddr_in at = address_of(n, 0);
		_cleanup_fd_ int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		_cleanup_fd_ int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		socklen_t size = sizeof at;

		CHECK(bind(tcp, (struct sockaddr *)&at, size) == 0);
		CHECK(getsockname(tcp, (struct sockaddr *)&at, &size) == 0);
		if (bind(udp, (struct sockaddr *)&at, size) == 0)
			return ntohs(at.sin_port);
	}
	test_fail(__FILE__, __LINE__, "no free port");
}

uint16_t dns_server_start(struct dns_server *s, uv_loop_t *loop, unsigned n, uint16_t port, uint32_t address)
{
	struct sockaddr_in at = address_of(n, port ? port : free_port(n));
	struct sockaddr_in stranger = address_of(100 + n, ntohs(at.sin_port));

	*s = (struct dns_server){.address = address};
	s->udp.data = s->tcp.data = s;
	CHECK_INT(uv_tcp_init(loop, &s->tcp), 0);
	CHECK_INT(uv_tcp_bind(&s->tcp, (struct sockaddr *)&at, 0), 0);
	CHECK_INT(uv_listen((uv_stream_t *)&s->tcp, 8, on_connection), 0);
	CHECK_INT(uv_udp_init(loop, &s->udp), 0);
	CHECK_INT(uv_udp_bind(&s->udp, (struct sockaddr *)&at, 0), 0);
	CHECK_INT(uv_udp_recv_start(&s->udp, alloc_udp, on_udp), 0);
	CHECK_INT(uv_udp_init(loop, &s->stranger), 0);
	CHECK_INT(uv_udp_bind(&s->stranger, (struct sockaddr *)&stranger, 0), 0);
	return ntohs(at.sin_port);
}

void dns_server_stop(struct dns_server *s)
{
	uv_close((uv_handle_t *)&s->udp, NULL);
	uv_close((uv_handle_t *)&s->stranger, NULL);
	uv_close((uv_handle_t *)&s->tcp, NULL);
}
