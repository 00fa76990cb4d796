/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/commit.h"

#include <stdlib.h>

#define COMMIT_VERSION   1u
#define COMMIT_AUTOMATIC 1u
#define ZONE_MOST        (26 * 60) /* minutes */

void commit_free(struct commit *c)
{
	free(c->author);
	free(c->message);
	*c = (struct commit){0};
}

static const char *commit_fault(const struct commit *c)
{
	if (c->parent_count > COMMIT_PARENTS_MAX)
		return "too many parents";
	for (size_t i = 0; i < c->parent_count; i++) {
		if (object_id_is_none(&c->parents[i]))
			return "a parent without an id";
	}
	if (object_id_is_none(&c->content) || object_id_is_none(&c->identity))
		return "a root without an id";
	if (c->time.nanoseconds >= 1000000000)
		return "a time that is none";
	if (c->zone < -ZONE_MOST || c->zone > ZONE_MOST)
		return "a time zone that is none";
	if (c->generation == 0)
		return "no generation";
	if (strlen(c->author) > COMMIT_TEXT_MAX || strlen(c->message) > COMMIT_TEXT_MAX)
		return "a text that is too long";
	return NULL;
}

static void encode_id(struct buffer *out, const struct object_id *id)
{
	buffer_append(out, id->bytes, OBJECT_ID_SIZE);
}

int commit_encode(const struct commit *c, struct buffer *out, struct error *err)
{
	const char *fault = commit_fault(c);

	if (fault)
		return error_set(err, ERROR_INVALID, "a commit: %s", fault);
	buffer_u8(out, COMMIT_VERSION);
	buffer_u8(out, (uint8_t)c->parent_count);
	for (size_t i = 0; i < c->parent_count; i++)
		encode_id(out, &c->parents[i]);
	encode_id(out, &c->content);
	encode_id(out, &c->identity);
	buffer_u64(out, (uint64_t)c->time.seconds);
	buffer_u32(out, c->time.nanoseconds);
	buffer_u32(out, (uint32_t)c->zone);
	buffer_u64(out, c->replica);
	buffer_u64(out, c->clock);
	buffer_u64(out, c->generation);
	buffer_u8(out, c->automatic ? COMMIT_AUTOMATIC : 0);
	buffer_string(out, c->author);
	buffer_string(out, c->message);
	return out->failed ? error_no_memory(err, "encode a commit") : 0;
}

static void decode_id(struct cursor *in, struct object_id *id)
{
	const uint8_t *bytes = cursor_take(in, OBJECT_ID_SIZE);

	if (bytes)
		memcpy(id->bytes, bytes, OBJECT_ID_SIZE);
}

/* The version was read. */
static bool decode(struct cursor *in, struct commit *c)
{
	unsigned flags;

	c->parent_count = cursor_u8(in);
	if (c->parent_count > COMMIT_PARENTS_MAX)
		return false;
	for (size_t i = 0; i < c->parent_count; i++)
		decode_id(in, &c->parents[i]);
	decode_id(in, &c->content);
	decode_id(in, &c->identity);
	c->time.seconds = (int64_t)cursor_u64(in);
	c->time.nanoseconds = cursor_u32(in);
	c->zone = (int32_t)cursor_u32(in);
	c->replica = cursor_u64(in);
	c->clock = cursor_u64(in);
	c->generation = cursor_u64(in);
	flags = cursor_u8(in);
	c->automatic = flags == COMMIT_AUTOMATIC;
	c->author = cursor_string(in);
	c->message = cursor_string(in);
	return cursor_done(in) && (flags & ~COMMIT_AUTOMATIC) == 0;
}

int commit_decode(const void *bytes, size_t n, struct commit *c, struct error *err)
{
	struct cursor in = cursor_of(bytes, n);
	const char *fault = NULL;

	*c = (struct commit){0};
	if (cursor_u8(&in) != COMMIT_VERSION)
		fault = "of a version that this program does not know";
	else if (!decode(&in, c))
		fault = "it is cut short, too long or malformed";
	else
		fault = commit_fault(c);
	if (fault) {
		commit_free(c);
		return error_set(err, ERROR_CORRUPT, "a commit: %s", fault);
	}
	return 0;
}

int commit_put(struct store_writer *w, const struct commit *c, struct object_id *id, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	int r = commit_encode(c, &bytes, err);

	return r < 0 ? r : store_put(w, OBJECT_COMMIT, bytes.data, bytes.size, id, NULL, err);
}

int commit_get(struct store *s, const struct object_id *id, struct commit *c, struct error *err)
{
	struct store_bytes held = {0};
	char hex[OBJECT_HEX_SIZE];
	int r;

	*c = (struct commit){0};
	r = store_get(s, OBJECT_COMMIT, id, &held, err);
	if (r < 0)
		return r;
	r = commit_decode(held.bytes, held.size, c, err);
	store_release(s, &held);
	return r < 0 ? error_prefix(err, "commit %s", object_id_hex(id, hex)) : 0;
}
