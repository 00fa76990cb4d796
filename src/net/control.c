/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads: written with buffer_*, read with a cursor that is judged at the end; what breaks a bound is
 * refused, and *m is empty then. */
#include "net/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define SANDBOX_ID_MAX 64
#define SUBNET_MIN     8
#define SUBNET_MAX     29
#define REACH_MOST     3 /* enum reach; net/policy.h judges what it means */

const char *net_message_name(uint16_t type)
{
	switch (type) {
#define X(name, code, meaning) \
	case NET_##name: \
		return #name;
		NET_MESSAGES(X)
#undef X
	default:
		return "?";
	}
}

static int malformed(const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID, "a malformed message %s", what);
}

/* At most `most` bytes, and `least`; NULL and failed otherwise. */
static char *take_text(struct cursor *in, size_t least, size_t most)
{
	struct cursor ahead = *in;
	size_t n;

	if (!cursor_bytes(&ahead, &n) || n < least || n > most) {
		in->failed = true;
		return NULL;
	}
	return cursor_string(in);
}

static bool take_bool(struct cursor *in)
{
	uint8_t v = cursor_u8(in);

	if (v > 1)
		in->failed = true;
	return v == 1;
}

static void put_list(char *const *list, struct buffer *out)
{
	size_t n = text_list_size(list);

	buffer_u16(out, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		buffer_string(out, list[i]);
}

static char **take_list(struct cursor *in, size_t most, size_t longest)
{
	size_t n = cursor_u16(in);
	char **list;

	if (in->failed || n > most || !(list = calloc(n + 1, sizeof *list))) {
		in->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < n && !in->failed; i++)
		list[i] = take_text(in, 1, longest);
	return list;
}

void net_policy_encode(const struct net_policy *m, struct buffer *out)
{
	buffer_u8(out, m->reach);
	put_list(m->rules, out);
}

static void take_policy(struct cursor *in, struct net_policy *m)
{
	m->reach = cursor_u8(in);
	m->rules = take_list(in, NET_RULES_MAX, NET_RULE_MAX);
	if (m->reach > REACH_MOST)
		in->failed = true;
	for (size_t i = 0; m->rules && !in->failed && m->rules[i]; i++)
		if (!text_starts(m->rules[i], "allow ") && !text_starts(m->rules[i], "deny "))
			in->failed = true;
}

int net_policy_decode(struct cursor in, struct net_policy *m, struct error *err)
{
	*m = (struct net_policy){0};
	take_policy(&in, m);
	if (cursor_done(&in))
		return 0;
	net_policy_free(m);
	return malformed("POLICY", err);
}

void net_policy_free(struct net_policy *m)
{
	text_list_free(m->rules);
	*m = (struct net_policy){0};
}

void net_ports_encode(const struct port *list, size_t count, struct buffer *out)
{
	buffer_u16(out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		buffer_append(out, list[i].address.bytes, sizeof list[i].address.bytes);
		buffer_u16(out, list[i].host);
		buffer_u16(out, list[i].guest);
		buffer_u8(out, list[i].protocol);
		buffer_u8(out, list[i].proxy);
	}
}

static bool port_is_valid(const struct port *p)
{
	return p->guest && (p->protocol == PORT_PROTOCOL_TCP || p->protocol == PORT_PROTOCOL_UDP) &&
	       p->proxy <= (p->protocol == PORT_PROTOCOL_TCP ? PORT_PROXY_VERSION : 0);
}

static struct port *take_ports(struct cursor *in, size_t *count)
{
	size_t n = cursor_u16(in);
	struct port *list;

	*count = 0;
	if (in->failed || n > PORTS_MAX || !(list = calloc(n + 1, sizeof *list))) {
		in->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < n && !in->failed; i++) {
		struct port *p = &list[i];
		const uint8_t *address = cursor_take(in, sizeof p->address.bytes);

		if (address)
			memcpy(p->address.bytes, address, sizeof p->address.bytes);
		p->host = cursor_u16(in);
		p->guest = cursor_u16(in);
		p->protocol = cursor_u8(in);
		p->proxy = cursor_u8(in);
		if (!port_is_valid(p))
			in->failed = true;
	}
	*count = n;
	return list;
}

int net_ports_decode(struct cursor in, struct port **list, size_t *count, struct error *err)
{
	*list = take_ports(&in, count);
	if (cursor_done(&in))
		return 0;
	free(TAKE_PTR(*list));
	*count = 0;
	return malformed("with ports", err);
}

void net_attach_encode(const struct net_attach *m, struct buffer *out)
{
	buffer_string(out, m->sandbox);
	buffer_string(out, m->name);
	put_list(m->aliases, out);
	buffer_string(out, m->group);
	put_list(m->others, out);
	buffer_u32(out, m->subnet);
	buffer_u8(out, m->subnet_bits);
	buffer_u32(out, m->address);
	buffer_u8(out, m->main);
	net_policy_encode(&m->policy, out);
	buffer_u64(out, m->bandwidth);
	net_ports_encode(m->ports, m->port_count, out);
}

/* The address is one that a sandbox may have: not the network's, the gateway's, host.internal's, or the
 * broadcast's. */
static bool place_is_valid(const struct net_attach *m)
{
	uint32_t hosts;

	if (m->subnet_bits < SUBNET_MIN || m->subnet_bits > SUBNET_MAX)
		return false;
	hosts = UINT32_MAX >> m->subnet_bits;
	return (m->subnet & hosts) == 0 && (m->address & ~hosts) == m->subnet && (m->address & hosts) > 2 &&
	       (m->address & hosts) < hosts;
}

int net_attach_decode(struct cursor in, struct net_attach *m, struct error *err)
{
	*m = (struct net_attach){0};
	m->sandbox = take_text(&in, 1, SANDBOX_ID_MAX);
	m->name = take_text(&in, 1, NET_NAME_MAX);
	m->aliases = take_list(&in, NET_ALIASES_MAX, NET_NAME_MAX);
	m->group = take_text(&in, 1, NET_NAME_MAX);
	m->others = take_list(&in, NET_OTHERS_MAX, NET_NAME_MAX);
	m->subnet = cursor_u32(&in);
	m->subnet_bits = cursor_u8(&in);
	m->address = cursor_u32(&in);
	m->main = take_bool(&in);
	take_policy(&in, &m->policy);
	m->bandwidth = cursor_u64(&in);
	m->ports = take_ports(&in, &m->port_count);
	if (cursor_done(&in) && place_is_valid(m))
		return 0;
	net_attach_free(m);
	return malformed("ATTACH", err);
}

void net_attach_free(struct net_attach *m)
{
	free(m->sandbox);
	free(m->name);
	text_list_free(m->aliases);
	free(m->group);
	text_list_free(m->others);
	net_policy_free(&m->policy);
	free(m->ports);
	*m = (struct net_attach){0};
}

void net_neighbour_encode(const struct net_neighbour *m, struct buffer *out)
{
	buffer_string(out, m->group);
	buffer_u32(out, m->subnet);
	buffer_u8(out, m->bits);
}

int net_neighbour_decode(struct cursor in, struct net_neighbour *m, struct error *err)
{
	m->group = take_text(&in, 1, NET_NAME_MAX);
	m->subnet = cursor_u32(&in);
	m->bits = cursor_u8(&in);
	if (cursor_done(&in) && m->bits >= SUBNET_MIN && m->bits <= SUBNET_MAX &&
		(m->subnet & UINT32_MAX >> m->bits) == 0)
		return 0;
	net_neighbour_free(m);
	return malformed("NEIGHBOUR", err);
}

void net_neighbour_free(struct net_neighbour *m)
{
	free(m->group);
	*m = (struct net_neighbour){0};
}

void net_name_encode(const char *name, struct buffer *out)
{
	buffer_string(out, name);
}

int net_name_decode(struct cursor in, char **name, struct error *err)
{
	*name = take_text(&in, 0, NET_NAME_MAX);
	if (cursor_done(&in))
		return 0;
	free(TAKE_PTR(*name));
	return malformed("with a name", err);
}
