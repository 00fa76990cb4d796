/* SPDX-License-Identifier: Apache-2.0 */
/* Entries and identities as bytes, and what none can be. */
#include "monofs/entry.h"

#include <stdlib.h>

#define MODE_MASK   07777u
#define NANOSECONDS 1000000000u

void entry_free(struct entry *e)
{
	free(e->held);
	*e = (struct entry){0};
}

const char *entry_path_fault(const char *path, size_t n)
{
	size_t from = 0;

	if (n == 0 || n > ENTRY_PATH_MAX)
		return "a path that is empty or too long";
	for (size_t i = 0; i <= n; i++) {
		if (i < n && path[i] == 0)
			return "a path with a zero byte";
		if (i < n && path[i] != '/')
			continue;
		if (i == from || i - from > 255)
			return "a path with a name that is empty or too long";
		if (path[from] == '.' && (i - from == 1 || (i - from == 2 && path[from + 1] == '.')))
			return "a path with '.' or '..'";
		from = i + 1;
	}
	return NULL;
}

/* A '/' ends a name, and so comes before any byte of one. */
static int path_byte(const char *path, size_t n, size_t at)
{
	if (at == n)
		return -1;
	return path[at] == '/' ? 0 : (unsigned char)path[at];
}

int entry_path_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
	for (size_t i = 0;; i++) {
		int order = path_byte(a, a_size, i) - path_byte(b, b_size, i);

		if (order || i == a_size)
			return order;
	}
}

static const char *xattrs_fault(const struct entry *e)
{
	size_t bytes = 0;

	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		size_t n = strlen(x->name);

		if (n == 0 || n > 255)
			return "an extended attribute's name that is empty or too long";
		if (i > 0 && strcmp(e->xattrs[i - 1].name, x->name) >= 0)
			return "extended attributes out of order";
		if (x->value_size > ENTRY_XATTRS_MAX)
			return "an extended attribute that is too long";
		if ((x->value_size > ENTRY_INLINE_MAX) == object_id_is_none(&x->object))
			return "an extended attribute's value in the wrong place";
		bytes += n + x->value_size;
		if (bytes > ENTRY_XATTRS_MAX)
			return "too many extended attributes";
	}
	return NULL;
}

const char *content_ref_fault(const struct content_ref *ref, const struct content_ref *before, unsigned depth)
{
	bool hole = object_id_is_none(&ref->id);

	if (ref->size == 0)
		return "a part of a file without bytes";
	if (hole && (depth || (before && object_id_is_none(&before->id))))
		return "a hole where none can be";
	if (!hole && depth == 0 && ref->size > object_type_most(OBJECT_CHUNK))
		return "a chunk that is too large";
	return NULL;
}

static const char *refs_fault(const struct content *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->ref_count; i++) {
		const char *fault = content_ref_fault(&c->refs[i], i > 0 ? &c->refs[i - 1] : NULL, c->depth);

		if (fault)
			return fault;
		if (__builtin_add_overflow(sum, c->refs[i].size, &sum) || sum > c->size)
			return "parts that are more than the file";
	}
	return sum == c->size ? NULL : "parts that are less than the file";
}

static const char *content_fault(const struct content *c)
{
	if (c->size > ENTRY_SIZE_MAX)
		return "a file that is too large";
	if (c->size <= ENTRY_INLINE_MAX)
		return c->ref_count || c->depth ? "a small file that is not in its entry" : NULL;
	if (c->ref_count == 0 || c->ref_count > ENTRY_REFS_MAX)
		return "a file of no or too many parts";
	if (c->depth > CONTENT_DEPTH_MAX)
		return "a file of too many levels";
	return refs_fault(c);
}

static const char *entry_fault(const struct entry *e)
{
	const char *fault = NULL;

	if (e->kind == ENTRY_LINK)
		return entry_path_fault(e->target, e->target_size);
	if (e->mode & ~MODE_MASK)
		return "a mode that is none";
	if (e->mtime.nanoseconds >= NANOSECONDS)
		return "a time that is none";
	fault = xattrs_fault(e);
	if (!fault && e->kind == ENTRY_FILE)
		fault = content_fault(&e->content);
	if (!fault && e->kind == ENTRY_SYMLINK &&
		(e->target_size == 0 || e->target_size > ENTRY_PATH_MAX ||
			memchr(e->target, 0, e->target_size)))
		fault = "a symbolic link's target that is none";
	return fault;
}

/* ---- encoding ---- */

static void encode_xattrs(const struct entry *e, struct buffer *out)
{
	buffer_u16(out, (uint16_t)e->xattr_count);
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];

		buffer_u8(out, (uint8_t)strlen(x->name));
		buffer_append_text(out, x->name);
		buffer_u32(out, (uint32_t)x->value_size);
		if (x->value_size > ENTRY_INLINE_MAX)
			buffer_append(out, x->object.bytes, OBJECT_ID_SIZE);
		else
			buffer_append(out, x->value, x->value_size);
	}
}

void content_refs_encode(const struct content_ref *refs, size_t count, struct buffer *out)
{
	buffer_u16(out, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		buffer_append(out, refs[i].id.bytes, OBJECT_ID_SIZE);
		buffer_u64(out, refs[i].size);
	}
}

static void encode_content(const struct content *c, struct buffer *out)
{
	buffer_u64(out, c->size);
	if (c->size <= ENTRY_INLINE_MAX) {
		buffer_append(out, c->bytes, c->size);
		return;
	}
	buffer_u8(out, (uint8_t)c->depth);
	content_refs_encode(c->refs, c->ref_count, out);
}

static void encode_target(const struct entry *e, struct buffer *out)
{
	buffer_u16(out, (uint16_t)e->target_size);
	buffer_append(out, e->target, e->target_size);
}

int entry_encode(const struct entry *e, struct buffer *out, struct error *err)
{
	const char *fault =
		e->kind < ENTRY_FILE || e->kind > ENTRY_LINK ? "no kind of object" : entry_fault(e);

	if (fault)
		return error_set(err, ERROR_INVALID, "%s", fault);
	buffer_u8(out, (uint8_t)e->kind);
	if (e->kind != ENTRY_LINK) {
		buffer_u16(out, (uint16_t)e->mode);
		buffer_u32(out, e->uid);
		buffer_u32(out, e->gid);
		buffer_u64(out, (uint64_t)e->mtime.seconds);
		buffer_u32(out, e->mtime.nanoseconds);
		encode_xattrs(e, out);
	}
	if (e->kind == ENTRY_FILE)
		encode_content(&e->content, out);
	else if (e->kind == ENTRY_DIRECTORY)
		buffer_append(out, e->children.bytes, OBJECT_ID_SIZE);
	else if (e->kind == ENTRY_SYMLINK || e->kind == ENTRY_LINK)
		encode_target(e, out);
	else if (e->kind == ENTRY_CHARACTER || e->kind == ENTRY_BLOCK) {
		buffer_u32(out, e->major);
		buffer_u32(out, e->minor);
	}
	return out->failed ? error_no_memory(err, "encode an entry") : 0;
}

/* ---- decoding ---- */

/* What the arrays of an entry need: their sizes are known before they are read. */
struct room {
	uint8_t *at;
};

static void *room_take(struct room *room, size_t n)
{
	void *out = room->at;

	room->at += (n + 7) & ~(size_t)7;
	return out;
}

static void id_take(struct cursor *c, struct object_id *id)
{
	const uint8_t *bytes = cursor_take(c, OBJECT_ID_SIZE);

	if (bytes)
		memcpy(id->bytes, bytes, OBJECT_ID_SIZE);
}

/* One attribute; its name gets a NUL in memory of the entry's. */
static void decode_xattr(struct cursor *c, struct room *room, struct entry_xattr *x)
{
	size_t n = cursor_u8(c);
	const uint8_t *name = cursor_take(c, n);
	char *copy;

	x->value_size = cursor_u32(c);
	if (x->value_size > ENTRY_INLINE_MAX)
		id_take(c, &x->object);
	else
		x->value = cursor_take(c, x->value_size);
	if (!name || c->failed || memchr(name, 0, n)) {
		c->failed = true;
		return;
	}
	copy = room_take(room, n + 1);
	memcpy(copy, name, n);
	copy[n] = 0;
	x->name = copy;
}

static void decode_xattrs(struct cursor *c, struct room *room, struct entry *e)
{
	size_t count = cursor_u16(c);

	/* Each takes 6 bytes at least. */
	if (count > c->left / 6) {
		c->failed = true;
		return;
	}
	e->xattrs = room_take(room, count * sizeof *e->xattrs);
	memset(e->xattrs, 0, count * sizeof *e->xattrs);
	for (size_t i = 0; i < count && !c->failed; i++)
		decode_xattr(c, room, &e->xattrs[i]);
	e->xattr_count = count;
}

size_t content_refs_decode(struct cursor *c, struct content_ref *refs, size_t most)
{
	size_t count = cursor_u16(c);

	if (count > most || count > c->left / CONTENT_REF_SIZE) {
		c->failed = true;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		id_take(c, &refs[i].id);
		refs[i].size = cursor_u64(c);
	}
	return count;
}

static void decode_content(struct cursor *c, struct room *room, struct content *content)
{
	size_t most = c->left / CONTENT_REF_SIZE;

	content->size = cursor_u64(c);
	if (content->size <= ENTRY_INLINE_MAX) {
		content->bytes = cursor_take(c, content->size);
		return;
	}
	content->depth = cursor_u8(c);
	content->refs = room_take(room, most * sizeof *content->refs);
	content->ref_count = content_refs_decode(c, content->refs, most);
}

static void decode_target(struct cursor *c, struct entry *e)
{
	e->target_size = cursor_u16(c);
	e->target = (const char *)cursor_take(c, e->target_size);
}

static void decode_kind(struct cursor *c, struct room *room, struct entry *e)
{
	switch (e->kind) {
	case ENTRY_FILE:
		decode_content(c, room, &e->content);
		return;
	case ENTRY_DIRECTORY:
		id_take(c, &e->children);
		return;
	case ENTRY_SYMLINK:
	case ENTRY_LINK:
		decode_target(c, e);
		return;
	case ENTRY_CHARACTER:
	case ENTRY_BLOCK:
		e->major = cursor_u32(c);
		e->minor = cursor_u32(c);
		return;
	case ENTRY_FIFO:
	case ENTRY_SOCKET:
		return;
	}
}

/* What is decoded is no larger than this many times what it is decoded from. */
static size_t room_for(size_t n)
{
	return n * (sizeof(struct entry_xattr) / 6 + 4) + 64;
}

static int decode(const void *bytes, size_t n, struct room room, struct entry *e, struct error *err)
{
	struct cursor c = cursor_of(bytes, n);
	unsigned kind = cursor_u8(&c);
	const char *fault;

	if (kind < ENTRY_FILE || kind > ENTRY_LINK)
		return error_set(err, ERROR_CORRUPT, "an entry of no known kind");
	e->kind = (enum entry_kind)kind;
	if (e->kind != ENTRY_LINK) {
		e->mode = cursor_u16(&c);
		e->uid = cursor_u32(&c);
		e->gid = cursor_u32(&c);
		e->mtime.seconds = (int64_t)cursor_u64(&c);
		e->mtime.nanoseconds = cursor_u32(&c);
		decode_xattrs(&c, &room, e);
	}
	if (!c.failed)
		decode_kind(&c, &room, e);
	fault = cursor_done(&c) ? entry_fault(e) : "it is cut short or too long";
	return fault ? error_set(err, ERROR_CORRUPT, "an entry: %s", fault) : 0;
}

int entry_decode(const void *bytes, size_t n, struct entry *e, struct error *err)
{
	int r;

	*e = (struct entry){.held = malloc(room_for(n))};
	if (!e->held)
		return error_no_memory(err, "decode an entry");
	r = decode(bytes, n, (struct room){.at = e->held}, e, err);
	if (r < 0)
		entry_free(e);
	return r;
}

int entry_decode_owned(const void *bytes, size_t n, struct entry *e, struct error *err)
{
	size_t copied = (n + 7) & ~(size_t)7;
	int r;

	*e = (struct entry){.held = malloc(copied + room_for(n))};
	if (!e->held)
		return error_no_memory(err, "decode an entry");
	memcpy(e->held, bytes, n);
	r = decode(e->held, n, (struct room){.at = (uint8_t *)e->held + copied}, e, err);
	if (r < 0)
		entry_free(e);
	return r;
}

/* ---- identities ---- */

int identity_encode(const struct identity *i, struct buffer *out, struct error *err)
{
	buffer_append(out, i->id, ENTRY_ID_SIZE);
	buffer_u64(out, i->replica);
	buffer_u64(out, i->clock);
	if (!object_id_is_none(&i->children))
		buffer_append(out, i->children.bytes, OBJECT_ID_SIZE);
	return out->failed ? error_no_memory(err, "encode an identity") : 0;
}

int identity_decode(const void *bytes, size_t n, struct identity *i, struct error *err)
{
	struct cursor c = cursor_of(bytes, n);
	const uint8_t *id = cursor_take(&c, ENTRY_ID_SIZE);
	bool children;

	*i = (struct identity){0};
	if (id)
		memcpy(i->id, id, ENTRY_ID_SIZE);
	i->replica = cursor_u64(&c);
	i->clock = cursor_u64(&c);
	children = c.left > 0;
	if (children)
		id_take(&c, &i->children);
	if (!cursor_done(&c) || (children && object_id_is_none(&i->children)))
		return error_set(err, ERROR_CORRUPT, "an identity that is none");
	return 0;
}
