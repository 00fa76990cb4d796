/* SPDX-License-Identifier: Apache-2.0 */
/* Components become structs: what builds and sandboxes have in common, and the project around them. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"
#include "project/scalar.h"

static bool means_something(const struct yaml_node *node)
{
	return node && !node->broken &&
	       !(node->kind == YAML_SCALAR && node->plain && scalar_kind(node->text) == SCALAR_NULL);
}

struct yaml_node *resolve_member(const struct yaml_node *node, const char *key)
{
	struct yaml_node *value = node && !node->broken ? yaml_get(node, key) : NULL;

	return means_something(value) ? value : NULL;
}

size_t resolve_count(const struct yaml_node *node)
{
	if (!means_something(node))
		return 0;
	return node->kind == YAML_SCALAR ? 1 : node->count;
}

const char *resolve_item(const struct yaml_node *node, size_t i, struct project_place *place)
{
	const struct yaml_node *item = node->kind == YAML_LIST ? node->items[i] : node;

	if (item->broken || item->kind != YAML_SCALAR)
		return NULL;
	*place = yaml_place(item, place->file);
	return item->text;
}

static char *keep_member(struct load *l, const struct yaml_node *node, const char *key)
{
	const struct yaml_node *value = resolve_member(node, key);

	return value && value->kind == YAML_SCALAR ? load_keep(l, value->text) : NULL;
}

char **resolve_words(struct load *l, const struct yaml_node *node)
{
	char **words = NULL;

	for (size_t i = 0; i < resolve_count(node); i++) {
		struct project_place place = {0};
		const char *text = resolve_item(node, i, &place);

		if (text)
			load_list_add(l, &words, text);
	}
	return words;
}

/* A mapping of names to texts. */
static struct project_pair *resolve_pairs(
	struct load *l, struct component *c, const struct yaml_node *node, size_t *count)
{
	struct project_pair *list = node && node->count ? calloc(node->count, sizeof *list) : NULL;

	*count = 0;
	if (node && node->count && !list)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	for (size_t i = 0; list && i < node->count && !l->failed; i++) {
		const struct yaml_pair *pair = &node->pairs[i];

		if (!pair->key->broken && !pair->value->broken)
			list[(*count)++] = (struct project_pair){.name = load_keep(l, pair->key->text),
				.value = load_keep(l, pair->value->text),
				.place = yaml_place(pair->key, c->file->number)};
	}
	return list;
}

static uint64_t resolve_size(const struct yaml_node *node, const char *key, uint64_t unit)
{
	const struct yaml_node *value = resolve_member(node, key);
	uint64_t bytes = 0;

	if (value)
		text_parse_size(value->text, unit, key, &bytes, NULL);
	return bytes;
}

static void resolve_rules(
	struct load *l, struct component *c, const struct yaml_node *node, bool allow, char ***list)
{
	for (size_t i = 0; i < resolve_count(node); i++) {
		struct project_place place = {.file = c->file->number};
		const char *text = resolve_item(node, i, &place);
		bool beyond = false;

		if (!text)
			continue;
		load_list_add(l, list, text);
		/* One that cannot be judged now counts as one that does. */
		if (allow && (l->in->checks->rule(text, &beyond, NULL) < 0 || beyond))
			load_reach(l, REACH_BEYOND, c, text, place);
	}
}

static void resolve_network(struct load *l, struct component *c, struct project_network *n)
{
	static const char *const words[][2] = {
		{"group", "local"}, {"off", "none"}, {"internet", "public"}, {"all", "any"}};
	const struct yaml_node *reach = resolve_member(c->node, "reach");
	const struct yaml_node *network = resolve_member(c->node, "network");
	const char *word;

	if (!reach)
		reach = resolve_member(c->node, "scope");
	word = reach ? reach->text : NULL;
	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i][0]))
			word = words[i][1];
	if (word)
		n->reach = load_keep(l, word);
	if (word && !strcmp(word, "any"))
		load_reach(l, REACH_BEYOND, c, "any", yaml_place(reach, c->file->number));
	resolve_rules(l, c, resolve_member(network, "allow"), true, &n->allow);
	resolve_rules(l, c, resolve_member(network, "deny"), false, &n->deny);
	n->bandwidth = resolve_size(network, "bandwidth", 1);
}

static void resolve_depends(struct load *l, struct component *c, struct project_common *common)
{
	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].role == ROLE_DEPENDS)
			load_list_add(l, &common->depends_on, c->references[i].to->name);
}

/* The builds among those that it depends on which export the name: "NAME", or "BUILD.NAME" as the file has
 * them. */
static size_t find_exports(const struct component *c, const char *text, const struct component **build,
	const struct yaml_pair **found)
{
	size_t n = 0;

	for (size_t i = 0; i < c->reference_count; i++) {
		const struct reference *r = &c->references[i];
		const char *name = text;
		size_t size = strlen(r->at->text);
		const struct yaml_pair *pair;

		if (r->role != ROLE_DEPENDS || r->to->part != PART_BUILD)
			continue;
		if (!strncmp(text, r->at->text, size) && text[size] == '.')
			name = text + size + 1;
		pair = yaml_pair(resolve_member(r->to->node, "exports"), name);
		if (!pair || pair->value->broken)
			continue;
		*build = r->to;
		*found = pair;
		n++;
	}
	return n;
}

static void resolve_import(
	struct load *l, struct component *c, const struct yaml_pair *pair, struct project_common *common)
{
	struct project_place place = yaml_place(pair->key, c->file->number);
	const struct component *build = NULL;
	const struct yaml_pair *export = NULL;
	size_t n = find_exports(c, pair->key->text, &build, &export);

	if (n == 1)
		common->imports[common->import_count++] =
			(struct project_import){.build = load_keep(l, build->name),
				.name = load_keep(l, export->key->text),
				.source = load_keep(l, export->value->text),
				.target = load_keep(l, pair->value->text),
				.place = place};
	else if (n)
		mistake_add(l->m, place, strlen(pair->key->text), "%zu builds export '%s'; write BUILD.%s", n,
			pair->key->text, pair->key->text);
	else
		mistake_add(l->m, place, strlen(pair->key->text), "no build in 'depends_on' exports '%s'",
			pair->key->text);
}

static void resolve_imports(struct load *l, struct component *c, struct project_common *common)
{
	const struct yaml_node *node = resolve_member(c->node, "imports");

	if (!node || !node->count)
		return;
	common->imports = calloc(node->count, sizeof *common->imports);
	if (!common->imports)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	for (size_t i = 0; i < node->count && !l->failed; i++)
		if (!node->pairs[i].key->broken && !node->pairs[i].value->broken)
			resolve_import(l, c, &node->pairs[i], common);
}

void resolve_common(struct load *l, struct component *c, struct project_common *common)
{
	const struct yaml_node *node = c->node, *cpus = resolve_member(node, "cpus");
	uint64_t number;

	common->name = load_keep(l, c->name);
	common->directory = load_keep(l, c->file->directory);
	common->place = yaml_place(c->key, c->file->number);
	resolve_image(l, c, common);
	common->memory = resolve_size(node, "ram", 1 << 20);
	common->disk = resolve_size(node, "disk", 1 << 20);
	if (cpus && scalar_number(cpus->text, &number))
		common->cpus = (uint32_t)number;
	resolve_volumes(l, c, resolve_member(node, "volumes"), common);
	resolve_depends(l, c, common);
	common->workdir = keep_member(l, node, "workdir");
	common->user = keep_member(l, node, "user");
	common->shell = keep_member(l, node, "shell");
	common->scripts = resolve_pairs(l, c, resolve_member(node, "scripts"), &common->script_count);
	common->exports = resolve_pairs(l, c, resolve_member(node, "exports"), &common->export_count);
	resolve_imports(l, c, common);
	resolve_network(l, c, &common->network);
}

static void add_meta(struct load *l, const char *name, const char *value, struct project_place place)
{
	struct project_pair *grown = realloc(l->p->meta, (l->p->meta_count + 1) * sizeof *grown);

	if (!grown) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	l->p->meta = grown;
	grown[l->p->meta_count++] = (struct project_pair){
		.name = load_keep(l, name), .value = load_keep(l, value), .place = place};
}

/* Of a list each, by the same name. */
static void resolve_meta(struct load *l, const struct yaml_node *meta)
{
	for (size_t i = 0; meta && meta->kind == YAML_MAPPING && i < meta->count; i++)
		for (size_t k = 0; k < resolve_count(meta->pairs[i].value) && !l->failed; k++) {
			struct project_place place = {0};
			const char *text = resolve_item(meta->pairs[i].value, k, &place);

			if (text)
				add_meta(l, meta->pairs[i].key->text, text, place);
		}
}

static void *room_for(struct load *l, size_t count, size_t size)
{
	void *list = calloc(count + 1, size);

	if (!list)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	return list;
}

/* The group that nobody wrote down and somebody is in. */
static void add_default_group(struct load *l)
{
	struct project *p = l->p;
	bool wanted = false;

	for (size_t i = 0; i < p->sandbox_count; i++)
		for (size_t k = 0; k < p->sandboxes[i].group_count; k++)
			wanted = wanted || (p->sandboxes[i].groups[k].group &&
						   !strcmp(p->sandboxes[i].groups[k].group, "default"));
	if (wanted && !project_group(p, "default"))
		p->groups[p->group_count++].name = load_keep(l, "default");
}

void resolve_project(struct load *l, struct file *root, const struct scope *s)
{
	struct project *p = l->p;

	p->sandboxes = room_for(l, s->count, sizeof *p->sandboxes);
	p->builds = room_for(l, s->count, sizeof *p->builds);
	p->groups = room_for(l, s->count, sizeof *p->groups);
	for (size_t i = 0; i < s->count && !l->failed; i++)
		if (s->list[i]->part == PART_GROUP)
			resolve_group(l, s->list[i], &p->groups[p->group_count++]);
	for (size_t i = 0; i < s->count && !l->failed; i++)
		if (s->list[i]->part == PART_SANDBOX)
			resolve_sandbox(l, s->list[i], &p->sandboxes[p->sandbox_count++]);
		else if (s->list[i]->part == PART_BUILD)
			resolve_build(l, s->list[i], &p->builds[p->build_count++]);
	if (!l->failed)
		resolve_checks(l);
	if (!l->failed)
		add_default_group(l);
	if (!l->failed)
		resolve_meta(l, resolve_member(root->root, "meta"));
}
