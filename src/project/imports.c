/* SPDX-License-Identifier: Apache-2.0 */
#include "project/imports.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

/* What the build is of moves to it; what orders is wanted by both. */
static int fill(struct project_build *b, struct project_sandbox *s, struct error *err)
{
	struct project_common *c = &b->common;

	*b = (struct project_build){0};
	c->name = text_format(err, "%s" PROJECT_IMPORTS_SUFFIX, s->common.name);
	c->directory = text_copy(s->common.directory ? s->common.directory : "", err);
	c->depends_on = text_list_copy(s->common.depends_on, err);
	if (!c->name || !c->directory || !c->depends_on)
		return -ERROR_NO_MEMORY;
	c->image = s->common.image;
	c->image_is_build = s->common.image_is_build;
	s->common.image_is_build = true;
	s->common.image = text_copy(c->name, err);
	c->imports = TAKE_PTR(s->common.imports);
	c->import_count = s->common.import_count;
	s->common.import_count = 0;
	c->place = s->common.place;
	return s->common.image ? 0 : -ERROR_NO_MEMORY;
}

int project_add_imports(struct project *p, struct error *err)
{
	size_t more = 0;
	struct project_build *builds;
	int r = 0;

	for (size_t i = 0; i < p->sandbox_count; i++)
		more += p->sandboxes[i].common.import_count > 0;
	builds = more ? reallocarray(p->builds, p->build_count + more, sizeof *builds) : p->builds;
	if (more && !builds)
		return error_no_memory(err, "read a project");
	p->builds = builds;
	for (size_t i = 0; r == 0 && i < p->sandbox_count; i++)
		if (p->sandboxes[i].common.import_count)
			r = fill(&p->builds[p->build_count++], &p->sandboxes[i], err);
	return r;
}

bool project_is_imports(const struct project *p, const struct project_build *b)
{
	size_t n = strlen(b->common.name), suffix = sizeof PROJECT_IMPORTS_SUFFIX - 1;

	for (size_t i = 0; text_ends(b->common.name, PROJECT_IMPORTS_SUFFIX) && i < p->sandbox_count; i++)
		if (strlen(p->sandboxes[i].common.name) == n - suffix &&
			!strncmp(p->sandboxes[i].common.name, b->common.name, n - suffix))
			return !strcmp(p->sandboxes[i].common.image, b->common.name);
	return false;
}
