/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's own network is: the addresses that it has, which no sandbox reaches unless a rule says so,
 * and the networks that it routes, which no group's subnet may hide. By rtnetlink(7) and getifaddrs(3), in
 * the network namespace of the caller.
 */
#pragma once

#include "net/address.h"
#include "net/ipam.h"

/* Of both families, loopback and link-local ones too. Most are networks of one address, those of devices;
 * some are what `ip route add local` says (AnyIP): the host answers at every address of it. */
struct host_addresses {
	struct prefix *items; /* none twice */
	size_t count;
};
int host_addresses_read(struct host_addresses *addresses, struct error *err);
void host_addresses_free(struct host_addresses *addresses);

/* Networks of IPv4, of all routing tables, for ipam_pick_subnet(); default routes and loopback are left out,
 * the host's addresses are in. */
struct host_routes {
	struct ipam_taken *items;
	size_t count;
	char **names;
};
int host_routes_read(struct host_routes *routes, struct error *err);
void host_routes_free(struct host_routes *routes);

/* A socket, non-blocking, that becomes readable when an address or a route comes or goes; host_watch_drain()
 * reads what it has: true where addresses are to be read anew. The caller closes it. */
int host_watch_open(int *fd, struct error *err);
bool host_watch_drain(int fd);
