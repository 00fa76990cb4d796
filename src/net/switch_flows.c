/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows: the packet's flow is found, or judged and made; then the packet goes where it is going.
 *
 * A flow belongs to who started it, and is judged by his policy alone. Only a SYN or an echo request starts
 * one, and any datagram of UDP; between members also a segment from the middle of a connection, since a
 * switch that was replaced does not know those that its predecessor had. To the world these are reset:
 * libslirp has lost them, too. A SYN on a flow that is open is judged as a new one, so that what was allowed
 * for one connection is not used by another.
 */
#include <string.h>

#include "base/clock.h"
#include "net/switch_parts.h"

static bool is_syn(const struct packet *p)
{
	return p->protocol == PACKET_TCP && (p->tcp_flags & (PACKET_SYN | PACKET_ACK)) == PACKET_SYN;
}

static bool is_echo(const struct packet *p, uint8_t type)
{
	return p->protocol == PACKET_ICMP && p->icmp_type == type;
}

/* The key as the sender's flow; turned: as that of the receiver, who is the sandbox in this slot. */
static struct flow_key key_of(const struct packet *p, uint32_t slot, bool turned)
{
	struct flow_key k = {.sandbox = slot, .protocol = p->protocol};

	k.remote = address_from_ipv4(turned ? p->source : p->destination);
	if (p->protocol == PACKET_ICMP) {
		k.local_port = p->icmp_id;
	} else {
		k.local_port = turned ? p->destination_port : p->source_port;
		k.remote_port = turned ? p->source_port : p->destination_port;
	}
	return k;
}

void tell_verdict(struct net_switch *sw, struct switch_port *owner, const struct flow_key *key,
	const struct verdict *v, const char *name, uint64_t now)
{
	uint32_t walk = 0;

	if (v->kind == VERDICT_INSPECT) /* its end will be told */
		return;
	if (!name)
		name = learnt_next(owner->learnt, &key->remote, now, &walk);
	if (v->kind == VERDICT_DENY) {
		owner->counters.denied++;
		owner->counters.denied_by[v->reason]++;
		history_add(owner->history, key, v, name, now);
	}
	if (sw->calls.verdict)
		sw->calls.verdict(sw->context, owner->id, key, v, name, now);
}

static void to_world(struct net_switch *sw, const struct passage *way, const uint8_t *frame, size_t n)
{
	if (!way->beyond || !sw->calls.neighbour || !sw->calls.neighbour(sw->context, frame, n))
		sw->calls.egress(sw->context, frame, n);
}

static bool leads_beyond(const struct flow *flow)
{
	return flow->verdict.reason == REASON_RULE || flow->verdict.reason == REASON_NEIGHBOUR;
}

/* To the side that the packet came from. */
static void send_back(struct net_switch *sw, const struct passage *way, const uint8_t *frame, size_t n)
{
	if (n && way->from)
		to_guest(sw, way->from, frame, n, way->now);
	else if (n)
		to_world(sw, way, frame, n);
}

static void send_forth(struct net_switch *sw, const struct passage *way, const uint8_t *frame, size_t n)
{
	if (n && way->to)
		to_guest(sw, way->to, frame, n, way->now);
	else if (n)
		to_world(sw, way, frame, n);
}

/* The answer to a packet that goes nowhere: so that its program learns it at once. */
static void refuse(struct net_switch *sw, const struct passage *way)
{
	uint8_t out[PACKET_ANSWER_ROOM];

	if (way->p.protocol == PACKET_TCP)
		send_back(sw, way, out, packet_build_tcp_reset(&way->p, out, sizeof out));
	else
		answer_unreachable(sw, way, PACKET_UNREACHABLE_PROHIBITED, 0);
}

void deny_flow(struct net_switch *sw, struct passage *way, const struct verdict *v, const char *name)
{
	struct flow_key key = way->flow->key;
	uint8_t out[PACKET_ANSWER_ROOM];

	if (way->direction == FLOW_OUT)
		first_expected(sw, way->flow, &way->p.sequence);
	way->beyond = leads_beyond(way->flow);
	flows_remove(sw->flows, way->flow);
	way->flow = NULL;
	tell_verdict(sw, way->owner, &key, v, name, way->now);
	refuse(sw, way);
	way->p.tcp_flags &= (uint8_t)~PACKET_RST;
	if (way->p.protocol == PACKET_TCP)
		send_forth(sw, way, out, packet_build_tcp_abort(&way->p, out, sizeof out));
}

/* The packet goes where it is going. */
static void pass_on(struct net_switch *sw, const struct passage *way)
{
	const struct packet *p = &way->p;
	struct switch_port *to = way->to;
	const uint8_t *frame = p->frame;

	if (!to) {
		to_world(sw, way, frame, p->size);
		return;
	}
	if (p->size > PACKET_ETHERNET_SIZE + (size_t)to->mtu) {
		drop(to, SWITCH_DROP_TOO_BIG);
		if (p->do_not_fragment)
			answer_unreachable(sw, way, PACKET_UNREACHABLE_TOO_LARGE, to->mtu);
		return;
	}
	if (memcmp(frame, to->mac, sizeof to->mac) != 0) {
		uint8_t *changed = way->frame;

		if (!changed)
			changed = memcpy(sw->scratch, frame, p->size);
		memcpy(changed, to->mac, sizeof to->mac);
		frame = changed;
	}
	to_guest(sw, to, frame, p->size, way->now);
}

/* The policy or the surroundings changed since the flow was judged. */
static bool still_allowed(struct net_switch *sw, struct passage *way)
{
	struct switch_port *owner = way->owner;
	struct flow *flow = way->flow;
	struct verdict v = flow->verdict;

	if (flow->generation == owner->generation || flow->inbound)
		return true;
	flow->generation = owner->generation;
	if (flow->verdict.kind == VERDICT_INSPECT)
		v = policy_judge(&owner->policy, &sw->surroundings, owner->learnt, &flow->key, way->now);
	else
		v = policy_judge_again(&owner->policy, &sw->surroundings, owner->learnt, &flow->key,
			flow->began, flow->name);
	if (v.kind == VERDICT_DENY) {
		deny_flow(sw, way, &v, NULL);
		return false;
	}
	if (flow->verdict.kind == VERDICT_INSPECT && v.kind == VERDICT_ALLOW) {
		struct flow_key key = flow->key;

		flow->verdict = v;
		tell_verdict(sw, owner, &key, &v, NULL, way->now);
		first_release(sw, flow);
		/* Sending may have brought its end. */
		way->flow = flows_find(sw->flows, &key);
		return way->flow != NULL;
	}
	flow->verdict = v;
	return true;
}

/* The packet is of a flow that is there. */
static void go_on(struct net_switch *sw, struct passage *way)
{
	struct flow *flow;

	if (!still_allowed(sw, way))
		return;
	flow = way->flow;
	flows_packet(sw->flows, flow, way->direction, way->p.protocol == PACKET_TCP ? way->p.tcp_flags : 0,
		way->p.size, way->now);
	way->beyond = leads_beyond(flow);
	if (flow->verdict.kind == VERDICT_INSPECT || flow->held) {
		if (way->direction == FLOW_OUT ? !first_from_guest(sw, way) : !first_from_egress(sw, way))
			return;
	}
	pass_on(sw, way);
}

/* Adds the flow that the packet starts. */
static void begin(struct net_switch *sw, struct passage *way, const struct flow_key *key, bool inbound,
	const struct verdict *v)
{
	uint64_t due = way->now + NANOSECONDS_PER_SECOND;

	way->flow = flows_add(sw->flows, key, inbound, way->now);
	way->flow->verdict = *v;
	way->flow->generation = way->owner->generation;
	if (due < sw->flows_due)
		sw->flows_due = due;
	tell_verdict(sw, way->owner, key, v, NULL, way->now);
	go_on(sw, way);
}

/* Whether a packet without a flow may start one. */
static bool may_begin(const struct passage *way)
{
	const struct packet *p = &way->p;

	if (p->protocol == PACKET_ICMP)
		return is_echo(p, PACKET_ICMP_ECHO);
	return p->protocol != PACKET_TCP || is_syn(p) ||
	       (way->to && !(p->tcp_flags & (PACKET_SYN | PACKET_RST)));
}

static void judge_new(struct net_switch *sw, struct passage *way)
{
	struct switch_port *port = way->owner = way->from;
	struct flow_key key = key_of(&way->p, port->slot, false);
	struct verdict v;

	if (!may_begin(way)) {
		drop(port, way->p.protocol == PACKET_ICMP ? SWITCH_DROP_ICMP : SWITCH_DROP_UNKNOWN_FLOW);
		if (way->p.protocol == PACKET_TCP)
			refuse(sw, way);
		return;
	}
	v = policy_judge(&port->policy, &sw->surroundings, port->learnt, &key, way->now);
	if (v.kind == VERDICT_DENY) {
		tell_verdict(sw, port, &key, &v, NULL, way->now);
		refuse(sw, way);
	} else if (local_serves(sw, &way->p)) {
		local_serve(sw, port, &way->p, way->now);
	} else {
		way->direction = FLOW_OUT;
		begin(sw, way, &key, false, &v);
	}
}

/* Looks for a flow; sets owner and direction. */
static bool find(struct net_switch *sw, struct passage *way, struct switch_port *owner, bool turned)
{
	struct flow_key key = key_of(&way->p, owner->slot, turned);

	way->flow = flows_find(sw->flows, &key);
	way->owner = owner;
	way->direction = turned ? FLOW_IN : FLOW_OUT;
	return way->flow != NULL;
}

/* An ICMP error passes when the packet that it is about belongs to a flow between the two. */
static bool error_belongs(struct net_switch *sw, struct passage *way)
{
	struct packet_quote q;
	struct packet about = {0};
	struct passage quoted = {0};

	if (!packet_quoted(&way->p, &q) || q.source != way->p.destination || way->p.icmp_type == 4 ||
		way->p.icmp_type == 5)
		return false;
	if (way->from && q.destination != way->p.source)
		return false;
	about.protocol = q.protocol;
	about.source = q.source;
	about.destination = q.destination;
	about.source_port = q.source_port;
	about.destination_port = q.destination_port;
	about.icmp_id = q.source_port;
	quoted.p = about;
	if (!(way->to && find(sw, &quoted, way->to, false)) &&
		!(way->from && find(sw, &quoted, way->from, true)))
		return false;
	way->beyond = leads_beyond(quoted.flow);
	return true;
}

static void pass_error(struct net_switch *sw, struct passage *way)
{
	if (error_belongs(sw, way))
		pass_on(sw, way);
	else
		drop(way->from ? way->from : way->to, SWITCH_DROP_ICMP);
}

static bool opens_anew(const struct passage *way)
{
	return flow_opens_anew(way->flow, way->direction, way->p.tcp_flags);
}

void flow_from_guest(struct net_switch *sw, struct passage *way)
{
	const struct packet *p = &way->p;
	bool starts = is_syn(p) || is_echo(p, PACKET_ICMP_ECHO);

	if (packet_is_icmp_error(p)) {
		pass_error(sw, way);
		return;
	}
	/* An answer to a ping belongs to none of one's own. */
	if (find(sw, way, way->from, false) && (way->flow->inbound || !is_echo(p, PACKET_ICMP_ECHO_REPLY))) {
		if (!opens_anew(way)) {
			go_on(sw, way);
			return;
		}
		flows_remove(sw->flows, way->flow);
	} else if (way->to && !starts && find(sw, way, way->to, true)) {
		go_on(sw, way);
		return;
	}
	judge_new(sw, way);
}

/* From outside to a sandbox: the flow is the sandbox's, turned round. */
static void begin_inbound(struct net_switch *sw, struct passage *way, enum verdict_reason why)
{
	const struct verdict allowed = {VERDICT_ALLOW, why, -1, -1};
	struct flow_key key = key_of(&way->p, way->to->slot, true);

	if (way->flow)
		flows_remove(sw->flows, way->flow);
	begin(sw, way, &key, true, &allowed);
}

static void refuse_inbound(const struct passage *way)
{
	drop(way->to, way->p.protocol == PACKET_ICMP ? SWITCH_DROP_ICMP : SWITCH_DROP_UNKNOWN_FLOW);
}

static bool is_of_inbound_flow(struct net_switch *sw, struct passage *way)
{
	return find(sw, way, way->to, true) && !opens_anew(way);
}

void flow_from_egress(struct net_switch *sw, struct passage *way)
{
	const struct packet *p = &way->p;

	if (packet_is_icmp_error(p))
		pass_error(sw, way);
	else if (is_echo(p, PACKET_ICMP_ECHO))
		drop(way->to, SWITCH_DROP_ICMP);
	else if (is_of_inbound_flow(sw, way))
		go_on(sw, way);
	else if ((is_syn(p) || p->protocol == PACKET_UDP) &&
		 port_publishes(way->to, p->protocol, p->destination_port))
		begin_inbound(sw, way, REASON_PUBLISHED);
	else
		refuse_inbound(way);
}

void flow_from_neighbour(struct net_switch *sw, struct passage *way)
{
	const struct packet *p = &way->p;

	if (packet_is_icmp_error(p))
		pass_error(sw, way);
	else if (is_of_inbound_flow(sw, way))
		go_on(sw, way);
	else if (is_syn(p) || p->protocol == PACKET_UDP || is_echo(p, PACKET_ICMP_ECHO))
		begin_inbound(sw, way, REASON_NEIGHBOUR);
	else
		refuse_inbound(way);
}
