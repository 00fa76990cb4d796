/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/events.h"
#include "lib/handle.h"
#include "monocore_volume.h"
#include "project/identity.h"
#include "sandbox/volume.h"
#include "sandbox/volume_owner.h"

struct listing {
	struct monocore *mc;
	int volumes; /* their directory */
	struct project_identity *projects;
	size_t project_count;
};

static char *project_of(const struct listing *l, const char *name, struct error *err)
{
	char owner[VOLUME_OWNER_SIZE];
	const char *directory = owner;

	volume_owner(l->volumes, name, owner);
	for (size_t i = 0; i < l->project_count; i++)
		if (!strcmp(l->projects[i].id, owner))
			directory = l->projects[i].directory;
	return text_copy(directory, err);
}

static int describe(
	const struct listing *l, const char *name, struct monocore_volume_info *v, struct error *err)
{
	struct monocore *mc = l->mc;
	struct stat s;
	int r = volume_users(&mc->home, name, &v->sandboxes, err);

	if (r < 0)
		return r;
	v->project = project_of(l, name, err);
	v->name = text_copy(name, err);
	v->path = text_format(err, "%s/volumes/%s", mc->home.path, name);
	if (!v->sandboxes)
		v->sandboxes = calloc(1, sizeof *v->sandboxes);
	if (!v->name || !v->path || !v->sandboxes || !v->project)
		return error_no_memory(err, "list volumes");
	if (stat(v->path, &s) == 0)
		v->changed =
			(uint64_t)s.st_mtim.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)s.st_mtim.tv_nsec;
	return 0;
}

static int list_with(
	const struct listing *l, struct monocore_volume_info **out, size_t *count, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	struct monocore_volume_info *all;
	int r = volume_list(&l->mc->home, &names, err);
	size_t n = text_list_size(names);

	if (r < 0)
		return r;
	all = calloc(n + 1, sizeof *all);
	if (!all)
		return error_no_memory(err, "list volumes");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = describe(l, names[i], &all[i], err);
	if (r < 0) {
		monocore_volumes_free(all, n);
		return r;
	}
	*out = all;
	*count = n;
	return 0;
}

static int list(struct monocore *mc, struct monocore_volume_info **out, size_t *count, struct error *err)
{
	struct listing l = {.mc = mc, .volumes = -1};
	int r = volume_directory(&mc->home, &l.volumes, err);

	if (r == 0)
		r = project_identity_list(mc->home.path, &l.projects, &l.project_count, err);
	if (r == 0)
		r = list_with(&l, out, count, err);
	project_identity_list_free(l.projects, l.project_count);
	if (l.volumes >= 0)
		close(l.volumes);
	return r;
}

int monocore_volumes(
	struct monocore *mc, struct monocore_volume_info **out, size_t *count, struct monocore_error *error)
{
	struct error err;

	return list(mc, out, count, &err) < 0 ? give_error(error, &err) : 0;
}

void monocore_volumes_free(struct monocore_volume_info *all, size_t count)
{
	for (size_t i = 0; all && i < count; i++) {
		free(all[i].name);
		free(all[i].path);
		free(all[i].project);
		text_list_free(all[i].sandboxes);
	}
	free(all);
}

int monocore_volume_remove(struct monocore *mc, const char *name, struct monocore_error *error)
{
	struct error err;

	if (volume_remove(&mc->home, name, &err) < 0)
		return give_error(error, &err);
	tell_volume(mc, "remove", name);
	return 0;
}
