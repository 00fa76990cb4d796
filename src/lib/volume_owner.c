/* SPDX-License-Identifier: Apache-2.0 */
/* The named volumes of a project are its own. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "sandbox/volume_owner.h"

/* Where the project with this id is; NULL: nobody knows. */
static const char *directory_of(const struct project_identity *list, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].id, id))
			return list[i].directory;
	return NULL;
}

static int refuse(const struct monocore *mc, const char *volume, const char *owner, struct error *err)
{
	struct project_identity *list = NULL;
	const char *directory;
	size_t count = 0;
	int r;

	project_identity_list(mc->home.path, &list, &count, NULL);
	directory = directory_of(list, count, owner);
	r = error_set(err, ERROR_EXISTS,
		"the volume '%s' is of another project, %s%s: call it otherwise in this one's file; "
		"'monocore "
		"volume rm %s' removes it with what is in it",
		volume, directory ? "that in " : "one that this home does not know any more",
		directory ? directory : "", volume);
	project_identity_list_free(list, count);
	return r;
}

int project_own_volumes(struct monocore *mc, const struct project_identity *identity,
	const struct project_volume *volumes, size_t count, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		_cleanup_free_ char *name = NULL;
		char now[VOLUME_OWNER_SIZE];

		if (!volumes[i].named)
			continue;
		name = text_format(err, "%s_%s", identity->name, volumes[i].source);
		r = name ? volume_own(&mc->home, name, identity->id, now, err) : -ERROR_NO_MEMORY;
		if (r == 0 && strcmp(now, identity->id) != 0)
			r = refuse(mc, name, now, err);
	}
	return r;
}
