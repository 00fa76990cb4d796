/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of mcnet but its main(): one loop, in one thread, that holds a group's switch together with its ends:
 * the guests' links, the way out, published ports, DNS, and the control connections by which it is told
 * everything.
 *
 * It ends when no sandbox has been attached for NET_LINGER and nobody is about to attach one, or by SIGTERM.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"

struct net_server_config {
	int directory;           /* of the group; not owned */
	int listener;            /* its control socket; not owned */
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
	uint16_t resolver_port;  /* 0: 53; for tests */
	uint64_t linger;         /* nanoseconds; 0: NET_LINGER */
};

/* Serves until the end. What was bound in the directory is gone then, but for the lock, the log and the
 * directory itself. */
int net_server_run(const struct net_server_config *config, struct error *err);
