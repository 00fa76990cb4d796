/* SPDX-License-Identifier: Apache-2.0 */
/* How the components of a project stand. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "project/digest.h"

struct standing {
	const struct monocore_project *project;
	struct project_identity identity;
	struct seen_list seen;
	struct monocore_sandbox_info *infos; /* of all sandboxes; moved into the list one by one */
	size_t info_count;
	struct monocore_project_component *list;
	size_t count;
};

void monocore_project_status_free(struct monocore_project_component *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].sandbox);
		free(list[i].image);
		if (list[i].info)
			monocore_list_free(list[i].info, 1);
	}
	free(list);
}

static void standing_free(struct standing *s)
{
	project_identity_free(&s->identity);
	seen_free(&s->seen);
	monocore_list_free(s->infos, s->info_count);
	monocore_project_status_free(s->list, s->count);
}

static const struct plan_seen *seen_of(const struct standing *s, const char *sandbox)
{
	for (size_t i = 0; i < s->seen.count; i++)
		if (!strcmp(s->seen.items[i].sandbox, sandbox))
			return &s->seen.items[i];
	return NULL;
}

/* What is known of a sandbox leaves the long list. */
static int take_info(
	struct standing *s, const char *sandbox, struct monocore_sandbox_info **out, struct error *err)
{
	for (size_t i = 0; i < s->info_count; i++) {
		if (!s->infos[i].name || strcmp(s->infos[i].name, sandbox) != 0)
			continue;
		*out = calloc(1, sizeof **out);
		if (!*out)
			return error_no_memory(err, "list a project");
		**out = s->infos[i];
		s->infos[i] = (struct monocore_sandbox_info){0};
		return 0;
	}
	return 0; /* removed meanwhile */
}

static int add(struct standing *s, const char *name, char *sandbox, const char *image,
	struct monocore_project_component **added, struct error *err)
{
	struct monocore_project_component *more = reallocarray(s->list, s->count + 1, sizeof *more);

	if (!more || !sandbox) {
		free(sandbox);
		return error_no_memory(err, "list a project");
	}
	s->list = more;
	*added = &more[s->count++];
	**added = (struct monocore_project_component){
		.name = text_copy(name, err), .sandbox = sandbox, .image = text_copy(image, err)};
	if (!(*added)->name || !(*added)->image)
		return -ERROR_NO_MEMORY;
	return seen_of(s, sandbox) ? take_info(s, sandbox, &(*added)->info, err) : 0;
}

static int add_component(struct standing *s, const struct project_sandbox *sandbox, struct error *err)
{
	char *name = plan_sandbox_name(s->identity.name, sandbox->common.name, err);
	const struct plan_seen *seen = name ? seen_of(s, name) : NULL;
	struct monocore_project_component *c;
	char digest[SHA256_HEX_SIZE];
	int r = add(s, sandbox->common.name, name, sandbox->common.image, &c, err);

	if (r < 0 || !seen)
		return r;
	r = project_digest(s->project->project, sandbox, digest, err);
	c->changed =
		r == 0 && (strcmp(digest, seen->digest) != 0 || seen->other_image || seen->other_network);
	return r;
}

/* Sandboxes that were made for it and are no component's. */
static int add_removed(struct standing *s, const struct plan_seen *seen, struct error *err)
{
	struct monocore_project_component *c;
	int r;

	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i].sandbox, seen->sandbox))
			return 0;
	r = add(s, seen->component, text_copy(seen->sandbox, err), "", &c, err);
	if (r < 0)
		return r;
	c->removed = true;
	if (c->info) {
		free(c->image);
		c->image = text_copy(c->info->image, err);
	}
	return c->image ? 0 : -ERROR_NO_MEMORY;
}

static bool is_named(char *const *names, const char *name)
{
	for (char *const *n = names; n && *n; n++)
		if (!strcmp(*n, name))
			return true;
	return !names || !*names;
}

static int check_names(const struct standing *s, char *const *names, struct error *err)
{
	for (char *const *n = names; n && *n; n++) {
		bool found = project_sandbox(s->project->project, *n) != NULL;

		for (size_t i = 0; !found && i < s->seen.count; i++)
			found = !strcmp(s->seen.items[i].component, *n);
		if (!found)
			return project_unknown(s->project->project, *n, err);
	}
	return 0;
}

static int find_status(struct monocore *mc, struct standing *s, const char *const *wanted, struct error *err)
{
	const struct project *p = s->project->project;
	_cleanup_text_list_ char **names = NULL;
	struct monocore_error error;
	int r = project_who(mc, s->project, false, &s->identity, err);

	if (r == 0)
		r = seen_find(mc, p, &s->identity, &s->seen, err);
	if (r == 0)
		r = seen_names(&s->seen, p, &s->identity, wanted, &names, err);
	if (r == 0)
		r = check_names(s, names, err);
	if (r == 0 && monocore_list(mc, &s->infos, &s->info_count, &error) < 0)
		r = error_set(err, (enum error_code)error.code, "%s", error.text);
	for (size_t i = 0; r == 0 && i < p->sandbox_count; i++)
		if (is_named(names, p->sandboxes[i].common.name))
			r = add_component(s, &p->sandboxes[i], err);
	for (size_t i = 0; r == 0 && i < s->seen.count; i++)
		if (is_named(names, s->seen.items[i].component))
			r = add_removed(s, &s->seen.items[i], err);
	return r;
}

int monocore_project_status(struct monocore *mc, const struct monocore_project *project,
	const char *const *names, struct monocore_project_component **list, size_t *count,
	struct monocore_error *error)
{
	struct standing s = {.project = project};
	struct error err;
	int r = find_status(mc, &s, names, &err);

	if (r == 0) {
		*list = TAKE_PTR(s.list);
		*count = s.count;
		s.count = 0;
	}
	standing_free(&s);
	return r < 0 ? give_error(error, &err) : 0;
}

static int find_name(struct monocore *mc, const struct monocore_project *project, const char *component,
	char **sandbox, struct error *err)
{
	_cleanup_project_identity_ struct project_identity identity = {0};
	int r = project_sandbox(project->project, component)
			? 0
			: project_unknown(project->project, component, err);

	if (r == 0)
		r = project_who(mc, project, false, &identity, err);
	if (r == 0 && !(*sandbox = plan_sandbox_name(identity.name, component, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

int monocore_project_sandbox(struct monocore *mc, const struct monocore_project *project,
	const char *component, char **sandbox, struct monocore_error *error)
{
	struct error err;

	return find_name(mc, project, component, sandbox, &err) < 0 ? give_error(error, &err) : 0;
}
