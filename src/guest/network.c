/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define IPV6_SETTINGS "/proc/sys/net/ipv6/conf"
#define REPLIES_MAX   8192
#define REQUEST_MAX   256
#define MAC_SIZE      6

/* One request and its attributes. */
struct request {
	struct nlmsghdr *head;
	uint8_t bytes[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
};

/* Returns the body, which follows the header, zeroed. */
static void *begin(struct request *q, uint16_t type, uint16_t flags, size_t body)
{
	memset(q->bytes, 0, sizeof q->bytes);
	q->head = (struct nlmsghdr *)q->bytes;
	q->head->nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	q->head->nlmsg_type = type;
	q->head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	return NLMSG_DATA(q->head);
}

/* All attributes together are less than REQUEST_MAX. */
static void add(struct request *q, uint16_t type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)(q->bytes + NLMSG_ALIGN(q->head->nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	q->head->nlmsg_len = NLMSG_ALIGN(q->head->nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
}

/* Sends the request and hears whether it was done: 0, or an errno. */
static int ask(int fd, struct request *q)
{
	uint8_t reply[1024] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	ssize_t n;

	q->head->nlmsg_flags |= NLM_F_ACK;
	if (send(fd, q->bytes, q->head->nlmsg_len, 0) < 0)
		return errno;
	n = recv(fd, reply, sizeof reply, 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return EIO;
	return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int set_link(int fd, int index, bool up, const uint8_t *mac, uint32_t mtu)
{
	struct request q;
	struct ifinfomsg *link = begin(&q, RTM_NEWLINK, 0, sizeof *link);

	link->ifi_index = index;
	link->ifi_flags = up ? IFF_UP : 0;
	link->ifi_change = IFF_UP;
	if (mac)
		add(&q, IFLA_ADDRESS, mac, MAC_SIZE);
	if (mtu)
		add(&q, IFLA_MTU, &mtu, sizeof mtu);
	return ask(fd, &q);
}

/* type: RTM_NEWADDR or RTM_DELADDR. */
static int change_address(int fd, uint16_t type, int index, const struct message_network *n)
{
	uint32_t mask = UINT32_MAX << (32 - n->bits), own = htonl(n->address);
	uint32_t broadcast = htonl(n->address | ~mask);
	struct request q;
	struct ifaddrmsg *a =
		begin(&q, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *a);

	a->ifa_family = AF_INET;
	a->ifa_prefixlen = n->bits;
	a->ifa_index = (uint32_t)index;
	add(&q, IFA_LOCAL, &own, sizeof own);
	add(&q, IFA_ADDRESS, &own, sizeof own);
	add(&q, IFA_BROADCAST, &broadcast, sizeof broadcast);
	return ask(fd, &q);
}

static int set_default_route(int fd, int index, uint32_t gateway)
{
	uint32_t way = htonl(gateway), oif = (uint32_t)index;
	struct request q;
	struct rtmsg *r = begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *r);

	*r = (struct rtmsg){.rtm_family = AF_INET,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	add(&q, RTA_GATEWAY, &way, sizeof way);
	add(&q, RTA_OIF, &oif, sizeof oif);
	return ask(fd, &q);
}

/* ---- finding interfaces ------------------------------------------------------------------------------- */

/* Of a link that a dump told: whether it has this MAC. */
static bool has_mac(const struct nlmsghdr *h, const uint8_t mac[MAC_SIZE])
{
	struct ifinfomsg *link = NLMSG_DATA(h);
	unsigned left = h->nlmsg_len > NLMSG_LENGTH(sizeof *link)
				? (unsigned)(h->nlmsg_len - NLMSG_LENGTH(sizeof *link))
				: 0;

	for (struct rtattr *a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_ADDRESS)
			return RTA_PAYLOAD(a) == MAC_SIZE && !memcmp(RTA_DATA(a), mac, MAC_SIZE);
	return false;
}

/* Calls `see` for each link, to the end. False: the kernel did not say. */
static bool each_link(int fd, void (*see)(void *context, const struct nlmsghdr *link), void *context)
{
	uint8_t reply[REPLIES_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct request q;

	begin(&q, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	if (send(fd, q.bytes, q.head->nlmsg_len, 0) < 0)
		return false;
	for (;;) {
		ssize_t n = recv(fd, reply, sizeof reply, 0);
		unsigned left = n > 0 ? (unsigned)n : 0;

		if (n <= 0)
			return false;
		for (const struct nlmsghdr *h = (struct nlmsghdr *)reply; NLMSG_OK(h, left);
			h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return true;
			if (h->nlmsg_type == NLMSG_ERROR)
				return false;
			if (h->nlmsg_type == RTM_NEWLINK)
				see(context, h);
		}
	}
}

struct search {
	const struct message_setup *m; /* NULL: at boot, where no interface has a MAC of its own yet */
	struct networks *found;
	int index[NETWORKS_MAX + 1]; /* of all there are, lo too */
	int count;
};

static void match(void *context, const struct nlmsghdr *h)
{
	int index = ((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;
	struct search *s = context;

	if (s->count < NETWORKS_MAX + 1)
		s->index[s->count++] = index;
	for (uint32_t i = 0; i < NETWORKS_MAX; i++) {
		const uint8_t made[MAC_SIZE] = {MESSAGE_NETWORK_MAC, (uint8_t)i};

		if (has_mac(h, made) ||
			(s->m && i < s->m->network_count && has_mac(h, s->m->networks[i].mac)))
			s->found->index[i] = index;
	}
}

/* ---- what the agent does ------------------------------------------------------------------------------ */

static void disable_ipv6(const char *name)
{
	char path[sizeof IPV6_SETTINGS + IFNAMSIZ + 32];
	_cleanup_fd_ int fd = -1;

	snprintf(path, sizeof path, IPV6_SETTINGS "/%.15s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) != 1)
		log_error("switch IPv6 off on %s: %s", name, strerror(errno));
}

/* Of interfaces that are there and of those that come, but for lo, whose ::1 programs expect. */
static void disable_all_ipv6(void)
{
	DIR *list = opendir(IPV6_SETTINGS);
	struct dirent *e;

	while (list && (e = readdir(list)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "lo") != 0 && strcmp(e->d_name, "all") != 0)
			disable_ipv6(e->d_name);
	if (list)
		closedir(list);
}

void network_boot(struct networks *n)
{
	struct search all = {.found = n};

	disable_all_ipv6();
	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (n->fd < 0 || !each_link(n->fd, match, &all))
		log_error("list the network interfaces: %s", strerror(errno));
	for (int i = 0; i < all.count; i++) {
		int r = set_link(n->fd, all.index[i], true, NULL, 0);

		if (r)
			log_error("set a network interface up: %s", strerror(r));
	}
	for (uint32_t i = 0; i < NETWORKS_MAX; i++)
		if (n->index[i] && set_link(n->fd, n->index[i], true, NULL, MESSAGE_NETWORK_MTU) == 0)
			n->mtu[i] = MESSAGE_NETWORK_MTU;
}

static bool has_default_route(const struct networks *n, uint32_t number)
{
	uint32_t first = 0;

	while (first < n->count && !n->list[first].gateway)
		first++;
	return first == number;
}

static int apply(struct networks *n, uint32_t number)
{
	const struct message_network *w = &n->list[number];
	int index = n->index[number];
	int r = set_link(n->fd, index, w->up, w->mac, w->mtu == n->mtu[number] ? 0 : w->mtu);

	if (r == 0)
		n->mtu[number] = w->mtu;
	if (r == 0)
		r = change_address(n->fd, RTM_NEWADDR, index, w);
	if (r == 0 && w->up && has_default_route(n, number))
		r = set_default_route(n->fd, index, w->gateway);
	return r;
}

/* Asks the kernel only where the boot did not find them all: a list of links is much to make. */
static bool find_interfaces(struct networks *n, const struct message_setup *m)
{
	struct search search = {.m = m, .found = n};
	uint32_t known = 0;

	while (known < m->network_count && n->index[known])
		known++;
	return known == m->network_count || each_link(n->fd, match, &search);
}

int network_set_up(struct networks *n, const struct message_setup *m, struct error *err)
{
	if (!m->network_count)
		return 0;
	if (n->fd < 0 || !find_interfaces(n, m))
		return error_errno(err, errno, "list the network interfaces");
	n->count = m->network_count;
	memcpy(n->list, m->networks, n->count * sizeof *n->list);
	for (uint32_t i = 0; i < n->count; i++) {
		int r = n->index[i] ? apply(n, i) : ENODEV;

		if (r)
			return error_errno(err, r, "set up the network interface %u", i);
	}
	return 0;
}

int network_renew(struct networks *n, const struct message_setup *m, struct error *err)
{
	if (m->network_count != n->count)
		return error_set(
			err, ERROR_INVALID, "%u networks: this machine has %u", m->network_count, n->count);
	/* All are taken away first: one network's new address may be another's old one. */
	for (uint32_t i = 0; i < n->count; i++)
		change_address(n->fd, RTM_DELADDR, n->index[i], &n->list[i]);
	memcpy(n->list, m->networks, n->count * sizeof *n->list);
	for (uint32_t i = 0; i < n->count; i++) {
		int r = apply(n, i);

		if (r)
			return error_errno(err, r, "set up the network interface %u", i);
	}
	return 0;
}

int network_switch(struct networks *n, const struct message_network_switch *m, struct error *err)
{
	int r;

	if (m->number >= n->count)
		return error_set(err, ERROR_INVALID, "network %u: there are %u", m->number, n->count);
	n->list[m->number].up = m->up;
	r = apply(n, m->number);
	return r ? error_errno(err, r, "switch the network interface %u", m->number) : 0;
}
