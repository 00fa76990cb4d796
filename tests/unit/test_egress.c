/* SPDX-License-Identifier: Apache-2.0 */
/* The way out, from frames to sockets of this host and back; by a guest that is made here. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/server/egress.h"
#include "net_guest.h"
#include "os/fs.h"

#define SUBNET   0x0a090800u
#define GATEWAY  (SUBNET + 1)
#define HOST     (SUBNET + 2)
#define GUEST    (SUBNET + 3)
#define DEADLINE (10 * NANOSECONDS_PER_SECOND)

static struct error err;

struct world {
	uv_loop_t loop;
	char path[64];
	int directory;
	struct egress *egress;
	struct egress_guest *port;
	struct net_guest guest;
};

/* Turns the loop until the condition holds; what it is about may be no part of the loop. */
#define UNTIL(w, condition) \
	do { \
		uint64_t deadline_ = clock_monotonic() + DEADLINE; \
		bool holds_; \
		while (!(holds_ = (condition)) && clock_monotonic() < deadline_) \
			uv_run(&(w)->loop, UV_RUN_NOWAIT), usleep(50); \
		if (!holds_) \
			test_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

/* A few turns more, in which nothing is expected. */
static void settle(struct world *w)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static void on_frame(void *context, const uint8_t *frame, size_t n)
{
	struct world *w = context;

	net_guest_take(&w->guest, frame, n);
}

static void from_guest(void *context, uint8_t *frame, size_t n)
{
	struct world *w = context;

	egress_input(w->egress, frame, n);
}

static void world_open(struct world *w, unsigned sockets)
{
	const struct egress_calls calls = {.frame = on_frame};
	struct egress_config config = {.subnet = SUBNET, .bits = 24, .sockets = sockets};

	*w = (struct world){0};
	uv_loop_init(&w->loop);
	snprintf(w->path, sizeof w->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(w->path));
	config.directory = w->directory = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_OK(egress_new(&w->loop, &config, &calls, w, &w->egress, &err));
	CHECK_OK(egress_add(w->egress, GUEST, &w->port, &err));
	net_guest_init(&w->guest, GUEST, GATEWAY, from_guest, w);
}

static void world_close(struct world *w)
{
	if (w->port)
		egress_remove(w->port);
	egress_close(w->egress);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&w->loop), 0);
	net_guest_free(&w->guest);
	close(w->directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, w->path, &err));
}

/* A socket of this host on loopback; TCP listens. */
static int host_socket(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int s = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(s >= 0 && bind(s, (struct sockaddr *)&a, sizeof a) == 0);
	CHECK(type != SOCK_STREAM || listen(s, 1024) == 0);
	CHECK(getsockname(s, (struct sockaddr *)&a, &size) == 0);
	*port = ntohs(a.sin_port);
	return s;
}

static int accepted(struct world *w, int listener)
{
	int fd = -1;

	UNTIL(w, (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
	return fd;
}

/* Bytes that can be read just now, appended. */
static size_t read_some(int fd, struct buffer *b)
{
	uint8_t bytes[65536];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		buffer_append(b, bytes, (size_t)n);
	return b->size;
}

TEST(a_guest_reaches_the_host_s_loopback_as_host_internal)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;
	_cleanup_buffer_ struct buffer got = {0};

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = accepted(&w, listener);
	UNTIL(&w, t.connected);
	net_tcp_send(&t, "hello", 5);
	UNTIL(&w, read_some(fd, &got) >= 5);
	CHECK(got.size == 5 && !memcmp(got.data, "hello", 5));
	CHECK(write(fd, "and back", 8) == 8);
	UNTIL(&w, t.in.size >= 8);
	CHECK(!memcmp(t.in.data, "and back", 8));
	close(fd);
	UNTIL(&w, t.ended);
	net_tcp_end(&t);
	settle(&w);
	close(listener);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(megabytes_pass_both_ways_in_order)
{
	enum { ALL = 8 << 20 };
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;
	uint32_t sent = 0, i;
	size_t written = 0;
	_cleanup_buffer_ struct buffer got = {0};
	uint8_t *data = malloc(ALL);

	for (i = 0; i < ALL; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 24);
	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = accepted(&w, listener);
	UNTIL(&w, t.connected);
	while (got.size < ALL) {
		uint32_t first = t.sent;

		for (i = 0; i < 2 && sent < ALL; i++, sent += 32768)
			net_tcp_send(&t, data + sent, 32768);
		UNTIL(&w, (read_some(fd, &got), t.acknowledged != first || sent == got.size));
		UNTIL(&w, (read_some(fd, &got), sent == got.size));
	}
	CHECK(got.size == ALL && !memcmp(got.data, data, ALL));
	while (t.in.size < ALL) {
		ssize_t n = written < ALL ? write(fd, data + written, ALL - written) : 0;
		size_t had = t.in.size;

		written += n > 0 ? (size_t)n : 0;
		UNTIL(&w, t.in.size > had);
	}
	CHECK(t.in.size == ALL && !memcmp(t.in.data, data, ALL));
	close(fd);
	close(listener);
	free(data);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(a_port_that_nobody_listens_at_is_reset)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;

	world_open(&w, 0);
	close(host_socket(SOCK_STREAM, &port));
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	UNTIL(&w, t.reset);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(what_belongs_to_no_connection_is_reset)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;

	/* As after a process that was killed: the guest goes on where nobody knows it. */
	world_open(&w, 0);
	close(host_socket(SOCK_STREAM, &port));
	net_tcp_listen(&w.guest, &t, 40000);
	t.listens = false;
	t.remote = HOST;
	t.remote_port = port;
	t.expected = 77;
	net_tcp_send(&t, "more", 4);
	UNTIL(&w, t.reset);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(datagrams_go_to_host_internal_and_come_back_from_it)
{
	struct world w;
	uint16_t port;
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	struct packet p;
	char text[16];
	int s;

	world_open(&w, 0);
	s = host_socket(SOCK_DGRAM, &port);
	net_guest_udp(&w.guest, 5000, HOST, port, "ping", 4);
	UNTIL(&w, recvfrom(s, text, sizeof text, 0, (struct sockaddr *)&from, &size) == 4);
	CHECK(sendto(s, "pong!", 5, 0, (struct sockaddr *)&from, size) == 5);
	UNTIL(&w, w.guest.frame_count == 1);
	CHECK(net_guest_next(&w.guest, &p));
	CHECK(p.protocol == PACKET_UDP && p.source == HOST && p.source_port == port &&
		p.destination_port == 5000);
	CHECK(p.data_size == 5 && !memcmp(p.frame + p.data_at, "pong!", 5));
	close(s);
	world_close(&w);
}

TEST(a_datagram_that_nobody_takes_is_reported_as_the_guest_sent_it)
{
	struct world w;
	struct packet p;
	struct packet_quote q;
	uint16_t port;

	world_open(&w, 0);
	close(host_socket(SOCK_DGRAM, &port));
	net_guest_udp(&w.guest, 5000, HOST, port, "ping", 4);
	UNTIL(&w, w.guest.frame_count == 1);
	CHECK(net_guest_next(&w.guest, &p));
	CHECK(p.protocol == PACKET_ICMP && packet_quoted(&p, &q));
	CHECK(q.source == GUEST && q.destination == HOST && q.destination_port == port &&
		q.source_port == 5000);
	world_close(&w);
}

TEST(addresses_that_only_this_host_has_are_reached_by_no_other_name)
{
	static const uint32_t places[] = {INADDR_LOOPBACK, 0x7f000002, 0, 0xffffffff, 0xe0000001, GATEWAY,
		SUBNET, SUBNET + 255, SUBNET + 77};
	struct world w;
	struct net_tcp t;
	uint16_t tcp, udp;
	char text[16];
	int listener, s;

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &tcp);
	s = host_socket(SOCK_DGRAM, &udp);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		net_tcp_connect(&w.guest, &t, (uint16_t)(40000 + i), places[i], tcp);
		net_guest_udp(&w.guest, (uint16_t)(5000 + i), places[i], udp, "ping", 4);
		settle(&w);
		CHECK(accept(listener, NULL, NULL) < 0 && errno == EAGAIN);
		CHECK(recv(s, text, sizeof text, 0) < 0 && errno == EAGAIN);
		net_tcp_forget(&t);
	}
	close(listener);
	close(s);
	world_close(&w);
}

TEST(a_connection_of_the_host_reaches_a_port_of_the_guest_from_the_gateway)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;
	_cleanup_buffer_ struct buffer got = {0};
	int listener = host_socket(SOCK_STREAM, &port), client, server;
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	world_open(&w, 0);
	net_tcp_listen(&w.guest, &t, 80);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&a, sizeof a) == 0);
	fcntl(client, F_SETFL, O_RDWR | O_NONBLOCK);
	server = accepted(&w, listener);
	CHECK_OK(egress_connect(w.port, 80, server, "HEAD ", 5, &err));
	CHECK(write(client, "and body", 8) == 8);
	UNTIL(&w, t.in.size >= 13);
	CHECK(!memcmp(t.in.data, "HEAD and body", 13));
	CHECK(t.remote == GATEWAY);
	net_tcp_send(&t, "answer", 6);
	UNTIL(&w, read_some(client, &got) >= 6);
	CHECK(!memcmp(got.data, "answer", 6));
	shutdown(client, SHUT_WR);
	UNTIL(&w, t.ended);
	net_tcp_send(&t, "last", 4);
	net_tcp_end(&t);
	UNTIL(&w, read_some(client, &got) >= 10);
	UNTIL(&w, recv(client, &(char){0}, 1, MSG_PEEK) == 0);
	UNTIL(&w, egress_sockets(w.port) == 0);
	close(client);
	close(listener);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(many_connections_of_the_host_arrive_without_a_header_each_on_its_own)
{
	enum { MANY = 50 };
	struct world w;
	struct net_tcp t[MANY];
	int pairs[MANY][2];

	world_open(&w, 0);
	for (int i = 0; i < MANY; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]) == 0);
		net_tcp_listen(&w.guest, &t[i], 80);
		CHECK_OK(egress_connect(w.port, 80, pairs[i][1], NULL, 0, &err));
		CHECK(!t[i].listens);
		CHECK(write(pairs[i][0], &i, sizeof i) == sizeof i);
	}
	for (int i = 0; i < MANY; i++) {
		UNTIL(&w, t[i].in.size >= sizeof i);
		CHECK(!memcmp(t[i].in.data, &i, sizeof i));
	}
	for (int i = 0; i < MANY; i++) {
		close(pairs[i][0]);
		UNTIL(&w, t[i].ended);
		net_tcp_end(&t[i]);
		net_tcp_forget(&t[i]);
	}
	UNTIL(&w, egress_sockets(w.port) == 0);
	world_close(&w);
}

TEST(the_gateway_s_port_53_leads_to_the_guest_s_own_socket)
{
	struct world w;
	struct net_tcp t;
	int listening, fd;
	_cleanup_buffer_ struct buffer got = {0};

	world_open(&w, 0);
	CHECK_OK(egress_dns(w.port, &listening, &err));
	net_tcp_connect(&w.guest, &t, 40000, GATEWAY, 53);
	fd = accepted(&w, listening);
	UNTIL(&w, t.connected);
	net_tcp_send(&t, "query", 5);
	UNTIL(&w, read_some(fd, &got) >= 5);
	CHECK(write(fd, "reply", 5) == 5);
	UNTIL(&w, t.in.size >= 5);
	close(fd);
	UNTIL(&w, t.ended);
	close(listening);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(a_guest_that_fills_the_queue_of_its_dns_service_stops_nobody)
{
	enum { MANY = 300 };
	struct world w;
	struct net_tcp t[MANY], after;
	uint16_t port;
	int listening, listener;

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	CHECK_OK(egress_dns(w.port, &listening, &err));
	for (int i = 0; i < MANY; i++) /* more than the 64 that can wait; nobody accepts */
		net_tcp_connect(&w.guest, &t[i], (uint16_t)(30000 + i), GATEWAY, 53);
	net_tcp_connect(&w.guest, &after, 40000, HOST, port);
	close(accepted(&w, listener));
	UNTIL(&w, t[MANY - 1].ended || t[MANY - 1].reset);
	for (int i = 0; i < MANY; i++)
		net_tcp_forget(&t[i]);
	net_tcp_forget(&after);
	close(listening);
	close(listener);
	world_close(&w);
}

TEST(a_guest_with_too_many_connections_is_refused_more_at_once)
{
	enum { MOST = 40 };
	struct world w;
	struct net_tcp t[MOST + 1];
	struct packet p;
	uint16_t port;
	int listener, s;
	char text[8];

	world_open(&w, MOST);
	listener = host_socket(SOCK_STREAM, &port);
	for (int i = 0; i < MOST; i++) {
		net_tcp_connect(&w.guest, &t[i], (uint16_t)(30000 + i), HOST, port);
		UNTIL(&w, t[i].connected);
	}
	CHECK_INT(egress_sockets(w.port), MOST);
	net_tcp_connect(&w.guest, &t[MOST], 40000, HOST, port);
	UNTIL(&w, t[MOST].reset);
	s = host_socket(SOCK_DGRAM, &port);
	net_guest_udp(&w.guest, 5000, HOST, port, "ping", 4);
	UNTIL(&w, w.guest.frame_count == 1);
	CHECK(net_guest_next(&w.guest, &p) && p.protocol == PACKET_ICMP &&
		p.icmp_code == PACKET_UNREACHABLE_PROHIBITED);
	CHECK(recv(s, text, sizeof text, 0) < 0);
	CHECK_ERROR(egress_connect(w.port, 80, dup(s), NULL, 0, &err), ERROR_LIMIT);
	/* One that ends makes room. */
	net_tcp_end(&t[0]);
	close(accepted(&w, listener));
	UNTIL(&w, t[0].ended && egress_sockets(w.port) < MOST);
	net_guest_udp(&w.guest, 5000, HOST, port, "ping", 4);
	UNTIL(&w, recv(s, text, sizeof text, 0) == 4);
	for (int i = 0; i <= MOST; i++)
		net_tcp_forget(&t[i]);
	close(listener);
	close(s);
	world_close(&w);
}

TEST(a_guest_that_leaves_takes_its_connections_along)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;
	char byte;

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = accepted(&w, listener);
	egress_remove(w.port);
	w.port = NULL;
	UNTIL(&w, read(fd, &byte, 1) == 0 || errno == ECONNRESET);
	net_guest_udp(&w.guest, 5000, HOST, port, "ping", 4); /* of nobody */
	close(fd);
	close(listener);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(nothing_is_read_for_a_guest_that_is_busy)
{
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = accepted(&w, listener);
	UNTIL(&w, t.connected);
	egress_hold(w.port, true);
	CHECK(write(fd, "later", 5) == 5);
	settle(&w);
	CHECK_INT(t.in.size, 0);
	egress_hold(w.port, false);
	UNTIL(&w, t.in.size == 5);
	close(fd);
	close(listener);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(an_echo_request_is_answered_or_refused_at_once)
{
	struct world w;
	struct packet p;

	world_open(&w, 0);
	net_guest_ping(&w.guest, HOST, 7);
	UNTIL(&w, w.guest.frame_count == 1);
	CHECK(net_guest_next(&w.guest, &p));
	if (egress_pings(w.egress))
		CHECK(p.icmp_type == PACKET_ICMP_ECHO_REPLY && p.icmp_id == 7 && p.source == HOST);
	else
		CHECK(p.icmp_type == PACKET_ICMP_UNREACHABLE && p.icmp_code == PACKET_UNREACHABLE_PROHIBITED);
	world_close(&w);
}
