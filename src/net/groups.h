/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups that are up: $MONOCORE_HOME/net/<group>/ (0700) is there as long as the group's process, mcnet, and
 * holds
 *
 *     lock     flock(2)ed by mcnet for its life, and before that by whoever starts it
 *     control  its listening socket: net/control.h
 *     log      what it has to complain of, at most NET_LOG_MAX bytes
 *
 * mcnet ends NET_LINGER after its last connection, or at once where the group is a sandbox's own, called by
 * its id, and takes the directory with it. Who connects in that moment, or starts one while another does, or
 * finds what a killed one left, gets a connection all the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "os/peer.h"

#define NET_LOG_MAX   (256 * 1024)
#define NET_LINGER    (2 * 1000000000ull) /* nanoseconds */
#define NET_GROUP_MAX 63                  /* bytes of a group's name */

/* Descriptors of the mcnet process. */
enum { NET_FD_DIRECTORY = 3, NET_FD_LOCK = 4, NET_FD_LISTENER = 5 };

struct net_place {
	int home;            /* the directory $MONOCORE_HOME (struct home); not owned */
	const char *program; /* path of mcnet (program_path()); NULL: none is started */
};

/* A group's name: a-z, 0-9, '-', '_' and '.', begins with a letter or digit, 63 bytes at most. INVALID. */
int net_group_check(const char *group, struct error *err);

/*
 * A connection to the group's mcnet, which is started where none runs; HELLO has been read, and it is this
 * user's. *peer (os/peer.h) is the caller's: requests by peer_send(), LINK by net_send_link(), answers by
 * peer_wait() or peer_receive(). The end of the connection says that mcnet is gone: connect again, and say
 * ATTACH and LINK again.
 *
 * Errors: NOT_FOUND (none runs, and place->program is NULL), TIMEOUT, UNAVAILABLE (it speaks another
 * version), SYSTEM.
 */
int net_connect(const struct net_place *place, const char *group, struct peer *peer, struct error *err);

/* Sends LINK with the stream of the guest's interface, a connected unix socket; it is still the caller's to
 * close. */
int net_send_link(struct peer *peer, uint32_t stream, int link, struct error *err);

/* The names of the groups that are up; the caller frees the list (text_list_free()). */
int net_groups_list(const struct net_place *place, char ***names, struct error *err);
