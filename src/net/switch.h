/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch of one group: to whom a frame goes, if to anybody. No I/O, no threads, no clock of its own:
 * frames and the time come by calls, what follows from them leaves by calls.
 *
 * Every frame of a guest is hostile. It leaves only with the MAC and address that its port was given, only as
 * ARP or IPv4, only whole (no fragments, no IP options), and only when the sender's policy allows its flow.
 * ARP, DHCP and ICMP echo to the gateway are answered here and reach nobody else; broadcasts and multicasts
 * end here, so no guest can pretend to be another, the gateway, or a server of addresses.
 *
 * Members reach each other by the policy of whoever starts a flow: a sandbox's `deny` rules hold for what it
 * starts itself, not for what others start towards it.
 *
 * A flow whose verdict is VERDICT_INSPECT may shake hands; then its first bytes are held until they name whom
 * it is for. Exactly the bytes that were judged are sent on, in one segment that the switch itself makes, and
 * nothing that overlaps them with other content passes until the other side has taken them.
 *
 * Times are nanoseconds of one clock that never goes back. A policy, name or surroundings given is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/policy.h"

#define SWITCH_PORTS_MAX     256
#define SWITCH_PUBLISHED_MAX 256   /* ranges of published ports, for each port of the switch */
#define SWITCH_MTU           65520 /* the largest, and the default */
#define SWITCH_FRAME_MAX     (SWITCH_MTU + 14)

struct flow;
struct history;
struct packet;
struct net_switch;

/* Why a frame ended here, other than by a verdict: name, its word, what it says. */
#define SWITCH_DROPS(X) \
	X(TRUNCATED, "truncated", "cut short, or its lengths disagree") \
	X(GIANT, "giant", "longer than the MTU") \
	X(CHECKSUM, "checksum", "a checksum is wrong") \
	X(MALFORMED, "malformed", "a header that cannot be") \
	X(SPOOFED_MAC, "spoofed-mac", "the source MAC is not the port's") \
	X(SPOOFED_ADDRESS, "spoofed-address", "the source address is not the port's") \
	X(SPOOFED_ARP, "spoofed-arp", "the sender in an ARP message is not the port's") \
	X(IPV6, "ipv6", "IPv6 is not carried") \
	X(ETHERTYPE, "ethertype", "neither ARP nor IPv4") \
	X(BROADCAST, "broadcast", "a broadcast or multicast that is no DHCP request") \
	X(OPTIONS, "options", "IP options are not carried") \
	X(FRAGMENT, "fragment", "fragments are not carried") \
	X(PROTOCOL, "protocol", "neither TCP, UDP nor ICMP") \
	X(ROGUE_DHCP, "rogue-dhcp", "only the switch serves DHCP") \
	X(ICMP, "icmp", "an ICMP message that belongs to no flow, or of a type that is not carried") \
	X(UNKNOWN_FLOW, "unknown-flow", "belongs to no flow") \
	X(NOBODY, "nobody", "nobody has this address of the subnet") \
	X(TOO_BIG, "too-big", "longer than the receiver's MTU") \
	X(HELD, "held", "while the first bytes were held: out of order, contradicting, or too many") \
	X(BANDWIDTH, "bandwidth", "over the bandwidth") \
	X(QUEUE_FULL, "queue-full", "the receiver does not read") \
	X(NO_MEMORY, "no-memory", "out of memory")

#define X(name, word, text) SWITCH_DROP_##name,
enum switch_drop { SWITCH_DROPS(X) SWITCH_DROP_COUNT };
#undef X

const char *switch_drop_name(enum switch_drop drop); /* "spoofed-mac" */
const char *switch_drop_text(enum switch_drop drop);

struct switch_counters {
	uint64_t frames_in, bytes_in;   /* from the guest, all */
	uint64_t frames_out, bytes_out; /* taken by deliver() */
	uint64_t denied;                /* packets, by a verdict, and by which reason */
	uint64_t denied_by[REASON_COUNT];
	uint64_t drops[SWITCH_DROP_COUNT];
	uint32_t flows;  /* that this port started, now */
	uint32_t held;   /* bytes of first flights */
	uint32_t queued; /* bytes that wait for bandwidth, both ways */
};

struct switch_config {
	const struct surroundings *surroundings;
	uint64_t seed[2];   /* random: guests choose the keys of the tables */
	size_t flows;       /* that there may be of all ports; 0: FLOWS_CAPACITY */
	const char *domain; /* what DHCP says the domain is ("default.internal"); NULL: nothing */
};

struct switch_port_config {
	uint8_t mac[6];
	uint32_t address; /* in the subnet, neither the gateway's nor host.internal's */
	uint16_t mtu;     /* of its interface; 0: SWITCH_MTU */
	bool main;        /* its default route and DNS: what DHCP says */
	const struct policy *policy;
	uint64_t bandwidth; /* bytes a second, each way; 0: no limit */
};

/* What the core asks of who owns it; the context of switch_new() first. Frames are valid during the call
 * only. They may not call back into the switch, but egress(), within which switch_from_egress() may be
 * called, and dns(), within which switch_learn() and switch_answer_dns() may be. */
struct switch_calls {
	/* To a guest. False: its queue is full, and the frame was dropped; never blocks. */
	bool (*deliver)(void *context, void *link, const uint8_t *frame, size_t n);
	/* To the world (libslirp): allowed by its sender's policy; or an ARP reply for who asked behind
	 * there. */
	void (*egress)(void *context, const uint8_t *frame, size_t n);
	/* The same of a flow that a rule allowed, or that came from another group: true where it went to
	 * another group, and is not for egress() any more. May be NULL: there are none. */
	bool (*neighbour)(void *context, const uint8_t *frame, size_t n);
	/* A DNS query over UDP to the gateway; answered by switch_answer_dns() at any time after. */
	void (*dns)(void *context, uint32_t port, const struct packet *query);
	/* A flow was judged, when it was new or when its policy had changed, and what came out. `name` is
	 * what its first bytes said, or by what the address was learnt; NULL: none. May be NULL. */
	void (*verdict)(void *context, uint32_t port, const struct flow_key *key,
		const struct verdict *verdict, const char *name, uint64_t now);
};

int switch_new(const struct switch_config *config, const struct switch_calls *calls, void *context,
	struct net_switch **sw, struct error *err);
void switch_free(struct net_switch *sw);

/* A port. *port gets its number, which is not given again in this switch's life, so that an answer which
 * comes late finds nobody. `link` is handed to deliver(); NULL: the link is down, and nothing is delivered
 * until switch_set_link(). Error EXISTS: the address has a port already; LIMIT; INVALID. */
int switch_add(struct net_switch *sw, const struct switch_port_config *config, void *link, uint32_t *port,
	struct error *err);
void switch_remove(struct net_switch *sw, uint32_t port); /* with its flows, held bytes and history */
void switch_set_link(struct net_switch *sw, uint32_t port, void *link);
/* Flows that exist are judged again at their next packet. On an error the old policy stays. */
int switch_set_policy(struct net_switch *sw, uint32_t port, const struct policy *policy, struct error *err);
void switch_set_bandwidth(struct net_switch *sw, uint32_t port, uint64_t bandwidth);
/* The same for every port; the subnet, gateway and host.internal must be what they were. */
int switch_set_surroundings(struct net_switch *sw, const struct surroundings *s, struct error *err);

/* Ports of the sandbox that the world may start flows to (a published port's number inside, IPPROTO_TCP or
 * _UDP). What comes from egress and belongs neither to these nor to a flow is dropped. Flows that exist stay
 * when it is taken back. Error LIMIT. */
int switch_publish(struct net_switch *sw, uint32_t port, uint8_t protocol, uint16_t first, uint16_t last,
	struct error *err);
void switch_unpublish(struct net_switch *sw, uint32_t port, uint8_t protocol, uint16_t first, uint16_t last);

/* A frame of n bytes from a port's guest. It may be changed in place. */
void switch_from_guest(struct net_switch *sw, uint32_t port, uint8_t *frame, size_t n, uint64_t now);
/* A frame from the world: IPv4 to a port's address, or ARP that asks for one. */
void switch_from_egress(struct net_switch *sw, const uint8_t *frame, size_t n, uint64_t now);
/* A frame from another group, whose subnet this is, of a flow that a rule there allowed. */
void switch_from_neighbour(
	struct net_switch *sw, const struct prefix *group, const uint8_t *frame, size_t n, uint64_t now);
/* The answer to a query, to the port that asked, from the gateway's UDP port 53 to where it came from. */
void switch_answer_dns(struct net_switch *sw, uint32_t port, uint16_t client_port, const uint8_t *message,
	size_t n, uint64_t now);
/* The resolver told this port's guest that `name` is at this address, for ttl seconds. */
void switch_learn(struct net_switch *sw, uint32_t port, const char *name, const struct address *address,
	uint32_t ttl, uint64_t now);
/* What time brings: flows and held bytes that expire, frames that waited for bandwidth. Returns when it wants
 * to be called again (UINT64_MAX: nothing waits); ask again after other calls, which may make it earlier. */
uint64_t switch_tick(struct net_switch *sw, uint64_t now);
uint64_t switch_next_tick(const struct net_switch *sw);

/* Zeros where there is no such port; port 0: what came from the world and was meant for nobody. */
void switch_count(const struct net_switch *sw, uint32_t port, struct switch_counters *counters);
/* Its last denials, until the switch is next called; NULL: no such port. */
const struct history *switch_history(const struct net_switch *sw, uint32_t port);
const struct policy *switch_policy(const struct net_switch *sw, uint32_t port);
/* Walks the flows of a port: start with NULL; NULL at the end. */
const struct flow *switch_next_flow(const struct net_switch *sw, uint32_t port, const struct flow *after);
