/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names mean in a file: its own components, and those that its modules bring in. A module is read the
 * same way first, so that every component it has carries a name there; those that are listed get the name
 * after `as`, those that they need and that are not listed come along as NAME.THEIRS.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"

#define NEAR_MAX 256 /* names that a wrong one is compared with */

static const char *const sections[] = {"sandboxes", "builds", "groups"};
static const char *const part_names[] = {"sandbox", "build", "group"};

void load_free_scope(struct scope *s)
{
	for (size_t i = 0; i < PART_COUNT; i++)
		map_free(&s->names[i]);
	free(s->list);
	*s = (struct scope){0};
}

void load_free_components(struct load *l)
{
	while (l->components) {
		struct component *c = l->components;

		l->components = c->next;
		free(c->name);
		free(c->lifted);
		free(c->references);
		free(c);
	}
}

static struct component *find(const struct scope *s, enum part part, const char *name)
{
	return map_get(&s->names[part], name, strlen(name));
}

static struct project_place place_of(const struct component *c)
{
	return yaml_place(c->key, c->file->number);
}

/* Under the name that it has; of two with one name the first stays. */
static void add(struct load *l, struct scope *s, struct component *c, struct project_place place)
{
	struct component *there = find(s, c->part, c->name);
	struct component **grown;

	if (there) {
		mistake_add(l->m, place, strlen(c->name),
			"two %s are called '%s' here; the first is in line %u of %s", sections[c->part],
			c->name, there->key->line, l->p->files[there->file->number]);
		return;
	}
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		grown = realloc(s->list, s->room * sizeof(struct component *));
		if (!grown) {
			load_fail(l, -ERROR_NO_MEMORY, "read the project");
			return;
		}
		s->list = grown;
	}
	s->list[s->count++] = c;
	if (map_set(&s->names[c->part], c->name, strlen(c->name), c, NULL, l->err) < 0)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
}

static void add_own(struct load *l, struct file *file, struct scope *s, enum part part)
{
	struct yaml_node *section = resolve_member(file->root, sections[part]);

	for (size_t i = 0; section && section->kind == YAML_MAPPING && i < section->count; i++) {
		struct yaml_pair *pair = &section->pairs[i];
		struct component *c;

		if (l->failed || pair->key->broken || pair->value->broken)
			continue;
		if (++l->part_count > PROJECT_PARTS_MAX) {
			load_fail(l, -ERROR_LIMIT, "the project has too many components");
			return;
		}
		c = calloc(1, sizeof *c);
		if (!c || !(c->name = text_copy(pair->key->text, l->err))) {
			free(c);
			load_fail(l, -ERROR_NO_MEMORY, "read the project");
			return;
		}
		c->part = part;
		c->key = pair->key;
		c->node = pair->value;
		c->file = file;
		c->next = l->components;
		l->components = c;
		add(l, s, c, place_of(c));
	}
}

static const char *nearest(const struct scope *s, enum part first, enum part last, const char *name)
{
	const char *names[NEAR_MAX + 1] = {NULL};
	size_t n = 0;

	for (size_t i = 0; i < s->count && n < NEAR_MAX; i++)
		if (s->list[i]->part == first || s->list[i]->part == last)
			names[n++] = s->list[i]->name;
	return text_nearest(name, names);
}

static void refer(
	struct load *l, struct component *c, const struct yaml_node *at, struct component *to, enum role role)
{
	struct reference *grown;

	for (size_t i = 0; i < c->reference_count; i++)
		if (c->references[i].to == to && c->references[i].role == role && role != ROLE_FROM) {
			mistake_add(l->m, yaml_place(at, c->file->number), strlen(at->text),
				"'%s' stands here twice", at->text);
			return;
		}
	grown = realloc(c->references, (c->reference_count + 1) * sizeof *grown);
	if (!grown) {
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
		return;
	}
	c->references = grown;
	grown[c->reference_count++] = (struct reference){at, to, role};
}

static void no_such(struct load *l, const struct scope *s, struct component *c, const struct yaml_node *at,
	enum part first, enum part last)
{
	const char *name = at->text, *near = nearest(s, first, last, name);
	const char *what = first == last ? part_names[first] : "sandbox or build";

	if (near)
		mistake_add(l->m, yaml_place(at, c->file->number), strlen(name),
			"there is no %s '%s'; did you mean '%s'?", what, name, near);
	else
		mistake_add(l->m, yaml_place(at, c->file->number), strlen(name), "there is no %s '%s'", what,
			name);
}

static void refer_depends(
	struct load *l, const struct scope *s, struct component *c, const struct yaml_node *at)
{
	struct component *to = c->part == PART_SANDBOX ? find(s, PART_SANDBOX, at->text) : NULL;
	enum part first = c->part == PART_SANDBOX ? PART_SANDBOX : PART_BUILD;

	if (!to)
		to = find(s, PART_BUILD, at->text);
	if (to == c)
		mistake_add(l->m, yaml_place(at, c->file->number), strlen(at->text), "'%s' depends on itself",
			at->text);
	else if (to)
		refer(l, c, at, to, ROLE_DEPENDS);
	else
		no_such(l, s, c, at, first, PART_BUILD);
}

static void refer_group(
	struct load *l, const struct scope *s, struct component *c, const struct yaml_node *at)
{
	struct component *to = find(s, PART_GROUP, at->text);

	if (to)
		refer(l, c, at, to, ROLE_GROUP);
	else if (strcmp(at->text, "default"))
		no_such(l, s, c, at, PART_GROUP, PART_GROUP);
}

static void refer_lists(struct load *l, const struct scope *s, struct component *c)
{
	const struct yaml_node *depends = resolve_member(c->node, "depends_on");
	const struct yaml_node *groups = c->part == PART_SANDBOX ? resolve_member(c->node, "groups") : NULL;

	if (depends && depends->kind == YAML_SCALAR)
		refer_depends(l, s, c, depends);
	for (size_t i = 0; depends && depends->kind == YAML_LIST && i < depends->count; i++)
		if (!depends->items[i]->broken)
			refer_depends(l, s, c, depends->items[i]);
	for (size_t i = 0; groups && i < groups->count; i++) {
		const struct yaml_node *at =
			groups->kind == YAML_LIST ? groups->items[i] : groups->pairs[i].key;

		if (!at->broken)
			refer_group(l, s, c, at);
	}
}

static void find_references(struct load *l, const struct scope *s, struct component *c)
{
	const struct yaml_node *image = resolve_member(c->node, "image");
	const struct yaml_node *steps = resolve_member(c->node, "steps");
	struct component *to;

	if (image && (to = find(s, PART_BUILD, image->text)) && to != c)
		refer(l, c, image, to, ROLE_IMAGE);
	refer_lists(l, s, c);
	for (size_t i = 0; c->part == PART_BUILD && steps && i < steps->count; i++) {
		const struct yaml_node *from = resolve_member(steps->items[i], "from");

		if (!from)
			continue;
		to = find(s, PART_BUILD, from->text);
		if (to && to != c)
			refer(l, c, from, to, ROLE_FROM);
		else
			no_such(l, s, c, from, PART_BUILD, PART_BUILD);
	}
}

/* One component of a module, by its name there; all kinds that have the name are brought in. */
static void select_part(struct load *l, const struct file *file, struct scope *theirs, const char *module,
	const struct yaml_node *at, const char *as)
{
	bool found = false;
	const char *near;

	for (enum part part = 0; part < PART_COUNT; part++) {
		struct component *c = find(theirs, part, at->text);

		if (!c)
			continue;
		found = true;
		if (c->lifted)
			mistake_add(l->m, yaml_place(at, file->number), strlen(at->text),
				"'%s' of %s is brought in twice", at->text, module);
		else if (!(c->lifted = text_copy(as, l->err)))
			load_fail(l, -ERROR_NO_MEMORY, "read the project");
	}
	if (found)
		return;
	near = nearest(theirs, PART_SANDBOX, PART_BUILD, at->text);
	if (!near)
		near = nearest(theirs, PART_GROUP, PART_GROUP, at->text);
	mistake_add(l->m, yaml_place(at, file->number), strlen(at->text), "%s has no '%s'%s%s%s", module,
		at->text, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void select_parts(struct load *l, const struct file *file, struct scope *theirs, const char *module,
	const struct yaml_node *list)
{
	for (size_t i = 0; i < list->count && !l->failed; i++) {
		bool names = list->kind == YAML_LIST;
		const struct yaml_node *at = names ? list->items[i] : list->pairs[i].key;
		const struct yaml_node *as = names ? NULL : resolve_member(list->pairs[i].value, "as");
		const char *name = as ? as->text : at->text;
		struct error err;

		if (at->broken)
			continue;
		if (as && schema_check_name(as->text, &err) < 0)
			mistake_add(l->m, yaml_place(as, file->number), strlen(as->text), "%s", err.text);
		else
			select_part(l, file, theirs, module, at, name);
	}
}

/* What a listed component needs and is not listed itself comes along, and what that needs. */
static void bring_along(struct load *l, const struct component *listed, const struct component *c)
{
	for (size_t i = 0; i < c->reference_count && !l->failed; i++) {
		struct component *to = c->references[i].to;

		if (to->lifted)
			continue;
		to->lifted = text_format(l->err, "%s.%s", listed->lifted, to->name);
		if (!to->lifted)
			load_fail(l, -ERROR_NO_MEMORY, "read the project");
		else if (strlen(to->lifted) > PROJECT_NAME_MAX)
			mistake_add(l->m, yaml_place(to->key, to->file->number), strlen(to->name),
				"the name '%s' that it would come along by is too long; list it with a name "
				"of its own",
				to->lifted);
		else
			bring_along(l, listed, to);
	}
}

static void lift(struct load *l, struct scope *s, struct scope *theirs, struct project_place place)
{
	size_t listed = theirs->count;

	for (size_t i = 0; i < listed; i++)
		theirs->list[i]->seen = theirs->list[i]->lifted != NULL;
	for (size_t i = 0; i < listed; i++)
		if (theirs->list[i]->seen)
			bring_along(l, theirs->list[i], theirs->list[i]);
	for (size_t i = 0; i < listed && !l->failed; i++) {
		struct component *c = theirs->list[i];

		c->seen = false;
		if (!c->lifted)
			continue;
		free(c->name);
		c->name = TAKE_PTR(c->lifted);
		add(l, s, c, place);
	}
}

static struct file *open_module(struct load *l, const struct file *file, const struct yaml_node *key)
{
	struct project_place place = yaml_place(key, file->number);
	_cleanup_free_ char *path = NULL, *resolved = NULL;
	struct file *module;
	struct error err;
	int r;

	if (++l->loads > PROJECT_FILES_MAX) {
		if (l->loads == PROJECT_FILES_MAX + 1)
			mistake_add(l->m, place, strlen(key->text),
				"the project is made of more than %d files", PROJECT_FILES_MAX);
		return NULL;
	}
	path = *key->text == '/' ? text_copy(key->text, l->err)
				 : text_format(l->err, "%s/%s", file->directory, key->text);
	if (path)
		load_note_read(l, path);
	r = path ? load_open_file(l, path, &module, &err) : -ERROR_NO_MEMORY;
	if (r == 0)
		r = l->in->files->resolve(l->in->files->context, module->path, &resolved, &err);
	if (r == -ERROR_NO_MEMORY) {
		load_fail(l, r, "read a module");
		return NULL;
	}
	if (r < 0) {
		mistake_add(l->m, place, strlen(key->text), "%s", err.text);
		return NULL;
	}
	if (load_is_outside(l, resolved))
		load_reach(l, REACH_MODULE, NULL, resolved, place);
	if (!module->open)
		return module;
	mistake_add(l->m, place, strlen(key->text),
		"the modules go in a circle: '%s' is being brought in already", key->text);
	return NULL;
}

static void bring_in(struct load *l, struct file *file, const struct yaml_pair *pair, struct scope *s)
{
	struct file *module = open_module(l, file, pair->key);
	struct scope theirs = {0};

	if (!module)
		return;
	module->open = true;
	load_build_scope(l, module, &theirs);
	module->open = false;
	if (!l->failed && !pair->value->broken && module->root)
		select_parts(l, file, &theirs, pair->key->text, pair->value);
	if (!l->failed)
		lift(l, s, &theirs, yaml_place(pair->key, file->number));
	load_free_scope(&theirs);
}

void load_build_scope(struct load *l, struct file *file, struct scope *s)
{
	struct yaml_node *modules = resolve_member(file->root, "modules");
	size_t own;

	for (enum part part = 0; part < PART_COUNT; part++)
		add_own(l, file, s, part);
	own = s->count;
	for (size_t i = 0; modules && modules->kind == YAML_MAPPING && i < modules->count && !l->failed; i++)
		if (!modules->pairs[i].key->broken)
			bring_in(l, file, &modules->pairs[i], s);
	for (size_t i = 0; i < own && !l->failed; i++)
		find_references(l, s, s->list[i]);
}
