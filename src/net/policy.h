/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox may reach: its reach, rules beside it, and the verdict on a flow. A core without I/O;
 * docs/network.md says the same for users.
 *
 * The order of judgement: reach `none` denies; the gateway's services are open; deny rules; the host itself,
 * which only a rule opens that names it; the group, which is open; allow rules; reach. The address that is
 * judged is each that a packet may end at: that on the wire, and those of IPv4 which it carries
 * (address_unwrap()).
 */
#pragma once

#include "base/error.h"
#include "net/address.h"
#include "net/learnt.h"

#define POLICY_RULES_MAX 64
#define RULE_TEXT_MAX    300
#define VERDICT_TEXT_MAX 640

/* name, other name, what it lets through */
#define REACHES(X) \
	X(NONE, "none", "off", "nothing: the link is down") \
	X(LOCAL, "local", "group", "the sandboxes of its group") \
	X(PUBLIC, "public", "internet", "its group, and public addresses") \
	X(ANY, "any", "all", "all but the host itself")

enum reach {
#define X(name, text, alias, meaning) REACH_##name,
	REACHES(X)
#undef X
};

int reach_parse(const char *text, enum reach *reach, struct error *err);
const char *reach_name(enum reach reach);

enum rule_target {
	RULE_ANYWHERE,
	RULE_PREFIX,
	RULE_DOMAIN,
	RULE_HOST, /* host.internal */
};

struct rule {
	bool allow;
	enum rule_target target;
	uint8_t protocol;               /* IPPROTO_TCP, _UDP or _ICMP; 0: any, or with ports: TCP and UDP */
	uint16_t port_first, port_last; /* 0 and 65535: no port was named */
	bool subdomains;                /* *.DOMAIN: all below it, not itself */
	struct prefix prefix;           /* of RULE_PREFIX */
	char domain[LEARNT_NAME_MAX];   /* of RULE_DOMAIN: lower case, no final dot */
	uint8_t domain_size;            /* its length */
};

/* TARGET[:PORT[-PORT]][/tcp|udp|icmp]; TARGET: an address or network (of IPv6 in brackets where a port
 * follows), a domain, *.domain, host.internal, or * or nothing for anywhere. Error INVALID says which part,
 * and what was expected there. */
int rule_parse(const char *text, bool allow, struct rule *r, struct error *err);
/* The same of "allow RULE" and "deny RULE". */
int rule_parse_line(const char *line, struct rule *r, struct error *err);
const char *rule_format(const struct rule *r, char out[RULE_TEXT_MAX]); /* the canonical text; returns out */

struct policy {
	enum reach reach;
	struct rule *rules; /* owned */
	size_t count;
	bool domains; /* there are rules by domain */
	bool names;   /* rules by domain have a say: other resolvers and QUIC are refused */
};

/* Copies the rules. Errors: LIMIT (more than POLICY_RULES_MAX), NO_MEMORY; *p is one of reach none then. */
int policy_make(
	enum reach reach, const struct rule *rules, size_t count, struct policy *p, struct error *err);
/* The same of lines as rule_parse_line() takes them, NULL-terminated; NULL: none. */
int policy_parse(enum reach reach, char *const *lines, struct policy *p, struct error *err);
void policy_free(struct policy *p);

/* What the author of this policy may not know about it, as a sentence for a warning; NULL: nothing. */
const char *policy_remark(const struct policy *p);

/* Where the sandbox is. */
struct surroundings {
	struct prefix subnet;   /* of its group */
	uint32_t gateway, host; /* the addresses of the gateway and of host.internal */
	const struct prefix
		*host_addresses; /* all that the host has, also those of its bridges and tunnels */
	size_t host_address_count;
};

/* A connection as seen from a sandbox. No byte of it is padding. */
struct flow_key {
	struct address remote;
	uint32_t sandbox;                 /* which of the switch's ports */
	uint16_t local_port, remote_port; /* ICMP: the identifier, and 0 */
	uint8_t protocol;                 /* of IP: 1, 6, 17 */
	uint8_t reserved[3];              /* zero */
};

enum verdict_kind {
	VERDICT_DENY,
	VERDICT_ALLOW,
	VERDICT_INSPECT, /* policy_judge_name() decides when the first flight has been read */
};

/* reason, its word */
#define VERDICT_REASONS(X) \
	X(OFF, "off")                         /* reach none */ \
	X(SERVICE, "service")                 /* DNS and ping of the gateway */ \
	X(GATEWAY, "gateway")                 /* anything else of the gateway */ \
	X(RULE, "rule")                       /* .rule decided */ \
	X(HOST_INTERNAL, "host.internal")     /* no rule opens it */ \
	X(HOST, "host")                       /* an address of the host, or loopback */ \
	X(NOT_UNICAST, "not-unicast")         /* multicast, broadcast: .special says which */ \
	X(PROTOCOL, "protocol")               /* neither TCP, UDP nor ICMP */ \
	X(GROUP, "group")                     /* a member of the group */ \
	X(PUBLISHED, "published")             /* from outside, to a port that is published */ \
	X(NEIGHBOUR, "neighbour")             /* from another group, by a rule there */ \
	X(REACH, "reach")                     /* reach alone decided; denials under `local` */ \
	X(NOT_PUBLIC, "not-public")           /* denied under `public`: .special says why */ \
	X(DNS, "dns")                         /* another resolver, where rules by domain have a say */ \
	X(QUIC, "quic")                       /* UDP 443, where rules by domain have a say */ \
	X(NAME_NOT_PUBLIC, "name-not-public") /* .rule allows the name, but its address is not public */ \
	X(NAME_OLD, "name-old") /* .rule allows a name that had this address, but its time is over */ \
	X(NAME_UNKNOWN, "name-unknown")     /* no name that a rule allows is known to have the address */ \
	X(NAME, "name")                     /* inspection is due */ \
	X(NAME_NONE, "name-none")           /* inspected: no name */ \
	X(NAME_ENCRYPTED, "name-encrypted") /* inspected: an encrypted one */ \
	X(NAME_OTHER, "name-other")         /* inspected, or asked of the resolver: no rule allows the name */

enum verdict_reason {
#define X(name, word) REASON_##name,
	VERDICT_REASONS(X)
#undef X
		REASON_COUNT
};

struct verdict {
	enum verdict_kind kind;
	enum verdict_reason reason;
	int rule;    /* index in the policy; -1: none */
	int special; /* row of special.h; -1: none */
};

const char *verdict_reason_name(enum verdict_reason reason);

/* The verdict on a flow that the sandbox opens. l may be NULL; `now` is what learnt.h's times are of. It
 * allocates nothing. */
struct verdict policy_judge(const struct policy *p, const struct surroundings *s, const struct learnt *l,
	const struct flow_key *k, uint64_t now);

/* After VERDICT_INSPECT: `name` is what the first flight says (TLS: server_name, HTTP: Host without port), or
 * NULL where it has none; `encrypted`: an encrypted ClientHello stands there. Never gives VERDICT_INSPECT. */
struct verdict policy_judge_name(const struct policy *p, const struct surroundings *s, const struct learnt *l,
	const struct flow_key *k, const char *name, bool encrypted, uint64_t now);

/* A flow that was allowed, under a policy or surroundings that changed: `began` is when it did, `fingerprint`
 * that of the name in its first flight (learnt_fingerprint()), or 0. Never gives VERDICT_INSPECT: what has to
 * be inspected and is not known any more is denied. */
struct verdict policy_judge_again(const struct policy *p, const struct surroundings *s,
	const struct learnt *l, const struct flow_key *k, uint64_t began, uint64_t fingerprint);

/* Whether the resolver asks others for this name at all. Names of the group are not asked here: they are
 * always answered. DENY is to be answered with REFUSED. */
struct verdict policy_judge_question(const struct policy *p, const char *name);

/* One line that says what decided, and for a denial what would allow it; returns out.
 * verdict_format_question() is for policy_judge_question()'s; `name` is that in the first flight, or NULL. */
const char *verdict_format(const struct policy *p, const struct flow_key *k, const char *name,
	const struct verdict *v, char out[VERDICT_TEXT_MAX]);
const char *verdict_format_question(
	const struct policy *p, const char *name, const struct verdict *v, char out[VERDICT_TEXT_MAX]);
