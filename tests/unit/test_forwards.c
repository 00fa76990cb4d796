/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports, from sockets of this host to a guest that is made here; and PROXY headers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/proxy_header.h"
#include "net/server/forwards.h"
#include "net_world.h"

static struct error err;

struct published {
	struct world w;
	struct forwards *forwards;
};

static bool on_answer(void *context, const uint8_t *frame, size_t n)
{
	struct published *p = context;

	return forwards_output(p->forwards, frame, n);
}

static void published_open(struct published *p)
{
	struct forwards_config config = {
		.address = GUEST, .gateway = GATEWAY, .frame = world_frame, .context = &p->w};

	world_open(&p->w, 0);
	config.loop = &p->w.loop;
	config.guest = p->w.port;
	CHECK_OK(forwards_new(&config, &p->forwards, &err));
	forwards_set_up(p->forwards, true);
	p->w.answer = on_answer;
	p->w.context = p;
}

static void published_close(struct published *p)
{
	forwards_close(p->forwards);
	world_close(&p->w);
}

/* One port that is chosen; returns it. */
static uint16_t publish(struct published *p, const char *text)
{
	_cleanup_free_ struct port *list = NULL;
	size_t count = 0;

	CHECK_OK(ports_parse(text, &list, &count, &err));
	CHECK_OK(forwards_add(p->forwards, list, count, &err));
	CHECK(list[0].host);
	return list[0].host;
}

TEST(a_connection_to_a_published_port_reaches_the_guest)
{
	struct published p;
	struct net_tcp t;
	_cleanup_buffer_ struct buffer got = {0};
	int client;

	published_open(&p);
	net_tcp_listen(&p.w.guest, &t, 80);
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, publish(&p, "0:80"));
	CHECK(write(client, "request", 7) == 7);
	UNTIL(&p.w, t.in.size == 7);
	CHECK(t.remote == GATEWAY);
	net_tcp_send(&t, "response", 8);
	UNTIL(&p.w, read_some(client, &got) == 8);
	close(client);
	UNTIL(&p.w, t.ended);
	net_tcp_forget(&t);
	published_close(&p);
}

static void check_proxy(const char *text, struct buffer *seen, struct sockaddr_in *client_is, uint16_t *port)
{
	struct published p;
	struct net_tcp t;
	socklen_t size = sizeof *client_is;
	int client;

	published_open(&p);
	net_tcp_listen(&p.w.guest, &t, 80);
	*port = publish(&p, text);
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, *port);
	CHECK(getsockname(client, (struct sockaddr *)client_is, &size) == 0);
	CHECK(write(client, "request", 7) == 7);
	UNTIL(&p.w, t.in.size > 7 && !memcmp(t.in.data + t.in.size - 7, "request", 7));
	buffer_append(seen, t.in.data, t.in.size - 7);
	close(client);
	UNTIL(&p.w, t.ended);
	net_tcp_forget(&t);
	published_close(&p);
}

TEST(the_guest_reads_where_a_connection_comes_from_before_what_it_brings)
{
	_cleanup_buffer_ struct buffer seen = {0};
	struct sockaddr_in client;
	char expected[PROXY_HEADER_MAX];
	uint16_t port;

	check_proxy("0:80,proxy=1", &seen, &client, &port);
	snprintf(expected, sizeof expected, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n",
		ntohs(client.sin_port), port);
	CHECK(seen.size == strlen(expected) && !memcmp(seen.data, expected, seen.size));
	buffer_clear(&seen);
	check_proxy("0:80,proxy=2", &seen, &client, &port);
	CHECK_INT(seen.size, 28);
	CHECK(!memcmp(seen.data, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01", 24));
	CHECK(!memcmp(seen.data + 24, &client.sin_port, 2));
	CHECK(seen.data[26] == port >> 8 && seen.data[27] == (port & 255));
}

TEST(headers_for_ipv6_are_as_the_specification_has_them)
{
	struct address from, to;
	uint8_t out[PROXY_HEADER_MAX];
	size_t n;

	CHECK_OK(address_parse("2001:db8::1", &from, &err));
	CHECK_OK(address_parse("2001:db8::2", &to, &err));
	n = proxy_header(1, &from, 65535, &to, 443, out);
	CHECK_INT(n, strlen("PROXY TCP6 2001:db8::1 2001:db8::2 65535 443\r\n"));
	CHECK(!memcmp(out, "PROXY TCP6 2001:db8::1 2001:db8::2 65535 443\r\n", n));
	n = proxy_header(2, &from, 65535, &to, 443, out);
	CHECK_INT(n, 16 + 36);
	CHECK(!memcmp(out + 12, "\x21\x21\0\x24\x20\x01\x0d\xb8", 8) && out[31] == 1 && out[47] == 2);
	CHECK(!memcmp(out + 48, "\xff\xff\x01\xbb", 4));
}

TEST(a_connection_that_the_guest_did_not_hear_of_is_offered_again_soon)
{
	struct published p;
	struct net_tcp t;
	int client;

	published_open(&p);
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, publish(&p, "0:80"));
	CHECK(write(client, "request", 7) == 7);
	/* Nobody listens yet, and nobody says so. libslirp itself sends two in this time. */
	UNTIL(&p.w, p.w.guest.seen == 4);
	net_tcp_listen(&p.w.guest, &t, 80);
	UNTIL(&p.w, t.in.size == 7);
	close(client);
	UNTIL(&p.w, t.ended);
	net_tcp_forget(&t);
	published_close(&p);
}

TEST(a_port_that_is_used_is_an_error_that_names_it)
{
	struct published p;
	_cleanup_free_ struct port *list = NULL;
	size_t count = 0;
	uint16_t port;
	char text[64];
	int other = host_socket(SOCK_STREAM, &port);

	published_open(&p);
	snprintf(text, sizeof text, "%u:80", port);
	CHECK_OK(ports_parse("0:79", &list, &count, &err));
	CHECK_OK(ports_parse(text, &list, &count, &err));
	CHECK_ERROR(forwards_add(p.forwards, list, count, &err), ERROR_BUSY);
	snprintf(text, sizeof text, "port %u of the host is used", port);
	CHECK(strstr(err.text, text) && strstr(err.text, "127.0.0.1"));
	/* None was published. */
	CHECK(!forwards_at(p.forwards, 0));
	close(other);
	CHECK_OK(forwards_add(p.forwards, list, count, &err));
	CHECK_INT(forwards_at(p.forwards, 1)->host, port);
	published_close(&p);
}

TEST(two_sandboxes_never_share_a_port_not_even_of_udp)
{
	struct published p;
	_cleanup_free_ struct port *list = NULL;
	size_t count = 0;
	char text[64];

	published_open(&p);
	snprintf(text, sizeof text, "%u:5353/udp", publish(&p, "0:53/udp"));
	CHECK_OK(ports_parse(text, &list, &count, &err));
	CHECK_ERROR(forwards_add(p.forwards, list, count, &err), ERROR_BUSY);
	published_close(&p);
}

TEST(an_address_that_the_host_lacks_is_an_error)
{
	struct published p;
	_cleanup_free_ struct port *list = NULL;
	size_t count = 0;

	published_open(&p);
	CHECK_OK(ports_parse("192.0.2.77:0:80", &list, &count, &err));
	CHECK_ERROR(forwards_add(p.forwards, list, count, &err), ERROR_INVALID);
	published_close(&p);
}

TEST(a_port_that_was_taken_back_can_be_had_by_others)
{
	struct published p;
	struct port port = {.address = address_from_ipv4(INADDR_LOOPBACK), .guest = 80, .protocol = 6}, wrong;

	published_open(&p);
	CHECK_OK(forwards_add(p.forwards, &port, 1, &err));
	wrong = port;
	wrong.guest = 81;
	CHECK_ERROR(forwards_remove(p.forwards, &wrong, 1, &err), ERROR_NOT_FOUND);
	CHECK_OK(forwards_remove(p.forwards, &port, 1, &err));
	CHECK(!forwards_at(p.forwards, 0));
	CHECK_OK(forwards_add(p.forwards, &port, 1, &err));
	published_close(&p);
}

TEST(a_guest_whose_link_is_down_refuses_at_once)
{
	struct published p;
	int client;
	uint16_t port;

	published_open(&p);
	port = publish(&p, "0:80");
	forwards_set_up(p.forwards, false);
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, port);
	UNTIL(&p.w, recv(client, &(char){0}, 1, 0) < 0 && errno == ECONNRESET);
	close(client);
	published_close(&p);
}

TEST(datagrams_find_the_guest_and_answers_find_their_sender)
{
	struct published p;
	struct packet packet;
	uint16_t port, own;
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	char text[16];
	int clients[3], first;

	published_open(&p);
	port = publish(&p, "0:5353/udp");
	for (int i = 0; i < 3; i++) {
		clients[i] = host_connect(SOCK_DGRAM, INADDR_LOOPBACK, port);
		CHECK(write(clients[i], &i, sizeof i) == sizeof i);
		UNTIL(&p.w, p.w.guest.frame_count == 1);
		CHECK(net_guest_next(&p.w.guest, &packet));
		CHECK(packet.protocol == PACKET_UDP && packet.source == GATEWAY &&
			packet.destination_port == 5353);
		CHECK(packet_checksum_right(&packet) && !memcmp(packet.frame + packet.data_at, &i, sizeof i));
		first = packet.source_port;
		CHECK(getsockname(clients[i], (struct sockaddr *)&a, &size) == 0);
		own = ntohs(a.sin_port);
		CHECK_INT(first, own);
		net_guest_udp(&p.w.guest, 5353, GATEWAY, packet.source_port, "answer", 6);
		UNTIL(&p.w, recv(clients[i], text, sizeof text, 0) == 6);
	}
	/* To nobody: it is dropped. */
	net_guest_udp(&p.w.guest, 5353, GATEWAY, 9, "answer", 6);
	net_guest_udp(&p.w.guest, 1, GATEWAY, own, "answer", 6);
	world_settle(&p.w);
	for (int i = 0; i < 3; i++) {
		CHECK(recv(clients[i], text, sizeof text, 0) < 0);
		close(clients[i]);
	}
	published_close(&p);
}

TEST(a_flood_of_senders_does_not_push_out_who_is_talking)
{
	enum { MANY = FORWARDS_SENDERS + 40 };
	struct published p;
	struct packet packet;
	uint16_t port;
	int clients[MANY];

	published_open(&p);
	port = publish(&p, "0:5353/udp");
	for (int i = 0; i < MANY; i++) {
		clients[i] = host_connect(SOCK_DGRAM, INADDR_LOOPBACK, port);
		CHECK(write(clients[i], "x", 1) == 1);
		if (i == 0)
			UNTIL(&p.w, net_guest_next(&p.w.guest, &packet));
	}
	UNTIL(&p.w, p.w.guest.frame_count == FORWARDS_SENDERS - 1);
	world_settle(&p.w);
	CHECK_INT(p.w.guest.frame_count, FORWARDS_SENDERS - 1);
	CHECK(write(clients[0], "y", 1) == 1);
	UNTIL(&p.w, p.w.guest.frame_count == FORWARDS_SENDERS);
	while (net_guest_next(&p.w.guest, &packet))
		;
	for (int i = 0; i < MANY; i++)
		close(clients[i]);
	published_close(&p);
}

static void check_refused_with(int spare)
{
	struct published p;
	struct rlimit before, few;
	uint16_t port;
	int client, filled[64], n = 0;

	published_open(&p);
	port = publish(&p, "0:80");
	client = host_connect(SOCK_STREAM, INADDR_LOOPBACK, port);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few = (struct rlimit){(rlim_t)client + 8, before.rlim_max};
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (n < 64 && (filled[n] = dup(client)) >= 0)
		n++;
	while (spare--)
		close(filled[--n]);
	UNTIL(&p.w, recv(client, &(char){0}, 1, 0) < 0 && errno == ECONNRESET);
	while (n)
		close(filled[--n]);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	close(client);
	published_close(&p);
}

TEST(connections_that_find_no_descriptor_are_refused_and_wake_nobody_for_ever)
{
	check_refused_with(0);
}

TEST(connections_that_find_too_few_descriptors_are_refused)
{
	for (int spare = 1; spare <= 4; spare++)
		check_refused_with(spare);
}
