/* SPDX-License-Identifier: Apache-2.0 */
#include "project/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "project/scalar.h"
#include "project/yaml_parts.h"

#define ARENA_CHUNK  65536u
#define NODE_WEIGHT  64u
#define PAIRS_LINEAR 12 /* up to so many, keys are compared with each other */

struct chunk {
	struct chunk *next;
	size_t size, used;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct yaml_document {
	struct chunk *chunks;
	struct yaml_node *root;
};

/* A list or mapping that has begun. Of a mapping, keys and values are gathered in turn. */
struct frame {
	struct yaml_node *node;
	size_t first; /* its children among the nodes that are gathered */
	size_t end;   /* of the last of them, as it is written */
	uint32_t weight;
};

struct build {
	struct yaml_document *document;
	struct yaml_source source;
	struct mistakes *m;
	struct map anchors; /* name → node; of one that is still open, too */
	struct yaml_node **gathered;
	size_t gathered_count, gathered_room;
	struct frame frames[YAML_DEPTH_MAX];
	size_t depth;
	size_t expanded; /* by aliases and merges so far */
	bool stopped;    /* by a mistake behind which nothing has a meaning */
};

static void *keep(struct yaml_document *d, size_t n)
{
	struct chunk *c = d->chunks;
	void *kept;

	n = (n + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!c || c->size - c->used < n) {
		size_t size = n > ARENA_CHUNK / 4 ? n : ARENA_CHUNK;

		c = malloc(sizeof *c + size);
		if (!c)
			return NULL;
		*c = (struct chunk){.next = d->chunks, .size = size};
		d->chunks = c;
	}
	kept = c->bytes + c->used;
	c->used += n;
	return memset(kept, 0, n);
}

void yaml_release(struct yaml_document *d)
{
	while (d && d->chunks) {
		struct chunk *c = d->chunks;

		d->chunks = c->next;
		free(c);
	}
	free(d);
}

struct yaml_node *yaml_root(const struct yaml_document *d)
{
	return d ? d->root : NULL;
}

const struct yaml_pair *yaml_pair(const struct yaml_node *node, const char *key)
{
	if (!node || node->kind != YAML_MAPPING)
		return NULL;
	for (size_t i = 0; i < node->count; i++)
		if (!strcmp(node->pairs[i].key->text, key))
			return &node->pairs[i];
	return NULL;
}

struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
	const struct yaml_pair *pair = yaml_pair(node, key);

	return pair ? pair->value : NULL;
}

char *yaml_keep_text(struct yaml_document *d, const char *text, size_t n, struct error *err)
{
	char *kept = keep(d, n + 1);

	if (!kept)
		error_no_memory(err, "read YAML");
	else
		memcpy(kept, text, n);
	return kept;
}

static uint32_t add_weight(uint32_t a, size_t b)
{
	return b > YAML_EXPANDED_MAX - a ? YAML_EXPANDED_MAX : a + (uint32_t)b;
}

static struct yaml_node *make_node(struct build *b, const yaml_event_t *e, enum yaml_kind kind)
{
	struct yaml_node *node = keep(b->document, sizeof *node);

	if (!node)
		return NULL;
	node->kind = kind;
	node->line = (uint32_t)e->start_mark.line + 1;
	node->column = (uint32_t)e->start_mark.column + 1;
	node->start = yaml_source_offset(&b->source, e->start_mark.index);
	node->end = yaml_source_offset(&b->source, e->end_mark.index);
	node->weight = NODE_WEIGHT;
	return node;
}

static struct project_place place_of(const struct build *b, const struct yaml_node *node)
{
	return yaml_place(node, b->source.file);
}

/* The node is the next child of what is open, and its writing ends there. */
static int gather(struct build *b, struct yaml_node *node, size_t end, struct error *err)
{
	if (b->gathered_count == b->gathered_room) {
		size_t room = b->gathered_room ? 2 * b->gathered_room : 256;
		struct yaml_node **grown = realloc(b->gathered, room * sizeof(struct yaml_node *));

		if (!grown)
			return error_no_memory(err, "read YAML");
		b->gathered = grown;
		b->gathered_room = room;
	}
	b->gathered[b->gathered_count++] = node;
	if (b->depth) {
		struct frame *f = &b->frames[b->depth - 1];

		f->weight = add_weight(f->weight, node->weight);
		f->end = end;
	} else
		b->document->root = node;
	return 0;
}

static int set_anchor(struct build *b, const yaml_char_t *name, struct yaml_node *node, struct error *err)
{
	if (!name)
		return 0;
	return map_set(&b->anchors, name, strlen((const char *)name), node, NULL, err);
}

/* Whether so much more may be stood for; told once. */
static bool expand(struct build *b, const struct yaml_node *at, size_t weight)
{
	b->expanded += weight;
	if (b->expanded <= YAML_EXPANDED_MAX)
		return true;
	if (!b->stopped)
		mistake_add(b->m, place_of(b, at), 1,
			"the aliases up to here stand for too much: more than %u MiB",
			YAML_EXPANDED_MAX >> 20);
	b->stopped = true;
	return false;
}

/* The tags of YAML's core schema say what would be known without them; others have no meaning here. */
static void apply_tag(struct build *b, struct yaml_node *node, const yaml_char_t *given)
{
	static const char prefix[] = "tag:yaml.org,2002:";
	static const char *const scalars[] = {"null", "bool", "int", "float"};
	const char *tag = (const char *)given, *name;

	if (!tag)
		return;
	name = strncmp(tag, prefix, sizeof prefix - 1) ? "" : tag + sizeof prefix - 1;
	if (node->kind == YAML_SCALAR && (!strcmp(tag, "!") || !strcmp(name, "str"))) {
		node->plain = false;
		return;
	}
	for (size_t i = 0; node->kind == YAML_SCALAR && i < ARRAY_SIZE(scalars); i++)
		if (!strcmp(name, scalars[i])) {
			node->plain = true;
			return;
		}
	if ((node->kind == YAML_LIST && !strcmp(name, "seq")) ||
		(node->kind == YAML_MAPPING && !strcmp(name, "map")))
		return;
	mistake_add(b->m, place_of(b, node), 1, "the tag '%s' has no meaning here", tag);
	node->broken = true;
}

static int on_scalar(struct build *b, const yaml_event_t *e, struct error *err)
{
	struct yaml_node *node = make_node(b, e, YAML_SCALAR);
	const char *value = (const char *)e->data.scalar.value;

	if (!node || !(node->text = yaml_keep_text(b->document, value, e->data.scalar.length, err)))
		return error_no_memory(err, "read YAML");
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->block = e->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
		      e->data.scalar.style == YAML_FOLDED_SCALAR_STYLE;
	node->weight = add_weight(node->weight, e->data.scalar.length);
	if (node->block)
		node->end = yaml_source_trim(&b->source, node->start, node->end);
	if (strlen(value) != e->data.scalar.length) {
		mistake_add(b->m, place_of(b, node), 1, "a NUL byte cannot stand in text");
		node->broken = true;
	}
	apply_tag(b, node, e->data.scalar.tag);
	if (set_anchor(b, e->data.scalar.anchor, node, err) < 0)
		return -ERROR_NO_MEMORY;
	return gather(b, node, node->end, err);
}

static bool is_open(const struct build *b, const struct yaml_node *node)
{
	for (size_t i = 0; i < b->depth; i++)
		if (b->frames[i].node == node)
			return true;
	return false;
}

static int on_alias(struct build *b, const yaml_event_t *e, struct error *err)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct yaml_node *node = map_get(&b->anchors, name, strlen(name));
	struct yaml_node *here = make_node(b, e, YAML_SCALAR);

	if (!here)
		return error_no_memory(err, "read YAML");
	if (node && !is_open(b, node)) {
		expand(b, here, node->weight);
		return gather(b, node, here->end, err);
	}
	if (node)
		mistake_add(b->m, place_of(b, here), strlen(name) + 1, "'*%s' stands within '&%s' itself",
			name, name);
	else
		mistake_add(b->m, place_of(b, here), strlen(name) + 1, "there is no '&%s' before this", name);
	here->broken = true;
	here->text = yaml_keep_text(b->document, "", 0, err);
	return here->text ? gather(b, here, here->end, err) : -ERROR_NO_MEMORY;
}

static int on_start(struct build *b, const yaml_event_t *e, struct error *err)
{
	bool list = e->type == YAML_SEQUENCE_START_EVENT;
	struct yaml_node *node = make_node(b, e, list ? YAML_LIST : YAML_MAPPING);

	if (!node)
		return error_no_memory(err, "read YAML");
	if (b->depth == YAML_DEPTH_MAX) {
		mistake_add(b->m, place_of(b, node), 1, "this is nested more than %d deep", YAML_DEPTH_MAX);
		b->stopped = true;
		return 0;
	}
	node->flow = list ? e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
			  : e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	apply_tag(b, node, list ? e->data.sequence_start.tag : e->data.mapping_start.tag);
	if (set_anchor(b, list ? e->data.sequence_start.anchor : e->data.mapping_start.anchor, node, err) < 0)
		return -ERROR_NO_MEMORY;
	b->frames[b->depth++] = (struct frame){
		.node = node, .first = b->gathered_count, .end = node->end, .weight = NODE_WEIGHT};
	return 0;
}

static int end_list(struct build *b, struct yaml_node *node, struct yaml_node **children, size_t count)
{
	node->count = count;
	node->items = keep(b->document, (count + 1) * sizeof *node->items);
	if (!node->items)
		return -ERROR_NO_MEMORY;
	if (count)
		memcpy(node->items, children, count * sizeof *children);
	return 0;
}

/* The pairs of a mapping as they come together; many are found by their keys. */
struct pairs {
	struct build *build;
	struct yaml_pair *list;
	size_t count;
	struct map index;
};

static int find_pair(struct pairs *p, const char *key, struct yaml_pair **found, struct error *err)
{
	*found = NULL;
	for (size_t i = 0; p->count <= PAIRS_LINEAR && i < p->count; i++)
		if (!strcmp(p->list[i].key->text, key))
			*found = &p->list[i];
	if (p->count <= PAIRS_LINEAR)
		return 0;
	for (size_t i = p->index.size; i < p->count; i++) {
		const char *text = p->list[i].key->text;

		if (map_set(&p->index, text, strlen(text), &p->list[i], NULL, err) < 0)
			return -ERROR_NO_MEMORY;
	}
	*found = map_get(&p->index, key, strlen(key));
	return 0;
}

static int add_pair(
	struct pairs *p, struct yaml_node *key, struct yaml_node *value, bool merged, struct error *err)
{
	struct build *b = p->build;
	struct yaml_pair *there;

	if (find_pair(p, key->text, &there, err) < 0)
		return -ERROR_NO_MEMORY;
	if (!there)
		p->list[p->count++] = (struct yaml_pair){key, value, merged};
	else if (!merged)
		mistake_add(b->m, place_of(b, key), strlen(key->text),
			"'%s' stands here twice; the first is in line %u", key->text, there->key->line);
	return 0;
}

static bool is_merge(const struct yaml_node *key)
{
	return key->kind == YAML_SCALAR && key->plain && !strcmp(key->text, "<<");
}

/* How many pairs a merge may add; told where its value is nothing that can be merged. */
static size_t count_merged(struct build *b, const struct yaml_node *value)
{
	size_t total = 0;

	if (value->broken)
		return 0;
	if (value->kind == YAML_MAPPING)
		return value->count;
	for (size_t i = 0; value->kind == YAML_LIST && i < value->count; i++) {
		const struct yaml_node *item = value->items[i];

		if (item->kind == YAML_MAPPING)
			total += item->count;
		else if (!item->broken)
			mistake_add(b->m, place_of(b, item), 1, "'<<' merges mappings, and this is none");
	}
	if (value->kind == YAML_SCALAR)
		mistake_add(b->m, place_of(b, value), strlen(value->text),
			"'<<' merges mappings, and this is none");
	return total;
}

static int merge_mapping(struct pairs *p, const struct yaml_node *from, struct error *err)
{
	for (size_t i = 0; from->kind == YAML_MAPPING && i < from->count; i++) {
		const struct yaml_pair *pair = &from->pairs[i];

		if (add_pair(p, pair->key, pair->value, true, err) < 0)
			return -ERROR_NO_MEMORY;
	}
	return 0;
}

static int merge(struct pairs *p, const struct yaml_node *value, struct error *err)
{
	if (value->kind == YAML_MAPPING)
		return merge_mapping(p, value, err);
	for (size_t i = 0; value->kind == YAML_LIST && i < value->count; i++)
		if (merge_mapping(p, value->items[i], err) < 0)
			return -ERROR_NO_MEMORY;
	return 0;
}

/* Room for all pairs that it can have; 0 where merges would make it too many. */
static size_t count_pairs(
	struct build *b, const struct yaml_node *node, struct yaml_node **children, size_t count)
{
	size_t total = count / 2;

	for (size_t i = 0; i + 1 < count; i += 2) {
		size_t merged = is_merge(children[i]) ? count_merged(b, children[i + 1]) : 0;

		if (merged && !expand(b, node, (size_t)children[i + 1]->weight + merged * NODE_WEIGHT))
			return 0;
		total += merged;
	}
	return total;
}

static int end_mapping(
	struct build *b, struct yaml_node *node, struct yaml_node **children, size_t count, struct error *err)
{
	struct pairs p = {.build = b};
	size_t room = count_pairs(b, node, children, count);
	int r = 0;

	p.list = keep(b->document, (room + 1) * sizeof *p.list);
	if (!p.list)
		return -ERROR_NO_MEMORY;
	for (size_t i = 0; room && i + 1 < count && r == 0; i += 2) {
		struct yaml_node *key = children[i];

		if (key->kind != YAML_SCALAR)
			mistake_add(b->m, place_of(b, key), 1, "a key has to be text");
		else if (!is_merge(key) && !key->broken)
			r = add_pair(&p, key, children[i + 1], false, err);
	}
	for (size_t i = 0; room && i + 1 < count && r == 0; i += 2)
		if (is_merge(children[i]))
			r = merge(&p, children[i + 1], err);
	map_free(&p.index);
	node->pairs = p.list;
	node->count = p.count;
	return r;
}

static int on_end(struct build *b, const yaml_event_t *e, struct error *err)
{
	struct frame *f = &b->frames[--b->depth];
	struct yaml_node **children = b->gathered ? b->gathered + f->first : NULL, *node = f->node;
	size_t count = b->gathered_count - f->first;
	int r = node->kind == YAML_LIST ? end_list(b, node, children, count)
					: end_mapping(b, node, children, count, err);

	if (r < 0)
		return error_no_memory(err, "read YAML");
	node->weight = f->weight;
	node->end = node->flow ? yaml_source_offset(&b->source, e->end_mark.index) : f->end;
	b->gathered_count = f->first;
	return gather(b, node, node->end, err);
}

static int on_event(struct build *b, const yaml_event_t *e, struct error *err)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e, err);
	case YAML_ALIAS_EVENT:
		return on_alias(b, e, err);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_start(b, e, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return on_end(b, e, err);
	case YAML_DOCUMENT_START_EVENT:
		if (b->document->root) {
			mistake_add(b->m,
				(struct project_place){b->source.file, (uint32_t)e->start_mark.line + 1, 1},
				3, "a second document begins here, and a project is one");
			b->stopped = true;
		}
		return 0;
	default:
		return 0;
	}
}

static int read_events(struct build *b, yaml_parser_t *parser, struct error *err)
{
	bool done = false;
	int r = 0;

	while (!done && !b->stopped && r == 0) {
		yaml_event_t e;

		if (!yaml_parser_parse(parser, &e)) {
			if (parser->error == YAML_MEMORY_ERROR)
				return error_no_memory(err, "read YAML");
			yaml_complain(&b->source, parser, b->m);
			return 0;
		}
		done = e.type == YAML_STREAM_END_EVENT;
		r = on_event(b, &e, err);
		yaml_event_delete(&e);
	}
	return r;
}

static int read_bytes(struct build *b, const uint8_t *bytes, size_t n, struct error *err)
{
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return error_no_memory(err, "read YAML");
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, bytes, n);
	r = read_events(b, &parser, err);
	yaml_parser_delete(&parser);
	return r;
}

int yaml_parse(const void *bytes, size_t n, struct mistakes *m, uint32_t file,
	struct yaml_document **document, struct error *err)
{
	struct build b = {.document = calloc(1, sizeof(struct yaml_document)), .m = m};
	int r;

	if (!b.document)
		return error_no_memory(err, "read YAML");
	bytes = bytes ? bytes : ""; /* of an empty file */
	if (n > YAML_BYTES_MAX) {
		mistake_add(m, (struct project_place){.file = file}, 1, "the file is over %u KiB",
			YAML_BYTES_MAX >> 10);
		*document = b.document;
		return 0;
	}
	r = yaml_source_open(&b.source, bytes, n, file, err);
	if (r == 0)
		r = read_bytes(&b, (const uint8_t *)bytes + b.source.mark, n - b.source.mark, err);
	if (b.stopped || b.depth)
		b.document->root = NULL;
	yaml_source_close(&b.source);
	map_free(&b.anchors);
	free(b.gathered);
	if (r < 0) {
		yaml_release(b.document);
		return r;
	}
	*document = b.document;
	return 0;
}
