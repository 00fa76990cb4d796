/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/mst_node.h"

#define ANY_LEVEL  MST_LEVELS
#define LEVEL_BITS 5u

int mst_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t least = a_size < b_size ? a_size : b_size;
	int order = least ? memcmp(a, b, least) : 0;

	if (order)
		return order;
	return a_size < b_size ? -1 : a_size > b_size;
}

int mst_level(const struct crypt *c, const char *name, size_t name_size, unsigned *level, struct error *err)
{
	uint8_t bytes[CRYPT_KEY_SIZE + MST_NAME_MAX], hash[SHA256_SIZE];
	unsigned zeroes = 0;
	int r;

	memcpy(bytes, c->level, CRYPT_KEY_SIZE);
	memcpy(bytes + CRYPT_KEY_SIZE, name, name_size);
	r = sha256_of(bytes, CRYPT_KEY_SIZE + name_size, hash, err);
	if (r < 0)
		return r;
	while (zeroes < (MST_LEVELS - 1) * LEVEL_BITS && !(hash[zeroes / 8] & 0x80u >> zeroes % 8))
		zeroes++;
	*level = zeroes / LEVEL_BITS;
	return 0;
}

const char *mst_name_fault(const char *name, size_t n)
{
	if (n == 0)
		return "a name of no bytes";
	if (n > MST_NAME_MAX)
		return "a name of more than 255 bytes";
	if (memchr(name, 0, n))
		return "a name with a zero byte";
	if (memchr(name, '/', n))
		return "a name with '/'";
	if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
		return "a name that is '.' or '..'";
	return NULL;
}

struct mst_child mst_root_child(const struct object_id *root)
{
	return (struct mst_child){.id = *root, .level = ANY_LEVEL};
}

void mst_step_child(struct mst_step *s, struct mst_child *child)
{
	*child = (struct mst_child){0};
	if (s->level == 0)
		return;
	child->level = cursor_u8(&s->bytes);
	if (child->level-- == 0) {
		child->level = 0;
		return;
	}
	const uint8_t *id = cursor_take(&s->bytes, OBJECT_ID_SIZE);

	if (id)
		memcpy(child->id.bytes, id, OBJECT_ID_SIZE);
	child->count = cursor_u64(&s->bytes);
}

bool mst_step_item(struct mst_step *s, struct mst_item *item)
{
	*item = (struct mst_item){0};
	if (s->bytes.left == 0)
		return false;
	item->name_size = cursor_u8(&s->bytes);
	item->name = (const char *)cursor_take(&s->bytes, item->name_size);
	item->value = cursor_bytes(&s->bytes, &item->value_size);
	return !s->bytes.failed;
}

static bool below(const struct mst_item *a, const struct mst_item *b)
{
	return !a || !b || mst_compare(a->name, a->name_size, b->name, b->name_size) < 0;
}

/* A child as the node has it: NULL, or what is wrong. */
static const char *child_fault(const struct mst_step *before, const struct mst_child *child, uint64_t *count)
{
	if (before->level == 0 || !before->bytes.left || before->bytes.data[0] == 0)
		return NULL;
	if (child->level >= before->level)
		return "a child that is not of a lower level";
	if (object_id_is_none(&child->id))
		return "a child without an id";
	if (child->count == 0)
		return "an empty child";
	if (__builtin_add_overflow(*count, child->count, count))
		return "more names than can be counted";
	return NULL;
}

static const char *item_fault(const struct mst_item *item, const struct mst_item *previous,
	const struct mst_bounds *bounds, uint64_t *count)
{
	const char *fault = mst_name_fault(item->name, item->name_size);

	if (fault)
		return fault;
	if (item->value_size > MST_VALUE_MAX)
		return "a value that is too long";
	if (!below(previous->name ? previous : NULL, item))
		return "names out of order";
	if (!below(bounds->low, item) || !below(item, bounds->high))
		return "names outside of those that it stands between";
	if (__builtin_add_overflow(*count, 1, count))
		return "more names than can be counted";
	return NULL;
}

/* What stands in the node: NULL, or what is wrong. *r is negative where that could not be found out. */
static const char *fault_of(const struct crypt *c, struct mst_node *node, const struct mst_bounds *bounds,
	int *r, struct error *err)
{
	struct mst_step s = node->step, before = s;
	struct mst_item item, previous = {0};
	struct mst_child child;
	const char *fault;
	unsigned level;

	mst_step_child(&s, &child);
	fault = child_fault(&before, &child, &node->count);
	while (!fault && !s.bytes.failed && mst_step_item(&s, &item)) {
		fault = item_fault(&item, &previous, bounds, &node->count);
		if (fault)
			return fault;
		*r = mst_level(c, item.name, item.name_size, &level, err);
		if (*r < 0)
			return NULL;
		if (level != node->level)
			return "a name of another level";
		previous = item;
		before = s;
		mst_step_child(&s, &child);
		fault = child_fault(&before, &child, &node->count);
	}
	if (fault)
		return fault;
	if (s.bytes.failed)
		return "it is cut short";
	return previous.name ? NULL : "it has no names";
}

static int corrupt(struct error *err, enum object_type type, const struct object_id *id, const char *fault)
{
	char hex[OBJECT_HEX_SIZE];

	return error_set(
		err, ERROR_CORRUPT, "%s %s: %s", object_type_name(type), object_id_hex(id, hex), fault);
}

int mst_node_judge(const struct crypt *c, enum object_type type, const struct mst_child *child,
	const struct mst_bounds *bounds, const uint8_t *bytes, size_t n, struct mst_node *out,
	struct error *err)
{
	static const struct mst_bounds none;
	const char *fault;
	int r = 0;

	out->count = 0;
	out->step.bytes = cursor_of(bytes, n);
	out->level = out->step.level = cursor_u8(&out->step.bytes);
	if (n == 0 || out->level >= MST_LEVELS)
		return corrupt(err, type, &child->id, "no level of a node");
	fault = fault_of(c, out, bounds ? bounds : &none, &r, err);
	if (r < 0)
		return r;
	if (!fault && child->level != ANY_LEVEL) {
		if (child->level != out->level)
			fault = "it is of another level than the node above says";
		else if (child->count != out->count)
			fault = "it has more or fewer names than the node above says";
	}
	return fault ? corrupt(err, type, &child->id, fault) : 0;
}

int mst_node_load(const struct mst *t, const struct mst_child *child, const struct mst_bounds *bounds,
	struct mst_node *out, struct error *err)
{
	int r;

	*out = (struct mst_node){0};
	r = store_get(t->store, t->type, &child->id, &out->held, err);
	if (r < 0)
		return r;
	return mst_node_judge(t->crypt, t->type, child, bounds, out->held.bytes, out->held.size, out, err);
}

void mst_node_release(const struct mst *t, struct mst_node *node)
{
	store_release(t->store, &node->held);
	*node = (struct mst_node){0};
}
