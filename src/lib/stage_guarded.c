/* SPDX-License-Identifier: Apache-2.0 */
/* Staged changes of the project's configuration, which the next command on this host reads and believes. */
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "lib/stage.h"

#define MARK "the project's configuration"

/* It changes the file, or what stands on the way to it. */
static bool changes(const struct stage_change *c, const char *guarded)
{
	if (stage_is_within(c->path, guarded))
		return true;
	return *c->path && stage_is_within(guarded, c->path) &&
	       !(S_ISDIR(c->before.mode) && S_ISDIR(c->after.mode));
}

static bool is_guarded(const struct staged_volume *v, const struct stage_change *c)
{
	const char *at = (const char *)v->guarded.data, *end = at + v->guarded.size;

	for (; at < end; at += strlen(at) + 1)
		if (changes(c, at))
			return true;
	return false;
}

void staged_mark_guarded(struct staged_volume *v)
{
	for (size_t i = 0; v->guarded.size && i < v->changes.count; i++)
		if (is_guarded(v, &v->changes.list[i]))
			v->changes.list[i].mark = MARK;
}

int staged_check_guarded(const struct staged *s, struct error *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct staged_volume *v = &s->volumes[i];

		for (size_t c = 0; v->guarded.size && c < v->changes.count; c++) {
			const struct stage_change *change = &v->changes.list[c];
			_cleanup_free_ char *path = NULL;

			if (!change->selected || !is_guarded(v, change))
				continue;
			path = staged_path(v, change->path, err);
			if (!path)
				return -ERROR_NO_MEMORY;
			return error_set(err, ERROR_DENIED,
				"'%s' is of the project's configuration, which the next command believes, "
				"and "
				"nothing is applied: look at 'monocore volume diff %s', then name other "
				"paths, or "
				"give --configuration",
				path, s->record.name);
		}
	}
	return 0;
}
