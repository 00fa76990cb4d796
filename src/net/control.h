/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection between whoever has something to do with a group's network and its process, mcnet:
 * frames as the agent's protocol has them (codec/frame.h), and these messages. docs/formats/network.md
 * describes them. groups.h tells how a connection comes about.
 *
 * mcnet knows nothing but what it is told here: each supervisor says all about its sandbox in ATTACH, and all
 * of it is forgotten when its connection ends. So a mcnet that was killed is replaced by a new one to which
 * every supervisor says the same again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/frame.h"
#include "net/ports.h"

#define NET_PROTOCOL_VERSION 1

#define NET_MESSAGES(X) \
	/* name, code, meaning; each request but CLOSE is answered on its stream by what is named, or by \
	 * ERROR (struct message_error) */ \
	X(HELLO, 512, "from mcnet, as it takes the connection: u16 NET_PROTOCOL_VERSION") \
	X(ATTACH, 513, "a sandbox joins, its ports are bound, its link is down: struct net_attach; PORTS") \
	X(PORTS, 514, "answer: the ports that are published, with the numbers that were chosen: a list") \
	X(LINK, 515, "with one descriptor, the guest's stream: the link is up, or goes on there; DONE") \
	X(UNLINK, 516, "the stream is closed, so that the guest sees no carrier; DONE") \
	X(POLICY, 517, "what it may reach from now on: struct net_policy; DONE") \
	X(PORT_ADD, 518, "a list of ports, all of which are published, or none; PORTS: these") \
	X(PORT_REMOVE, 519, "a list of ports as PORTS told them; DONE") \
	X(BANDWIDTH, 520, "u64 bytes a second each way, 0: no limit; DONE") \
	X(STATUS, 521, "TEXT: JSON, the group and its sandboxes: addresses, ports, counters, flows") \
	X(WHY, 522, "of a sandbox, its id; TEXT: JSON, what was denied to it of late") \
	X(TRACE, 523, \
		"of a sandbox, its id, or \"\": of all; DONE, then a LINE for each verdict until CLOSE") \
	X(TEXT, 524, "answer: bytes of JSON") \
	X(LINE, 525, "a line of a trace, without its end") \
	X(CLOSE, 526, "the trace on this stream is over") \
	X(UNLINKED, 527, "from mcnet on stream 0: the guest's stream ended, its link is down: text, why") \
	X(NEIGHBOUR, 528, \
		"from the mcnet of another group, whose sandboxes have rules for this one's: struct " \
		"net_neighbour; DONE, behind which the connection carries frames as a guest's stream does")

enum net_message {
#define X(name, code, meaning) NET_##name = code,
	NET_MESSAGES(X)
#undef X
};

const char *net_message_name(uint16_t type); /* "?": none of them */

#define NET_RULES_MAX   64
#define NET_ALIASES_MAX 32
#define NET_OTHERS_MAX  8
#define NET_RULE_MAX    320 /* bytes of one, "allow " or "deny " before its text (policy.h) */
#define NET_NAME_MAX    253

/* What a sandbox may reach; net/policy.h judges the texts. */
struct net_policy {
	uint8_t reach; /* enum reach */
	char **rules;  /* "allow TEXT" or "deny TEXT"; NULL-terminated, NULL: none; at most NET_RULES_MAX */
};
void net_policy_encode(const struct net_policy *m, struct buffer *out);
int net_policy_decode(struct cursor in, struct net_policy *m, struct error *err);
void net_policy_free(struct net_policy *m);

/* All about a sandbox's place in a group. Its MAC address is 52:4d before its IPv4 address. */
struct net_attach {
	char *sandbox;   /* id */
	char *name;      /* answered by DNS, and in what is shown */
	char **aliases;  /* more names; NULL-terminated; at most NET_ALIASES_MAX */
	char *group;     /* the first ATTACH tells it, later ones must agree */
	char **others;   /* the sandbox's other groups, whose names theirs answer; at most NET_OTHERS_MAX */
	uint32_t subnet; /* as well; host order */
	uint8_t subnet_bits; /* 8 to 29 */
	uint32_t address;    /* of the sandbox, in subnet: neither the first three nor the last */
	bool main;           /* its default route and DNS are here: the first of its groups */
	struct net_policy policy;
	uint64_t bandwidth; /* bytes a second each way; 0: no limit */
	struct port *ports; /* to publish; host 0: chosen */
	size_t port_count;  /* at most PORTS_MAX */
};
void net_attach_encode(const struct net_attach *m, struct buffer *out);
int net_attach_decode(struct cursor in, struct net_attach *m, struct error *err);
void net_attach_free(struct net_attach *m);

/* Another group. Frames from it come from its subnet. */
struct net_neighbour {
	char *group;
	uint32_t subnet; /* host order */
	uint8_t bits;    /* 8 to 29 */
};
void net_neighbour_encode(const struct net_neighbour *m, struct buffer *out);
int net_neighbour_decode(struct cursor in, struct net_neighbour *m, struct error *err);
void net_neighbour_free(struct net_neighbour *m);

/* The lists of PORTS, PORT_ADD and PORT_REMOVE. decode: the caller frees *list. */
void net_ports_encode(const struct port *list, size_t count, struct buffer *out);
int net_ports_decode(struct cursor in, struct port **list, size_t *count, struct error *err);

/* The names of WHY and TRACE. decode: the caller frees it. */
void net_name_encode(const char *name, struct buffer *out);
int net_name_decode(struct cursor in, char **name, struct error *err);
