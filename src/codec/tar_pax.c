/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tar_pax.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define XATTR_PREFIX "SCHILY.xattr."

struct value {
	const uint8_t *bytes;
	size_t size;
};

static void free_xattrs(struct tar_xattr *xattrs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(xattrs[i].name);
		free(xattrs[i].value);
	}
	free(xattrs);
}

void tar_pax_free(struct tar_pax *p)
{
	free(p->path);
	free(p->link);
	free(p->sparse_name);
	tar_map_free(&p->map);
	free_xattrs(p->xattrs, p->xattr_count);
	*p = (struct tar_pax){0};
}

static int set_text(char **text, struct value v, struct error *err)
{
	char *copy;

	if (memchr(v.bytes, 0, v.size))
		return error_set(err, ERROR_INVALID, "a name in an extended header holds a NUL byte");
	copy = text_copy_bytes(v.bytes, v.size, err);
	if (!copy)
		return -ERROR_NO_MEMORY;
	free(*text);
	*text = copy;
	return 0;
}

/* A decimal number of seconds with an optional fraction, before 1970 with a minus. "-0.5" is half a second
 * before 1970: second -1, and 500,000,000 ns forward from it. Digits past the ninth round down. */
static bool read_time(struct value v, int64_t *seconds, uint32_t *nanoseconds)
{
	bool negative = v.size && v.bytes[0] == '-', rest = false;
	const uint8_t *dot = memchr(v.bytes, '.', v.size);
	size_t from = negative, whole = dot ? (size_t)(dot - v.bytes) : v.size;
	uint64_t magnitude;
	uint32_t fraction = 0, scale = 100000000;

	if (whole < from || !tar_decimal(v.bytes + from, whole - from, INT64_MAX, &magnitude))
		return false;
	for (size_t i = whole + 1; i < v.size; i++) {
		if (v.bytes[i] < '0' || v.bytes[i] > '9')
			return false;
		rest |= !scale && v.bytes[i] != '0';
		fraction += scale * (uint32_t)(v.bytes[i] - '0');
		scale /= 10;
	}
	*seconds = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (negative && rest)
		fraction++;
	if (negative && fraction) {
		if (*seconds == -INT64_MAX)
			return false;
		*seconds -= 1;
		fraction = 1000000000 - fraction;
	}
	*nanoseconds = fraction;
	return true;
}

/* GNU tar writes '=' and '%' of an attribute's name as %3D and %25, since a key ends at the first '='. */
static void decode_percent(char *name)
{
	char *to = name;

	for (const char *from = name; *from; to++) {
		if (!strncmp(from, "%3D", 3) || !strncmp(from, "%25", 3)) {
			*to = from[1] == '3' ? '=' : '%';
			from += 3;
		} else {
			*to = *from++;
		}
	}
	*to = 0;
}

static struct tar_xattr *find_xattr(struct tar_pax *p, const char *name)
{
	for (size_t i = 0; i < p->xattr_count; i++)
		if (!strcmp(p->xattrs[i].name, name))
			return &p->xattrs[i];
	return NULL;
}

/* The attribute of that name, added without a value where there is none; takes over the name. */
static struct tar_xattr *place_xattr(struct tar_pax *p, char **name)
{
	struct tar_xattr *x = find_xattr(p, *name), *more;

	if (x)
		return x;
	if ((p->xattr_count & (p->xattr_count - 1)) == 0) {
		more = reallocarray(p->xattrs, p->xattr_count ? p->xattr_count * 2 : 1, sizeof *more);
		if (!more)
			return NULL;
		p->xattrs = more;
	}
	x = &p->xattrs[p->xattr_count++];
	*x = (struct tar_xattr){.name = TAKE_PTR(*name)};
	return x;
}

static int set_xattr(struct tar_pax *p, const char *key, size_t key_size, struct value v, struct error *err)
{
	_cleanup_free_ char *name = text_copy_bytes(key, key_size, err);
	_cleanup_free_ uint8_t *copy = (uint8_t *)text_copy_bytes(v.bytes, v.size, err);
	struct tar_xattr *x;

	if (!name || !copy)
		return -ERROR_NO_MEMORY;
	decode_percent(name);
	if (!*name)
		return error_set(err, ERROR_INVALID, "an extended attribute has no name");
	if (p->xattr_count == TAR_XATTRS_MAX && !find_xattr(p, name))
		return error_set(err, ERROR_LIMIT, "over %d extended attributes", TAR_XATTRS_MAX);
	x = place_xattr(p, &name);
	if (!x)
		return error_no_memory(err, "read an extended attribute");
	free(x->value);
	x->value = TAKE_PTR(copy);
	x->size = v.size;
	return 0;
}

/* GNU 0.0 gives each part as a record with its offset and, next, one with its size. */
static int add_part(struct tar_pax *p, uint64_t size, struct error *err)
{
	if (!(p->have & TAR_PAX_SPARSE_OFFSET))
		return error_set(err, ERROR_INVALID, "a part of a sparse file has a size but no offset");
	p->have &= ~(unsigned)TAR_PAX_SPARSE_OFFSET;
	p->have |= TAR_PAX_SPARSE_MAP;
	return tar_map_add(&p->map, p->sparse_offset, size, err);
}

static int set_map(struct tar_pax *p, struct value v, struct error *err)
{
	size_t limit = p->map.limit;

	tar_map_free(&p->map);
	p->map.limit = limit;
	p->have |= TAR_PAX_SPARSE_MAP;
	return tar_map_add_list(&p->map, v.bytes, v.size, err);
}

enum kind { KIND_TEXT, KIND_NUMBER, KIND_TIME, KIND_PART, KIND_MAP };

/* `at`: which member of struct tar_pax takes the value. */
static const struct key {
	const char *name;
	unsigned bit;
	enum kind kind;
	size_t at;
	uint64_t max;
} keys[] = {
#define AT(member) offsetof(struct tar_pax, member)
	{"path", TAR_PAX_PATH, KIND_TEXT, AT(path), 0},
	{"linkpath", TAR_PAX_LINK, KIND_TEXT, AT(link), 0},
	{"size", TAR_PAX_SIZE, KIND_NUMBER, AT(size), INT64_MAX},
	{"uid", TAR_PAX_UID, KIND_NUMBER, AT(uid), UINT32_MAX},
	{"gid", TAR_PAX_GID, KIND_NUMBER, AT(gid), UINT32_MAX},
	{"mtime", TAR_PAX_MTIME, KIND_TIME, 0, 0},
	{"SCHILY.devmajor", TAR_PAX_MAJOR, KIND_NUMBER, AT(major), UINT32_MAX},
	{"SCHILY.devminor", TAR_PAX_MINOR, KIND_NUMBER, AT(minor), UINT32_MAX},
	{"SCHILY.realsize", TAR_PAX_STAR_SIZE, KIND_NUMBER, AT(star_size), INT64_MAX},
	{"GNU.sparse.size", TAR_PAX_REAL_SIZE, KIND_NUMBER, AT(real_size), INT64_MAX},
	{"GNU.sparse.realsize", TAR_PAX_REAL_SIZE, KIND_NUMBER, AT(real_size), INT64_MAX},
	{"GNU.sparse.name", TAR_PAX_SPARSE_NAME, KIND_TEXT, AT(sparse_name), 0},
	{"GNU.sparse.major", TAR_PAX_SPARSE_MAJOR, KIND_NUMBER, AT(sparse_major), 9},
	{"GNU.sparse.minor", TAR_PAX_SPARSE_MINOR, KIND_NUMBER, AT(sparse_minor), 9},
	{"GNU.sparse.numblocks", TAR_PAX_SPARSE_BLOCKS, KIND_NUMBER, AT(sparse_blocks), INT64_MAX},
	{"GNU.sparse.offset", TAR_PAX_SPARSE_OFFSET, KIND_NUMBER, AT(sparse_offset), INT64_MAX},
	{"GNU.sparse.numbytes", 0, KIND_PART, 0, INT64_MAX},
	{"GNU.sparse.map", 0, KIND_MAP, 0, 0},
#undef AT
};

static const struct key *find_key(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].name) == n && !memcmp(keys[i].name, name, n))
			return &keys[i];
	return NULL;
}

static int set_value(struct tar_pax *p, const struct key *key, struct value v, struct error *err)
{
	void *member = (char *)p + key->at;
	uint64_t number = 0;
	bool ok = true;
	int r = 0;

	if (key->kind == KIND_NUMBER || key->kind == KIND_PART)
		ok = tar_decimal(v.bytes, v.size, key->max, &number);
	else if (key->kind == KIND_TIME)
		ok = read_time(v, &p->mtime, &p->mtime_nanoseconds);
	if (!ok)
		return error_set(err, ERROR_INVALID,
			"'%s' in an extended header is '%.*s': not a number in range", key->name,
			v.size > 40 ? 40 : (int)v.size, (const char *)v.bytes);
	if (key->kind == KIND_NUMBER)
		memcpy(member, &number, sizeof number);
	else if (key->kind == KIND_TEXT)
		r = set_text(member, v, err);
	else if (key->kind == KIND_PART)
		r = add_part(p, number, err);
	else if (key->kind == KIND_MAP)
		r = set_map(p, v, err);
	p->have |= key->bit;
	p->deleted &= ~key->bit;
	return r;
}

static int take_record(
	struct tar_pax *p, const char *name, size_t n, struct value v, bool global, struct error *err)
{
	const size_t prefix = strlen(XATTR_PREFIX);
	bool is_xattr = n >= prefix && !memcmp(name, XATTR_PREFIX, prefix);
	const struct key *key = find_key(name, n);

	if (memchr(name, 0, n))
		return error_set(err, ERROR_INVALID, "a key in an extended header holds a NUL byte");
	if (global && (is_xattr || (key && !strncmp(key->name, "GNU.sparse.", 11))))
		return error_set(err, ERROR_INVALID, "'%s' stands in a global extended header",
			is_xattr ? XATTR_PREFIX "*" : key->name);
	if (is_xattr)
		return set_xattr(p, name + prefix, n - prefix, v, err);
	if (!key)
		return 0;
	if (!v.size && key->kind != KIND_MAP) {
		p->have &= ~key->bit;
		p->deleted |= key->bit;
		return 0;
	}
	return set_value(p, key, v, err);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts the whole record. Returns its length. */
static size_t split_record(const uint8_t *data, size_t n, const uint8_t **key, const uint8_t **equals)
{
	const uint8_t *space = memchr(data, ' ', n < 20 ? n : 20);
	uint64_t length;

	if (!space || !tar_decimal(data, (size_t)(space - data), n, &length))
		return 0;
	*key = space + 1;
	if (length < (size_t)(*key - data) + 1 || data[length - 1] != '\n')
		return 0;
	*equals = memchr(*key, '=', (size_t)(data + length - *key));
	return *equals && *equals > *key ? (size_t)length : 0;
}

int tar_pax_read(
	struct tar_pax *p, const uint8_t *data, size_t n, bool global, size_t parts, struct error *err)
{
	const uint8_t *key, *equals;
	int r;

	p->map.limit = parts;
	while (n) {
		size_t length = split_record(data, n, &key, &equals);
		struct value v;

		if (!length)
			return error_set(err, ERROR_INVALID, "a record of an extended header is malformed");
		v = (struct value){equals + 1, (size_t)(data + length - 1 - (equals + 1))};
		r = take_record(p, (const char *)key, (size_t)(equals - key), v, global, err);
		if (r < 0)
			return r;
		data += length;
		n -= length;
	}
	if (p->have & TAR_PAX_SPARSE_OFFSET)
		return error_set(err, ERROR_INVALID, "a part of a sparse file has an offset but no size");
	return 0;
}
