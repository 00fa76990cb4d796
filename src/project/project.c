/* SPDX-License-Identifier: Apache-2.0 */
#include "project/project.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- finding ------------------------------------------------------------------------------------------ */

const struct project_sandbox *project_sandbox(const struct project *p, const char *name)
{
	for (size_t i = 0; i < p->sandbox_count; i++)
		if (!strcmp(p->sandboxes[i].common.name, name))
			return &p->sandboxes[i];
	return NULL;
}

const struct project_build *project_build(const struct project *p, const char *name)
{
	for (size_t i = 0; i < p->build_count; i++)
		if (!strcmp(p->builds[i].common.name, name))
			return &p->builds[i];
	return NULL;
}

const struct project_group *project_group(const struct project *p, const char *name)
{
	for (size_t i = 0; i < p->group_count; i++)
		if (!strcmp(p->groups[i].name, name))
			return &p->groups[i];
	return NULL;
}

/* ---- releasing ---------------------------------------------------------------------------------------- */

static void pairs_free(struct project_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(pairs[i].name);
		free(pairs[i].value);
	}
	free(pairs);
}

static void volumes_free(struct project_volume *volumes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(volumes[i].source);
		free(volumes[i].target);
		free(volumes[i].options);
	}
	free(volumes);
}

static void imports_free(struct project_import *imports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(imports[i].build);
		free(imports[i].name);
		free(imports[i].source);
		free(imports[i].target);
	}
	free(imports);
}

static void common_free(struct project_common *c)
{
	free(c->name);
	free(c->directory);
	free(c->image);
	volumes_free(c->volumes, c->volume_count);
	text_list_free(c->ports);
	text_list_free(c->env);
	text_list_free(c->depends_on);
	free(c->workdir);
	free(c->user);
	free(c->shell);
	pairs_free(c->scripts, c->script_count);
	imports_free(c->imports, c->import_count);
	pairs_free(c->exports, c->export_count);
	free(c->network.reach);
	text_list_free(c->network.allow);
	text_list_free(c->network.deny);
}

static void sandbox_free(struct project_sandbox *s)
{
	common_free(&s->common);
	for (size_t i = 0; i < s->group_count; i++) {
		free(s->groups[i].group);
		free(s->groups[i].ip);
		free(s->groups[i].hostname);
		volumes_free(s->groups[i].volumes, s->groups[i].volume_count);
	}
	free(s->groups);
	text_list_free(s->healthcheck.command);
	text_list_free(s->labels);
}

static void build_free(struct project_build *b)
{
	common_free(&b->common);
	for (size_t i = 0; i < b->step_count; i++) {
		struct project_step *s = &b->steps[i];

		free(s->command);
		text_list_free(s->argv);
		text_list_free(s->sources);
		free(s->target);
		free(s->from);
		text_list_free(s->env);
	}
	free(b->steps);
	text_list_free(b->healthcheck.command);
}

static void group_free(struct project_group *g)
{
	free(g->name);
	free(g->subnet);
	volumes_free(g->volumes, g->volume_count);
	text_list_free(g->env);
}

void project_free(struct project *p)
{
	if (!p)
		return;
	free(p->directory);
	text_list_free(p->files);
	text_list_free(p->reads);
	pairs_free(p->meta, p->meta_count);
	for (size_t i = 0; i < p->sandbox_count; i++)
		sandbox_free(&p->sandboxes[i]);
	free(p->sandboxes);
	for (size_t i = 0; i < p->build_count; i++)
		build_free(&p->builds[i]);
	free(p->builds);
	for (size_t i = 0; i < p->group_count; i++)
		group_free(&p->groups[i]);
	free(p->groups);
	for (size_t i = 0; i < p->reach_count; i++) {
		free(p->reaches[i].component);
		free(p->reaches[i].value);
	}
	free(p->reaches);
	free(p);
}
