/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other groups. A frame of a flow that a rule allowed may be for a sandbox of another group of this user that
 * is up: then it goes to that group's mcnet, over a connection that is made when it is first needed
 * (net/control.h, NEIGHBOUR) and carries frames as a guest's stream does. What comes back there belongs to
 * flows that our sandboxes began; what the other group's rules let its sandboxes begin comes over a
 * connection of theirs.
 *
 * Which groups are up, and their subnets, is found in the directory of groups: each has a file `subnet`. It
 * is looked at once a second at most, and only for frames to private addresses.
 */
#pragma once

#include "net/server/server_parts.h"

/* Writes the file `subnet` of the own group: others find it from here on. */
int neighbours_open(struct server *s, struct error *err);
void neighbours_close(struct server *s);

/* True: it went to another group, or was lost on the way there. */
bool neighbours_send(struct server *s, const uint8_t *frame, size_t n);

/* Another group's process has said who it is: its connection is ours from here on, where this succeeds, and
 * the client's no more. */
int neighbours_accept(struct client *c, uint32_t stream, const struct net_neighbour *who, struct error *err);
