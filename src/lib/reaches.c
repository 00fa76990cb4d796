/* SPDX-License-Identifier: Apache-2.0 */
/* What reaches out of a project, and the user's word for it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "project/grants.h"

void monocore_project_reaches_free(struct monocore_project_reach *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++) {
		free(list[i].kind);
		free(list[i].component);
		free(list[i].value);
		free(list[i].text);
		free(list[i].file);
	}
	free(list);
}

static int fill(const struct project *p, const struct project_reach_out *from,
	struct monocore_project_reach *to, struct error *err)
{
	to->kind = text_copy(grants_kind(from), err);
	to->component = text_copy(from->component, err);
	to->value = text_copy(from->value, err);
	to->text = grants_describe(from, err);
	to->file = text_copy(p->files[from->place.file], err);
	to->line = from->place.line;
	to->column = from->place.column;
	return to->kind && to->component && to->value && to->text && to->file ? 0 : -ERROR_NO_MEMORY;
}

/* A project that nothing was ever started of has no identity, and no grants. */
static int find_missing(struct monocore *mc, const struct project *p,
	const struct project_reach_out ***missing, size_t *count, struct error *err)
{
	_cleanup_project_identity_ struct project_identity identity = {0};
	int r = p->reach_count ? project_identity_find(mc->home.path, p->directory, &identity, err) : 0;

	if (r < 0 && r != -ERROR_NOT_FOUND)
		return r;
	return grants_missing(mc->home.path, r == 0 ? identity.id : NULL, p, missing, count, err);
}

int monocore_project_reaches(struct monocore *mc, const struct monocore_project *project,
	struct monocore_project_reach **out, size_t *count, struct monocore_error *error)
{
	_cleanup_free_ const struct project_reach_out **missing = NULL;
	struct monocore_project_reach *list = NULL;
	struct error err;
	size_t n = 0;
	int r = find_missing(mc, project->project, &missing, &n, &err);

	if (r == 0 && !(list = calloc(n + 1, sizeof *list)))
		r = error_no_memory(&err, "look up grants");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = fill(project->project, missing[i], &list[i], &err);
	if (r < 0) {
		monocore_project_reaches_free(list, n);
		return give_error(error, &err);
	}
	*out = list;
	*count = n;
	return 0;
}

int project_check_grants(struct monocore *mc, const struct monocore_project *project, struct error *err)
{
	_cleanup_free_ const struct project_reach_out **missing = NULL;
	_cleanup_free_ char *text = NULL;
	const struct project_reach_out *first;
	char more[48] = "";
	size_t n = 0;
	int r = find_missing(mc, project->project, &missing, &n, err);

	if (r < 0 || !n)
		return r;
	first = missing[0];
	text = grants_describe(first, err);
	if (!text)
		return -ERROR_NO_MEMORY;
	if (n > 1)
		snprintf(more, sizeof more, ", and %zu more like this", n - 1);
	return error_set(err, ERROR_DENIED, "%s:%u:%u: %s %s%s: this was not granted",
		project->project->files[first->place.file], first->place.line, first->place.column,
		*first->component ? first->component : "the project", text, more);
}

int monocore_project_grant(
	struct monocore *mc, const struct monocore_project *project, struct monocore_error *error)
{
	_cleanup_project_identity_ struct project_identity identity = {0};
	_cleanup_free_ const struct project_reach_out **missing = NULL;
	struct error err;
	size_t n = 0;
	int r = project_who(mc, project, true, &identity, &err);

	if (r == 0)
		r = grants_missing(mc->home.path, identity.id, project->project, &missing, &n, &err);
	if (r == 0 && n)
		r = grants_give(mc->home.path, identity.id, missing, n, &err);
	return r < 0 ? give_error(error, &err) : 0;
}
