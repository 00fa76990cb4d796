/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/copy_place.h"

#include <stdlib.h>
#include <string.h>

int copy_place_parse(const char *text, struct copy_place *place, struct error *err)
{
	const char *colon = strchr(text, ':');

	*place = (struct copy_place){.path = text, .stream = !strcmp(text, "-")};
	if (!*text)
		return error_set(err, ERROR_USAGE, "a path is empty");
	if (*text == '/' || *text == '.' || !colon || place->stream)
		return 0;
	if (colon == text || memchr(text, '/', (size_t)(colon - text)))
		return colon == text ? error_set(err, ERROR_USAGE, "'%s' has no name before ':'", text) : 0;
	if (!colon[1])
		return error_set(err, ERROR_USAGE, "'%s' has no path behind ':'", text);
	place->path = colon + 1;
	place->name = strndup(text, (size_t)(colon - text));
	return place->name ? 0 : error_no_memory(err, "read a path");
}

void copy_place_release(struct copy_place *place)
{
	free(place->name);
	*place = (struct copy_place){0};
}
