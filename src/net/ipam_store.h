/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subnets and addresses that were given, in monocore.db, for all projects and processes of a user: no two
 * groups have subnets that overlap, no two sandboxes of a group one address. What was given stays until it is
 * released, over restarts of the sandbox and of the host. docs/formats/network.md has the tables.
 *
 * A subnet is its group's for as long as a sandbox has an address in it.
 */
#pragma once

#include "net/ipam.h"

struct ipam_store;

/* Opens the tables in home/monocore.db, making them where they are missing. */
int ipam_store_open(const char *home, struct ipam_store **store, struct error *err);
void ipam_store_free(struct ipam_store *store);

/* For what nobody would look for after a power cut: it is committed, and not synced (db_relax()). */
int ipam_store_relax(struct ipam_store *store, struct error *err);

struct ipam_request {
	const char *group, *sandbox;    /* a sandbox by its id */
	const struct prefix *subnet;    /* that the group must have; NULL: what it has, or any */
	uint32_t address;               /* that it must get; 0: any */
	const struct ipam_pool *pool;   /* where a new group's comes from */
	const struct ipam_taken *taken; /* what besides groups keeps a subnet from being given: routes */
	size_t taken_count;
};

struct ipam_lease {
	struct prefix subnet;
	uint32_t address;
};

/* Gives the sandbox its address in the group, which is the one that it has, where it has one. Committed and
 * synced when it returns. Errors: EXISTS (a subnet or an address that was asked for is another's; the text
 * says whose), BUSY (the group has another subnet already), INVALID, LIMIT. */
int ipam_store_take(struct ipam_store *store, const struct ipam_request *request, struct ipam_lease *lease,
	struct error *err);

/* What it has; NOT_FOUND. */
int ipam_store_find(struct ipam_store *store, const char *group, const char *sandbox,
	struct ipam_lease *lease, struct error *err);

/* Gives back all that the sandbox has, and subnets that nobody has an address in any more. Nothing to give
 * back is no error. */
int ipam_store_release(struct ipam_store *store, const char *sandbox, struct error *err);

/* Releases what sandboxes have that do not live any more: `lives` is asked about each. For what a process
 * that was killed took and did not use. */
int ipam_store_sweep(struct ipam_store *store, bool (*lives)(void *context, const char *sandbox),
	void *context, struct error *err);

/* Calls `each` for every address, by group and address, until it returns something but 0, which is returned.
 */
typedef int (*ipam_store_call)(void *context, const char *group, const char *sandbox,
	const struct ipam_lease *lease, struct error *err);
int ipam_store_each(struct ipam_store *store, ipam_store_call each, void *context, struct error *err);
