/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is lines. "allow R" and "deny R" are rules; every line is tried as an address, a network, and a
 * name that addresses were learnt for and that flows say. The first byte chooses the reach.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/learnt.h"
#include "net/policy.h"
#include "net/special.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOME 16 /* of what is kept of each kind */

struct found {
	struct rule rules[POLICY_RULES_MAX];
	struct address addresses[SOME];
	const char *lines[SOME];
	size_t rule_count, address_count, line_count;
};

/* What is taken is written in one way, which is taken again and means the same. */
static void try_rule(struct found *f, const char *text, bool allow)
{
	char first[RULE_TEXT_MAX], second[RULE_TEXT_MAX];
	struct rule r, again;
	struct error err;

	if (rule_parse(text, allow, &r, &err) < 0) {
		assert(err.code == ERROR_INVALID && *err.text);
		return;
	}
	assert(!rule_parse(rule_format(&r, first), allow, &again, &err));
	assert(!memcmp(&r, &again, sizeof r));
	assert(!strcmp(first, rule_format(&again, second)));
	if (f->rule_count < POLICY_RULES_MAX)
		f->rules[f->rule_count++] = r;
}

static void try_address(struct found *f, const char *text)
{
	char first[ADDRESS_TEXT_MAX], network[PREFIX_TEXT_MAX];
	struct address a, again, carried[ADDRESS_CARRIED];
	struct prefix p, same;
	size_t n;

	if (!prefix_parse(text, &p, NULL)) {
		assert(!prefix_parse(prefix_format(&p, network), &same, NULL));
		assert(address_equal(&p.address, &same.address) && p.bits == same.bits);
		assert(prefix_contains(&p, &p.address) && prefix_overlaps(&p, &same));
	}
	if (address_parse(text, &a, NULL) < 0)
		return;
	assert(!address_parse(address_format(&a, first), &again, NULL) && address_equal(&a, &again));
	n = address_unwrap(&a, carried, NULL);
	assert(n <= ADDRESS_CARRIED && !(n && address_is_ipv4(&a)));
	for (size_t i = 0; i < n; i++)
		assert(address_is_ipv4(&carried[i]));
	assert(prefix_contains(&special_table[special_find(&a)].prefix, &a));
	if (f->address_count < SOME)
		f->addresses[f->address_count++] = a;
}

static void try_verdicts(
	const struct policy *p, const struct learnt *l, const struct found *f, const struct flow_key *k)
{
	static const struct prefix host = {{{[10] = 0xff, [11] = 0xff, 192, 168, 1, 5}}, 128};
	const struct surroundings s = {.subnet = prefix_ipv4(0x0a070000, 24),
		.gateway = 0x0a070001,
		.host = 0x0a070002,
		.host_addresses = &host,
		.host_address_count = 1};
	struct verdict v = policy_judge(p, &s, l, k, 1), w;
	char text[VERDICT_TEXT_MAX];

	assert(*verdict_format(p, k, NULL, &v, text));
	for (size_t i = 0; i <= f->line_count; i++) {
		const char *name = i < f->line_count ? f->lines[i] : NULL;

		w = policy_judge_name(p, &s, l, k, name, false, 1);
		assert(w.kind != VERDICT_INSPECT && (v.kind == VERDICT_INSPECT || v.kind == w.kind));
		assert(*verdict_format(p, k, name, &w, text));
		w = policy_judge_again(p, &s, l, k, 1, name ? learnt_fingerprint(l, name) : 0);
		assert(w.kind != VERDICT_INSPECT && (v.kind == VERDICT_INSPECT || v.kind == w.kind));
	}
}

static void try_policy(const struct found *f, enum reach reach)
{
	static const uint16_t ports[] = {22, 53, 80, 443};
	static const uint64_t seed[2] = {1, 2};
	char text[VERDICT_TEXT_MAX];
	struct learnt *l;
	struct policy p;

	assert(!policy_make(reach, f->rules, f->rule_count, &p, NULL) && !learnt_new(seed, &l, NULL));
	for (size_t i = 0; i < f->line_count; i++) {
		struct verdict v = policy_judge_question(&p, f->lines[i]);

		assert(*verdict_format_question(&p, f->lines[i], &v, text));
		for (size_t k = 0; k < f->address_count; k++)
			assert(!learnt_add(l, f->lines[i], &f->addresses[k], 1, 0, NULL));
	}
	for (size_t i = 0; i < f->address_count; i++)
		for (size_t k = 0; k < 4; k++) {
			struct flow_key key = {.remote = f->addresses[i],
				.protocol = i % 2 ? 17 : 6,
				.remote_port = ports[k]};

			try_verdicts(&p, l, f, &key);
		}
	learnt_free(l);
	policy_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy, *rest, *line;
	struct found *f;

	if (!size || size > 4096)
		return 0;
	copy = rest = malloc(size);
	f = calloc(1, sizeof *f);
	assert(copy && f);
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = 0;
	while ((line = strsep(&rest, "\n"))) {
		enum reach reach;

		if (!reach_parse(line, &reach, NULL))
			assert(reach <= REACH_ANY);
		if (!strncmp(line, "allow ", 6) || !strncmp(line, "deny ", 5))
			try_rule(f, strchr(line, ' ') + 1, *line == 'a');
		try_address(f, line);
		if (f->line_count < SOME)
			f->lines[f->line_count++] = line;
	}
	try_policy(f, (enum reach)(data[0] % 4));
	free(f);
	free(copy);
	return 0;
}
