/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_make.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "test.h"

static const struct prefix host_addresses[] = {
	{{{[10] = 0xff, [11] = 0xff, 192, 168, 1, 5}}, 128},
	{{{[10] = 0xff, [11] = 0xff, 203, 0, 114, 5}}, 128},
	{{{[10] = 0xff, [11] = 0xff, 203, 0, 115, 64}}, 96 + 26}, /* a route of type local */
	{{{[10] = 0xff, [11] = 0xff, 10, 20, 0, 1}}, 128},
	{{{0x2a, 0x01, 0x04, 0xf8, [15] = 5}}, 128},
	{{{0xfe, 0x80, [15] = 5}}, 128},
};

const struct surroundings policy_surroundings = {
	.subnet = {{{[10] = 0xff, [11] = 0xff, 10, 7, 0, 0}}, 96 + 24},
	.gateway = 0x0a070001,
	.host = 0x0a070002,
	.host_addresses = host_addresses,
	.host_address_count = sizeof host_addresses / sizeof *host_addresses,
};

struct policy policy_of(const char *text)
{
	char copy[4096], *rest = copy, *part;
	struct rule rules[POLICY_RULES_MAX];
	struct policy p;
	struct error err;
	enum reach reach;
	size_t n = 0;

	CHECK(strlen(text) < sizeof copy);
	strcpy(copy, text);
	CHECK_OK(reach_parse(strsep(&rest, ";"), &reach, &err));
	while ((part = strsep(&rest, ";"))) {
		bool allow = !strncmp(part, " allow ", 7);

		CHECK(allow || !strncmp(part, " deny ", 6));
		CHECK(n < POLICY_RULES_MAX);
		CHECK_OK(rule_parse(part + (allow ? 7 : 6), allow, &rules[n++], &err));
	}
	CHECK_OK(policy_make(reach, rules, n, &p, &err));
	return p;
}

struct flow_key flow_of(const char *text)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"icmp", IPPROTO_ICMP}};
	char copy[128], *rest = copy, *protocol, *address, *port = NULL;
	struct flow_key k = {.local_port = 40000};
	struct error err;

	CHECK(strlen(text) < sizeof copy);
	strcpy(copy, text);
	protocol = strsep(&rest, " ");
	address = rest;
	k.protocol = (uint8_t)atoi(protocol);
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (!strcmp(protocol, protocols[i].name))
			k.protocol = protocols[i].number;
	if (k.protocol == IPPROTO_TCP || k.protocol == IPPROTO_UDP) {
		port = strrchr(address, ':');
		CHECK(port);
		*port++ = 0;
		k.remote_port = (uint16_t)atoi(port);
	}
	if (*address == '[') {
		address++;
		address[strlen(address) - 1] = 0;
	}
	CHECK_OK(address_parse(address, &k.remote, &err));
	return k;
}

struct learnt *learnt_of(const char *text)
{
	static const uint64_t seed[2] = {1, 2};
	char copy[1024], *rest = copy, *pair;
	struct learnt *l;
	struct error err;

	CHECK(strlen(text) < sizeof copy);
	strcpy(copy, text);
	CHECK_OK(learnt_new(seed, &l, &err));
	while ((pair = strsep(&rest, " "))) {
		char *equals = strchr(pair, '=');
		struct address a;

		if (!equals)
			continue;
		*equals = 0;
		CHECK_OK(address_parse(equals + 1, &a, &err));
		CHECK_OK(learnt_add(l, pair, &a, 300, 0, &err));
	}
	return l;
}

const char *verdict_words(const struct verdict *v, char *out)
{
	static const char *const kinds[] = {"deny", "allow", "inspect"};
	int n = sprintf(out, "%s %s", kinds[v->kind], verdict_reason_name(v->reason));

	if (v->rule >= 0)
		sprintf(out + n, " %d", v->rule);
	return out;
}
