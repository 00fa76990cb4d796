/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

#include <stdint.h>
#include <string.h>

int json_parse(const void *bytes, size_t n, size_t limit, bool strict, const char *what, json_t **root,
	struct error *err)
{
	json_error_t where;

	*root = NULL;
	if (n > limit)
		return error_set(err, ERROR_LIMIT, "%s: over %zu bytes", what, limit);
	*root = json_loadb(n ? bytes : "", n, strict ? JSON_REJECT_DUPLICATES : 0, &where);
	/* Where memory is out, the library mostly says nothing at all. */
	if (!*root && (json_error_code(&where) == json_error_out_of_memory || !*where.text))
		return error_no_memory(err, what);
	if (!*root)
		return error_set(
			err, ERROR_INVALID, "%s:%d:%d: %s", what, where.line, where.column, where.text);
	if (json_is_object(*root))
		return 0;
	json_decref(TAKE_PTR(*root));
	return error_set(err, ERROR_INVALID, "%s: not a JSON object", what);
}

int json_text(const json_t *object, const char *key, const char *what, const char **text, struct error *err)
{
	const json_t *value = json_object_get(object, key);

	*text = json_string_value(value);
	if (*text || !value || json_is_null(value))
		return 0;
	return error_set(err, ERROR_INVALID, "%s: %s is not a string", what, key);
}

void json_wipe(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		explicit_bzero((char *)(uintptr_t)json_string_value(value), json_string_length(value));
	json_array_foreach(value, i, member) json_wipe(member);
	json_object_foreach(value, key, member) json_wipe(member);
}

static int append(const char *bytes, size_t n, void *context)
{
	return buffer_append(context, bytes, n) ? 0 : -1;
}

int json_write(const json_t *json, size_t flags, struct buffer *out, struct error *err)
{
	int r = json ? json_dump_callback(json, append, out, flags) : -1;

	return r < 0 || out->failed ? error_no_memory(err, "write JSON") : 0;
}
