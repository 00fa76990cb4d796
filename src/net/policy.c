/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts. The steps of judge() are the order of judgement. */
#include "net/policy.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "net/special.h"

/* Every address that a packet may end at: first that on the wire, then what it carries. */
struct forms {
	struct address all[1 + ADDRESS_CARRIED];
	const struct special *rows[1 + ADDRESS_CARRIED];
	size_t count;
	unsigned carrier_bits;
};

struct names {
	const char *all[LEARNT_NAMES_MAX];
	size_t count;
};

/* All that a verdict depends on. */
struct question {
	const struct policy *policy;
	const struct surroundings *surroundings;
	const struct flow_key *key;
	struct forms forms;
	struct names known, once; /* of the address: now, and whenever */
};

static struct verdict decide(enum verdict_kind kind, enum verdict_reason reason, int rule)
{
	return (struct verdict){.kind = kind, .reason = reason, .rule = rule, .special = -1};
}

int policy_make(enum reach reach, const struct rule *rules, size_t count, struct policy *p, struct error *err)
{
	bool allows_names = false, denies_names = false, allows_all = reach >= REACH_PUBLIC;

	*p = (struct policy){.reach = REACH_NONE}; /* should somebody go on with it after an error */
	if (count > POLICY_RULES_MAX)
		return error_set(
			err, ERROR_LIMIT, "%zu rules: at most %d can be given", count, POLICY_RULES_MAX);
	p->rules = calloc(count + 1, sizeof *p->rules);
	if (!p->rules)
		return error_no_memory(err, "keep the rules");
	p->reach = reach;
	for (; p->count < count; p->count++) {
		const struct rule *r = &rules[p->count];

		p->rules[p->count] = *r;
		allows_names |= r->allow && r->target == RULE_DOMAIN;
		denies_names |= !r->allow && r->target == RULE_DOMAIN;
		allows_all |= r->allow && r->target == RULE_ANYWHERE && !r->port_first && !r->protocol;
	}
	p->domains = denies_names || allows_names;
	p->names = denies_names || (allows_names && !allows_all);
	return 0;
}

int policy_parse(enum reach reach, char *const *lines, struct policy *p, struct error *err)
{
	size_t count = text_list_size(lines);
	_cleanup_free_ struct rule *rules = calloc(count + 1, sizeof *rules);

	*p = (struct policy){.reach = REACH_NONE};
	if (!rules)
		return error_no_memory(err, "read a policy");
	for (size_t i = 0; i < count; i++) {
		int r = rule_parse_line(lines[i], &rules[i], err);

		if (r < 0)
			return r;
	}
	return policy_make(reach, rules, count, p, err);
}

void policy_free(struct policy *p)
{
	free(p->rules);
	*p = (struct policy){0};
}

const char *policy_remark(const struct policy *p)
{
	if (p->reach == REACH_NONE && p->count)
		return "reach none: the network is off, and no rule has an effect";
	for (size_t i = 0; i < p->count && p->reach >= REACH_PUBLIC; i++)
		if (p->rules[i].allow && p->rules[i].target == RULE_DOMAIN)
			return "allowing a domain adds nothing to a reach of public or any: with reach "
			       "local, only what is "
			       "allowed can be reached";
	return NULL;
}

/* Whether the rule is about this protocol and port. */
static bool covers(const struct rule *r, uint8_t protocol, uint16_t port)
{
	if (r->protocol && r->protocol != protocol)
		return false;
	if (!r->port_first)
		return true;
	return (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && port >= r->port_first &&
	       port <= r->port_last;
}

/* A final dot says the same name. */
static bool matches_name(const struct rule *r, const char *name)
{
	size_t n = strlen(name), d = r->domain_size;

	if (n && name[n - 1] == '.')
		n--;
	if (r->subdomains ? n <= d + 1 || name[n - d - 1] != '.' : n != d)
		return false;
	return !strncasecmp(name + n - d, r->domain, d);
}

static bool any_matches(const struct rule *r, const struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		if (matches_name(r, names->all[i]))
			return true;
	return false;
}

static struct names names_at(const struct learnt *l, const struct address *a, uint64_t at)
{
	struct names names;
	uint32_t walk = 0;
	const char *name;

	for (names.count = 0; names.count < LEARNT_NAMES_MAX && (name = learnt_next(l, a, at, &walk));)
		names.all[names.count++] = name;
	return names;
}

static struct forms forms_of(const struct address *a)
{
	struct forms f;

	f.all[0] = *a;
	f.count = 1 + address_unwrap(a, f.all + 1, &f.carrier_bits);
	for (size_t i = 0; i < f.count; i++)
		f.rows[i] = &special_table[special_find(&f.all[i])];
	return f;
}

static struct question ask(const struct policy *p, const struct surroundings *s, const struct learnt *l,
	const struct flow_key *k, uint64_t now)
{
	struct question q;

	q.policy = p;
	q.surroundings = s;
	q.key = k;
	q.forms = forms_of(&k->remote);
	q.known.count = q.once.count = 0;
	if (p->domains) {
		q.known = names_at(l, &k->remote, now);
		q.once = names_at(l, &k->remote, 0);
	}
	return q;
}

static int index_of(const struct special *row)
{
	return (int)(row - special_table);
}

/* A network is denied with everything that may lead there. */
static bool touches(const struct prefix *p, const struct forms *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (prefix_contains(p, &f->all[i]))
			return true;
	return false;
}

/* A network is allowed with what leads nowhere else; one of carriers where it is named as such: 2000::/3 is
 * not meant to open 6to4 and all that is behind it. */
static bool contains(const struct prefix *p, const struct forms *f)
{
	if (f->count == 1 || (!prefix_is_ipv4(p) && p->bits >= f->carrier_bits))
		return prefix_contains(p, &f->all[0]);
	for (size_t i = 1; i < f->count; i++)
		if (!prefix_contains(p, &f->all[i]))
			return false;
	return true;
}

static bool is_host_internal(const struct question *q)
{
	return address_is_ipv4(&q->key->remote) && address_ipv4(&q->key->remote) == q->surroundings->host;
}

/* Whether a form is an address of the host, or loopback: *special gets the row that says so, or -1. */
static bool is_host(const struct question *q, int *special)
{
	const struct surroundings *s = q->surroundings;

	*special = -1;
	for (size_t i = 0; i < q->forms.count; i++) {
		for (size_t k = 0; k < s->host_address_count; k++)
			if (prefix_contains(&s->host_addresses[k], &q->forms.all[i]))
				return true;
		if (q->forms.rows[i]->scope == SCOPE_HOST) {
			*special = index_of(q->forms.rows[i]);
			return true;
		}
	}
	return false;
}

/* The first row that keeps the address from being public, or -1. Of what carries another, the other counts.
 */
static int not_public(const struct forms *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->rows[i]->scope != SCOPE_PUBLIC && f->rows[i]->scope != SCOPE_CARRIED)
			return index_of(f->rows[i]);
	return -1;
}

static bool is_quic(const struct flow_key *k)
{
	return k->protocol == IPPROTO_UDP && k->remote_port == 443;
}

static bool is_dns(const struct flow_key *k)
{
	return (k->protocol == IPPROTO_UDP || k->protocol == IPPROTO_TCP) &&
	       (k->remote_port == 53 || k->remote_port == 853);
}

/* Flows that would go past rules by domain; who means one names it (opens_past()). */
static bool goes_past(const struct question *q)
{
	return q->policy->names && (is_quic(q->key) || is_dns(q->key));
}

/* Whether an allow rule says so plainly that a flow which goes past rules by domain is meant. */
static bool opens_past(const struct question *q, const struct rule *r)
{
	if (r->target == RULE_PREFIX)
		return true;
	return r->port_first && r->protocol && !(r->target == RULE_DOMAIN && is_quic(q->key));
}

/* Ports whose first flight says a name. */
static bool can_inspect(const struct flow_key *k)
{
	return k->protocol == IPPROTO_TCP && (k->remote_port == 443 || k->remote_port == 80);
}

static int judge_gateway(const struct question *q, struct verdict *v)
{
	const struct flow_key *k = q->key;
	bool service;

	if (!address_is_ipv4(&k->remote) || address_ipv4(&k->remote) != q->surroundings->gateway)
		return 0;
	service = k->protocol == IPPROTO_ICMP || (is_dns(k) && k->remote_port == 53);
	*v = service ? decide(VERDICT_ALLOW, REASON_SERVICE, -1) : decide(VERDICT_DENY, REASON_GATEWAY, -1);
	return 1;
}

static bool denied_by(const struct question *q, const struct rule *r)
{
	int special;

	switch (r->target) {
	case RULE_ANYWHERE:
		return true;
	case RULE_PREFIX:
		return touches(&r->prefix, &q->forms);
	case RULE_HOST:
		return is_host_internal(q) || is_host(q, &special);
	case RULE_DOMAIN: /* an address may have innocent names, too: where the name can be read, it decides
			   */
		return !can_inspect(q->key) && any_matches(r, &q->known);
	}
	return false;
}

static int judge_deny_rules(const struct question *q, struct verdict *v)
{
	for (size_t i = 0; i < q->policy->count; i++) {
		const struct rule *r = &q->policy->rules[i];

		if (!r->allow && covers(r, q->key->protocol, q->key->remote_port) && denied_by(q, r)) {
			*v = decide(VERDICT_DENY, REASON_RULE, (int)i);
			return 1;
		}
	}
	return 0;
}

/* The host needs a rule for host.internal or for exactly this address. */
static int judge_host(const struct question *q, struct verdict *v)
{
	bool internal = is_host_internal(q);
	int special = -1;

	if (!internal && !is_host(q, &special))
		return 0;
	for (size_t i = 0; i < q->policy->count; i++) {
		const struct rule *r = &q->policy->rules[i];

		if (!r->allow || !covers(r, q->key->protocol, q->key->remote_port))
			continue;
		if ((r->target == RULE_HOST && internal) ||
			(r->target == RULE_PREFIX && r->prefix.bits == 128 &&
				contains(&r->prefix, &q->forms))) {
			*v = decide(VERDICT_ALLOW, REASON_RULE, (int)i);
			return 1;
		}
	}
	*v = decide(VERDICT_DENY, internal ? REASON_HOST_INTERNAL : REASON_HOST, -1);
	v->special = special;
	return 1;
}

static int judge_kind(const struct question *q, struct verdict *v)
{
	uint8_t protocol = q->key->protocol;

	for (size_t i = 0; i < q->forms.count; i++)
		if (q->forms.rows[i]->scope == SCOPE_NOBODY) {
			*v = decide(VERDICT_DENY, REASON_NOT_UNICAST, -1);
			v->special = index_of(q->forms.rows[i]);
			return 1;
		}
	if (prefix_contains(&q->surroundings->subnet, &q->key->remote)) {
		*v = decide(VERDICT_ALLOW, REASON_GROUP, -1);
		return 1;
	}
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_ICMP) {
		*v = decide(VERDICT_DENY, REASON_PROTOCOL, -1);
		return 1;
	}
	return 0;
}

/* Something opens the flow for whatever name; a domain that is denied may still be meant. */
static struct verdict unless_name_denied(const struct question *q, enum verdict_reason reason, int rule)
{
	for (size_t i = 0; i < q->policy->count && can_inspect(q->key); i++) {
		const struct rule *r = &q->policy->rules[i];

		if (!r->allow && r->target == RULE_DOMAIN && covers(r, q->key->protocol, q->key->remote_port))
			return decide(VERDICT_INSPECT, REASON_NAME, rule);
	}
	return decide(VERDICT_ALLOW, reason, rule);
}

/* Those by address say best what is meant; then those for anywhere. */
static int judge_allow_rules(const struct question *q, struct verdict *v)
{
	int anywhere = -1;

	for (size_t i = 0; i < q->policy->count; i++) {
		const struct rule *r = &q->policy->rules[i];

		if (!r->allow || !covers(r, q->key->protocol, q->key->remote_port))
			continue;
		if (r->target == RULE_PREFIX && contains(&r->prefix, &q->forms)) {
			*v = unless_name_denied(q, REASON_RULE, (int)i);
			return 1;
		}
		if (r->target == RULE_ANYWHERE && anywhere < 0 && (!goes_past(q) || opens_past(q, r)))
			anywhere = (int)i;
	}
	if (anywhere < 0)
		return 0;
	*v = unless_name_denied(q, REASON_RULE, anywhere);
	return 1;
}

static struct verdict judge_learnt(const struct question *q, int rule)
{
	const struct rule *r = &q->policy->rules[rule];
	struct verdict v;
	int special = not_public(&q->forms);

	if (special >= 0) {
		v = decide(VERDICT_DENY, REASON_NAME_NOT_PUBLIC, rule);
		v.special = special;
		return v;
	}
	if (goes_past(q) && !opens_past(q, r))
		return decide(VERDICT_DENY, is_quic(q->key) ? REASON_QUIC : REASON_DNS, rule);
	if (can_inspect(q->key))
		return decide(VERDICT_INSPECT, REASON_NAME, rule);
	return decide(VERDICT_ALLOW, REASON_RULE, rule);
}

/* What an allow rule by domain says about the flow; NAME_UNKNOWN: nothing. */
static struct verdict judge_domain_rule(const struct question *q, int rule)
{
	const struct rule *r = &q->policy->rules[rule];

	if (any_matches(r, &q->known))
		return judge_learnt(q, rule);
	if (any_matches(r, &q->once))
		return decide(VERDICT_DENY, REASON_NAME_OLD, rule);
	return decide(VERDICT_DENY, REASON_NAME_UNKNOWN, -1);
}

/* Rules by domain, where nothing else opens. Of denials, that which says most remains. */
static int judge_domain_rules(const struct question *q, struct verdict *v)
{
	int found = 0;

	for (size_t i = 0; i < q->policy->count; i++) {
		const struct rule *r = &q->policy->rules[i];
		struct verdict says;

		if (!r->allow || r->target != RULE_DOMAIN ||
			!covers(r, q->key->protocol, q->key->remote_port))
			continue;
		says = judge_domain_rule(q, (int)i);
		if (!found || v->reason == REASON_NAME_UNKNOWN || says.kind != VERDICT_DENY)
			*v = says;
		found = 1;
		if (says.kind != VERDICT_DENY)
			break;
	}
	return found;
}

static struct verdict judge_reach(const struct question *q)
{
	int special = not_public(&q->forms);
	bool open = q->policy->reach == REACH_ANY || (q->policy->reach == REACH_PUBLIC && special < 0),
	     domains;
	struct verdict past = decide(VERDICT_DENY, is_quic(q->key) ? REASON_QUIC : REASON_DNS, -1), v;

	if (open)
		return goes_past(q) ? past : unless_name_denied(q, REASON_REACH, -1);
	domains = judge_domain_rules(q, &v);
	if (domains && v.reason != REASON_NAME_UNKNOWN)
		return v;
	if (goes_past(q) && is_dns(q->key))
		return past;
	if (domains && special < 0) /* a name could have opened it */
		return v;
	v = decide(VERDICT_DENY, q->policy->reach == REACH_PUBLIC ? REASON_NOT_PUBLIC : REASON_REACH, -1);
	v.special = special;
	return v;
}

static struct verdict judge(const struct question *q)
{
	struct verdict v;

	if (q->policy->reach == REACH_NONE)
		return decide(VERDICT_DENY, REASON_OFF, -1);
	if (judge_gateway(q, &v) || judge_deny_rules(q, &v) || judge_host(q, &v) || judge_kind(q, &v) ||
		judge_allow_rules(q, &v))
		return v;
	return judge_reach(q);
}

struct verdict policy_judge(const struct policy *p, const struct surroundings *s, const struct learnt *l,
	const struct flow_key *k, uint64_t now)
{
	struct question q = ask(p, s, l, k, now);

	return judge(&q);
}

/* The rule by domain, of those that allow or of those that deny, that is for this flow and name; -1: none. */
static int find_by_name(const struct question *q, bool allow, const char *name)
{
	for (size_t i = 0; i < q->policy->count; i++) {
		const struct rule *r = &q->policy->rules[i];

		if (r->allow == allow && r->target == RULE_DOMAIN &&
			covers(r, q->key->protocol, q->key->remote_port) && matches_name(r, name) &&
			(!allow || any_matches(r, &q->known)))
			return (int)i;
	}
	return -1;
}

struct verdict policy_judge_name(const struct policy *p, const struct surroundings *s, const struct learnt *l,
	const struct flow_key *k, const char *name, bool encrypted, uint64_t now)
{
	struct question q = ask(p, s, l, k, now);
	struct verdict v = judge(&q);
	enum rule_target opened = v.rule >= 0 ? p->rules[v.rule].target : RULE_ANYWHERE;
	int rule;

	if (v.kind != VERDICT_INSPECT)
		return v;
	if (encrypted || !name) {
		if (opened == RULE_PREFIX) /* who named the address needs no name */
			return decide(VERDICT_ALLOW, REASON_RULE, v.rule);
		return decide(VERDICT_DENY, encrypted ? REASON_NAME_ENCRYPTED : REASON_NAME_NONE, v.rule);
	}
	rule = find_by_name(&q, false, name);
	if (rule >= 0)
		return decide(VERDICT_DENY, REASON_RULE, rule);
	if (opened != RULE_DOMAIN)
		return decide(VERDICT_ALLOW, v.rule < 0 ? REASON_REACH : REASON_RULE, v.rule);
	rule = find_by_name(&q, true, name);
	return rule < 0 ? decide(VERDICT_DENY, REASON_NAME_OTHER, -1)
			: decide(VERDICT_ALLOW, REASON_RULE, rule);
}

struct verdict policy_judge_again(const struct policy *p, const struct surroundings *s,
	const struct learnt *l, const struct flow_key *k, uint64_t began, uint64_t fingerprint)
{
	struct verdict v = policy_judge(p, s, l, k, began);
	uint32_t walk = 0;
	const char *name;

	if (v.kind != VERDICT_INSPECT)
		return v;
	while (fingerprint && (name = learnt_next(l, &k->remote, 0, &walk)))
		if (learnt_fingerprint(l, name) == fingerprint)
			return policy_judge_name(p, s, l, k, name, false, began);
	return decide(VERDICT_DENY, REASON_NAME, v.rule);
}

/* Rules that say something about all of a name, not about some of its ports. */
static bool is_whole(const struct rule *r)
{
	return !r->port_first && !r->protocol;
}

/* Rules that open so much that names must be known. */
static bool is_wide(const struct rule *r)
{
	return r->target == RULE_ANYWHERE ||
	       (r->target == RULE_PREFIX && prefix_is_ipv4(&r->prefix) && r->prefix.bits == 96);
}

struct verdict policy_judge_question(const struct policy *p, const char *name)
{
	enum verdict_reason closed = REASON_REACH;

	if (p->reach == REACH_NONE)
		return decide(VERDICT_DENY, REASON_OFF, -1);
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *r = &p->rules[i];

		if (!r->allow && r->target == RULE_DOMAIN && is_whole(r) && matches_name(r, name))
			return decide(VERDICT_DENY, REASON_RULE, (int)i);
	}
	if (p->reach >= REACH_PUBLIC)
		return decide(VERDICT_ALLOW, REASON_REACH, -1);
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *r = &p->rules[i];

		if (r->allow && (is_wide(r) || (r->target == RULE_DOMAIN && matches_name(r, name))))
			return decide(VERDICT_ALLOW, REASON_RULE, (int)i);
		if (r->allow && r->target == RULE_DOMAIN)
			closed = REASON_NAME_OTHER;
	}
	return decide(VERDICT_DENY, closed, -1);
}
