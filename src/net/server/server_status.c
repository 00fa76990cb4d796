/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to see, as JSON: docs/formats/network.md has the members. */
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "net/flows.h"
#include "net/history.h"
#include "net/server/server_parts.h"

#define FLOWS_SHOWN 256

static json_t *text_of_address(uint32_t ipv4)
{
	struct address a = address_from_ipv4(ipv4);
	char text[ADDRESS_TEXT_MAX];

	return json_string(address_format(&a, text));
}

static json_t *list_of(char *const *texts)
{
	json_t *list = json_array();

	for (size_t i = 0; texts && texts[i]; i++)
		json_array_append_new(list, json_string(texts[i]));
	return list;
}

static json_t *ports_of(const struct member *m)
{
	json_t *list = json_array();
	const struct port *p;
	char text[PORT_TEXT_MAX];

	for (size_t n = 0; (p = forwards_at(m->forwards, n)); n++)
		json_array_append_new(list, json_string(port_format(p, text)));
	return list;
}

static json_t *counters_of(const struct server *s, uint32_t port)
{
	struct switch_counters c;
	json_t *drops = json_object();

	switch_count(s->sw, port, &c);
	for (int i = 0; i < SWITCH_DROP_COUNT; i++)
		if (c.drops[i])
			json_object_set_new(drops, switch_drop_name((enum switch_drop)i),
				json_integer((json_int_t)c.drops[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "framesFromGuest",
		(json_int_t)c.frames_in, "bytesFromGuest", (json_int_t)c.bytes_in, "framesToGuest",
		(json_int_t)c.frames_out, "bytesToGuest", (json_int_t)c.bytes_out, "denied",
		(json_int_t)c.denied, "flows", (json_int_t)c.flows, "held", (json_int_t)c.held, "queued",
		(json_int_t)c.queued, "dropped", drops);
}

static const char *protocol_name(uint8_t protocol)
{
	return protocol == 6 ? "tcp" : protocol == 17 ? "udp" : "icmp";
}

static json_t *flow_of(const struct flow *f)
{
	char remote[ADDRESS_TEXT_MAX];

	return json_pack("{s:s, s:b, s:i, s:s, s:i, s:s, s:s, s:I, s:I}", "protocol",
		protocol_name(f->key.protocol), "inbound", f->inbound, "localPort", f->key.local_port,
		"remote", address_format(&f->key.remote, remote), "remotePort", f->key.remote_port, "state",
		flow_state_name(f->state), "decidedBy", verdict_reason_name(f->verdict.reason), "bytesOut",
		(json_int_t)f->bytes[0], "bytesIn", (json_int_t)f->bytes[1]);
}

static json_t *flows_of(const struct server *s, uint32_t port)
{
	json_t *list = json_array();
	const struct flow *f = NULL;

	while ((f = switch_next_flow(s->sw, port, f)) && json_array_size(list) < FLOWS_SHOWN)
		json_array_append_new(list, flow_of(f));
	return list;
}

static json_t *member_status(const struct server *s, const struct member *m)
{
	const struct net_attach *a = &m->about;

	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:b, s:s, s:o, s:I, s:o, s:i, s:o, s:o}", "id",
		a->sandbox, "name", a->name, "aliases", list_of(a->aliases), "address",
		text_of_address(a->address), "main", a->main, "link", m->link != NULL, "reach",
		reach_name((enum reach)a->policy.reach), "rules", list_of(a->policy.rules), "bandwidth",
		(json_int_t)a->bandwidth, "ports", ports_of(m), "sockets", (int)egress_sockets(m->egress),
		"counters", counters_of(s, m->port), "flows", flows_of(s, m->port));
}

int server_status(struct server *s, struct buffer *out, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	char subnet[PREFIX_TEXT_MAX];
	json_t *list;

	if (!s->sw)
		return error_set(err, ERROR_NOT_FOUND, "no sandbox is in this network yet");
	list = json_array();
	for (const struct member *m = s->members; m; m = m->next)
		json_array_insert_new(list, 0, member_status(s, m));
	root = json_pack("{s:s, s:s, s:o, s:o, s:i, s:b, s:o, s:o}", "group", s->group, "subnet",
		prefix_format(&s->subnet, subnet), "gateway", text_of_address(s->gateway), "host",
		text_of_address(s->host), "pid", (int)getpid(), "pings", egress_pings(s->egress), "sandboxes",
		list, "unclaimed", counters_of(s, 0));
	return json_write(root, JSON_COMPACT, out, err);
}

/* ---- denials ----------------------------------------------------------------------------------------- */

static json_t *denial(const char *line, uint64_t count, uint64_t first, uint64_t last)
{
	char begin[32], end[32];

	return json_pack("{s:s, s:I, s:s, s:s}", "line", line, "count", (json_int_t)count, "first",
		clock_rfc3339(first, begin), "last", clock_rfc3339(last, end));
}

static void add_flows(const struct server *s, const struct member *m, json_t *list)
{
	const struct history *history = switch_history(s->sw, m->port);
	uint64_t offset = clock_realtime() - clock_monotonic();
	const struct history_entry *e;
	char line[HISTORY_LINE_MAX];

	for (size_t n = 0; history && (e = history_at(history, n)); n++)
		json_array_append_new(
			list, denial(history_line(e, m->about.name, switch_policy(s->sw, m->port),
					     offset + e->last, line),
				      e->count, offset + e->first, offset + e->last));
}

static void add_names(const struct member *m, json_t *list)
{
	for (const struct refused *r = m->refused; r && r < m->refused + REFUSED_MOST; r++) {
		char time[32], line[HISTORY_LINE_MAX];

		if (!r->count)
			continue;
		snprintf(line, sizeof line, "%s %s dns %s denied: %s", clock_rfc3339(r->last, time),
			m->about.name, r->name, r->why);
		json_array_append_new(list, denial(line, r->count, r->first, r->last));
	}
}

int server_why(struct server *s, const char *sandbox, struct buffer *out, struct error *err)
{
	const struct member *m = member_of_sandbox(s, sandbox);
	_cleanup_json_ json_t *root = NULL;
	json_t *flows = json_array(), *names = json_array();

	if (!m) {
		json_decref(flows);
		json_decref(names);
		return error_set(err, ERROR_NOT_FOUND, "no sandbox %s is in this network", sandbox);
	}
	add_flows(s, m, flows);
	add_names(m, names);
	root = json_pack("{s:s, s:o, s:o}", "name", m->about.name, "denials", flows, "names", names);
	return json_write(root, JSON_COMPACT, out, err);
}
