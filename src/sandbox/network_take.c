/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's addresses: taken when it is made, given back when it is removed, or when it is found gone. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/host.h"
#include "net/ipam_store.h"
#include "sandbox/directory.h"
#include "sandbox/network.h"

#define DEAD_MOST 16 /* sandboxes that are gone and still have addresses */

CLEANUP_DEFINE(ipam, struct ipam_store, ipam_store_free);
#define _cleanup_ipam_ _cleanup_(cleanup_ipam)

static int pool_of_environment(struct ipam_pool *pool, struct error *err)
{
	const char *text = getenv(NETWORK_POOL_ENV);
	int r = ipam_parse_pool(text && *text ? text : IPAM_POOL_DEFAULT, pool, err);

	return r < 0 ? error_prefix(err, NETWORK_POOL_ENV) : 0;
}

/* One that is just being made has a temporary name, and gets the other by a rename. */
static bool lives(void *context, const char *sandbox)
{
	const struct home *home = context;
	char name[SANDBOX_ID_SIZE + 8];

	snprintf(name, sizeof name, ".new-%s", sandbox);
	return faccessat(home->sandboxes, name, F_OK, 0) == 0 ||
	       faccessat(home->sandboxes, sandbox, F_OK, 0) == 0;
}

struct counting {
	const struct home *home;
	unsigned dead;
};

static int take_one(struct ipam_store *store, const struct ipam_request *request, struct network_group *g,
	struct error *err)
{
	struct ipam_lease lease;
	int r = ipam_store_take(store, request, &lease, err);

	if (r < 0)
		return r;
	g->subnet = lease.subnet;
	g->address = lease.address;
	return 0;
}

/* An address alone, in a group that is not there yet, says which subnet is meant as well. */
static int take_with_subnet(struct ipam_store *store, const struct ipam_request *request,
	struct network_group *g, struct error *err)
{
	struct prefix around = prefix_ipv4(request->address, request->pool->bits);
	struct ipam_request again = *request;
	struct error second;
	int r = take_one(store, request, g, err);

	if (r != -ERROR_INVALID || request->subnet || !request->address)
		return r;
	again.subnet = &around;
	r = take_one(store, &again, g, &second);
	if (r < 0 && r != -ERROR_BUSY)
		*err = second; /* BUSY: the group has another, which the first error names */
	return r < 0 ? -(int)err->code : 0;
}

static int take_all(struct ipam_store *store, const char *id, struct network *n, const struct ipam_pool *pool,
	const struct host_routes *routes, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n->group_count; i++) {
		struct network_group *g = &n->groups[i];
		const struct ipam_request request = {.group = g->name,
			.sandbox = id,
			.subnet = g->subnet_fixed ? &g->subnet : NULL,
			.address = g->address,
			.pool = pool,
			.taken = routes->items,
			.taken_count = routes->count};

		r = take_with_subnet(store, &request, g, err);
	}
	return r;
}

static int count_dead(void *context, const char *group, const char *sandbox, const struct ipam_lease *lease,
	struct error *err)
{
	struct counting *c = context;

	(void)group;
	(void)lease;
	(void)err;
	c->dead += !lives((void *)c->home, sandbox);
	return 0;
}

/* What throw-away sandboxes leave is swept many at a time, since each change waits for the disk; and at once
 * where it is in the way. */
static int sweep_some(struct ipam_store *store, const struct home *home, unsigned most, struct error *err)
{
	struct counting c = {.home = home};
	int r = ipam_store_each(store, count_dead, &c, err);

	return r == 0 && c.dead > most ? ipam_store_sweep(store, lives, (void *)home, err) : r;
}

int network_take(const struct home *home, const char *id, struct network *n, bool durable, struct error *err)
{
	_cleanup_ipam_ struct ipam_store *store = NULL;
	struct host_routes routes = {0};
	struct ipam_pool pool;
	int r = pool_of_environment(&pool, err);

	if (r == 0)
		r = ipam_store_open(home->path, &store, err);
	if (r == 0 && !durable)
		r = ipam_store_relax(store, err);
	if (r == 0)
		r = host_routes_read(&routes, err);
	if (r == 0)
		r = sweep_some(store, home, DEAD_MOST, err);
	if (r == 0) {
		r = take_all(store, id, n, &pool, &routes, err);
		if (r < 0 && sweep_some(store, home, 0, NULL) == 0)
			r = take_all(store, id, n, &pool, &routes, err);
	}
	host_routes_free(&routes);
	if (r < 0 && store)
		ipam_store_release(store, id, NULL);
	return r;
}

void network_release(const struct home *home, const char *id)
{
	_cleanup_ipam_ struct ipam_store *store = NULL;

	if (ipam_store_open(home->path, &store, NULL) == 0)
		ipam_store_release(store, id, NULL);
}
