/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/stage/stage.h"

void stage_changes_free(struct stage_changes *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->list[i].path);
	free(c->list);
	*c = (struct stage_changes){0};
}

bool stage_is_within(const char *path, const char *one)
{
	size_t n = strlen(one);

	return !n || (!strncmp(path, one, n) && (!path[n] || path[n] == '/'));
}

bool stage_selects(char *const *paths, const char *path)
{
	if (!paths)
		return true;
	for (; *paths; paths++)
		if (stage_is_within(path, *paths))
			return true;
	return false;
}
