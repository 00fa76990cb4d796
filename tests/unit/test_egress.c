/* SPDX-License-Identifier: Apache-2.0 */
/* The way out, from frames to sockets of this host and back; by a guest that is made here. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net_world.h"

static struct error err;

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
	fd = world_accept(&w, listener);
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
	world_settle(&w);
	close(listener);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(megabytes_pass_both_ways_in_order_and_to_the_guest_in_small_segments)
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
	fd = world_accept(&w, listener);
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
	CHECK_INT(w.guest.largest, 14 + 9000);
	CHECK_INT(t.segments, 65480);
	close(fd);
	close(listener);
	free(data);
	net_tcp_forget(&t);
	world_close(&w);
}

TEST(a_guest_that_has_less_than_half_its_window_free_is_sent_more_at_once)
{
	static const uint8_t data[256 * 1024];
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;

	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = world_accept(&w, listener);
	UNTIL(&w, t.connected);
	t.room = 32700;
	CHECK(write(fd, data, sizeof data) == sizeof data);
	UNTIL(&w, t.in.size == sizeof data);
	close(fd);
	close(listener);
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
		world_settle(&w);
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

	world_open(&w, 0);
	net_tcp_listen(&w.guest, &t, 80);
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, port);
	server = world_accept(&w, listener);
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
	fd = world_accept(&w, listening);
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
	close(world_accept(&w, listener));
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
	close(world_accept(&w, listener));
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
	fd = world_accept(&w, listener);
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
	fd = world_accept(&w, listener);
	UNTIL(&w, t.connected);
	egress_hold(w.port, true);
	CHECK(write(fd, "later", 5) == 5);
	world_settle(&w);
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

static size_t resident(void)
{
	unsigned long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f && fscanf(f, "%lu %lu", &all, &pages) == 2);
	fclose(f);
	return pages * 4096;
}

TEST(segments_before_their_turn_cost_little_and_the_rest_arrives)
{
	enum { ALL = 40000 };
	struct world w;
	struct net_tcp t;
	uint16_t port;
	int listener, fd;
	_cleanup_buffer_ struct buffer got = {0};
	uint32_t base;
	size_t before;
	uint8_t *data = malloc(ALL);

	for (int i = 0; i < ALL; i++)
		data[i] = (uint8_t)(i / 7);
	world_open(&w, 0);
	listener = host_socket(SOCK_STREAM, &port);
	net_tcp_connect(&w.guest, &t, 40000, HOST, port);
	fd = world_accept(&w, listener);
	UNTIL(&w, t.connected);
	base = t.sent;
	before = resident();
	/* Every other byte, from behind; with one in turn between them, now and then. */
	for (uint32_t i = ALL - 1; i > 200; i -= 2) {
		t.sent = base + i;
		net_tcp_send(&t, data + i, 1);
		if (i % 1000 == 1) {
			t.sent = base + (ALL - i) / 1000;
			net_tcp_send(&t, data + (ALL - i) / 1000, 1);
		}
	}
	CHECK(resident() - before < 8 << 20);
	for (uint32_t at = 0; at < ALL; at += 1000) {
		t.sent = base + at;
		net_tcp_send(&t, data + at, 1000);
	}
	UNTIL(&w, read_some(fd, &got) == ALL);
	CHECK(!memcmp(got.data, data, ALL));
	/* What comes early and is few is kept for its turn. */
	t.sent = base + ALL + 1000;
	net_tcp_send(&t, data, 1000);
	t.sent = base + ALL;
	net_tcp_send(&t, data, 1000);
	UNTIL(&w, t.acknowledged == base + ALL + 2000);
	close(fd);
	close(listener);
	free(data);
	net_tcp_forget(&t);
	world_close(&w);
}
