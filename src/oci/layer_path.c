/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/layer_path.h"

#include <string.h>

#define WHITEOUT      ".wh."
#define WHITEOUT_SIZE 4
#define OPAQUE        ".wh..wh..opq"
#define NAME_MOST     255

struct name {
	const char *at;
	size_t size;
};

/* The next name of a path, which is advanced; false: there is none. */
static bool next_name(const char **path, struct name *n)
{
	n->at = *path + strspn(*path, "/");
	n->size = strcspn(n->at, "/");
	*path = n->at + n->size;
	return n->size > 0;
}

static bool is(const struct name *n, const char *text)
{
	return n->size == strlen(text) && !memcmp(n->at, text, n->size);
}

static bool has_whiteout(const struct name *n)
{
	return n->size >= WHITEOUT_SIZE && !memcmp(n->at, WHITEOUT, WHITEOUT_SIZE);
}

static int judge(const char *path, const struct name *n, enum layer_name *kind, struct error *err)
{
	struct name removed = {n->at + WHITEOUT_SIZE, n->size - WHITEOUT_SIZE};

	*kind = LAYER_NAME_PLAIN;
	if (is(n, ".."))
		return error_set(err, ERROR_INVALID, "entry '%s': a path with \"..\"", path);
	if (n->size > NAME_MOST)
		return error_set(
			err, ERROR_INVALID, "entry '%s': a name of more than %d bytes", path, NAME_MOST);
	if (!has_whiteout(n))
		return 0;
	*kind = is(n, OPAQUE) ? LAYER_NAME_OPAQUE : LAYER_NAME_WHITEOUT;
	if (*kind == LAYER_NAME_OPAQUE)
		return 0;
	if (!removed.size || is(&removed, ".") || is(&removed, "..") || has_whiteout(&removed))
		return error_set(
			err, ERROR_INVALID, "entry '%s': no file has the name that it removes", path);
	return 0;
}

int layer_path(const char *path, struct buffer *out, enum layer_name *kind, struct error *err)
{
	enum layer_name last = LAYER_NAME_PLAIN;
	const char *at = path;
	struct name n;
	int r = 0;

	buffer_clear(out);
	if (*path == '/')
		return error_set(err, ERROR_INVALID, "entry '%s': an absolute path", path);
	while (r == 0 && next_name(&at, &n)) {
		if (is(&n, "."))
			continue;
		if (last != LAYER_NAME_PLAIN)
			return error_set(
				err, ERROR_INVALID, "entry '%s': something beneath a whiteout", path);
		r = judge(path, &n, &last, err);
		if (out->size)
			buffer_u8(out, '/');
		buffer_append(out, n.at, n.size);
	}
	if (kind)
		*kind = last;
	if (r == 0 && !buffer_u8(out, 0))
		return error_no_memory(err, "read a layer");
	return r;
}

/* What a name is ordered by: an opaque mark is the first of all. */
static struct name key_of(const struct name *n)
{
	if (is(n, OPAQUE))
		return (struct name){n->at, 0};
	return has_whiteout(n) ? (struct name){n->at + WHITEOUT_SIZE, n->size - WHITEOUT_SIZE} : *n;
}

static int compare_names(const struct name *x, const struct name *y)
{
	const struct name a = key_of(x), b = key_of(y);
	int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);

	return order ? order : (a.size > b.size) - (a.size < b.size);
}

int layer_path_compare(const char *a, const char *b)
{
	struct name x, y;

	for (;;) {
		bool more = next_name(&a, &x), other = next_name(&b, &y);
		int order;

		if (!more || !other)
			return more - other;
		order = compare_names(&x, &y);
		if (order)
			return order;
	}
}

bool layer_path_is_beneath(const char *path, const char *above)
{
	struct name x, y;

	while (next_name(&above, &y))
		if (!next_name(&path, &x) || compare_names(&x, &y) != 0)
			return false;
	return next_name(&path, &x);
}
