/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of a switch: who has which, and what is set on it. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/switch_parts.h"

#define SLOT_MASK (SWITCH_PORTS_MAX - 1u)

/* A port's number has its slot in the low bits, and above how many ports there were before it. */
struct switch_port *port_find(const struct net_switch *sw, uint32_t id)
{
	struct switch_port *port = sw->ports[id & SLOT_MASK];

	return port && port->id == id ? port : NULL;
}

/* Neighbours are spread (Fibonacci hashing), so that who is not there is not sought along all who are. */
static size_t place_of(uint32_t address)
{
	return (uint32_t)(address * 2654435769u) / (0x100000000ULL / BY_ADDRESS_SIZE);
}

struct switch_port *port_at(const struct net_switch *sw, uint32_t address)
{
	uint16_t slot;

	for (size_t i = place_of(address); (slot = sw->by_address[i]); i = (i + 1) % BY_ADDRESS_SIZE)
		if (sw->ports[slot - 1]->address == address)
			return sw->ports[slot - 1];
	return NULL;
}

static void index_addresses(struct net_switch *sw)
{
	memset(sw->by_address, 0, sizeof sw->by_address);
	for (size_t slot = 0; slot < SWITCH_PORTS_MAX; slot++) {
		size_t i;

		if (!sw->ports[slot])
			continue;
		i = place_of(sw->ports[slot]->address);
		while (sw->by_address[i])
			i = (i + 1) % BY_ADDRESS_SIZE;
		sw->by_address[i] = (uint16_t)(slot + 1);
	}
}

bool in_subnet(const struct net_switch *sw, uint32_t address)
{
	return ((address ^ sw->broadcast) & (uint32_t)(0xffffffff00000000ULL >> sw->subnet_bits)) == 0;
}

static void port_free(struct switch_port *port)
{
	shaper_clear(&port->from_guest);
	shaper_clear(&port->to_guest);
	policy_free(&port->policy);
	learnt_free(port->learnt);
	history_free(port->history);
	free(port->published);
	free(port);
}
CLEANUP_DEFINE(port, struct switch_port, port_free);

static int port_check(const struct net_switch *sw, const struct switch_port_config *config, struct error *err)
{
	uint32_t a = config->address;

	if (!in_subnet(sw, a) || a == sw->broadcast || a == sw->surroundings.gateway ||
		a == sw->surroundings.host || !(a & ~(uint32_t)(0xffffffff00000000ULL >> sw->subnet_bits)))
		return error_set(err, ERROR_INVALID, "this address is none for a sandbox of the group");
	if (config->mac[0] & 1)
		return error_set(err, ERROR_INVALID, "the MAC address of a sandbox is that of a group");
	if (config->mtu > SWITCH_MTU || (config->mtu && config->mtu < 576))
		return error_set(err, ERROR_INVALID, "an MTU is from 576 to %d", SWITCH_MTU);
	if (port_at(sw, a))
		return error_set(err, ERROR_EXISTS, "another sandbox of the group has this address");
	return 0;
}

static int port_new(const struct net_switch *sw, const struct switch_port_config *config,
	struct switch_port **out, struct error *err)
{
	_cleanup_(cleanup_port) struct switch_port *port = calloc(1, sizeof *port);
	const struct policy *policy = config->policy;
	int r;

	if (!port)
		return error_no_memory(err, "add a sandbox to a group");
	shaper_init(&port->from_guest, config->bandwidth);
	shaper_init(&port->to_guest, config->bandwidth);
	port->address = config->address;
	memcpy(port->mac, config->mac, sizeof port->mac);
	port->mtu = config->mtu ? config->mtu : SWITCH_MTU;
	port->main = config->main;
	r = policy_make(policy->reach, policy->rules, policy->count, &port->policy, err);
	if (r == 0)
		r = learnt_new(sw->seed, &port->learnt, err);
	if (r == 0 && !(port->history = history_new()))
		r = error_no_memory(err, "add a sandbox to a group");
	if (r == 0)
		*out = TAKE_PTR(port);
	return r;
}

int switch_add(struct net_switch *sw, const struct switch_port_config *config, void *link, uint32_t *id,
	struct error *err)
{
	struct switch_port *port = NULL;
	uint32_t slot = 0;
	int r = port_check(sw, config, err);

	if (r < 0)
		return r;
	while (slot < SWITCH_PORTS_MAX && sw->ports[slot])
		slot++;
	if (slot == SWITCH_PORTS_MAX)
		return error_set(err, ERROR_LIMIT, "the group has %d sandboxes, the most there can be",
			SWITCH_PORTS_MAX);
	r = port_new(sw, config, &port, err);
	if (r < 0)
		return r;
	port->link = link;
	port->slot = slot;
	*id = port->id = ++sw->serial * SWITCH_PORTS_MAX | slot;
	sw->ports[slot] = port;
	index_addresses(sw);
	return 0;
}

void switch_remove(struct net_switch *sw, uint32_t id)
{
	struct switch_port *port = port_find(sw, id);

	if (!port)
		return;
	flows_remove_sandbox(sw->flows, port->slot);
	sw->ports[port->slot] = NULL;
	index_addresses(sw);
	port_free(port);
}

void switch_set_link(struct net_switch *sw, uint32_t id, void *link)
{
	struct switch_port *port = port_find(sw, id);

	if (!port)
		return;
	port->link = link;
	/* What the guest sent before, or was to get, belongs to a machine that may be another by now. */
	shaper_clear(&port->from_guest);
	shaper_clear(&port->to_guest);
}

int switch_set_policy(struct net_switch *sw, uint32_t id, const struct policy *policy, struct error *err)
{
	struct switch_port *port = port_find(sw, id);
	struct policy copy;
	int r;

	if (!port)
		return error_set(err, ERROR_NOT_FOUND, "no such port");
	r = policy_make(policy->reach, policy->rules, policy->count, &copy, err);
	if (r < 0)
		return r;
	history_settle(port->history, &port->policy);
	policy_free(&port->policy);
	port->policy = copy;
	port->generation++;
	return 0;
}

void switch_set_bandwidth(struct net_switch *sw, uint32_t id, uint64_t bandwidth)
{
	struct switch_port *port = port_find(sw, id);

	if (!port)
		return;
	shaper_set_rate(&port->from_guest, bandwidth);
	shaper_set_rate(&port->to_guest, bandwidth);
	waits(sw, &port->from_guest);
	waits(sw, &port->to_guest);
}

int switch_publish(struct net_switch *sw, uint32_t id, uint8_t protocol, uint16_t first, uint16_t last,
	struct error *err)
{
	struct switch_port *port = port_find(sw, id);
	struct published *more;

	if (!port)
		return error_set(err, ERROR_NOT_FOUND, "no such port");
	if (port->published_count == SWITCH_PUBLISHED_MAX)
		return error_set(err, ERROR_LIMIT, "a sandbox publishes at most %d ranges of ports",
			SWITCH_PUBLISHED_MAX);
	more = realloc(port->published, (port->published_count + 1) * sizeof *more);
	if (!more)
		return error_no_memory(err, "publish a port");
	port->published = more;
	port->published[port->published_count++] = (struct published){protocol, first, last};
	return 0;
}

void switch_unpublish(struct net_switch *sw, uint32_t id, uint8_t protocol, uint16_t first, uint16_t last)
{
	struct switch_port *port = port_find(sw, id);

	for (size_t i = 0; port && i < port->published_count; i++) {
		struct published *p = &port->published[i];

		if (p->protocol != protocol || p->first != first || p->last != last)
			continue;
		*p = port->published[--port->published_count];
		return;
	}
}

bool port_publishes(const struct switch_port *port, uint8_t protocol, uint16_t number)
{
	for (size_t i = 0; i < port->published_count; i++) {
		const struct published *p = &port->published[i];

		if (p->protocol == protocol && number >= p->first && number <= p->last)
			return true;
	}
	return false;
}

void switch_learn(struct net_switch *sw, uint32_t id, const char *name, const struct address *address,
	uint32_t ttl, uint64_t now)
{
	struct switch_port *port = port_find(sw, id);

	/* Where memory is out, what the name would open stays closed. */
	if (port && learnt_add(port->learnt, name, address, ttl, now, NULL) < 0)
		drop(port, SWITCH_DROP_NO_MEMORY);
}

void switch_count(const struct net_switch *sw, uint32_t id, struct switch_counters *counters)
{
	const struct switch_port *port = port_find(sw, id);

	if (!port) {
		*counters = id ? (struct switch_counters){0} : sw->outside;
		return;
	}
	*counters = port->counters;
	counters->flows = (uint32_t)flows_count_sandbox(sw->flows, port->slot);
	counters->held = port->held;
	counters->queued = (uint32_t)(port->from_guest.queued + port->to_guest.queued);
}

const struct history *switch_history(const struct net_switch *sw, uint32_t id)
{
	const struct switch_port *port = port_find(sw, id);

	return port ? port->history : NULL;
}

const struct policy *switch_policy(const struct net_switch *sw, uint32_t id)
{
	const struct switch_port *port = port_find(sw, id);

	return port ? &port->policy : NULL;
}

const struct flow *switch_next_flow(const struct net_switch *sw, uint32_t id, const struct flow *after)
{
	const struct switch_port *port = port_find(sw, id);

	return port ? flows_next(sw->flows, port->slot, after) : NULL;
}

void ports_free(struct net_switch *sw)
{
	for (size_t slot = 0; slot < SWITCH_PORTS_MAX; slot++)
		if (sw->ports[slot])
			port_free(sw->ports[slot]);
}
