/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that know of networks share. */
#pragma once

#include "lib/handle.h"
#include "monocore_network.h"
#include "sandbox/network.h"

/* A sandbox whose networks are to be changed: locked by us, or running, and then there is a connection. */
struct network_target {
	struct directory d;
	struct record record;
	struct network network;
	struct peer peer; /* fd -1: it does not run */
};
#define NETWORK_TARGET_NONE \
	{ \
		.d = DIRECTORY_NONE, .peer = PEER_NONE \
	}
void network_target_close(struct network_target *t);
#define _cleanup_network_target_ __attribute__((cleanup(network_target_close)))

int network_target_open(struct monocore *mc, const char *name, struct network_target *t, struct error *err);

/* Of a running sandbox: sends the request and waits for DONE, or `also`, whose frame is given out. */
int network_target_request(struct network_target *t, uint16_t type, const struct buffer *payload,
	uint16_t also, struct frame *f, struct error *err);

/* Of one that does not run: keeps t->network. */
int network_target_write(struct network_target *t, struct error *err);

/* The texts of its ports, as they are published where it runs; never NULL. */
int network_ports(const struct network *n, bool runs, char ***list, struct error *err);

/* network.json for `inspect`, and of a running sandbox what its groups' processes tell about it, as "live".
 * *json is the caller's, or NULL: it has no network. */
int network_report(struct monocore *mc, const struct directory *d, json_t **json, struct error *err);
