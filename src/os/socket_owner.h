/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose process is at the other end of a TCP connection within this machine: the uid that the kernel has for
 * the peer's socket (sock_diag(7), NETLINK_SOCK_DIAG; Linux 3.3). Any user may ask.
 *
 * Only a socket of this network namespace whose addresses and ports are exactly those of the connection, and
 * which is connected at this moment, is found: a socket that its process has closed already has no owner any
 * more, and the kernel would call it root's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct socket_owner {
	/* Of whom made the socket. Of a uid that this user namespace lacks: 65534, so that nobody who runs as
	 * 65534 in a user namespace may take that for its own. */
	uint32_t uid;
	uint32_t inode;
};

/* A netlink socket for the following; may be opened before a process gives up its rights. The caller closes
 * it. */
int socket_owner_open(int *diag, struct error *err);

/* Whether this kernel answers, tried with a connection of our own. UNAVAILABLE: it does not (a kernel without
 * INET_DIAG, or a module, inet_diag and tcp_diag, that cannot be loaded). */
int socket_owner_examine(struct error *err);

/* fd: a connected TCP socket, IPv4 or IPv6. Errors: NOT_FOUND (the peer is not here, or gone), INVALID (no
 * TCP), SYSTEM. From one thread at a time. */
int socket_owner_of_peer(int diag, int fd, struct socket_owner *owner, struct error *err);

/* Which connections a server on loopback takes; that may change at any time. */
struct socket_owner_policy {
	int diag;
	_Atomic uint32_t uid; /* whose are taken */
	_Atomic bool kernel;  /* and the kernel's own, which are root's */
};

/* The peer's socket is found and its owner one of the policy's. policy: a struct socket_owner_policy. */
bool socket_owner_allows(void *policy, int fd);
