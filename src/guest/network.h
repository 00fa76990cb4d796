/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network interfaces, by rtnetlink (RFC 3549, rtnetlink(7)). They are up before they have an
 * address, in the template already, so that a clone that has got its addresses can send at once: nothing
 * waits for a carrier, and there is no IPv6 whose duplicate address detection would.
 */
#pragma once

#include "base/error.h"
#include "codec/message.h"

struct networks {
	int fd; /* socket of rtnetlink, from boot on: to open one takes a clone milliseconds */
	struct message_network list[NETWORKS_MAX];
	int index[NETWORKS_MAX];    /* of the interface; 0: it is not known */
	uint16_t mtu[NETWORKS_MAX]; /* that the interface has; 0: it is not known */
	uint32_t count;
};

/* At boot: lo is up, the others are, without IPv6; those that have the MAC of a network by its number are
 * known, and have the MTU that is usual. What fails is logged. */
void network_boot(struct networks *n);

/* MAC, MTU, address and the default route of each network of SETUP. UNAVAILABLE: this machine has too few
 * interfaces. */
int network_set_up(struct networks *n, const struct message_setup *m, struct error *err);

/* In a copy of the machine: the same interfaces get other addresses, and those they had are gone. INVALID:
 * another number of networks. */
int network_renew(struct networks *n, const struct message_setup *m, struct error *err);

/* Sets the interface of a network up or down; up, it gets its route again. */
int network_switch(struct networks *n, const struct message_network_switch *m, struct error *err);
