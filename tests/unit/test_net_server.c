/* SPDX-License-Identifier: Apache-2.0 */
/* mcnet as a whole, as its clients see it: it is started, told of guests that are made here, asked, and
 * killed. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/message.h"
#include "net/control.h"
#include "net/groups.h"
#include "net/ipam.h"
#include "net_guest.h"
#include "os/fs.h"

#define SUBNET   0x0a0a0000u
#define GATEWAY  (SUBNET + 1)
#define HOST     (SUBNET + 2)
#define DEADLINE (30 * NANOSECONDS_PER_SECOND)

static struct error err;

/* ---- a home, and sandboxes in it --------------------------------------------------------------------- */

struct station { /* what a supervisor and its guest are together */
	struct peer control;
	struct net_guest guest;
	int fd;
	struct buffer in;
	bool far; /* in another group, whose switch is left out here: it would set the receiver's MAC */
};

struct home {
	char path[64];
	struct net_place place;
	pid_t pid; /* of the process, once a sandbox is attached */
};

static void home_open(struct home *h)
{
	*h = (struct home){0};
	snprintf(h->path, sizeof h->path, "/tmp/monocore-test-XXXXXX");
	CHECK(mkdtemp(h->path));
	h->place.home = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	h->place.program = getenv("MC_MCNET");
	CHECK(h->place.program);
}

static bool is_gone(const struct home *h, const char *group)
{
	char path[128];

	snprintf(path, sizeof path, "%s/net/%s", h->path, group);
	return access(path, F_OK) < 0;
}

/* Its process ends, when it is told to or by itself, and has left nothing. */
static void home_close(struct home *h, const char *group)
{
	uint64_t deadline = clock_monotonic() + DEADLINE;

	if (h->pid > 1)
		kill(h->pid, SIGTERM);
	while (!is_gone(h, group) && clock_monotonic() < deadline)
		usleep(10000);
	CHECK(is_gone(h, group));
	close(h->place.home);
	CHECK_OK(fs_remove_tree(AT_FDCWD, h->path, &err));
}

/* The answer to a request; fails the test where it is another type. */
static void ask(
	struct peer *p, uint16_t type, const struct buffer *payload, uint16_t expected, struct frame *f)
{
	static uint32_t stream;

	CHECK(peer_send(p, ++stream, type, 0, payload ? payload->data : NULL, payload ? payload->size : 0));
	do
		CHECK_OK(peer_wait(p, f, clock_monotonic() + DEADLINE, &err));
	while (f->stream != stream);
	if (f->type == MESSAGE_ERROR && expected != MESSAGE_ERROR) {
		struct message_error m;

		CHECK_OK(message_error_decode(cursor_of(f->payload, f->size), &m, &err));
		test_fail(__FILE__, __LINE__, "%s: %s", net_message_name(type), m.text);
	}
	CHECK_INT(f->type, expected);
}

static void to_switch(void *context, uint8_t *frame, size_t n)
{
	struct station *s = context;
	uint8_t header[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	if (s->fd < 0)
		return;
	CHECK(write(s->fd, header, 4) == 4);
	CHECK(write(s->fd, frame, n) == (ssize_t)n);
}

static void attach_text(struct buffer *out, const char *name, uint32_t address, uint8_t reach,
	const char *rule, const char *port)
{
	struct net_attach a = {.sandbox = (char *)name,
		.name = (char *)name,
		.group = (char *)"default",
		.subnet = SUBNET,
		.subnet_bits = 24,
		.address = address,
		.main = true,
		.policy = {.reach = reach}};

	if (rule)
		CHECK_OK(text_list_add(&a.policy.rules, rule, &err));
	if (port)
		CHECK_OK(ports_parse(port, &a.ports, &a.port_count, &err));
	net_attach_encode(&a, out);
	text_list_free(a.policy.rules);
	free(a.ports);
}

static void link_up(struct station *s)
{
	struct frame f;
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if (s->fd >= 0)
		close(s->fd);
	buffer_free(&s->in);
	s->fd = pair[0];
	CHECK_OK(net_send_link(&s->control, 1000, pair[1], &err));
	close(pair[1]);
	CHECK_OK(peer_wait(&s->control, &f, clock_monotonic() + DEADLINE, &err));
	CHECK(f.stream == 1000 && f.type == MESSAGE_DONE);
}

static json_t *status(struct station *s)
{
	struct frame f;
	json_t *root;

	ask(&s->control, NET_STATUS, NULL, NET_TEXT, &f);
	CHECK_OK(json_parse(f.payload, f.size, f.size, true, "status", &root, &err));
	return root;
}

static pid_t pid_of(struct station *s)
{
	_cleanup_json_ json_t *root = status(s);

	return (pid_t)json_integer_value(json_object_get(root, "pid"));
}

/* Connects, attaches and links; returns the host's port that was published, or 0. */
static uint16_t station_open(struct home *h, struct station *s, const char *name, uint32_t address,
	uint8_t reach, const char *rule, const char *port)
{
	_cleanup_buffer_ struct buffer payload = {0};
	_cleanup_free_ struct port *list = NULL;
	struct frame f;
	size_t count;

	if (!s->guest.send)
		net_guest_init(&s->guest, address, GATEWAY, to_switch, s);
	CHECK_OK(net_connect(&h->place, "default", &s->control, &err));
	attach_text(&payload, name, address, reach, rule, port);
	ask(&s->control, NET_ATTACH, &payload, NET_PORTS, &f);
	CHECK_OK(net_ports_decode(cursor_of(f.payload, f.size), &list, &count, &err));
	link_up(s);
	h->pid = pid_of(s);
	return count ? list[0].host : 0;
}

#define STATION \
	{ \
		.control = PEER_NONE, .fd = -1 \
	}

static void station_close(struct station *s)
{
	peer_close(&s->control);
	if (s->fd >= 0)
		close(TAKE_FD(s->fd));
	buffer_free(&s->in);
	net_guest_free(&s->guest);
}

/* Takes the frames that have come. */
static void pump(struct station *s)
{
	uint8_t bytes[65536];
	ssize_t n;

	while (s->fd >= 0 && (n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buffer_append(&s->in, bytes, (size_t)n);
	while (s->in.size >= 4) {
		size_t length = (size_t)s->in.data[0] << 24 | (size_t)s->in.data[1] << 16 |
				(size_t)s->in.data[2] << 8 | s->in.data[3];

		if (s->in.size < 4 + length)
			break;
		if (s->far && length >= 6)
			ipam_mac(s->guest.address, s->in.data + 4);
		net_guest_take(&s->guest, s->in.data + 4, length);
		buffer_consume(&s->in, 4 + length);
	}
}

#define UNTIL(condition, ...) \
	do { \
		struct station *all_[] = {__VA_ARGS__}; \
		uint64_t deadline_ = clock_monotonic() + DEADLINE; \
		bool holds_; \
		for (;;) { \
			for (size_t i_ = 0; i_ < ARRAY_SIZE(all_); i_++) \
				pump(all_[i_]); \
			if ((holds_ = (condition)) || clock_monotonic() > deadline_) \
				break; \
			usleep(500); \
		} \
		if (!holds_) \
			test_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

static int listen_on_host(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(s >= 0 && bind(s, (struct sockaddr *)&a, sizeof a) == 0 && listen(s, 16) == 0);
	CHECK(getsockname(s, (struct sockaddr *)&a, &size) == 0);
	*port = ntohs(a.sin_port);
	return s;
}

/* ---- promises ---------------------------------------------------------------------------------------- */

TEST(members_of_a_group_reach_each_other_and_the_process_ends_behind_the_last)
{
	struct home h;
	struct station a = STATION, b = STATION;
	struct net_tcp from, to;
	struct packet p;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	station_open(&h, &b, "two", SUBNET + 4, 1, NULL, NULL);
	net_tcp_listen(&b.guest, &to, 80);
	net_tcp_connect(&a.guest, &from, 40000, SUBNET + 4, 80);
	UNTIL(from.connected && to.connected, &a, &b);
	net_tcp_send(&from, "hello", 5);
	UNTIL(to.in.size == 5, &a, &b);
	net_tcp_send(&to, "hello yourself", 14);
	UNTIL(from.in.size == 14, &a, &b);
	net_guest_ping(&a.guest, GATEWAY, 5);
	UNTIL(a.guest.frame_count == 1, &a, &b);
	CHECK(net_guest_next(&a.guest, &p) && p.icmp_type == PACKET_ICMP_ECHO_REPLY && p.source == GATEWAY);
	net_tcp_forget(&from);
	net_tcp_forget(&to);
	station_close(&a);
	station_close(&b);
	h.pid = 0; /* by itself */
	home_close(&h, "default");
}

TEST(the_host_is_reached_when_a_rule_says_so_and_only_then)
{
	struct home h;
	struct station a = STATION, b = STATION;
	struct net_tcp allowed, denied;
	uint16_t port;
	int listener = listen_on_host(&port);

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 2, "allow host.internal", NULL);
	station_open(&h, &b, "two", SUBNET + 4, 3, NULL, NULL);
	net_tcp_connect(&b.guest, &denied, 40000, HOST, port);
	UNTIL(denied.reset, &b);
	net_tcp_connect(&a.guest, &allowed, 40000, HOST, port);
	UNTIL(allowed.connected, &a);
	net_tcp_forget(&denied);
	net_tcp_connect(&b.guest, &denied, 40001, INADDR_LOOPBACK, port);
	UNTIL(denied.reset, &b);
	net_tcp_forget(&denied);
	net_tcp_forget(&allowed);
	close(listener);
	station_close(&a);
	station_close(&b);
	home_close(&h, "default");
}

TEST(a_published_port_leads_to_the_guest_and_can_come_and_go)
{
	struct home h;
	struct station a = STATION;
	struct net_tcp t;
	_cleanup_buffer_ struct buffer payload = {0};
	_cleanup_free_ struct port *more = NULL;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	size_t count = 0;
	struct frame f;
	int client;

	home_open(&h);
	to.sin_port = htons(station_open(&h, &a, "one", SUBNET + 3, 1, NULL, "0:80"));
	net_tcp_listen(&a.guest, &t, 80);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
	CHECK(write(client, "request", 7) == 7);
	UNTIL(t.in.size == 7, &a);
	CHECK(t.remote == GATEWAY);
	close(client);
	UNTIL(t.ended, &a);
	net_tcp_forget(&t);
	/* Another sandbox cannot have the same; it says so before it has anything. */
	{
		struct station b = STATION;
		char text[32];

		snprintf(text, sizeof text, "%u:81", ntohs(to.sin_port));
		CHECK_OK(net_connect(&h.place, "default", &b.control, &err));
		attach_text(&payload, "two", SUBNET + 4, 1, NULL, text);
		ask(&b.control, NET_ATTACH, &payload, MESSAGE_ERROR, &f);
		buffer_clear(&payload);
		attach_text(&payload, "two", SUBNET + 4, 1, NULL, NULL);
		ask(&b.control, NET_ATTACH, &payload, NET_PORTS, &f);
		station_close(&b);
	}
	buffer_clear(&payload);
	CHECK_OK(ports_parse("0:81", &more, &count, &err));
	net_ports_encode(more, count, &payload);
	ask(&a.control, NET_PORT_ADD, &payload, NET_PORTS, &f);
	free(TAKE_PTR(more));
	CHECK_OK(net_ports_decode(cursor_of(f.payload, f.size), &more, &count, &err));
	to.sin_port = htons(more[0].host);
	net_tcp_listen(&a.guest, &t, 81);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
	CHECK(write(client, "request", 7) == 7);
	UNTIL(t.in.size == 7, &a);
	close(client);
	buffer_clear(&payload);
	net_ports_encode(more, count, &payload);
	ask(&a.control, NET_PORT_REMOVE, &payload, MESSAGE_DONE, &f);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(client, (struct sockaddr *)&to, sizeof to) < 0 && errno == ECONNREFUSED);
	close(client);
	net_tcp_forget(&t);
	station_close(&a);
	home_close(&h, "default");
}

TEST(datagrams_pass_by_a_published_port_both_ways)
{
	struct home h;
	struct station a = STATION;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct packet p;
	char text[16];
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	home_open(&h);
	to.sin_port = htons(station_open(&h, &a, "one", SUBNET + 3, 1, NULL, "0:5353/udp"));
	CHECK(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
	CHECK(write(client, "ask", 3) == 3);
	UNTIL(a.guest.frame_count == 1, &a);
	CHECK(net_guest_next(&a.guest, &p) && p.source == GATEWAY && p.destination_port == 5353);
	net_guest_udp(&a.guest, 5353, GATEWAY, p.source_port, "answer", 6);
	UNTIL(recv(client, text, sizeof text, 0) == 6, &a);
	close(client);
	station_close(&a);
	home_close(&h, "default");
}

/* A question for an A record over UDP; the answer's bytes are in the packet that comes next. */
static void ask_name(struct station *s, const char *name)
{
	uint8_t query[300] = {0x12, 0x34, 1, 0, 0, 1};
	size_t n = 12;

	while (*name) {
		size_t label = strcspn(name, ".");

		query[n++] = (uint8_t)label;
		memcpy(query + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	n++;
	query[n + 1] = query[n + 3] = 1;
	net_guest_udp(&s->guest, 5300, GATEWAY, 53, query, n + 4);
}

TEST(names_of_the_group_are_answered_by_udp_and_tcp)
{
	static const uint8_t by_tcp[] = {
		0, 21, 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 't', 'w', 'o', 0, 0, 1, 0, 1};
	struct home h;
	struct station a = STATION, b = STATION;
	struct net_tcp t;
	struct packet p;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	station_open(&h, &b, "two", SUBNET + 4, 1, NULL, NULL);
	ask_name(&a, "two.default.internal");
	UNTIL(a.guest.frame_count == 1, &a, &b);
	CHECK(net_guest_next(&a.guest, &p) && p.source == GATEWAY && p.source_port == 53 &&
		p.destination_port == 5300);
	CHECK(!memcmp(p.frame + p.size - 4, "\x0a\x0a\0\4", 4));
	net_tcp_connect(&a.guest, &t, 40000, GATEWAY, 53);
	UNTIL(t.connected, &a, &b);
	net_tcp_send(&t, by_tcp, sizeof by_tcp);
	UNTIL(t.in.size > 2 + 21, &a, &b);
	CHECK(!memcmp(t.in.data + t.in.size - 4, "\x0a\x0a\0\4", 4));
	net_tcp_forget(&t);
	station_close(&a);
	station_close(&b);
	home_close(&h, "default");
}

TEST(what_was_denied_is_told_and_traced)
{
	struct home h;
	struct station a = STATION;
	struct net_tcp t;
	struct peer watcher;
	_cleanup_buffer_ struct buffer name = {0};
	struct frame f;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 2, NULL, NULL);
	CHECK_OK(net_connect(&h.place, "default", &watcher, &err));
	net_name_encode("one", &name);
	ask(&watcher, NET_TRACE, &name, MESSAGE_DONE, &f);
	net_tcp_connect(&a.guest, &t, 40000, 0xa9fea9fe, 80);
	UNTIL(t.reset, &a);
	CHECK_OK(peer_wait(&watcher, &f, clock_monotonic() + DEADLINE, &err));
	CHECK_INT(f.type, NET_LINE);
	CHECK(memmem(f.payload, f.size, "169.254.169.254:80", 18) && memmem(f.payload, f.size, "denied", 6));
	ask(&a.control, NET_WHY, &name, NET_TEXT, &f);
	CHECK(memmem(f.payload, f.size, "169.254.169.254:80", 18));
	{
		_cleanup_json_ json_t *root = status(&a);
		json_t *one = json_array_get(json_object_get(root, "sandboxes"), 0);
		json_t *counters = json_object_get(one, "counters");

		CHECK_TEXT(json_string_value(json_object_get(root, "group")), "default");
		CHECK_TEXT(json_string_value(json_object_get(one, "address")), "10.10.0.3");
		CHECK_TEXT(json_string_value(json_object_get(one, "reach")), "public");
		CHECK(json_is_true(json_object_get(one, "link")));
		CHECK_INT(json_integer_value(json_object_get(counters, "denied")), 1);
	}
	net_tcp_forget(&t);
	station_close(&a);
	h.pid = 0;
	/* Who only looks keeps nothing up. */
	home_close(&h, "default");
	peer_close(&watcher);
}

TEST(a_policy_changes_and_a_link_goes_and_comes_while_the_guest_runs)
{
	struct home h;
	struct station a = STATION;
	struct net_policy policy = {.reach = 3};
	_cleanup_buffer_ struct buffer payload = {0};
	struct net_tcp t;
	uint16_t port;
	int listener = listen_on_host(&port);
	struct frame f;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 3, NULL, NULL);
	net_tcp_connect(&a.guest, &t, 40000, HOST, port);
	UNTIL(t.reset, &a);
	net_tcp_forget(&t);
	CHECK_OK(text_list_add(&policy.rules, "allow host.internal:1-65535/tcp", &err));
	net_policy_encode(&policy, &payload);
	ask(&a.control, NET_POLICY, &payload, MESSAGE_DONE, &f);
	net_tcp_connect(&a.guest, &t, 40001, HOST, port);
	UNTIL(t.connected, &a);
	text_list_free(TAKE_PTR(policy.rules));
	CHECK_OK(text_list_add(&policy.rules, "allow nonsense nonsense", &err));
	buffer_clear(&payload);
	net_policy_encode(&policy, &payload);
	ask(&a.control, NET_POLICY, &payload, MESSAGE_ERROR, &f);
	net_policy_free(&policy);
	ask(&a.control, NET_UNLINK, NULL, MESSAGE_DONE, &f);
	CHECK(recv(a.fd, &(char){0}, 1, 0) == 0); /* the guest sees no carrier */
	link_up(&a);
	net_tcp_forget(&t);
	net_tcp_connect(&a.guest, &t, 40002, HOST, port);
	UNTIL(t.connected, &a);
	net_tcp_forget(&t);
	close(listener);
	station_close(&a);
	home_close(&h, "default");
}

TEST(a_guest_that_breaks_the_framing_loses_its_link_and_its_supervisor_hears_of_it)
{
	struct home h;
	struct station a = STATION;
	struct frame f;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	CHECK(write(a.fd, "\xff\xff\xff\xff", 4) == 4);
	CHECK_OK(peer_wait(&a.control, &f, clock_monotonic() + DEADLINE, &err));
	CHECK(f.type == NET_UNLINKED && f.stream == 0);
	link_up(&a);
	station_close(&a);
	home_close(&h, "default");
}

TEST(a_killed_process_is_replaced_and_told_everything_again)
{
	struct home h;
	struct station a = STATION, b = STATION;
	struct net_tcp from, to;
	struct frame f;
	pid_t first;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, "0:80");
	station_open(&h, &b, "two", SUBNET + 4, 1, NULL, NULL);
	net_tcp_listen(&b.guest, &to, 80);
	net_tcp_connect(&a.guest, &from, 40000, SUBNET + 4, 80);
	UNTIL(from.connected && to.connected, &a, &b);
	first = pid_of(&a);
	CHECK(first > 1 && kill(first, SIGKILL) == 0);
	CHECK_ERROR(peer_wait(&a.control, &f, clock_monotonic() + DEADLINE, &err), ERROR_CLOSED);
	peer_close(&a.control);
	peer_close(&b.control);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, "0:80");
	station_open(&h, &b, "two", SUBNET + 4, 1, NULL, NULL);
	CHECK(pid_of(&a) != first && pid_of(&a) == pid_of(&b));
	/* What it knows nothing of survives within the group, or ends at once. */
	net_tcp_send(&from, "still there", 11);
	UNTIL(from.reset || to.in.size == 11, &a, &b);
	net_tcp_forget(&from);
	net_tcp_forget(&to);
	net_tcp_listen(&b.guest, &to, 80);
	net_tcp_connect(&a.guest, &from, 40002, SUBNET + 4, 80);
	UNTIL(from.connected, &a, &b);
	net_tcp_forget(&from);
	net_tcp_forget(&to);
	station_close(&a);
	station_close(&b);
	home_close(&h, "default");
}

TEST(many_who_start_at_once_share_one_process)
{
	enum { MANY = 12 };
	struct home h;
	pid_t children[MANY];
	int status_of, pipes[2];
	pid_t pids[MANY];

	home_open(&h);
	CHECK(pipe(pipes) == 0);
	for (int i = 0; i < MANY; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			struct station s = STATION;
			char name[16];
			pid_t pid;

			snprintf(name, sizeof name, "box%d", i);
			station_open(&h, &s, name, SUBNET + 3 + (uint32_t)i, 1, NULL, NULL);
			pid = pid_of(&s);
			_exit(write(pipes[1], &pid, sizeof pid) != sizeof pid);
		}
	}
	for (int i = 0; i < MANY; i++)
		CHECK(waitpid(children[i], &status_of, 0) == children[i] && status_of == 0);
	CHECK(read(pipes[0], pids, sizeof pids) == sizeof pids);
	for (int i = 1; i < MANY; i++)
		CHECK(pids[i] == pids[0]);
	close(pipes[0]);
	close(pipes[1]);
	home_close(&h, "default");
}

TEST(who_comes_while_one_is_ending_gets_a_network_all_the_same)
{
	struct home h;

	home_open(&h);
	/* It ends two seconds after the last: come back around that moment. */
	for (int i = 0; i < 4; i++) {
		struct station a = STATION;

		station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
		station_close(&a);
		if (i < 2)
			usleep((useconds_t)(1995000 + 5000 * i));
	}
	home_close(&h, "default");
}

TEST(nothing_is_started_where_only_a_look_is_wanted)
{
	struct home h;
	struct peer p;
	char **names;

	home_open(&h);
	h.place.program = NULL;
	CHECK_ERROR(net_connect(&h.place, "default", &p, &err), ERROR_NOT_FOUND);
	CHECK_ERROR(net_connect(&h.place, "../etc", &p, &err), ERROR_INVALID);
	CHECK_OK(net_groups_list(&h.place, &names, &err));
	CHECK(!names);
	h.place.program = getenv("MC_MCNET");
	CHECK_OK(net_connect(&h.place, "default", &p, &err));
	CHECK_OK(net_groups_list(&h.place, &names, &err));
	CHECK(names && !strcmp(names[0], "default") && !names[1]);
	text_list_free(names);
	peer_close(&p);
	home_close(&h, "default");
}

TEST(what_is_no_request_gets_an_error_and_harms_nobody)
{
	struct home h;
	struct station a = STATION;
	struct peer p;
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	CHECK_OK(net_connect(&h.place, "default", &p, &err));
	ask(&p, NET_POLICY, NULL, MESSAGE_ERROR, &f);
	ask(&p, 9999, NULL, MESSAGE_ERROR, &f);
	ask(&p, NET_ATTACH, NULL, MESSAGE_ERROR, &f);
	attach_text(&payload, "one", SUBNET + 5, 1, NULL, NULL); /* attached already */
	ask(&p, NET_ATTACH, &payload, MESSAGE_ERROR, &f);
	buffer_clear(&payload);
	attach_text(&payload, "two", SUBNET + 3, 1, NULL, NULL); /* another's address */
	ask(&p, NET_ATTACH, &payload, MESSAGE_ERROR, &f);
	buffer_clear(&payload);
	attach_text(&payload, "two", SUBNET + 4, 1, "allow nonsense nonsense", NULL);
	ask(&p, NET_ATTACH, &payload, MESSAGE_ERROR, &f);
	CHECK(write(p.fd, "\xff\xff\xff\xff", 4) == 4);
	CHECK_OK(peer_wait(&p, &f, clock_monotonic() + DEADLINE, &err));
	CHECK_ERROR(peer_wait(&p, &f, clock_monotonic() + DEADLINE, &err), ERROR_CLOSED);
	peer_close(&p);
	CHECK(pid_of(&a) > 1);
	station_close(&a);
	home_close(&h, "default");
}

/* The value of a line of /proc/PID/status, as hexadecimal. */
static unsigned long long status_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	unsigned long long value = ~0ull;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 16);
	fclose(f);
	return value;
}

static void introduce(struct home *h, struct peer *p, uint32_t subnet, uint8_t bits, uint16_t answer)
{
	const struct net_neighbour m = {.group = (char *)"other", .subnet = subnet, .bits = bits};
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;

	CHECK_OK(net_connect(&h->place, "default", p, &err));
	net_neighbour_encode(&m, &payload);
	ask(p, NET_NEIGHBOUR, &payload, answer, &f);
	if (answer == MESSAGE_ERROR)
		peer_close(p);
}

TEST(another_group_speaks_from_its_own_subnet_alone_and_gets_answers_there)
{
	struct home h;
	struct station a = STATION, b = STATION, far = STATION, liar = STATION;
	struct net_tcp in, out, wrong;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	introduce(&h, &far.control, SUBNET, 24, MESSAGE_ERROR); /* it is ours */
	introduce(&h, &far.control, SUBNET & 0xffff0000, 16, MESSAGE_ERROR);
	introduce(&h, &far.control, 0x08080800, 24, MESSAGE_ERROR); /* it is the world's */
	introduce(&h, &far.control, SUBNET + 0x10000, 24, MESSAGE_DONE);
	far.fd = dup(far.control.fd);
	far.far = true;
	net_guest_init(&far.guest, SUBNET + 0x10003, SUBNET + 0x10001, to_switch, &far);
	net_tcp_listen(&a.guest, &in, 80);
	net_tcp_connect(&far.guest, &out, 40000, SUBNET + 3, 80);
	UNTIL(out.connected && in.connected, &a, &far);
	CHECK(in.remote == SUBNET + 0x10003);
	net_tcp_send(&out, "from far", 8);
	UNTIL(in.in.size == 8, &a, &far);
	net_tcp_send(&in, "and back", 8);
	UNTIL(out.in.size == 8, &a, &far);
	/* What it says in the name of others goes nowhere: what is honest, and comes behind it, has come. */
	net_guest_init(&liar.guest, SUBNET + 0x20003, SUBNET + 0x20001, to_switch, &far);
	net_tcp_connect(&liar.guest, &wrong, 40001, SUBNET + 3, 80);
	net_tcp_send(&out, "again", 5);
	UNTIL(in.in.size == 13, &a, &far);
	CHECK(in.remote == SUBNET + 0x10003 && !wrong.connected);
	/* Our own sandboxes have no rule for it. */
	station_open(&h, &b, "two", SUBNET + 4, 1, NULL, NULL);
	net_tcp_connect(&b.guest, &wrong, 40002, SUBNET + 0x10003, 80);
	UNTIL(wrong.reset, &b);
	net_tcp_forget(&wrong);
	net_tcp_forget(&in);
	net_tcp_forget(&out);
	net_guest_free(&liar.guest);
	station_close(&far);
	station_close(&b);
	station_close(&a);
	home_close(&h, "default");
}

TEST(it_has_given_up_privileges_and_memory_that_it_does_not_need)
{
	struct home h;
	struct station a = STATION;
	char path[64], line[256];
	unsigned long pss = 0;
	FILE *f;

	home_open(&h);
	station_open(&h, &a, "one", SUBNET + 3, 1, NULL, NULL);
	CHECK_INT(status_of(h.pid, "NoNewPrivs:"), 1);
	CHECK_INT(status_of(h.pid, "Seccomp:"), 2);
	CHECK_INT(status_of(h.pid, "CapEff:"), 0);
	CHECK_INT(status_of(h.pid, "CapPrm:"), 0);
#ifndef __SANITIZE_THREAD__ /* which has a thread of its own */
	CHECK_INT(status_of(h.pid, "Threads:"), 1);
#endif
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)h.pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "Pss: %lu", &pss);
	if (f)
		fclose(f);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	CHECK(pss < 10240); /* KiB */
#endif
	station_close(&a);
	home_close(&h, "default");
}
