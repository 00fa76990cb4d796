/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server/neighbours.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/big_endian.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "codec/packet.h"
#include "net/groups.h"
#include "net/ipam.h"
#include "os/fs.h"
#include "os/unix_socket.h"

#define SUBNET          "subnet"
#define NEIGHBOURS_MOST 256
#define LOOK_TIME       NANOSECONDS_PER_SECOND
#define ANSWER_TIME \
	(100 * 1000000ull) /* who does not answer holds up the group for so long, once a second \
			    */
#define SOURCE_AT      (PACKET_ETHERNET_SIZE + 12)
#define DESTINATION_AT (PACKET_ETHERNET_SIZE + 16)
#define HEADERS        (PACKET_ETHERNET_SIZE + 20)

struct neighbour {
	struct neighbour *next;
	struct server *server;
	struct prefix subnet;
	struct link *link;
	bool visits; /* its rules brought it here; otherwise ours lead there */
};

static struct address address_at(const uint8_t *at)
{
	return address_from_ipv4(be32_get(at));
}

/* ---- connections ------------------------------------------------------------------------------------- */

static void on_frame(void *context, uint8_t *frame, size_t n)
{
	struct neighbour *b = context;
	struct address source;

	if (b->visits) {
		switch_from_neighbour(b->server->sw, &b->subnet, frame, n, clock_monotonic());
		return;
	}
	if (n < HEADERS)
		return;
	source = address_at(frame + SOURCE_AT);
	if (prefix_contains(&b->subnet, &source))
		switch_from_egress(b->server->sw, frame, n, clock_monotonic());
}

static void drop(struct neighbour *b)
{
	struct neighbour **at = &b->server->neighbours;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	link_close(b->link);
	free(b);
}

static void on_ended(void *context, const char *why)
{
	(void)why;
	drop(context);
}

static void on_busy(void *context, bool busy)
{
	(void)context; /* what it does not read in time is lost, as for a guest */
	(void)busy;
}

/* Takes the socket, also where this fails. */
static int add(struct server *s, const struct prefix *subnet, bool visits, int fd, struct error *err)
{
	static const struct link_calls calls = {.frame = on_frame, .ended = on_ended, .busy = on_busy};
	_cleanup_fd_ int owned = fd;
	struct neighbour *b;
	size_t count = 0;
	int r;

	for (b = s->neighbours; b; b = b->next)
		count++;
	if (count == NEIGHBOURS_MOST)
		return error_set(
			err, ERROR_LIMIT, "this group has connections with %d others", NEIGHBOURS_MOST);
	b = calloc(1, sizeof *b);
	if (!b)
		return error_no_memory(err, "connect to another group");
	*b = (struct neighbour){.next = s->neighbours, .server = s, .subnet = *subnet, .visits = visits};
	r = link_new(s->hub, TAKE_FD(owned), &calls, b, &b->link, err);
	if (r < 0) {
		free(b);
		return r;
	}
	s->neighbours = b;
	return 0;
}

int neighbours_accept(struct client *c, uint32_t stream, const struct net_neighbour *who, struct error *err)
{
	struct server *s = c->server;
	struct prefix subnet = prefix_ipv4(who->subnet, who->bits);
	_cleanup_fd_ int fd = -1;
	int r;

	if (!s->sw)
		return error_set(err, ERROR_NOT_FOUND, "this group has no sandbox yet");
	if (c->member || prefix_overlaps(&subnet, &s->subnet))
		return error_set(err, ERROR_INVALID, "no other group");
	r = ipam_check_subnet(&subnet, NULL, 0, err);
	if (r < 0)
		return r;
	fd = fcntl(c->peer.fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_set(err, ERROR_SYSTEM, "no descriptor is left");
	client_send(c, stream, MESSAGE_DONE, NULL, 0);
	if (c->dropped || peer_has_output(&c->peer))
		return error_set(err, ERROR_CLOSED, "the other group does not read");
	r = add(s, &subnet, true, TAKE_FD(fd), err);
	if (r == 0)
		client_drop(c);
	return r;
}

static int introduce(struct server *s, struct peer *peer, struct error *err)
{
	const struct net_neighbour self = {.group = s->group,
		.subnet = address_ipv4(&s->subnet.address),
		.bits = (uint8_t)(s->subnet.bits - 96)};
	_cleanup_buffer_ struct buffer payload = {0};
	uint64_t deadline = clock_monotonic() + ANSWER_TIME;
	struct frame f;
	int r = peer_wait(peer, &f, deadline, err);

	if (r < 0)
		return r;
	if (f.type != NET_HELLO || f.size != 2 || f.payload[0] != NET_PROTOCOL_VERSION || f.payload[1])
		return error_set(err, ERROR_UNAVAILABLE, "the other group's process is of another version");
	net_neighbour_encode(&self, &payload);
	if (payload.failed || !peer_send(peer, 1, NET_NEIGHBOUR, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "the other group's process is gone");
	r = peer_wait(peer, &f, deadline, err);
	if (r < 0)
		return r;
	return f.type == MESSAGE_DONE ? 0 : error_set(err, ERROR_DENIED, "the other group's process refuses");
}

static int connect_to(struct server *s, int directory, const struct prefix *subnet, struct error *err)
{
	struct peer peer = PEER_NONE;
	int r = unix_socket_connect(directory, "control", &peer.fd, err);

	if (r == 0)
		r = introduce(s, &peer, err);
	if (r == 0)
		r = add(s, subnet, false, TAKE_FD(peer.fd), err);
	peer_close(&peer);
	return r;
}

/* ---- who is there ------------------------------------------------------------------------------------ */

int neighbours_open(struct server *s, struct error *err)
{
	char text[PREFIX_TEXT_MAX];
	_cleanup_fd_ int fd = -1;
	size_t n = strlen(prefix_format(&s->subnet, text));

	unlinkat(s->config.directory, SUBNET, 0); /* of one that was killed */
	fd = fs_open(s->config.directory, SUBNET, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return fd;
	return write(fd, text, n) == (ssize_t)n ? 0 : error_set(err, ERROR_SYSTEM, "write the file " SUBNET);
}

void neighbours_close(struct server *s)
{
	while (s->neighbours)
		drop(s->neighbours);
	unlinkat(s->config.directory, SUBNET, 0);
}

static bool read_subnet(int directory, struct prefix *subnet)
{
	_cleanup_fd_ int fd = openat(directory, SUBNET, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[PREFIX_TEXT_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	return prefix_parse(text, subnet, NULL) == 0 && prefix_is_ipv4(subnet);
}

/* Connects to the group that has the address, where one is up. */
static void look_for(struct server *s, const struct address *a)
{
	int groups = openat(s->config.directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = groups < 0 ? NULL : fdopendir(groups);
	struct dirent *entry;
	bool found = false;

	while (all && !found && (entry = readdir(all))) {
		_cleanup_fd_ int directory = -1;
		struct prefix subnet;

		if (net_group_check(entry->d_name, NULL) < 0 || !strcmp(entry->d_name, s->group))
			continue;
		directory = openat(groups, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		found = directory >= 0 && read_subnet(directory, &subnet) && prefix_contains(&subnet, a);
		if (found)
			connect_to(s, directory, &subnet, NULL);
	}
	if (all)
		closedir(all);
	else if (groups >= 0)
		close(groups);
}

static struct neighbour *neighbour_of(const struct server *s, const struct address *a)
{
	for (struct neighbour *b = s->neighbours; b; b = b->next)
		if (prefix_contains(&b->subnet, a))
			return b;
	return NULL;
}

/* Once in LOOK_TIME. */
static bool may_look(struct server *s)
{
	uint64_t now = clock_monotonic();

	if (now < s->look_again)
		return false;
	s->look_again = now + LOOK_TIME;
	return true;
}

bool neighbours_send(struct server *s, const uint8_t *frame, size_t n)
{
	struct neighbour *b;
	struct address to;

	if (n < HEADERS)
		return false;
	to = address_at(frame + DESTINATION_AT);
	b = neighbour_of(s, &to);
	if (!b && ipam_is_private(&to) && may_look(s)) {
		look_for(s, &to);
		b = neighbour_of(s, &to);
	}
	if (b)
		link_send(b->link, frame, n);
	return b != NULL;
}
