/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static int parse_count(const char *value, uint64_t most, const char *name, uint64_t *count, struct error *err)
{
	int r = text_parse_u64(value, most, name, count, err);

	return r == 0 && *count == 0 ? error_set(err, ERROR_USAGE, "%s: 0 is no limit", name) : r;
}

static int parse_one(const char *name, const char *value, struct image_limits *l, struct error *err)
{
	uint64_t number = 0;
	int r;

	if (!strcmp(name, "layer_bytes"))
		return text_parse_size(value, 1, name, &l->layer_bytes, err);
	if (!strcmp(name, "root_bytes"))
		return text_parse_size(value, 1, name, &l->root_bytes, err);
	if (!strcmp(name, "entries"))
		return parse_count(value, UINT32_MAX, name, &l->entries, err);
	if (strcmp(name, "layers") && strcmp(name, "ratio"))
		return error_set(err, ERROR_USAGE,
			"'%s' is no limit: there are layer_bytes, root_bytes, entries, layers and ratio",
			name);
	r = parse_count(value, UINT32_MAX, name, &number, err);
	if (!strcmp(name, "layers"))
		l->layers = (uint32_t)number;
	else
		l->ratio = (uint32_t)number;
	return r;
}

int image_limits_parse(const char *text, struct image_limits *limits, struct error *err)
{
	_cleanup_free_ char *copy = text ? text_copy(text, err) : NULL;
	char *rest = copy, *name;
	int r = text && !copy ? -ERROR_NO_MEMORY : 0;

	while (r == 0 && (name = strsep(&rest, ","))) {
		char *value = name;

		if (!*name)
			continue;
		strsep(&value, "=");
		r = value ? parse_one(name, value, limits, err)
			  : error_set(err, ERROR_USAGE, "'%s' has no value: write %s=NUMBER", name, name);
	}
	return r < 0 ? error_prefix(err, IMAGE_LIMITS_ENV) : 0;
}
