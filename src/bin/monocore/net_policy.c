/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/json.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	const char *reach, *bandwidth;
	char **allow, **deny;
	bool clear, json;
};

static const char *const reaches[] = {"none", "local", "public", "any", "group", NULL};

static const struct option_spec options[] = {
	{"reach", 0, OPTION_CHOICE, "REACH", offsetof(struct options, reach),
		"what it may reach; local is its group", reaches},
	{"scope", 0, OPTION_CHOICE, "REACH", offsetof(struct options, reach), "as --reach", reaches,
		.hidden = true},
	{"allow", 0, OPTION_LIST, "RULE", offsetof(struct options, allow), "let it reach this, too"},
	{"deny", 0, OPTION_LIST, "RULE", offsetof(struct options, deny), "let it not reach this"},
	{"clear", 0, OPTION_FLAG, NULL, offsetof(struct options, clear),
		"forget the rules that there are first"},
	{"bandwidth", 0, OPTION_STRING, "SIZE", offsetof(struct options, bandwidth),
		"the most bytes a second in each direction, such as 10M; 0: no limit"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

void net_remark(struct cli *cli, const char *name)
{
	struct monocore_network_policy_info p;
	struct monocore_error ignored;

	if (monocore_network_policy_read(cli->mc, name, &p, &ignored) < 0)
		return;
	if (p.remark)
		complain("monocore: note: %s", p.remark);
	monocore_network_policy_free(&p);
}

static int print_json(struct cli *cli, const struct monocore_network_policy_info *p)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '{');
	json_put_key(&b, "reach");
	json_put_string(&b, p->reach);
	json_put_key(&b, "rules");
	json_put_list(&b, p->rules);
	json_put_key(&b, "bandwidth");
	json_put_number(&b, (int64_t)p->bandwidth);
	json_put_close(&b, '}');
	return output_json(cli, &b);
}

static int print(struct cli *cli, const char *name, bool json)
{
	struct monocore_network_policy_info p;
	struct monocore_error err;
	char size[32];
	int status = 0;

	if (monocore_network_policy_read(cli->mc, name, &p, &err) < 0)
		return cli_fail(cli, &err);
	if (json)
		status = print_json(cli, &p);
	else {
		printf("reach %s\n", p.reach);
		for (char **r = p.rules; *r; r++)
			printf("%s\n", *r);
		if (p.bandwidth)
			printf("bandwidth %s/s\n", text_human_size(p.bandwidth, size, sizeof size));
	}
	monocore_network_policy_free(&p);
	return output_finish() ? 1 : status;
}

static int fill(struct monocore_network_change *c, const struct options *o, struct error *err)
{
	static const char *const none[] = {NULL};

	c->reach = o->reach;
	c->add = !o->clear;
	c->allow = o->allow ? (const char *const *)o->allow : o->clear ? none : NULL;
	c->deny = o->deny ? (const char *const *)o->deny : o->clear ? none : NULL;
	c->set_bandwidth = o->bandwidth != NULL;
	return o->bandwidth ? text_parse_size(o->bandwidth, 1 << 20, "--bandwidth", &c->bandwidth, err) : 0;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_network_change change = MONOCORE_NETWORK_CHANGE_INIT;
	struct monocore_error failure;
	struct error err;

	(void)count;
	if (fill(&change, o, &err) < 0) {
		err.code = ERROR_USAGE;
		return cli_complain(cli, &err);
	}
	if (cli_open(cli) < 0)
		return 1;
	if (!change.reach && !change.allow && !change.deny && !change.set_bandwidth)
		return print(cli, words[0], o->json);
	if (monocore_network_policy(cli->mc, words[0], &change, &failure) < 0)
		return cli_fail(cli, &failure);
	net_remark(cli, words[0]);
	return 0;
}

const struct command net_policy_command = {
	.name = "policy",
	.arguments = "NAME",
	.summary = "show or change what a sandbox may reach, also while it runs",
	.help = "Without options the policy is shown. Rules are added to those that there are; with --clear "
		"they replace them. A connection that is not allowed any more is cut.\n\n"
		"RULE is TARGET[:PORT[-PORT]][/tcp|udp|icmp]; TARGET an address, a network such as "
		"10.1.0.0/16, a domain, *.domain, host.internal (this host), or * for anything. What is "
		"denied is denied, whatever else allows it.",
	.examples = "monocore net policy web --allow db.example.com:5432\n"
		    "monocore net policy web --clear --reach local",
	.options = options,
	.size = sizeof(struct options),
	.least = 1,
	.most = 1,
	.run = run,
	.words = WORDS_SANDBOX,
};
