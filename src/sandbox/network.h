/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's networks: the groups that it is in, with an address in each, what it may reach, and which of
 * its ports the host has. network.json in its directory, written when it is made, and replaced as a whole
 * when something is changed: by its supervisor while it runs, else by who holds its lock.
 * docs/formats/sandbox.md.
 *
 * A sandbox that names no group is alone in one that is called as its id.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/policy.h"
#include "net/ports.h"
#include "sandbox/home.h"
#include "vm/vm.h"

#define NETWORK_GROUPS_MAX VM_NICS_MAX
#define NETWORK_POOL_ENV   "MONOCORE_NETWORK_POOL" /* ipam_parse_pool() */

struct network_group {
	char *name;
	struct prefix subnet;
	uint32_t address;  /* IPv4, host order; 0: not given yet */
	bool subnet_fixed; /* not kept: it was asked for */
};

struct network {
	struct network_group groups[NETWORK_GROUPS_MAX]; /* the first has the default route, DNS and ports */
	uint32_t group_count;
	char **aliases;
	enum reach reach;
	char **rules; /* "allow RULE", "deny RULE" */
	struct port *ports;
	size_t port_count;
	struct port *published; /* what they are while it runs: with the host's ports that were chosen */
	size_t published_count;
	uint64_t bandwidth; /* bytes a second each way; 0: no limit */
};
void network_free(struct network *n);
static inline void cleanup_network(struct network *n)
{
	network_free(n);
}
#define _cleanup_network_ __attribute__((cleanup(cleanup_network)))

/* Lists are NULL-terminated, or NULL. */
struct network_wishes {
	const char *const *groups;  /* NAME, or NAME:ADDRESS */
	const char *const *aliases; /* more names in its groups */
	const char *ip, *subnet;    /* of the first group; NULL: any */
	const char *const *subnets; /* of the groups, in the same places; "": any */
	const char *reach;          /* NULL: public */
	const char *const *allow, *const *deny;
	const char *const *ports; /* as ports_parse() takes them */
	uint64_t bandwidth;
};

/* What was wished, checked; no address is given yet, and no file touched. `own` names its own group. */
int network_make(const struct network_wishes *w, const char *own, struct network *n, struct error *err);

/* Replaces the rules by these, or adds these; NULL keeps those of its kind. */
int network_set_rules(
	struct network *n, const char *const *allow, const char *const *deny, bool add, struct error *err);

int network_set_bandwidth(struct network *n, uint64_t bandwidth, struct error *err);

/* Of a sandbox that does not run. */
int network_add_ports(struct network *n, const struct port *ports, size_t count, struct error *err);

/* Of any: what is published, or asked for, is both no more. */
void network_remove_ports(struct network *n, const struct port *ports, size_t count);

/* Appends; with them their places in what is published. */
int network_append_ports(struct network *n, const struct port *asked, const struct port *published,
	size_t count, struct error *err);

/* policy_remark() of it; *remark is the caller's, or NULL. */
int network_remark(const struct network *n, char **remark, struct error *err);

/* Checks rules that came from somewhere else. */
int network_check_rules(char *const *rules, struct error *err);

/* The sandbox's addresses, and with them its groups' subnets, for as long as it is there. `durable`: also
 * over a power cut. */
int network_take(const struct home *home, const char *id, struct network *n, bool durable, struct error *err);
void network_release(const struct home *home, const char *id);

/* NOT_FOUND: the sandbox has none. */
int network_read(int fd, struct network *n, struct error *err);
int network_write(int fd, const struct network *n, bool durable, struct error *err);

/* For people and programs; new. NULL: out of memory. */
json_t *network_describe(const struct network *n);

bool network_is_own(const struct network *n, const char *id); /* alone in a group of its own */
