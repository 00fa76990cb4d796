/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes of the group: they come by ATTACH, and go with the connection that brought them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "net/ipam.h"
#include "net/server/server_parts.h"

struct member *member_of_port(const struct server *s, uint32_t port)
{
	struct member *m = s->members;

	while (m && m->port != port)
		m = m->next;
	return m;
}

struct member *member_of_sandbox(const struct server *s, const char *sandbox)
{
	struct member *m = s->members;

	while (m && strcmp(m->about.sandbox, sandbox) != 0)
		m = m->next;
	return m;
}

/* ---- policy ------------------------------------------------------------------------------------------ */

int member_set_policy(struct member *m, struct net_policy *message, struct error *err)
{
	struct policy policy;
	int r = policy_parse((enum reach)message->reach, message->rules, &policy, err);

	if (r < 0)
		return r;
	r = switch_set_policy(m->server->sw, m->port, &policy, err);
	policy_free(&policy);
	if (r < 0)
		return r;
	net_policy_free(&m->about.policy);
	m->about.policy = *message;
	*message = (struct net_policy){0};
	return 0;
}

/* ---- links ------------------------------------------------------------------------------------------- */

static void on_frame(void *context, uint8_t *frame, size_t n)
{
	struct member *m = context;

	switch_from_guest(m->server->sw, m->port, frame, n, clock_monotonic());
}

static void on_busy(void *context, bool busy)
{
	struct member *m = context;

	egress_hold(m->egress, busy);
}

static void on_ended(void *context, const char *why)
{
	struct member *m = context;
	_cleanup_buffer_ struct buffer text = {0};

	member_unlink(m);
	net_name_encode(why, &text);
	client_send(m->client, 0, NET_UNLINKED, text.data, text.size);
}

void member_unlink(struct member *m)
{
	struct server *s = m->server;

	if (!m->link)
		return;
	switch_set_link(s->sw, m->port, NULL);
	link_close(TAKE_PTR(m->link));
	egress_hold(m->egress, false);
	forwards_set_up(m->forwards, false);
	names_hide(s->names, m->port, true);
}

int member_link(struct member *m, int fd, struct error *err)
{
	const struct link_calls calls = {.frame = on_frame, .ended = on_ended, .busy = on_busy};
	struct server *s = m->server;
	int r;

	member_unlink(m);
	r = link_new(s->hub, fd, &calls, m, &m->link, err);
	if (r < 0)
		return r;
	switch_set_link(s->sw, m->port, m->link);
	forwards_set_up(m->forwards, true);
	names_hide(s->names, m->port, false);
	return 0;
}

/* ---- published ports --------------------------------------------------------------------------------- */

/* A host's port that leads to a guest's is one of the switch's each, even where two lead to the same. */
static void unpublish(struct member *m, const struct port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		switch_unpublish(m->server->sw, m->port, ports[i].protocol, ports[i].guest, ports[i].guest);
}

int member_add_ports(struct member *m, struct port *ports, size_t count, struct error *err)
{
	int r = forwards_add(m->forwards, ports, count, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = switch_publish(
			m->server->sw, m->port, ports[i].protocol, ports[i].guest, ports[i].guest, err);
		if (r < 0) {
			unpublish(m, ports, i);
			forwards_remove(m->forwards, ports, count, NULL);
		}
	}
	return r;
}

int member_remove_ports(struct member *m, const struct port *ports, size_t count, struct error *err)
{
	int r = forwards_remove(m->forwards, ports, count, err);

	if (r == 0)
		unpublish(m, ports, count);
	return r;
}

/* ---- names that were refused ------------------------------------------------------------------------- */

void member_refused(struct member *m, const char *name, const char *why)
{
	struct server *s = m->server;
	struct refused *entry;
	char time[32];
	_cleanup_free_ char *line = NULL;

	if (!m->refused && !(m->refused = calloc(REFUSED_MOST, sizeof *m->refused)))
		return;
	entry = m->refused;
	for (struct refused *r = m->refused; r < m->refused + REFUSED_MOST; r++) {
		if (r->count && !strcmp(r->name, name)) {
			entry = r;
			break;
		}
		if (r->last < entry->last)
			entry = r;
	}
	if (strcmp(entry->name, name) != 0)
		*entry = (struct refused){.first = clock_realtime()};
	snprintf(entry->name, sizeof entry->name, "%s", name);
	snprintf(entry->why, sizeof entry->why, "%s", why);
	entry->last = clock_realtime();
	entry->count++;
	line = s->tracing ? text_format(NULL, "%s %s dns %s denied: %s", clock_rfc3339(entry->last, time),
				    m->about.name, name, why)
			  : NULL;
	if (line)
		clients_trace(s, m->port, line);
}

/* ---- coming and going -------------------------------------------------------------------------------- */

static int check_group(const struct server *s, const struct net_attach *a, struct error *err)
{
	struct prefix subnet = prefix_ipv4(a->subnet, a->subnet_bits);
	char ours[PREFIX_TEXT_MAX], theirs[PREFIX_TEXT_MAX];

	if (!strcmp(s->group, a->group) && s->subnet.bits == subnet.bits &&
		address_equal(&s->subnet.address, &subnet.address))
		return 0;
	return error_set(err, ERROR_INVALID, "this is the network of group %s, %s: it is not %s's, %s",
		s->group, prefix_format(&s->subnet, ours), a->group, prefix_format(&subnet, theirs));
}

/* The same sandbox once more: its old supervisor has died, perhaps in this very moment, or has not. */
static int check_unique(struct server *s, const struct net_attach *a, struct error *err)
{
	struct member *old = member_of_sandbox(s, a->sandbox);

	if (!old)
		return 0;
	if (!peer_is_gone(&old->client->peer))
		return error_set(
			err, ERROR_EXISTS, "sandbox %s is attached to this network already", a->name);
	client_drop(old->client);
	return 0;
}

static int open_port(struct member *m, struct error *err)
{
	struct server *s = m->server;
	struct switch_port_config config = {
		.address = m->about.address, .main = m->about.main, .bandwidth = m->about.bandwidth};
	struct policy policy;
	int r = policy_parse((enum reach)m->about.policy.reach, m->about.policy.rules, &policy, err);

	if (r < 0)
		return r;
	ipam_mac(m->about.address, config.mac);
	config.policy = &policy;
	r = switch_add(s->sw, &config, NULL, &m->port, err);
	policy_free(&policy);
	return r;
}

static int open_ends(struct member *m, struct error *err)
{
	struct server *s = m->server;
	struct forwards_config forwards = {.loop = &s->loop,
		.address = m->about.address,
		.gateway = s->gateway,
		.frame = server_from_world,
		.context = s};
	int dns, r = egress_add(s->egress, m->about.address, &m->egress, err);

	if (r == 0)
		r = egress_dns(m->egress, &dns, err);
	if (r == 0)
		r = resolver_listen(s->resolver, m->port, dns, err);
	if (r < 0)
		return r;
	forwards.guest = m->egress;
	return forwards_new(&forwards, &m->forwards, err);
}

static int open_names(struct member *m, struct error *err)
{
	const struct names_member names = {.id = m->port,
		.address = m->about.address,
		.name = m->about.name,
		.aliases = m->about.aliases,
		.hidden = true};
	int r = names_add(m->server->names, &names, err);

	m->named = r == 0;
	return r;
}

int member_attach(struct client *c, struct net_attach *about, struct error *err)
{
	struct server *s = c->server;
	struct member *m;
	int r = s->sw ? check_group(s, about, err) : server_open_group(s, about, err);

	if (r == 0)
		r = check_unique(s, about, err);
	if (r < 0)
		return r;
	m = calloc(1, sizeof *m);
	if (!m)
		return error_no_memory(err, "attach a sandbox");
	*m = (struct member){.server = s, .client = c, .about = *about, .next = s->members};
	*about = (struct net_attach){0};
	s->members = m;
	c->member = m;
	r = open_port(m, err);
	if (r == 0)
		r = open_ends(m, err);
	if (r == 0)
		r = open_names(m, err);
	if (r == 0)
		r = member_add_ports(m, m->about.ports, m->about.port_count, err);
	if (r < 0)
		member_detach(m);
	return r;
}

void member_detach(struct member *m)
{
	struct server *s = m->server;
	struct member **at = &s->members;

	member_unlink(m);
	if (m->forwards)
		forwards_close(m->forwards);
	if (m->named)
		names_remove(s->names, m->port);
	if (m->port) {
		resolver_forget(s->resolver, m->port);
		switch_remove(s->sw, m->port);
	}
	if (m->egress)
		egress_remove(m->egress);
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	m->client->member = NULL;
	net_attach_free(&m->about);
	free(m->refused);
	free(m);
	server_linger(s);
}
