/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a project has, as a list. The build that brings a sandbox its imports (imports.h) is no component of
 * its own: the sandbox is shown with the image and the imports that the file gives it.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "lib/handle.h"
#include "lib/project.h"
#include "project/imports.h"

void monocore_project_entries_free(struct monocore_project_entry *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++) {
		free(list[i].name);
		free(list[i].image);
		text_list_free(list[i].depends_on);
		text_list_free(list[i].imports);
		text_list_free(list[i].groups);
	}
	free(list);
}

static int fill(struct monocore_project_entry *e, const char *name, const char *image,
	char *const *depends_on, struct error *err)
{
	int r = 0;

	e->name = text_copy(name, err);
	e->image = text_copy(image ? image : "", err);
	for (; r == 0 && depends_on && *depends_on; depends_on++)
		r = text_list_add(&e->depends_on, *depends_on, err);
	return e->name && e->image ? r : -ERROR_NO_MEMORY;
}

static int fill_common(struct monocore_project_entry *e, const struct project_common *c, struct error *err)
{
	int r = fill(e, c->name, c->image, c->depends_on, err);

	e->image_is_build = c->image_is_build;
	for (size_t i = 0; r == 0 && i < c->import_count; i++) {
		_cleanup_free_ char *text =
			text_format(err, "%s.%s", c->imports[i].build, c->imports[i].name);

		r = text ? text_list_add(&e->imports, text, err) : -ERROR_NO_MEMORY;
	}
	return r;
}

static const struct project_common *written(const struct project *p, const struct project_common *c)
{
	const struct project_build *b = c->image_is_build && text_ends(c->image, PROJECT_IMPORTS_SUFFIX)
						? project_build(p, c->image)
						: NULL;

	return b ? &b->common : c;
}

static int fill_sandbox(const struct project *p, struct monocore_project_entry *e,
	const struct project_sandbox *s, struct error *err)
{
	const struct project_common *c = written(p, &s->common);
	struct project_common shown = *c;
	int r;

	shown.name = s->common.name;
	shown.depends_on = s->common.depends_on;
	r = fill_common(e, &shown, err);

	e->section = MONOCORE_SECTION_SANDBOXES;
	for (size_t i = 0; r == 0 && i < s->group_count; i++)
		r = text_list_add(&e->groups, s->groups[i].group, err);
	return r;
}

static int fill_all(
	const struct project *p, struct monocore_project_entry *list, size_t *count, struct error *err)
{
	struct monocore_project_entry *first = list;
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->sandbox_count; i++)
		r = fill_sandbox(p, list++, &p->sandboxes[i], err);
	for (size_t i = 0; r == 0 && i < p->build_count; i++) {
		if (text_ends(p->builds[i].common.name, PROJECT_IMPORTS_SUFFIX))
			continue;
		list->section = MONOCORE_SECTION_BUILDS;
		r = fill_common(list++, &p->builds[i].common, err);
	}
	for (size_t i = 0; r == 0 && i < p->group_count; i++) {
		list->section = MONOCORE_SECTION_GROUPS;
		r = fill(list++, p->groups[i].name, NULL, NULL, err);
	}
	*count = (size_t)(list - first);
	return r;
}

int monocore_project_entries(const struct monocore_project *project, struct monocore_project_entry **out,
	size_t *count, struct monocore_error *error)
{
	const struct project *p = project->project;
	size_t n = p->sandbox_count + p->build_count + p->group_count;
	struct monocore_project_entry *list = calloc(n + 1, sizeof *list);
	struct error err;
	int r = list ? fill_all(p, list, count, &err) : error_no_memory(&err, "list a project");

	if (r < 0) {
		monocore_project_entries_free(list, n);
		return give_error(error, &err);
	}
	*out = list;
	return 0;
}

int monocore_project_build_image(struct monocore *mc, const struct monocore_project *project,
	const char *build, char **image, struct monocore_error *error)
{
	_cleanup_project_identity_ struct project_identity identity = {0};
	struct error err;
	int r = project_who(mc, project, false, &identity, &err);

	if (r == 0 && !(*image = component_build_image(identity.name, build, &err)))
		r = -ERROR_NO_MEMORY;
	return r < 0 ? give_error(error, &err) : 0;
}
