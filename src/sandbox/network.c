/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/network.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "net/control.h"
#include "net/groups.h"
#include "sandbox/json_file.h"

#define NETWORK_FILE    "network.json"
#define NETWORK_VERSION 1
#define BANDWIDTH_MIN   1024 /* bytes a second */

void network_free(struct network *n)
{
	for (uint32_t i = 0; i < n->group_count; i++)
		free(n->groups[i].name);
	text_list_free(n->aliases);
	text_list_free(n->rules);
	free(n->ports);
	free(n->published);
	*n = (struct network){0};
}

bool network_is_own(const struct network *n, const char *id)
{
	return n->group_count == 1 && !strcmp(n->groups[0].name, id);
}

/* ---- wishes ------------------------------------------------------------------------------------------- */

static int parse_ipv4(const char *text, const char *what, uint32_t *address, struct error *err)
{
	struct address a;
	int r = address_parse(text, &a, err);

	if (r < 0)
		return error_prefix(err, "%s", what);
	if (!address_is_ipv4(&a))
		return error_set(err, ERROR_INVALID, "%s '%s': groups have addresses of IPv4", what, text);
	*address = address_ipv4(&a);
	return 0;
}

static int add_group(struct network *n, const char *text, struct error *err)
{
	const char *colon = strchr(text, ':');
	struct network_group *g = &n->groups[n->group_count];
	int r = 0;

	if (n->group_count == NETWORK_GROUPS_MAX)
		return error_set(err, ERROR_LIMIT, "a sandbox is in %d groups at most", NETWORK_GROUPS_MAX);
	g->name = text_copy_bytes(text, colon ? (size_t)(colon - text) : strlen(text), err);
	if (!g->name)
		return -ERROR_NO_MEMORY;
	n->group_count++;
	if (colon)
		r = parse_ipv4(colon + 1, "the address in a group", &g->address, err);
	if (r == 0)
		r = net_group_check(g->name, err);
	for (uint32_t i = 0; r == 0 && i + 1 < n->group_count; i++)
		if (!strcmp(n->groups[i].name, g->name))
			r = error_set(err, ERROR_INVALID, "group '%s' is named twice", g->name);
	return r;
}

static int set_subnet(struct network_group *g, const char *text, struct error *err)
{
	int r = prefix_parse(text, &g->subnet, err);

	g->subnet_fixed = true;
	if (r < 0)
		error_prefix(err, "the subnet");
	else if (!prefix_is_ipv4(&g->subnet))
		r = error_set(err, ERROR_INVALID, "subnet '%s': groups have networks of IPv4", text);
	return r;
}

static int set_groups(struct network *n, const struct network_wishes *w, const char *own, struct error *err)
{
	int r = 0;

	for (const char *const *g = w->groups; r == 0 && g && *g; g++)
		r = add_group(n, *g, err);
	if (r == 0 && !n->group_count)
		r = add_group(n, own, err);
	if (r == 0 && w->ip && n->groups[0].address)
		r = error_set(
			err, ERROR_USAGE, "the address in group '%s' is given twice", n->groups[0].name);
	if (r == 0 && w->ip)
		r = parse_ipv4(w->ip, "the address", &n->groups[0].address, err);
	for (uint32_t i = 0; r == 0 && i < n->group_count && w->subnets && w->subnets[i]; i++)
		r = *w->subnets[i] ? set_subnet(&n->groups[i], w->subnets[i], err) : 0;
	return r == 0 && w->subnet ? set_subnet(&n->groups[0], w->subnet, err) : r;
}

/* A label, or several with dots between them (RFC 1123). */
static bool is_alias(const char *text)
{
	static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	size_t n = strlen(text);

	if (!n || n > NET_NAME_MAX)
		return false;
	for (const char *p = text; *p;) {
		size_t label = strspn(p, inner);

		if (!label || label > 63 || p[0] == '-' || p[label - 1] == '-')
			return false;
		p += label;
		if (*p && (*p != '.' || !*++p))
			return false;
	}
	return true;
}

static int set_aliases(struct network *n, const char *const *aliases, struct error *err)
{
	for (const char *const *a = aliases; a && *a; a++) {
		if (!is_alias(*a))
			return error_set(err, ERROR_INVALID,
				"'%s' is no name: letters, digits, '-' and '_', with dots between", *a);
		if (text_list_add(&n->aliases, *a, err) < 0)
			return -ERROR_NO_MEMORY;
	}
	if (text_list_size(n->aliases) > NET_ALIASES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d aliases", NET_ALIASES_MAX);
	return 0;
}

static int add_rule(char ***rules, const char *text, bool allow, struct error *err)
{
	char canonical[RULE_TEXT_MAX];
	_cleanup_free_ char *line = NULL;
	struct rule rule;
	int r = rule_parse(text, allow, &rule, err);

	if (r < 0)
		return r;
	line = text_format(err, "%s %s", allow ? "allow" : "deny", rule_format(&rule, canonical));
	return line ? text_list_add(rules, line, err) : -ERROR_NO_MEMORY;
}

static bool is_allow(const char *rule)
{
	return text_starts(rule, "allow ");
}

/* Those of a kind: those that are there, unless `wished` replaces them, and behind them `wished`. */
static int add_rules(char ***to, const struct network *n, const char *const *wished, bool allow, bool add,
	struct error *err)
{
	int r = 0;

	for (char **t = n->rules; r == 0 && (add || !wished) && t && *t; t++)
		if (is_allow(*t) == allow)
			r = text_list_add(to, *t, err);
	for (const char *const *t = wished; r == 0 && t && *t; t++)
		r = add_rule(to, *t, allow, err);
	return r;
}

int network_set_rules(
	struct network *n, const char *const *allow, const char *const *deny, bool add, struct error *err)
{
	_cleanup_text_list_ char **rules = NULL;
	char **old;
	int r = add_rules(&rules, n, allow, true, add, err);

	if (r == 0)
		r = add_rules(&rules, n, deny, false, add, err);
	if (r == 0 && text_list_size(rules) > POLICY_RULES_MAX)
		r = error_set(err, ERROR_LIMIT, "more than %d rules", POLICY_RULES_MAX);
	if (r < 0)
		return r;
	old = n->rules;
	n->rules = rules;
	rules = old;
	return 0;
}

int network_check_rules(char *const *rules, struct error *err)
{
	struct rule rule;
	int r = 0;

	if (text_list_size(rules) > POLICY_RULES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d rules", POLICY_RULES_MAX);
	for (char *const *t = rules; r == 0 && t && *t; t++)
		r = rule_parse_line(*t, &rule, err);
	return r;
}

static int check_ports(const struct network *n, struct error *err)
{
	char text[PORT_TEXT_MAX];

	for (size_t i = 0; i < n->port_count; i++)
		for (size_t j = 0; j < i; j++)
			if (port_conflicts(&n->ports[i], &n->ports[j]))
				return error_set(err, ERROR_INVALID,
					"port %s: the host's port is named twice",
					port_format(&n->ports[i], text));
	return 0;
}

static int set_ports(struct network *n, const char *const *ports, struct error *err)
{
	int r = 0;

	for (const char *const *p = ports; r == 0 && p && *p; p++)
		r = ports_parse(*p, &n->ports, &n->port_count, err);
	return r == 0 ? check_ports(n, err) : r;
}

int network_set_bandwidth(struct network *n, uint64_t bandwidth, struct error *err)
{
	if (bandwidth && bandwidth < BANDWIDTH_MIN)
		return error_set(err, ERROR_INVALID, "bandwidth: at least 1K a second");
	n->bandwidth = bandwidth;
	return 0;
}

static int fill(struct network *n, const struct network_wishes *w, const char *own, struct error *err)
{
	int r = set_groups(n, w, own, err);

	n->reach = REACH_PUBLIC;
	if (r == 0)
		r = network_set_bandwidth(n, w->bandwidth, err);
	if (r == 0)
		r = set_aliases(n, w->aliases, err);
	if (r == 0 && w->reach)
		r = reach_parse(w->reach, &n->reach, err);
	if (r == 0)
		r = network_set_rules(n, w->allow, w->deny, false, err);
	if (r == 0)
		r = set_ports(n, w->ports, err);
	return r;
}

int network_make(const struct network_wishes *w, const char *own, struct network *n, struct error *err)
{
	int r;

	*n = (struct network){0};
	r = fill(n, w, own, err);
	if (r < 0)
		network_free(n);
	return r;
}

int network_remark(const struct network *n, char **remark, struct error *err)
{
	struct policy policy;
	int r = policy_parse(n->reach, n->rules, &policy, err);

	*remark = NULL;
	if (r == 0 && policy_remark(&policy))
		*remark = text_copy(policy_remark(&policy), err);
	policy_free(&policy);
	return r;
}

/* ---- ports, later ------------------------------------------------------------------------------------- */

static int append(struct port **list, size_t *count, const struct port *more, size_t n, struct error *err)
{
	struct port *all = realloc(*list, (*count + n + 1) * sizeof *all);

	if (!all)
		return error_no_memory(err, "add ports");
	memcpy(all + *count, more, n * sizeof *more);
	*list = all;
	*count += n;
	return 0;
}

int network_append_ports(struct network *n, const struct port *asked, const struct port *published,
	size_t count, struct error *err)
{
	int r = append(&n->ports, &n->port_count, asked, count, err);

	return r == 0 ? append(&n->published, &n->published_count, published, count, err) : r;
}

int network_add_ports(struct network *n, const struct port *ports, size_t count, struct error *err)
{
	int r;

	if (count > PORTS_MAX - n->port_count)
		return error_set(err, ERROR_LIMIT, "a sandbox has %d ports at most", PORTS_MAX);
	r = append(&n->ports, &n->port_count, ports, count, err);
	n->published_count = 0;
	return r == 0 ? check_ports(n, err) : r;
}

static bool is_same(const struct port *a, const struct port *b)
{
	return a->host == b->host && a->guest == b->guest && a->protocol == b->protocol &&
	       a->proxy == b->proxy && address_equal(&a->address, &b->address);
}

static void remove_at(struct port *list, size_t *count, size_t i)
{
	memmove(list + i, list + i + 1, (*count - i - 1) * sizeof *list);
	(*count)--;
}

/* What was asked for and what came of it stand in the same places of two lists. */
static void remove_one(struct network *n, const struct port *p)
{
	for (size_t i = 0; i < n->published_count; i++)
		if (is_same(&n->published[i], p)) {
			remove_at(n->published, &n->published_count, i);
			remove_at(n->ports, &n->port_count, i);
			return;
		}
	for (size_t i = 0; i < n->port_count; i++)
		if (is_same(&n->ports[i], p)) {
			remove_at(n->ports, &n->port_count, i);
			return;
		}
}

void network_remove_ports(struct network *n, const struct port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++)
		remove_one(n, &ports[i]);
}

/* ---- network.json ------------------------------------------------------------------------------------- */

static json_t *texts_to_json(char *const *list)
{
	json_t *json = json_array();

	for (char *const *t = list; json && t && *t; t++)
		json_array_append_new(json, json_string(*t));
	return json;
}

static json_t *ports_to_json(const struct port *ports, size_t count)
{
	char text[PORT_TEXT_MAX];
	json_t *json = json_array();

	for (size_t i = 0; json && i < count; i++)
		json_array_append_new(json, json_string(port_format(&ports[i], text)));
	return json;
}

static json_t *groups_to_json(const struct network *n)
{
	json_t *json = json_array();

	for (uint32_t i = 0; json && i < n->group_count; i++) {
		char subnet[PREFIX_TEXT_MAX], address[ADDRESS_TEXT_MAX];

		json_array_append_new(json, json_pack("{s:s, s:s, s:s}", "name", n->groups[i].name, "subnet",
						    prefix_format(&n->groups[i].subnet, subnet), "address",
						    address_format_ipv4(n->groups[i].address, address)));
	}
	return json;
}

json_t *network_describe(const struct network *n)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:I}", "groups", groups_to_json(n), "aliases",
		texts_to_json(n->aliases), "reach", reach_name(n->reach), "rules", texts_to_json(n->rules),
		"ports", ports_to_json(n->ports, n->port_count), "published",
		ports_to_json(n->published, n->published_count), "bandwidth", (json_int_t)n->bandwidth);
}

int network_write(int fd, const struct network *n, bool durable, struct error *err)
{
	_cleanup_json_ json_t *json = network_describe(n);

	if (!json || json_object_set_new(json, "version", json_integer(NETWORK_VERSION)) < 0)
		return error_no_memory(err, "write " NETWORK_FILE);
	return json_file_write(fd, NETWORK_FILE, json, durable, err);
}

static int texts_from_json(const json_t *json, char ***list, struct error *err)
{
	for (size_t i = 0; i < json_array_size(json); i++) {
		const char *text = json_string_value(json_array_get(json, i));

		if (!text)
			return error_set(err, ERROR_CORRUPT, "a text expected");
		if (text_list_add(list, text, err) < 0)
			return -ERROR_NO_MEMORY;
	}
	return 0;
}

static int ports_from_json(const json_t *json, struct port **ports, size_t *count, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(json); i++) {
		const char *text = json_string_value(json_array_get(json, i));

		r = text ? ports_parse(text, ports, count, err)
			 : error_set(err, ERROR_CORRUPT, "a port expected");
	}
	return r;
}

static int group_from_json(json_t *json, struct network *n, struct error *err)
{
	struct network_group *g = &n->groups[n->group_count];
	const char *name, *subnet, *address;
	int r;

	if (n->group_count == NETWORK_GROUPS_MAX || json_unpack(json, "{s:s, s:s, s:s}", "name", &name,
							    "subnet", &subnet, "address", &address) < 0)
		return error_set(err, ERROR_CORRUPT, "a malformed group");
	g->name = text_copy(name, err);
	if (!g->name)
		return -ERROR_NO_MEMORY;
	n->group_count++;
	r = net_group_check(name, err);
	if (r == 0)
		r = prefix_parse(subnet, &g->subnet, err);
	return r < 0 ? r : parse_ipv4(address, "address", &g->address, err);
}

static int from_json(const json_t *json, struct network *n, struct error *err)
{
	const json_t *groups = json_object_get(json, "groups"),
		     *bandwidth = json_object_get(json, "bandwidth");
	const char *reach = json_string_value(json_object_get(json, "reach"));
	int r = reach_parse(reach ? reach : "", &n->reach, err);

	if (json_integer_value(json_object_get(json, "version")) != NETWORK_VERSION)
		return error_set(err, ERROR_CORRUPT, "another version");
	for (size_t i = 0; r == 0 && i < json_array_size(groups); i++)
		r = group_from_json(json_array_get(groups, i), n, err);
	if (r == 0 && !n->group_count)
		r = error_set(err, ERROR_CORRUPT, "no group");
	if (r == 0)
		r = texts_from_json(json_object_get(json, "aliases"), &n->aliases, err);
	if (r == 0)
		r = texts_from_json(json_object_get(json, "rules"), &n->rules, err);
	if (r == 0)
		r = network_check_rules(n->rules, err);
	if (r == 0)
		r = ports_from_json(json_object_get(json, "ports"), &n->ports, &n->port_count, err);
	if (r == 0)
		r = ports_from_json(
			json_object_get(json, "published"), &n->published, &n->published_count, err);
	if (r == 0 && n->published_count && n->published_count != n->port_count)
		r = error_set(err, ERROR_CORRUPT, "ports that were not asked for are published");
	n->bandwidth = json_integer_value(bandwidth) > 0 ? (uint64_t)json_integer_value(bandwidth) : 0;
	return r;
}

int network_read(int fd, struct network *n, struct error *err)
{
	_cleanup_json_ json_t *json = NULL;
	int r = json_file_read(fd, NETWORK_FILE, &json, err);

	*n = (struct network){0};
	if (r < 0)
		return r;
	r = from_json(json, n, err);
	if (r < 0) {
		network_free(n);
		error_prefix(err, NETWORK_FILE);
		r = -ERROR_CORRUPT;
	}
	return r;
}
