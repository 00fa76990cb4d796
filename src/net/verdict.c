/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts in words. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/policy.h"
#include "net/special.h"

const char *verdict_reason_name(enum verdict_reason reason)
{
	static const char *const words[] = {
#define X(name, word) [REASON_##name] = word,
		VERDICT_REASONS(X)
#undef X
	};

	return words[reason];
}

/* What is said about, and where it is said. */
struct saying {
	const struct policy *policy;
	const struct flow_key *key;
	const char *name;
	const struct verdict *verdict;
	char *out;
	char address[ADDRESS_TEXT_MAX];
	char opens[ADDRESS_TEXT_MAX + 32]; /* the rule that would allow it */
};

static void say(struct saying *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct saying *s, const char *format, ...)
{
	size_t n = strlen(s->out);
	va_list args;

	va_start(args, format);
	vsnprintf(s->out + n, VERDICT_TEXT_MAX - n, format, args);
	va_end(args);
}

/* The address, what it is, and where it is given out: "10.1.2.3 is private (10.0.0.0/8, RFC 1918)". */
static void say_what(struct saying *s)
{
	const struct special *row = &special_table[s->verdict->special];
	struct address carried[ADDRESS_CARRIED];
	char network[PREFIX_TEXT_MAX], inner[ADDRESS_TEXT_MAX];
	size_t n = address_unwrap(&s->key->remote, carried, NULL);

	say(s, "%s ", s->address);
	for (size_t i = 0; i < n; i++)
		if (special_find(&carried[i]) == (enum special_row)s->verdict->special) {
			say(s, "leads to %s, which ", address_format(&carried[i], inner));
			break;
		}
	say(s, "is %s (%s, RFC %u)", row->what, prefix_format(&row->prefix, network), row->rfc);
}

/* The policy may have become another since. */
static void say_rule(struct saying *s)
{
	int rule = s->verdict->rule;
	char text[RULE_TEXT_MAX];

	if (rule < 0 || (size_t)rule >= s->policy->count) {
		say(s, "a rule that is gone");
		return;
	}
	say(s, "rule '%s %s'", s->policy->rules[rule].allow ? "allow" : "deny",
		rule_format(&s->policy->rules[rule], text));
}

static void say_allowed(struct saying *s)
{
	switch (s->verdict->reason) {
	case REASON_SERVICE:
		say(s, "a service of the gateway");
		break;
	case REASON_GROUP:
		say(s, "a member of the group");
		break;
	case REASON_PUBLISHED:
		say(s, "port %u is published", s->key->local_port);
		break;
	case REASON_NEIGHBOUR:
		say(s, "from another group, by a rule there");
		break;
	case REASON_RULE:
		say_rule(s);
		break;
	default:
		say(s, "reach %s", reach_name(s->policy->reach));
		break;
	}
}

static void say_host(struct saying *s)
{
	if (s->verdict->special < 0) {
		say(s, "%s is an address of the host: --allow %s opens it", s->address, s->opens);
		return;
	}
	say_what(s);
	say(s, ", so it would be the host itself, whose loopback is host.internal");
}

/* Denials that are about names. */
static void say_name(struct saying *s)
{
	switch (s->verdict->reason) {
	case REASON_DNS:
		say(s,
			"rules by domain need names to be asked of the sandbox's own resolver: --allow %s "
			"opens this one",
			s->opens);
		break;
	case REASON_QUIC:
		say(s,
			"the name in QUIC is not read, which rules by domain need: TCP is open to it, and "
			"--allow %s opens QUIC",
			s->opens);
		break;
	case REASON_NAME_NOT_PUBLIC:
		say_what(s);
		say(s, ", and names open public addresses only (");
		say_rule(s);
		say(s, "): --allow %s opens it", s->opens);
		break;
	case REASON_NAME_OLD:
		say(s, "the time of the answer by which %s belonged to ", s->address);
		say_rule(s);
		say(s, " is over: the name must be looked up again");
		break;
	case REASON_NAME_UNKNOWN:
		say(s, "no name that a rule allows was looked up and has %s: --allow %s opens it", s->address,
			s->opens);
		break;
	case REASON_NAME:
		say(s, "the rules changed, and the name that it was opened for is not known any more: it "
		       "must be opened again");
		break;
	case REASON_NAME_NONE:
		say(s, "its first bytes name no host, which rules by domain need: --allow %s opens it",
			s->opens);
		break;
	case REASON_NAME_ENCRYPTED:
		say(s,
			"the name in its first bytes is encrypted, and rules by domain need it: --allow %s "
			"opens it",
			s->opens);
		break;
	default:
		say(s, "no rule allows the name '%s' at %s", s->name ? s->name : "", s->address);
		break;
	}
}

static void say_denied(struct saying *s)
{
	switch (s->verdict->reason) {
	case REASON_OFF:
		say(s, "reach none: the network is off");
		break;
	case REASON_GATEWAY:
		say(s, "%s is the gateway, which offers DNS and answers ping, no more", s->address);
		break;
	case REASON_RULE:
		say_rule(s);
		break;
	case REASON_HOST_INTERNAL:
		say(s, "%s is the host: --allow host.internal%s opens it", s->address,
			s->opens + strlen(s->address));
		break;
	case REASON_HOST:
		say_host(s);
		break;
	case REASON_NOT_UNICAST:
		say_what(s);
		say(s, ": only single hosts can be reached");
		break;
	case REASON_PROTOCOL:
		say(s, "protocol %u of IP: only TCP, UDP and ICMP leave the group", s->key->protocol);
		break;
	case REASON_REACH:
		say(s, "%s is not in the group (reach local): --allow %s opens it", s->address, s->opens);
		break;
	case REASON_NOT_PUBLIC:
		say_what(s);
		say(s, ", not public: --allow %s opens it", s->opens);
		break;
	default:
		say_name(s);
		break;
	}
}

/* The narrowest rule for the flow, as rule_format() writes it. */
static void write_opening(struct saying *s)
{
	const struct flow_key *k = s->key;
	struct rule r = {.target = RULE_PREFIX,
		.protocol = k->protocol,
		.port_first = k->protocol == IPPROTO_ICMP ? 0 : k->remote_port,
		.port_last = k->remote_port,
		.prefix = {k->remote, 128}};
	char text[RULE_TEXT_MAX];

	snprintf(s->opens, sizeof s->opens, "%s", rule_format(&r, text));
}

const char *verdict_format(const struct policy *p, const struct flow_key *k, const char *name,
	const struct verdict *v, char out[VERDICT_TEXT_MAX])
{
	struct saying s = {.policy = p, .key = k, .name = name, .verdict = v, .out = out};

	*out = 0;
	address_format(&k->remote, s.address);
	write_opening(&s);
	if (v->kind == VERDICT_ALLOW) {
		say_allowed(&s);
	} else if (v->kind == VERDICT_INSPECT) {
		say(&s, "the name in its first bytes decides");
	} else {
		say_denied(&s);
	}
	return out;
}

const char *verdict_format_question(
	const struct policy *p, const char *name, const struct verdict *v, char out[VERDICT_TEXT_MAX])
{
	struct saying s = {.policy = p, .name = name, .verdict = v, .out = out};

	*out = 0;
	if (v->kind == VERDICT_ALLOW)
		say_allowed(&s);
	else if (v->reason == REASON_RULE)
		say_rule(&s);
	else if (v->reason == REASON_OFF)
		say(&s, "reach none: the network is off");
	else
		say(&s,
			"no rule allows the name '%s', and with reach local no others are looked up: --allow "
			"%s opens it",
			name, name);
	return out;
}
