/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of a stranger, whose store lies about ids, too, so that there can be circles: all that reads and
 * changes them ends, and what is read is in order.
 *
 * The input: up to 8 objects, each a u16 size and its bytes. The first byte of an id says which of them it
 * is, from 1. The first is the root, the second that of another map.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/mst_cursor.h"

#define OBJECTS_MOST 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct store {
	struct {
		uint8_t *bytes;
		size_t size;
	} objects[OBJECTS_MOST + 1];
	uint64_t gets;
};

static struct store the_store;

int store_get(struct store *s, enum object_type type, const struct object_id *id, struct store_bytes *out,
	struct error *err)
{
	uint8_t at = id->bytes[0];

	(void)type;
	*out = (struct store_bytes){0};
	/* Levels go down and names stay between two others: nothing is asked for without end. */
	assert(++s->gets < 100000);
	if (at > OBJECTS_MOST || !s->objects[at].bytes)
		return error_set(err, ERROR_NOT_FOUND, "it is not there");
	out->bytes = s->objects[at].bytes;
	out->size = s->objects[at].size;
	return 0;
}

void store_release(struct store *s, struct store_bytes *bytes)
{
	(void)s;
	*bytes = (struct store_bytes){0};
}

/* What is written is judged as what a stranger wrote. */
int store_put(struct store_writer *w, enum object_type type, const void *bytes, size_t n,
	struct object_id *id, bool *fresh, struct error *err)
{
	static const struct crypt crypt;
	struct object_id any = {.bytes = {9}};
	struct mst_child root = mst_root_child(&any);
	struct mst_node node = {0};

	(void)w;
	(void)err;
	assert(n <= object_type_most(type));
	assert(mst_node_judge(&crypt, type, &root, NULL, bytes, n, &node, NULL) == 0);
	*id = any;
	if (fresh)
		*fresh = true;
	return 0;
}

struct seen {
	char name[MST_NAME_MAX];
	size_t size;
	uint64_t count;
};

static void see(struct seen *s, const struct mst_item *item)
{
	assert(!mst_name_fault(item->name, item->name_size));
	assert(s->count == 0 || mst_compare(s->name, s->size, item->name, item->name_size) < 0);
	memcpy(s->name, item->name, item->name_size);
	s->size = item->name_size;
	s->count++;
}

static int take(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	(void)position;
	(void)err;
	see(context, item);
	return 0;
}

static int differ(void *context, const struct mst_item *a, const struct mst_item *b, struct error *err)
{
	(void)err;
	assert(a || b);
	see(context, a ? a : b);
	return 0;
}

static int node(void *context, const struct object_id *id, struct error *err)
{
	(void)context;
	(void)id;
	(void)err;
	return 0;
}

static int broken(void *context, const struct object_id *id, struct error *err)
{
	return node(context, id, err);
}

static void try_maps(void)
{
	static const struct crypt crypt;
	const struct mst map = {.store = &the_store, .crypt = &crypt, .type = OBJECT_CONTENT};
	const struct object_id one = {.bytes = {1}}, two = {.bytes = {2}};
	const struct mst_item changes[] = {{.name = "b", .name_size = 1, .value = "x", .value_size = 1},
		{.name = "k", .name_size = 1},
		{.name = "n007", .name_size = 4, .value = "", .value_size = 0}};
	struct mst_visitor visitor = {.node = node, .take = take, .broken = broken};
	struct seen walked = {0}, diffed = {0}, visited = {0}, from = {0};
	_cleanup_buffer_ struct buffer value = {0};
	struct object_id root;
	uint64_t count = 0;

	if (mst_walk(&map, &one, 0, take, &walked, NULL) == 0) {
		assert(mst_count(&map, &one, &count, NULL) == 0 && count == walked.count);
		assert(mst_walk(&map, &one, count / 2, take, &from, NULL) == 0 &&
			from.count == count - count / 2);
		assert(mst_get(&map, &one, walked.name, walked.size, &value, NULL) == 1);
	}
	mst_diff(&map, &one, &two, differ, &diffed, NULL);
	visitor.context = &visited;
	assert(mst_visit(&map, &one, &visitor, NULL) == 0);
	mst_update(&map, NULL, &one, changes, ARRAY_SIZE(changes), &root, &count, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);

	the_store.gets = 0;
	for (unsigned i = 1; i <= OBJECTS_MOST && c.left >= 2; i++) {
		size_t n = cursor_u16(&c);

		if (n > c.left)
			n = c.left;
		/* Of its own size, for the sanitizer to watch over. */
		the_store.objects[i].bytes = malloc(n + 1);
		the_store.objects[i].size = n;
		assert(the_store.objects[i].bytes);
		memcpy(the_store.objects[i].bytes, cursor_take(&c, n), n);
	}
	if (the_store.objects[1].bytes)
		try_maps();
	for (unsigned i = 1; i <= OBJECTS_MOST; i++) {
		free(the_store.objects[i].bytes);
		the_store.objects[i].bytes = NULL;
	}
	return 0;
}
