/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as a JSON Schema (draft 2020-12), by which editors complete and check. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/json.h"
#include "project/schema.h"

#define DRAFT "https://json-schema.org/draft/2020-12/schema"

struct writer {
	json_t *definitions;
	bool failed;
};

static json_t *write_schema(struct writer *w, const struct schema *s);

/* Both are taken over; either may be NULL, where memory is out. */
static void put(struct writer *w, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		w->failed = true;
}

static void add(struct writer *w, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		w->failed = true;
}

static json_t *typed(struct writer *w, const char *type)
{
	json_t *o = json_object();

	put(w, o, "type", json_string(type));
	return o;
}

/* Text of that pattern, or with a variable in it. */
static json_t *patterned(struct writer *w, const char *pattern)
{
	json_t *o = typed(w, "string");
	struct error err;
	char *with = *pattern ? text_format(&err, "(%s)|\\$\\{", pattern) : NULL;

	if (with)
		put(w, o, "pattern", json_string(with));
	free(with);
	return o;
}

static json_t *choices(struct writer *w, const struct schema *s)
{
	json_t *o = json_object(), *list = json_array();

	for (const char *const *c = s->choices; *c; c++)
		add(w, list, json_string(*c));
	put(w, o, "enum", list);
	return o;
}

/* A scalar that is a number may stand for a text, too. */
static void put_scalar(struct writer *w, json_t *ways, const struct schema *s)
{
	json_t *number;

	switch (s->scalar) {
	case SCHEMA_BOOL:
		add(w, ways, typed(w, "boolean"));
		break;
	case SCHEMA_CHOICE:
		add(w, ways, choices(w, s));
		break;
	case SCHEMA_NUMBER:
		number = typed(w, "integer");
		put(w, number, "minimum", json_integer((json_int_t)s->least));
		put(w, number, "maximum", json_integer((json_int_t)s->most));
		add(w, ways, number);
		break;
	default:
		add(w, ways, patterned(w, schema_patterns[s->scalar]));
		add(w, ways, typed(w, "number"));
		if (s->scalar == SCHEMA_TEXT)
			add(w, ways, typed(w, "boolean"));
		return;
	}
	add(w, ways, patterned(w, "^\\$\\{.*\\}$"));
}

static json_t *write_list(struct writer *w, const struct schema *s)
{
	json_t *o = typed(w, "array");

	put(w, o, "items", write_schema(w, s->item));
	if (s->items_most)
		put(w, o, "maxItems", json_integer((json_int_t)s->items_most));
	return o;
}

static json_t *write_member(struct writer *w, const struct schema_member *m)
{
	json_t *o = write_schema(w, m->schema);

	put(w, o, "description", json_string(m->help));
	if (m->fallback)
		put(w, o, "$comment", json_sprintf("default: %s", m->fallback));
	return o;
}

static json_t *write_members(struct writer *w, const struct schema *s)
{
	json_t *o = typed(w, "object"), *properties = json_object(), *required = json_array();

	for (const struct schema_member *m = s->members; m->key; m++) {
		if (m->later)
			continue;
		put(w, properties, m->key, write_member(w, m));
		if (m->alias)
			put(w, properties, m->alias, write_member(w, m));
		if (m->required)
			add(w, required, json_string(m->key));
	}
	put(w, o, "properties", properties);
	if (json_array_size(required))
		put(w, o, "required", required);
	else
		json_decref(required);
	if (s == &schema_file) {
		json_t *others = json_object();

		put(w, others, "^x-", json_object());
		put(w, o, "patternProperties", others);
	}
	/* What is merged by "<<" is no key of its own. */
	put(w, properties, "<<", json_object());
	put(w, o, "additionalProperties", json_false());
	return o;
}

static json_t *write_mapping(struct writer *w, const struct schema *s)
{
	json_t *o;

	if (s->members)
		return write_members(w, s);
	o = typed(w, "object");
	if (s->keys == KEYS_COMPONENT) {
		json_t *names = json_object();

		put(w, names, "pattern", json_string("^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$|^<<$"));
		put(w, o, "propertyNames", names);
	}
	put(w, o, "additionalProperties", write_schema(w, s->value));
	return o;
}

static json_t *write_ways(struct writer *w, const struct schema *s)
{
	json_t *ways = json_array(), *only, *o;

	if (s->shapes & SHAPE_SCALAR)
		put_scalar(w, ways, s);
	if (s->shapes & SHAPE_LIST)
		add(w, ways, write_list(w, s));
	if (s->shapes & SHAPE_MAPPING)
		add(w, ways, write_mapping(w, s));
	if (s->shapes & SHAPE_NOTHING)
		add(w, ways, typed(w, "null"));
	if (json_array_size(ways) == 1) {
		only = json_incref(json_array_get(ways, 0));
		json_decref(ways);
		return only;
	}
	o = json_object();
	put(w, o, "anyOf", ways);
	return o;
}

/* What has a name is described once, and referred to. */
static json_t *write_schema(struct writer *w, const struct schema *s)
{
	json_t *o;

	if (!s->name || s == &schema_file)
		return write_ways(w, s);
	if (!json_object_get(w->definitions, s->name)) {
		put(w, w->definitions, s->name, json_true()); /* so that it is not described in itself */
		put(w, w->definitions, s->name, write_ways(w, s));
	}
	o = json_object();
	put(w, o, "$ref", json_sprintf("#/$defs/%s", s->name));
	return o;
}

int schema_json(struct buffer *out, struct error *err)
{
	struct writer w = {.definitions = json_object()};
	_cleanup_json_ json_t *root = json_object();
	json_t *file = write_schema(&w, &schema_file);

	put(&w, root, "$schema", json_string(DRAFT));
	put(&w, root, "title", json_string("monocore.yaml"));
	if (json_object_update(root, file) < 0)
		w.failed = true;
	json_decref(file);
	put(&w, root, "$defs", w.definitions);
	if (w.failed)
		return error_no_memory(err, "write the schema");
	if (json_write(root, JSON_INDENT(2), out, err) < 0)
		return -ERROR_NO_MEMORY;
	return buffer_u8(out, '\n') ? 0 : error_no_memory(err, "write the schema");
}
