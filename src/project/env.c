/* SPDX-License-Identifier: Apache-2.0 */
#include "project/env.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

void env_free(struct env *e)
{
	text_list_free(e->list);
	map_free(&e->names);
	*e = (struct env){0};
}

char **env_take(struct env *e)
{
	char **list = TAKE_PTR(e->list);

	env_free(e);
	return list;
}

bool env_is_name(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == '=' || name[i] == 0x7f)
			return false;
	return n > 0;
}

static int grow(struct env *e, struct error *err)
{
	size_t room = e->room ? 2 * e->room : 16;
	char **grown;

	if (e->count + 1 < e->room)
		return 0;
	grown = realloc(e->list, room * sizeof *grown);
	if (!grown)
		return error_no_memory(err, "read variables");
	e->list = grown;
	e->room = room;
	return 0;
}

int env_set(struct env *e, const char *name, size_t name_size, const char *value, struct error *err)
{
	char *text = text_format(err, "%.*s=%s", (int)name_size, name, value);
	uintptr_t place;

	if (!text || grow(e, err) < 0) {
		free(text);
		return -ERROR_NO_MEMORY;
	}
	place = (uintptr_t)map_get(&e->names, name, name_size);
	e->bytes += strlen(text);
	if (place) {
		free(e->list[place - 1]);
		e->list[place - 1] = text;
		return 0;
	}
	e->list[e->count] = text;
	e->list[e->count + 1] = NULL;
	return map_set(&e->names, name, name_size, (void *)(uintptr_t)++e->count, NULL, err);
}

int env_set_text(struct env *e, const char *text, struct error *err)
{
	size_t n = strcspn(text, "=");

	return env_set(e, text, n, text[n] ? text + n + 1 : "", err);
}

int env_merge(struct env *e, char *const *list, struct error *err)
{
	for (size_t i = 0; list && list[i]; i++)
		if (env_set_text(e, list[i], err) < 0)
			return -ERROR_NO_MEMORY;
	return 0;
}

const char *env_get(const struct env *e, const char *name)
{
	size_t n = strlen(name);
	uintptr_t place = (uintptr_t)map_get(&e->names, name, n);

	return place ? e->list[place - 1] + n + 1 : NULL;
}
