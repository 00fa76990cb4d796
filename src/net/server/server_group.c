/* SPDX-License-Identifier: Apache-2.0 */
/* The group's machinery, and who calls whom: links → switch → links, way out, resolver, and back. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/big_endian.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/packet.h"
#include "net/history.h"
#include "net/ipam.h"
#include "net/server/neighbours.h"

#define PROTOCOL_AT    (PACKET_ETHERNET_SIZE + 9)
#define DESTINATION_AT (PACKET_ETHERNET_SIZE + 16)

/* ---- what the switch asks for ------------------------------------------------------------------------ */

static bool on_deliver(void *context, void *link, const uint8_t *frame, size_t n)
{
	(void)context;
	return link_send(link, frame, n);
}

/* A datagram to the gateway answers one that came by a published port. Most are not: they are not parsed for
 * it. */
static bool answers_datagram(struct server *s, const uint8_t *frame, size_t n)
{
	struct packet p;

	if (n < DESTINATION_AT + 4 || frame[PROTOCOL_AT] != PACKET_UDP ||
		be32_get(frame + DESTINATION_AT) != s->gateway ||
		packet_parse(frame, n, &p) != PACKET_RIGHT || p.ethertype != PACKET_IPV4)
		return false;
	for (struct member *m = s->members; m; m = m->next)
		if (m->about.address == p.source && m->forwards)
			forwards_output(m->forwards, frame, n);
	return true;
}

static void on_egress(void *context, const uint8_t *frame, size_t n)
{
	struct server *s = context;

	if (!answers_datagram(s, frame, n))
		egress_input(s->egress, frame, n);
}

static bool on_neighbour(void *context, const uint8_t *frame, size_t n)
{
	return neighbours_send(context, frame, n);
}

static void on_question(void *context, uint32_t port, const struct packet *p)
{
	struct server *s = context;
	const struct resolver_asker asker = {.id = port, .address = p->source, .port = p->source_port};

	resolver_ask(s->resolver, &asker, p->frame + p->data_at, p->data_size);
}

static void on_verdict(void *context, uint32_t port, const struct flow_key *key,
	const struct verdict *verdict, const char *name, uint64_t now)
{
	struct server *s = context;
	struct member *m = s->tracing ? member_of_port(s, port) : NULL;
	char line[HISTORY_LINE_MAX];

	(void)now;
	if (m)
		clients_trace(s, port,
			verdict_line(key, verdict, name, m->about.name, switch_policy(s->sw, port),
				clock_realtime(), line));
}

/* ---- what the others bring --------------------------------------------------------------------------- */

void server_from_world(void *context, const uint8_t *frame, size_t n)
{
	struct server *s = context;

	switch_from_egress(s->sw, frame, n, clock_monotonic());
}

/* The other group of the member's that the name lies in; NULL: none. */
static const char *group_of_name(const struct member *m, const char *name)
{
	for (char **g = m->about.others; g && *g; g++) {
		const char *domain = names_domain(*g, name);

		if (domain && domain != name)
			return *g;
	}
	return NULL;
}

static bool may_ask(void *context, uint32_t port, const char *name, char why[RESOLVER_WHY_SIZE])
{
	struct server *s = context;
	struct member *m = member_of_port(s, port);
	const struct policy *policy = switch_policy(s->sw, port);
	char text[VERDICT_TEXT_MAX];
	const char *other;
	struct verdict v;

	if (!policy || !m)
		return false;
	/* Who is told so asks the next of its name servers, which is that group's. */
	other = group_of_name(m, name);
	if (other) {
		snprintf(why, RESOLVER_WHY_SIZE, "the group %s answers for its names", other);
		return false;
	}
	v = policy_judge_question(policy, name);
	if (v.kind != VERDICT_DENY)
		return true;
	snprintf(why, RESOLVER_WHY_SIZE, "%.*s", (int)RESOLVER_WHY_SIZE - 1,
		verdict_format_question(policy, name, &v, text));
	member_refused(m, name, why);
	return false;
}

static bool may_have_services(void *context, uint32_t port)
{
	struct server *s = context;
	const struct policy *policy = switch_policy(s->sw, port);

	return policy && !policy->names;
}

static void on_learn(void *context, uint32_t port, const char *name, uint32_t address, uint32_t ttl)
{
	struct server *s = context;
	struct address a = address_from_ipv4(address);

	switch_learn(s->sw, port, name, &a, ttl, clock_monotonic());
}

static void on_answer(void *context, const struct resolver_asker *asker, const uint8_t *reply, size_t n)
{
	struct server *s = context;

	switch_answer_dns(s->sw, asker->id, asker->port, reply, n, clock_monotonic());
}

/* ---- its life ---------------------------------------------------------------------------------------- */

static struct surroundings surroundings_of(const struct server *s, const struct host_addresses *host)
{
	return (struct surroundings){.subnet = s->subnet,
		.gateway = s->gateway,
		.host = s->host,
		.host_addresses = host->items,
		.host_address_count = host->count};
}

void server_read_host(struct server *s)
{
	struct host_addresses host;
	struct surroundings around;

	/* What cannot be read stays as it was. */
	if (!s->sw || host_addresses_read(&host, NULL) < 0)
		return;
	around = surroundings_of(s, &host);
	switch_set_surroundings(s->sw, &around, NULL);
	host_addresses_free(&host);
}

static int open_switch(struct server *s, struct error *err)
{
	const struct switch_calls calls = {.deliver = on_deliver,
		.egress = on_egress,
		.neighbour = on_neighbour,
		.dns = on_question,
		.verdict = on_verdict};
	_cleanup_free_ char *domain = text_format(err, "%s.internal", s->group);
	struct switch_config config = {.domain = domain};
	struct host_addresses host;
	struct surroundings around;
	int r;

	if (!domain)
		return -ERROR_NO_MEMORY;
	if (getrandom(config.seed, sizeof config.seed, 0) != (ssize_t)sizeof config.seed)
		return error_set(err, ERROR_SYSTEM, "no random numbers");
	r = host_addresses_read(&host, err);
	if (r < 0)
		return r;
	around = surroundings_of(s, &host);
	config.surroundings = &around;
	r = switch_new(&config, &calls, s, &s->sw, err);
	host_addresses_free(&host);
	return r;
}

static int open_services(struct server *s, unsigned bits, struct error *err)
{
	const struct names_config names = {.group = s->group,
		.subnet = address_ipv4(&s->subnet.address),
		.bits = (uint8_t)bits,
		.host = s->host};
	const struct resolver_config resolver = {
		.resolv_conf = s->config.resolv_conf, .port = s->config.resolver_port};
	static const struct resolver_calls asks = {
		.allowed = may_ask, .services = may_have_services, .learn = on_learn, .answer = on_answer};
	const struct egress_config egress = {
		.subnet = names.subnet, .bits = names.bits, .directory = s->config.directory};
	const struct egress_calls brings = {.frame = server_from_world};
	int r = names_new(&names, &s->names, err);

	if (r == 0)
		r = resolver_new(&s->loop, s->names, &resolver, &asks, s, &s->resolver, err);
	if (r == 0)
		r = egress_new(&s->loop, &egress, &brings, s, &s->egress, err);
	if (r == 0)
		r = link_hub_new(&s->loop, &s->hub, err);
	if (r == 0)
		r = neighbours_open(s, err);
	return r;
}

int server_open_group(struct server *s, const struct net_attach *first, struct error *err)
{
	int r;

	s->subnet = prefix_ipv4(first->subnet, first->subnet_bits);
	s->gateway = ipam_gateway(&s->subnet);
	s->host = ipam_host(&s->subnet);
	s->single = strcmp(first->group, first->sandbox) == 0;
	s->group = text_copy(first->group, err);
	r = s->group ? open_switch(s, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		r = open_services(s, first->subnet_bits, err);
	if (r < 0)
		server_close_group(s);
	return r;
}

static void on_resolver_closed(void *names)
{
	names_free(names);
}

void server_close_group(struct server *s)
{
	neighbours_close(s);
	if (s->hub)
		link_hub_close(TAKE_PTR(s->hub));
	if (s->egress)
		egress_close(TAKE_PTR(s->egress));
	if (s->resolver)
		resolver_close(TAKE_PTR(s->resolver), on_resolver_closed, TAKE_PTR(s->names));
	if (s->names)
		names_free(TAKE_PTR(s->names));
	if (s->sw)
		switch_free(TAKE_PTR(s->sw));
	free(TAKE_PTR(s->group));
}
