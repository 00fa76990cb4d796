/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes, builds and groups have each for itself. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"
#include "project/scalar.h"

#define SECONDS (1000000000ull)

static uint64_t resolve_duration(const struct yaml_node *node, const char *key, uint64_t fallback)
{
	const struct yaml_node *value = resolve_member(node, key);

	if (value)
		text_parse_duration(value->text, key, &fallback, NULL);
	return fallback;
}

/* A list as it is; a text is what a shell runs. */
static char **resolve_command(struct load *l, const struct yaml_node *node)
{
	char **words = NULL;

	if (node && node->kind == YAML_SCALAR) {
		load_list_add(l, &words, "/bin/sh");
		load_list_add(l, &words, "-c");
	}
	if (node && node->kind == YAML_LIST)
		return resolve_words(l, node);
	if (node)
		load_list_add(l, &words, node->text);
	return words;
}

static void resolve_healthcheck(struct load *l, struct component *c, struct project_healthcheck *h)
{
	const struct yaml_node *node = resolve_member(c->node, "healthcheck");
	const struct yaml_node *exec = resolve_member(node, "exec"),
			       *retries = resolve_member(node, "retries");
	const struct yaml_node *disable = resolve_member(node, "disable");
	uint64_t number = 3;

	h->interval = resolve_duration(node, "interval", 30 * SECONDS);
	h->timeout = resolve_duration(node, "timeout", 30 * SECONDS);
	h->start_period = resolve_duration(node, "start_period", 0);
	if (retries)
		scalar_number(retries->text, &number);
	h->retries = (uint32_t)number;
	if (disable)
		scalar_bool(disable->text, &h->disabled);
	h->command = resolve_command(l, exec);
	if (exec && exec->kind == YAML_LIST && !exec->count)
		mistake_add(l->m, yaml_place(exec, c->file->number), 1,
			"'exec': expected a command, got an empty list");
	if (exec && h->disabled)
		mistake_add(l->m, yaml_place(disable, c->file->number), 4,
			"'disable' and 'exec' cannot stand together");
}

static void resolve_restart(struct component *c, struct project_sandbox *s)
{
	static const char *const words[] = {"no", "on-failure", "always", "unless-stopped"};
	const struct yaml_node *node = resolve_member(c->node, "restart");
	uint64_t times = 0;

	for (size_t i = 0; node && i < ARRAY_SIZE(words); i++)
		if (!strcmp(node->text, words[i]))
			s->restart = (enum project_restart)i;
	if (node && text_starts(node->text, "on-failure:")) {
		text_parse_u64(node->text + 11, UINT32_MAX, "restart", &times, NULL);
		s->restart = RESTART_ON_FAILURE;
		s->restart_most = (uint32_t)times;
	}
}

static void resolve_ports(struct load *l, struct component *c, struct project_common *common)
{
	const struct yaml_node *node = resolve_member(c->node, "ports");

	for (size_t i = 0; i < resolve_count(node) && !l->failed; i++) {
		struct project_place place = {.file = c->file->number};
		const char *text = resolve_item(node, i, &place);

		if (!text)
			continue;
		load_list_add(l, &common->ports, text);
		if (c->part == PART_SANDBOX)
			resolve_port(l, c, text, place);
	}
}

static void resolve_labels(struct load *l, struct component *c, struct project_sandbox *s)
{
	const struct yaml_node *node = resolve_member(c->node, "labels");
	struct env e = {0};

	resolve_env(l, c, node, &e);
	for (size_t i = 0; i < e.count; i++)
		load_list_add(l, &s->labels, e.list[i]);
	env_free(&e);
}

/* PATH[:OPTIONS] of a volume that the group has. */
static void resolve_mount(struct load *l, struct component *c, const struct component *group,
	const struct yaml_pair *pair, struct project_membership *m)
{
	const struct yaml_node *volumes = group ? resolve_member(group->node, "volumes") : NULL;
	const struct yaml_node *source = resolve_member(volumes, pair->key->text);
	struct project_place place = yaml_place(pair->key, c->file->number);
	const char *options = strchr(pair->value->text, ':');
	struct project_volume v = {.place = place};
	struct component at = {.part = c->part, .name = c->name, .file = group ? group->file : c->file};

	if (!source) {
		mistake_add(l->m, place, strlen(pair->key->text), "the group '%s' has no volume '%s'",
			m->group, pair->key->text);
		return;
	}
	v.target = text_copy_bytes(pair->value->text,
		options ? (size_t)(options - pair->value->text) : strlen(pair->value->text), l->err);
	if (!v.target)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	v.options = load_keep(l, options ? options + 1 : "");
	resolve_source(l, &at, source->text, options ? options + 1 : "", &v);
	m->volumes[m->volume_count++] = v;
}

static void resolve_membership(struct load *l, struct component *c, const struct component *group,
	const struct yaml_node *node, struct project_membership *m)
{
	const struct yaml_node *network = resolve_member(node, "network"),
			       *volumes = resolve_member(node, "volumes");
	const struct yaml_node *ip = resolve_member(network, "ip"),
			       *hostname = resolve_member(network, "hostname");
	const struct yaml_node *subnet =
		group ? resolve_member(resolve_member(group->node, "network"), "subnet") : NULL;
	struct error err;

	if (ip && l->in->checks->address(subnet ? subnet->text : NULL, ip->text, &err) < 0)
		mistake_add(l->m, yaml_place(ip, c->file->number), strlen(ip->text), "'ip': %s", err.text);
	m->ip = ip ? load_keep(l, ip->text) : NULL;
	m->hostname = hostname ? load_keep(l, hostname->text) : NULL;
	if (!volumes || !volumes->count)
		return;
	m->volumes = calloc(volumes->count, sizeof *m->volumes);
	if (!m->volumes)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	for (size_t i = 0; i < volumes->count && !l->failed; i++)
		if (!volumes->pairs[i].key->broken && !volumes->pairs[i].value->broken)
			resolve_mount(l, c, group, &volumes->pairs[i], m);
}

static const struct component *group_at(const struct component *c, const struct yaml_node *at)
{
	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].role == ROLE_GROUP && c->references[i].at == at)
			return c->references[i].to;
	return NULL;
}

static void resolve_groups(struct load *l, struct component *c, struct project_sandbox *s)
{
	const struct yaml_node *node = resolve_member(c->node, "groups");
	size_t count = node ? node->count : 0;

	s->groups = calloc(count + 1, sizeof *s->groups);
	if (!s->groups) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	for (size_t i = 0; i < count && !l->failed; i++) {
		bool list = node->kind == YAML_LIST;
		const struct yaml_node *at = list ? node->items[i] : node->pairs[i].key;
		const struct component *group = group_at(c, at);
		struct project_membership *m = &s->groups[s->group_count];

		if (at->broken || (!group && strcmp(at->text, "default")))
			continue;
		s->group_count++;
		m->group = load_keep(l, group ? group->name : "default");
		m->place = yaml_place(at, c->file->number);
		if (!list && m->group)
			resolve_membership(l, c, group, node->pairs[i].value, m);
	}
	if (!s->group_count) {
		s->groups[s->group_count++] = (struct project_membership){
			.group = load_keep(l, "default"), .place = yaml_place(c->key, c->file->number)};
	}
}

/* The groups' variables, then those of files, then its own. */
static void resolve_environment(struct load *l, struct component *c, struct project_common *common)
{
	struct env e = {0};

	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].role == ROLE_GROUP)
			resolve_env(l, c->references[i].to, resolve_member(c->references[i].to->node, "envs"),
				&e);
	resolve_env_files(l, c, resolve_member(c->node, "env_file"), &e);
	resolve_env(l, c, resolve_member(c->node, "envs"), &e);
	common->env = env_take(&e);
}

void resolve_sandbox(struct load *l, struct component *c, struct project_sandbox *s)
{
	resolve_common(l, c, &s->common);
	resolve_environment(l, c, &s->common);
	resolve_ports(l, c, &s->common);
	resolve_groups(l, c, s);
	resolve_restart(c, s);
	resolve_healthcheck(l, c, &s->healthcheck);
	resolve_labels(l, c, s);
}

void resolve_build(struct load *l, struct component *c, struct project_build *b)
{
	resolve_common(l, c, &b->common);
	resolve_environment(l, c, &b->common);
	resolve_ports(l, c, &b->common);
	resolve_healthcheck(l, c, &b->healthcheck);
	resolve_steps(l, c, b);
}

void resolve_group(struct load *l, struct component *c, struct project_group *g)
{
	const struct yaml_node *subnet = resolve_member(resolve_member(c->node, "network"), "subnet");
	const struct yaml_node *volumes = resolve_member(c->node, "volumes");
	struct env e = {0};

	g->name = load_keep(l, c->name);
	g->place = yaml_place(c->key, c->file->number);
	g->subnet = subnet ? load_keep(l, subnet->text) : NULL;
	resolve_env(l, c, resolve_member(c->node, "envs"), &e);
	g->env = env_take(&e);
	g->volumes = calloc((volumes ? volumes->count : 0) + 1, sizeof *g->volumes);
	if (!g->volumes)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	for (size_t i = 0; volumes && i < volumes->count && !l->failed; i++) {
		const struct yaml_pair *pair = &volumes->pairs[i];
		struct project_volume *v = &g->volumes[g->volume_count];

		if (pair->key->broken || pair->value->broken)
			continue;
		v->place = yaml_place(pair->value, c->file->number);
		v->target = load_keep(l, pair->key->text);
		v->options = load_keep(l, "");
		resolve_source(l, c, pair->value->text, "", v);
		g->volume_count++;
	}
}
