/* SPDX-License-Identifier: Apache-2.0 */
#include "net/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define ANSWER_BYTES  32768 /* netlink(7): a dump's datagrams are no larger */
#define ROUTES_MAX    65536 /* a host that has more of them routes the Internet */
#define ADDRESSES_MAX 4096

/* ---- what the kernel tells -------------------------------------------------------------------------- */

typedef int route_call(void *context, struct nlmsghdr *m, struct error *err);

static int open_netlink(unsigned groups, int flags, int *out, struct error *err)
{
	struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_groups = groups};
	_cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&self, sizeof self) < 0)
		return error_errno(err, errno, "ask the kernel for the host's routes");
	*out = TAKE_FD(fd);
	return 0;
}

/* table 0: all. A kernel that does not filter (before 4.20) tells of all tables, and of what is cached. */
static int ask_routes(int fd, uint8_t family, uint8_t table, struct error *err)
{
	const struct {
		struct nlmsghdr header;
		struct rtmsg route;
	} request = {.header = {.nlmsg_len = sizeof request,
			     .nlmsg_type = RTM_GETROUTE,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.route = {.rtm_family = family, .rtm_table = table}};
	int on = 1;

	if (table)
		setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
	if (send(fd, &request, sizeof request, 0) != sizeof request)
		return error_errno(err, errno, "ask the kernel for the host's routes");
	return 0;
}

/* One datagram of the dump. Returns 1 after the last. */
static int take_answer(int fd, route_call *take, void *context, struct error *err)
{
	_Alignas(struct nlmsghdr) char bytes[ANSWER_BYTES];
	struct nlmsghdr *m = (struct nlmsghdr *)(void *)bytes;
	ssize_t n = recv(fd, bytes, sizeof bytes, 0);
	int r = 0;

	if (n < 0)
		return errno == EINTR ? 0 : error_errno(err, errno, "read the host's routes");
	for (; r == 0 && NLMSG_OK(m, (size_t)n); m = NLMSG_NEXT(m, n)) {
		if (m->nlmsg_type == NLMSG_DONE)
			return 1;
		if (m->nlmsg_type == NLMSG_ERROR)
			return error_set(err, ERROR_SYSTEM, "the kernel does not tell the host's routes");
		if (m->nlmsg_type == RTM_NEWROUTE && m->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
			r = take(context, m, err);
	}
	return r;
}

static int dump_routes(uint8_t family, uint8_t table, route_call *take, void *context, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = open_netlink(0, 0, &fd, err);

	if (r == 0)
		r = ask_routes(fd, family, table, err);
	while (r == 0)
		r = take_answer(fd, take, context, err);
	return r < 0 ? r : 0;
}

/* Where a route leads, `size` bytes; false: it does not say (a default route). */
static bool find_destination(struct nlmsghdr *m, uint8_t *out, size_t size)
{
	struct rtattr *a = RTM_RTA((struct rtmsg *)NLMSG_DATA(m));
	int left = (int)RTM_PAYLOAD(m);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_DST && RTA_PAYLOAD(a) == size) {
			memcpy(out, RTA_DATA(a), size);
			return true;
		}
	return false;
}

/* ---- addresses -------------------------------------------------------------------------------------- */

static bool read_address(const struct sockaddr *from, struct address *a)
{
	if (from && from->sa_family == AF_INET) {
		*a = address_from_ipv4(
			ntohl(((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr));
		return true;
	}
	if (from && from->sa_family == AF_INET6) {
		memcpy(a->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr,
			sizeof a->bytes);
		return true;
	}
	return false;
}

static bool has(const struct host_addresses *l, const struct prefix *p)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].bits == p->bits && address_equal(&l->items[i].address, &p->address))
			return true;
	return false;
}

static int add_address(struct host_addresses *l, const struct prefix *p, struct error *err)
{
	struct prefix *items;

	if (has(l, p))
		return 0;
	if (l->count >= ADDRESSES_MAX)
		return error_set(err, ERROR_LIMIT, "this host has over %d addresses", ADDRESSES_MAX);
	items = reallocarray(l->items, l->count + 1, sizeof *items);
	if (!items)
		return error_no_memory(err, "read the host's addresses");
	l->items = items;
	items[l->count++] = *p;
	return 0;
}

/* A route of type `local`: the host answers at its addresses. */
static int take_local(void *context, struct nlmsghdr *m, struct error *err)
{
	const struct rtmsg *route = NLMSG_DATA(m);
	struct prefix p = {.bits = 128};
	size_t size = route->rtm_family == AF_INET ? 4 : 16;
	uint8_t bytes[16] = {0};

	if (route->rtm_type != RTN_LOCAL || route->rtm_dst_len > 8 * size ||
		!find_destination(m, bytes, size))
		return 0;
	if (size == 4)
		p = prefix_ipv4((uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
					(uint32_t)bytes[2] << 8 | bytes[3],
			route->rtm_dst_len);
	else
		memcpy(p.address.bytes, bytes, sizeof bytes), p.bits = route->rtm_dst_len;
	return add_address(context, &p, err);
}

static int read_devices(struct host_addresses *l, struct error *err)
{
	struct ifaddrs *first;
	int r = 0;

	if (getifaddrs(&first) < 0)
		return error_errno(err, errno, "read the host's addresses");
	for (const struct ifaddrs *i = first; r == 0 && i; i = i->ifa_next) {
		struct address a;
		struct prefix p;

		if (!read_address(i->ifa_addr, &a))
			continue;
		p = prefix_of_one(&a);
		r = add_address(l, &p, err);
	}
	freeifaddrs(first);
	return r;
}

int host_addresses_read(struct host_addresses *l, struct error *err)
{
	int r;

	*l = (struct host_addresses){0};
	r = read_devices(l, err);
	if (r == 0)
		r = dump_routes(AF_INET, RT_TABLE_LOCAL, take_local, l, err);
	if (r == 0)
		r = dump_routes(AF_INET6, RT_TABLE_LOCAL, take_local, l, err);
	if (r < 0)
		host_addresses_free(l);
	return r;
}

void host_addresses_free(struct host_addresses *l)
{
	free(l->items);
	*l = (struct host_addresses){0};
}

/* ---- routes ----------------------------------------------------------------------------------------- */

static int add_route(struct host_routes *l, const struct prefix *p, const char *device, struct error *err)
{
	_cleanup_free_ char *by = text_format(err, "a route of this host (%s)", device);
	struct ipam_taken *items;
	int r = by ? text_list_add(&l->names, by, err) : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	items = reallocarray(l->items, l->count + 1, sizeof *items);
	if (!items)
		return error_no_memory(err, "read the host's routes");
	l->items = items;
	items[l->count] = (struct ipam_taken){*p, NULL};
	l->count++;
	return 0;
}

static int take_route(void *context, struct nlmsghdr *m, struct error *err)
{
	struct host_routes *l = context;
	const struct rtmsg *route = NLMSG_DATA(m);
	struct rtattr *a = RTM_RTA(route);
	int left = (int)RTM_PAYLOAD(m), device = 0;
	char name[IF_NAMESIZE] = "?";
	struct in_addr to = {0};
	struct prefix p;

	if (route->rtm_dst_len == 0 || route->rtm_dst_len > 32 || route->rtm_type == RTN_BROADCAST ||
		route->rtm_type == RTN_MULTICAST)
		return 0;
	find_destination(m, (uint8_t *)&to, sizeof to);
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == sizeof device)
			memcpy(&device, RTA_DATA(a), sizeof device);
	p = prefix_ipv4(ntohl(to.s_addr), route->rtm_dst_len);
	if (ntohl(to.s_addr) >> 24 == 127)
		return 0;
	if (l->count >= ROUTES_MAX)
		return error_set(err, ERROR_LIMIT, "this host has over %d routes", ROUTES_MAX);
	if (device > 0)
		if_indextoname((unsigned)device, name);
	return add_route(l, &p, name, err);
}

int host_routes_read(struct host_routes *l, struct error *err)
{
	int r;

	*l = (struct host_routes){0};
	r = dump_routes(AF_INET, 0, take_route, l, err);
	for (size_t i = 0; i < l->count; i++)
		l->items[i].by = l->names[i];
	if (r < 0)
		host_routes_free(l);
	return r;
}

void host_routes_free(struct host_routes *l)
{
	free(l->items);
	text_list_free(l->names);
	*l = (struct host_routes){0};
}

/* ---- changes ---------------------------------------------------------------------------------------- */

int host_watch_open(int *fd, struct error *err)
{
	return open_netlink(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
		SOCK_NONBLOCK, fd, err);
}

/* A route that is not `local` says nothing about addresses: a router has many of these. */
static bool is_about_addresses(const struct nlmsghdr *m)
{
	if (m->nlmsg_type != RTM_NEWROUTE && m->nlmsg_type != RTM_DELROUTE)
		return true;
	return m->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)) ||
	       ((const struct rtmsg *)NLMSG_DATA(m))->rtm_type == RTN_LOCAL;
}

bool host_watch_drain(int fd)
{
	_Alignas(struct nlmsghdr) char bytes[8192];
	bool told = false;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0 || errno == EINTR || errno == ENOBUFS) {
		struct nlmsghdr *m = (struct nlmsghdr *)(void *)bytes;

		/* What did not fit the socket's buffer (ENOBUFS) may have been anything. */
		told |= n < 0 && errno == ENOBUFS;
		for (; n > 0 && NLMSG_OK(m, (size_t)n); m = NLMSG_NEXT(m, n))
			told |= is_about_addresses(m);
	}
	return told;
}
