/* SPDX-License-Identifier: Apache-2.0 */
/* Maps: the same contents are the same root however they came about; what nodes lie is found. */
#include <stdlib.h>

#include "memory_store.h"
#include "monofs/mst.h"
#include "test.h"

#define NAMES 3000

static struct crypt crypt_of_test;
static struct store *store;
static struct store_writer *writer;
static struct mst map;
static struct error err;

static void begin(void)
{
	memory_store_crypt(&crypt_of_test);
	store = memory_store_new(&crypt_of_test);
	CHECK_OK(store_writer_new(store, &writer, &err));
	map = (struct mst){.store = store, .crypt = &crypt_of_test, .type = OBJECT_CONTENT};
}

static void end(void)
{
	store_writer_free(writer);
	store_close(store);
}

/* ---- a model: values of numbered names, 0: not there ---- */

struct model {
	unsigned values[NAMES];
	unsigned at;
	char name[16];
	unsigned value;
};

static void name_of(unsigned i, char *out)
{
	snprintf(out, 16, "n%05u", i);
}

static int model_next(void *context, struct mst_item *item, struct error *e)
{
	struct model *m = context;

	(void)e;
	while (m->at < NAMES && m->values[m->at] == 0)
		m->at++;
	if (m->at == NAMES)
		return 0;
	name_of(m->at, m->name);
	m->value = m->values[m->at++];
	*item = (struct mst_item){.name = m->name,
		.name_size = strlen(m->name),
		.value = &m->value,
		.value_size = sizeof m->value};
	return 1;
}

static struct object_id build(struct model *m, uint64_t *count)
{
	struct object_id root;

	m->at = 0;
	CHECK_OK(mst_build(&map, writer, model_next, m, &root, count, &err));
	return root;
}

static unsigned model_count(const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NAMES; i++)
		n += m->values[i] != 0;
	return n;
}

/* ---- changes ---- */

struct change_set {
	struct mst_item items[NAMES];
	char names[NAMES][16];
	unsigned values[NAMES];
	size_t count;
};

static void change(struct change_set *c, struct model *m, unsigned i, unsigned value)
{
	size_t n = c->count++;

	name_of(i, c->names[n]);
	c->values[n] = value;
	c->items[n] = (struct mst_item){.name = c->names[n],
		.name_size = strlen(c->names[n]),
		.value = value ? &c->values[n] : NULL,
		.value_size = value ? sizeof value : 0};
	m->values[i] = value;
}

/* A few changes near each other, or all over, or a whole range that goes or comes. */
static void random_changes(struct change_set *c, struct model *m)
{
	unsigned kind = (unsigned)rand() % 4, from = (unsigned)rand() % NAMES,
		 width = (unsigned)rand() % 400 + 1;

	c->count = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		bool in = i >= from && i < from + width;

		if (kind == 0 && in && rand() % 10 == 0)
			change(c, m, i, (unsigned)rand() % 3);
		else if (kind == 1 && rand() % 300 == 0)
			change(c, m, i, (unsigned)rand() % 3);
		else if (kind == 2 && in)
			change(c, m, i, 0);
		else if (kind == 3 && in)
			change(c, m, i, 7);
	}
}

TEST(however_a_map_came_about_its_root_is_the_same)
{
	static struct model m;
	static struct change_set c;
	struct object_id root = {0};
	uint64_t count, built;

	begin();
	srand(8);
	memset(&m, 0, sizeof m);
	for (unsigned round = 0; round < 300; round++) {
		random_changes(&c, &m);
		CHECK_OK(mst_update(&map, writer, &root, c.items, c.count, &root, &count, &err));
		struct object_id again = build(&m, &built);

		CHECK(object_id_equal(&root, &again));
		CHECK_INT(count, built);
		CHECK_INT(count, model_count(&m));
	}
	end();
}

TEST(what_is_removed_to_the_last_name_leaves_no_object)
{
	static struct model m;
	static struct change_set c;
	struct object_id root = {0};
	uint64_t count = 1;

	begin();
	memset(&m, 0, sizeof m);
	c.count = 0;
	for (unsigned i = 0; i < NAMES; i++)
		change(&c, &m, i, 1);
	CHECK_OK(mst_update(&map, writer, &root, c.items, c.count, &root, &count, &err));
	CHECK_INT(count, NAMES);
	c.count = 0;
	for (unsigned i = 0; i < NAMES; i++)
		change(&c, &m, i, 0);
	CHECK_OK(mst_update(&map, writer, &root, c.items, c.count, &root, &count, &err));
	CHECK(object_id_is_none(&root));
	CHECK_INT(count, 0);
	end();
}

TEST(a_change_reads_and_writes_the_way_to_it_only)
{
	static struct model m;
	static struct change_set c;
	struct object_id root;
	size_t objects, reads;

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		m.values[i] = 1;
	root = build(&m, NULL);
	objects = memory_store_objects(store);
	reads = memory_store_reads(store);
	c.count = 0;
	change(&c, &m, 1234, 2);
	CHECK_OK(mst_update(&map, writer, &root, c.items, 1, &root, NULL, &err));
	CHECK(memory_store_objects(store) - objects <= 4);
	CHECK(memory_store_reads(store) - reads <= 4);
	end();
}

TEST(names_are_found_and_only_those)
{
	static struct model m;
	struct object_id root;
	char name[16];

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		m.values[i] = i % 3;
	root = build(&m, NULL);
	for (unsigned i = 0; i < NAMES; i++) {
		_cleanup_buffer_ struct buffer value = {0};

		name_of(i, name);
		CHECK_INT(mst_get(&map, &root, name, strlen(name), &value, &err), m.values[i] != 0);
		CHECK(m.values[i] == 0 || memcmp(value.data, &m.values[i], sizeof m.values[i]) == 0);
	}
	end();
}

struct walked {
	const struct model *m;
	unsigned at;
	uint64_t position;
	unsigned stop;
};

static int walk_take(void *context, uint64_t position, const struct mst_item *item, struct error *e)
{
	struct walked *w = context;
	char name[16];

	(void)e;
	while (w->m->values[w->at] == 0)
		w->at++;
	name_of(w->at++, name);
	CHECK(item->name_size == strlen(name) && memcmp(item->name, name, item->name_size) == 0);
	CHECK_INT(position, w->position);
	w->position++;
	return --w->stop == 0 ? 1 : 0;
}

TEST(a_walk_begins_at_any_position_without_reading_what_is_before)
{
	static struct model m;
	struct object_id root;
	unsigned present = 0;

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		m.values[i] = i % 2;
	root = build(&m, NULL);
	for (unsigned i = 0; i < NAMES; i++) {
		struct walked w = {.m = &m, .at = i, .position = present, .stop = 3};
		size_t reads = memory_store_reads(store);

		if (m.values[i] && i % 37 == 0) {
			CHECK_OK(mst_walk(&map, &root, present, walk_take, &w, &err));
			CHECK(memory_store_reads(store) - reads < 12);
		}
		present += m.values[i] != 0;
	}
	end();
}

struct seen {
	const struct model *a, *b;
	unsigned at, told;
};

static void skip_same(struct seen *s)
{
	while (s->at < NAMES && s->a->values[s->at] == s->b->values[s->at])
		s->at++;
}

static int differ(void *context, const struct mst_item *a, const struct mst_item *b, struct error *e)
{
	struct seen *s = context;
	char name[16];

	(void)e;
	skip_same(s);
	CHECK(s->at < NAMES);
	name_of(s->at, name);
	CHECK((a != NULL) == (s->a->values[s->at] != 0));
	CHECK((b != NULL) == (s->b->values[s->at] != 0));
	CHECK(memcmp((a ? a : b)->name, name, strlen(name)) == 0);
	CHECK(!a || memcmp(a->value, &s->a->values[s->at], sizeof(unsigned)) == 0);
	CHECK(!b || memcmp(b->value, &s->b->values[s->at], sizeof(unsigned)) == 0);
	s->at++;
	s->told++;
	return 0;
}

TEST(a_diff_tells_each_difference_once_and_in_order)
{
	static struct model a, b;
	static struct change_set c;

	begin();
	srand(9);
	for (unsigned round = 0; round < 200; round++) {
		struct seen s = {.a = &a, .b = &b};
		struct object_id left, right;

		b = a;
		random_changes(&c, &b);
		left = build(&a, NULL);
		right = build(&b, NULL);
		if (round % 2) {
			s = (struct seen){.a = &b, .b = &a};
			CHECK_OK(mst_diff(&map, &right, &left, differ, &s, &err));
		} else {
			CHECK_OK(mst_diff(&map, &left, &right, differ, &s, &err));
		}
		skip_same(&s);
		CHECK_INT(s.at, NAMES);
		a = b;
	}
	end();
}

TEST(a_diff_reads_what_differs_only)
{
	static struct model a, b;
	struct seen s = {.a = &a, .b = &b};
	struct object_id left, right;
	size_t reads;

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		a.values[i] = b.values[i] = 1;
	b.values[77] = 2;
	left = build(&a, NULL);
	right = build(&b, NULL);
	reads = memory_store_reads(store);
	CHECK_OK(mst_diff(&map, &left, &right, differ, &s, &err));
	CHECK_INT(s.told, 1);
	CHECK(memory_store_reads(store) - reads <= 8);
	end();
}

/* ---- what is refused ---- */

static int list_next(void *context, struct mst_item *item, struct error *e)
{
	const char ***at = context;
	const char *name = **at;

	(void)e;
	if (!name)
		return 0;
	++*at;
	*item = (struct mst_item){.name = name, .name_size = strlen(name), .value = "v", .value_size = 1};
	return 1;
}

static int build_of(const char **names, struct object_id *root)
{
	return mst_build(&map, writer, list_next, &names, root, NULL, &err);
}

TEST(names_that_are_none_are_not_taken)
{
	char longest[MST_NAME_MAX + 2];
	struct object_id root;

	begin();
	memset(longest, 'x', sizeof longest);
	longest[MST_NAME_MAX + 1] = 0;
	CHECK_ERROR(build_of((const char *[]){"a/b", NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){".", NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){"..", NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){"", NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){longest, NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){"b", "a", NULL}, &root), ERROR_INVALID);
	CHECK_ERROR(build_of((const char *[]){"a", "a", NULL}, &root), ERROR_INVALID);
	longest[MST_NAME_MAX] = 0;
	CHECK_OK(build_of((const char *[]){"...", "..b", ".a", longest, NULL}, &root));
	end();
}

/* The level of a name, found by what is made of it. */
static unsigned level_of(const char *name)
{
	struct store_bytes bytes;
	struct object_id root;
	unsigned level;

	CHECK_OK(build_of((const char *[]){name, NULL}, &root));
	CHECK_OK(store_get(store, OBJECT_CONTENT, &root, &bytes, &err));
	level = bytes.bytes[0];
	store_release(store, &bytes);
	return level;
}

/* The n-th name of a level that begins so. */
static const char *name_at(unsigned level, char first, unsigned nth, char out[16])
{
	for (unsigned i = 0;; i++) {
		snprintf(out, 16, "%c%05u", first, i);
		if (level_of(out) == level && nth-- == 0)
			return out;
	}
}

static void put_item(struct buffer *b, const char *name)
{
	buffer_u8(b, (uint8_t)strlen(name));
	buffer_append_text(b, name);
	buffer_bytes(b, "v", 1);
}

static void put_child(struct buffer *b, unsigned level, const struct object_id *id, uint64_t count)
{
	buffer_u8(b, (uint8_t)(level + 1));
	buffer_append(b, id->bytes, OBJECT_ID_SIZE);
	buffer_u64(b, count);
}

static int take_any(void *context, uint64_t position, const struct mst_item *item, struct error *e)
{
	(void)context;
	(void)position;
	(void)item;
	(void)e;
	return 0;
}

/* A map with this root is read: it is refused, and its id told. */
static void check_refused(const struct object_id *named, const struct object_id *root, const char *why)
{
	char hex[OBJECT_HEX_SIZE];

	err = (struct error){0};
	CHECK_ERROR(mst_walk(&map, root, 0, take_any, NULL, &err), ERROR_CORRUPT);
	if (!strstr(err.text, why) || !strstr(err.text, object_id_hex(named, hex)))
		test_fail(__FILE__, __LINE__, "'%s' is said, not '%s' of %s", err.text, why, hex);
}

static void check_bytes_refused(struct buffer *b, const char *why)
{
	struct object_id root;

	memory_store_plant(store, OBJECT_CONTENT, b->data, b->size, &root);
	check_refused(&root, &root, why);
	buffer_clear(b);
}

TEST(a_node_that_no_writer_makes_is_refused_by_its_id)
{
	_cleanup_buffer_ struct buffer b = {0};
	char low[16], low2[16], high[16];

	begin();
	name_at(0, 'a', 0, low);
	name_at(0, 'a', 1, low2);
	name_at(1, 'm', 0, high);
	buffer_u8(&b, 0);
	check_bytes_refused(&b, "no names");
	buffer_u8(&b, MST_LEVELS);
	put_item(&b, low);
	check_bytes_refused(&b, "no level");
	check_bytes_refused(&b, "no level"); /* no bytes at all */
	buffer_u8(&b, 0);
	put_item(&b, low2);
	put_item(&b, low);
	check_bytes_refused(&b, "out of order");
	buffer_u8(&b, 0);
	put_item(&b, low);
	put_item(&b, low);
	check_bytes_refused(&b, "out of order");
	buffer_u8(&b, 0);
	put_item(&b, high);
	check_bytes_refused(&b, "another level");
	buffer_u8(&b, 0);
	put_item(&b, "a/b");
	check_bytes_refused(&b, "'/'");
	buffer_u8(&b, 0);
	put_item(&b, "..");
	check_bytes_refused(&b, "'..'");
	buffer_u8(&b, 0);
	buffer_u8(&b, 3);
	buffer_append(&b, "a\0b", 3);
	buffer_bytes(&b, "v", 1);
	check_bytes_refused(&b, "zero byte");
	buffer_u8(&b, 0);
	buffer_u8(&b, 0);
	buffer_bytes(&b, "v", 1);
	check_bytes_refused(&b, "no bytes");
	buffer_u8(&b, 0);
	put_item(&b, low);
	b.size--;
	check_bytes_refused(&b, "cut short");
	buffer_u8(&b, 0);
	put_item(&b, low);
	buffer_u8(&b, 0);
	check_bytes_refused(&b, "");
	buffer_u8(&b, 0);
	buffer_u8(&b, 1);
	buffer_append(&b, "a", 1);
	buffer_u32(&b, 0xffffffff);
	check_bytes_refused(&b, "");
	end();
}

TEST(a_child_that_is_not_as_the_node_above_says_is_refused)
{
	_cleanup_buffer_ struct buffer b = {0};
	char low[16], high[16];
	struct object_id child, root, none = {0};

	begin();
	name_at(0, 'z', 0, low);
	name_at(1, 'm', 0, high);
	CHECK_OK(build_of((const char *[]){low, NULL}, &child));

	/* It belongs behind the name, not before it. */
	buffer_u8(&b, 1);
	put_child(&b, 0, &child, 1);
	put_item(&b, high);
	buffer_u8(&b, 0);
	memory_store_plant(store, OBJECT_CONTENT, b.data, b.size, &root);
	check_refused(&child, &root, "stands between");
	buffer_clear(&b);

	buffer_u8(&b, 1);
	buffer_u8(&b, 0);
	put_item(&b, high);
	put_child(&b, 0, &child, 2);
	memory_store_plant(store, OBJECT_CONTENT, b.data, b.size, &root);
	check_refused(&child, &root, "more or fewer");
	buffer_clear(&b);

	buffer_u8(&b, 1);
	buffer_u8(&b, 0);
	put_item(&b, high);
	put_child(&b, 1, &child, 1);
	check_bytes_refused(&b, "lower level");
	buffer_u8(&b, 1);
	buffer_u8(&b, 0);
	put_item(&b, high);
	put_child(&b, 0, &none, 1);
	check_bytes_refused(&b, "without an id");
	buffer_u8(&b, 1);
	buffer_u8(&b, 0);
	put_item(&b, high);
	put_child(&b, 0, &child, 0);
	check_bytes_refused(&b, "empty child");
	buffer_u8(&b, 1);
	buffer_u8(&b, 0);
	put_item(&b, high);
	put_child(&b, 0, &child, UINT64_MAX);
	check_bytes_refused(&b, "counted");
	end();
}

/* A store that lies about ids could make a circle: levels end it. */
TEST(a_circle_ends)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct object_id root = {.bytes = {1}};
	char high[16];

	begin();
	name_at(1, 'm', 0, high);
	buffer_u8(&b, 1);
	put_child(&b, 0, &root, 2);
	put_item(&b, high);
	buffer_u8(&b, 0);
	memory_store_lie(store, &root, OBJECT_CONTENT, b.data, b.size);
	check_refused(&root, &root, "");
	end();
}

TEST(each_failure_of_the_store_is_told)
{
	static struct model m;
	static struct change_set c;
	struct object_id root, changed;

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		m.values[i] = 1;
	root = build(&m, NULL);
	c.count = 0;
	for (unsigned i = 0; i < NAMES; i += 100)
		change(&c, &m, i, 0);
	for (unsigned n = 1;; n++) {
		int r;

		memory_store_fail(store, n);
		r = mst_update(&map, writer, &root, c.items, c.count, &changed, NULL, &err);
		if (!memory_store_failed(store))
			break;
		CHECK(r == -(int)ERROR_NO_SPACE || r == -(int)ERROR_SYSTEM);
	}
	memory_store_fail(store, 0);
	end();
}

struct visited {
	unsigned nodes, items, broken;
	struct object_id last;
};

static int visit_node(void *context, const struct object_id *id, struct error *e)
{
	struct visited *v = context;

	(void)e;
	v->nodes++;
	v->last = *id;
	return 0;
}

static int visit_item(void *context, uint64_t position, const struct mst_item *item, struct error *e)
{
	(void)position;
	(void)item;
	(void)e;
	((struct visited *)context)->items++;
	return 0;
}

static int visit_broken(void *context, const struct object_id *id, struct error *e)
{
	(void)id;
	(void)e;
	((struct visited *)context)->broken++;
	return 0;
}

TEST(a_visit_goes_on_past_a_node_that_is_lost)
{
	static struct model m;
	struct visited v = {0}, again = {0};
	struct mst_visitor visitor = {
		.node = visit_node, .take = visit_item, .broken = visit_broken, .context = &v};
	struct object_id root;

	begin();
	for (unsigned i = 0; i < NAMES; i++)
		m.values[i] = 1;
	root = build(&m, NULL);
	CHECK_OK(mst_visit(&map, &root, &visitor, &err));
	CHECK_INT(v.items, NAMES);
	CHECK_INT(v.nodes, memory_store_objects(store));
	memory_store_remove(store, &v.last);
	visitor.context = &again;
	CHECK_OK(mst_visit(&map, &root, &visitor, &err));
	CHECK_INT(again.broken, 1);
	CHECK_INT(again.nodes, v.nodes);
	CHECK(again.items < v.items && again.items > 0);
	end();
}
