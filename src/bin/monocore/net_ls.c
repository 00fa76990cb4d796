/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "bin/cli/json.h"
#include "bin/cli/table.h"
#include "bin/monocore/nets.h"
#include "bin/monocore/output.h"

struct options {
	bool all, json;
};

static const struct option_spec options[] = {
	{"all", 'a', OPTION_FLAG, NULL, offsetof(struct options, all),
		"networks of sandboxes that are in no group as well"},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

static bool is_asked_for(const struct options *o, const struct monocore_network_info *n)
{
	return o->all || !n->alone;
}

static void write_row(struct table *t, const struct monocore_network_info *n)
{
	_cleanup_buffer_ struct buffer members = {0};

	for (size_t i = 0; n->sandboxes && n->sandboxes[i]; i++)
		buffer_format(&members, "%s%s (%s)", i ? ", " : "", n->sandboxes[i], n->addresses[i]);
	buffer_u8(&members, 0);
	table_row(t);
	table_cell(t, 0, n->alone ? "-" : n->group, 0, COLOUR_NONE);
	table_cell(t, 1, n->subnet, 0, COLOUR_NONE);
	table_cell(t, 2, n->up ? "up" : "down", 0, n->up ? COLOUR_GREEN : COLOUR_DIM);
	table_cell(t, 3, members.failed ? "?" : (const char *)members.data, 0, COLOUR_NONE);
}

static int print_table(
	struct cli *cli, const struct monocore_network_info *list, size_t count, const struct options *o)
{
	static const char *const titles[] = {"GROUP", "NETWORK", "STATE", "SANDBOXES"};
	struct table t = {.columns = ARRAY_SIZE(titles)};

	table_titles(&t, titles);
	for (size_t i = 0; i < count; i++)
		if (is_asked_for(o, &list[i]))
			write_row(&t, &list[i]);
	return output_table(cli, &t);
}

static void put(struct buffer *b, const struct monocore_network_info *n)
{
	json_put_open(b, '{');
	json_put_key(b, "group");
	json_put_string(b, n->group);
	json_put_key(b, "network");
	json_put_string(b, n->subnet);
	json_put_key(b, "up");
	json_put_bool(b, n->up);
	json_put_key(b, "alone");
	json_put_bool(b, n->alone);
	json_put_key(b, "sandboxes");
	json_put_open(b, '[');
	for (size_t i = 0; n->sandboxes && n->sandboxes[i]; i++) {
		json_put_open(b, '{');
		json_put_key(b, "name");
		json_put_string(b, n->sandboxes[i]);
		json_put_key(b, "address");
		json_put_string(b, n->addresses[i]);
		json_put_close(b, '}');
	}
	json_put_close(b, ']');
	json_put_close(b, '}');
}

static int print_json(
	struct cli *cli, const struct monocore_network_info *list, size_t count, const struct options *o)
{
	_cleanup_buffer_ struct buffer b = {0};

	json_put_open(&b, '[');
	for (size_t i = 0; i < count; i++)
		if (is_asked_for(o, &list[i]))
			put(&b, &list[i]);
	json_put_close(&b, ']');
	return output_json(cli, &b);
}

static int print_names(const struct monocore_network_info *list, size_t count, const struct options *o)
{
	for (size_t i = 0; i < count; i++)
		if (is_asked_for(o, &list[i]))
			printf("%s\n", list[i].group);
	return output_finish();
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_network_info *list;
	struct monocore_error err;
	size_t size;
	int status;

	(void)count;
	(void)words;
	if (cli_open(cli) < 0)
		return 1;
	if (monocore_networks(cli->mc, &list, &size, &err) < 0)
		return cli_fail(cli, &err);
	if (o->json)
		status = print_json(cli, list, size, o);
	else
		status = cli->global.quiet ? print_names(list, size, o) : print_table(cli, list, size, o);
	monocore_networks_free(list, size);
	return status;
}

const struct command net_ls_command = {
	.name = "ls",
	.summary = "list groups with their networks and the sandboxes in them",
	.help = "A group is there as long as a sandbox, running or not, is in it, and keeps its network.",
	.examples = "monocore net ls --json",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
};
