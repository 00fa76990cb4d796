/* SPDX-License-Identifier: Apache-2.0 */
/* From a component's name to the sandbox that was made of it, without the project's file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "lib/handle.h"
#include "project/identity.h"
#include "project/plan.h"

static bool has_label(const struct record *r, const char *key, const char *value)
{
	size_t n = strlen(key);

	for (char **l = r->labels; l && *l; l++)
		if (!strncmp(*l, key, n) && (*l)[n] == '=' && !strcmp(*l + n + 1, value))
			return true;
	return false;
}

/* 1: the sandbox of this name is what was made of the component. */
static int was_made(struct monocore *mc, const struct project_identity *identity, const char *component,
	const char *name, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	int r = directory_find(&mc->home, name, &d, err);

	if (r == 0)
		r = record_read(d.fd, &record, err);
	if (r < 0)
		return r == -ERROR_NOT_FOUND || r == -ERROR_INVALID ? 0 : r;
	return !strcmp(record.name, name) && has_label(&record, LABEL_PROJECT, identity->id) &&
	       has_label(&record, LABEL_COMPONENT, component);
}

static int directory_of(const char *file, char **directory, struct error *err)
{
	const char *slash = strrchr(file, '/');
	_cleanup_free_ char *path = slash ? strndup(file, (size_t)(slash - file) + 1) : text_copy(".", err);

	if (!path)
		return error_no_memory(err, "find a project");
	*directory = realpath(path, NULL);
	return *directory ? 0 : error_errno(err, errno, "find %s", path);
}

static int find_made(
	struct monocore *mc, const char *file, const char *component, char **sandbox, struct error *err)
{
	_cleanup_project_identity_ struct project_identity identity = {0};
	_cleanup_free_ char *directory = NULL, *name = NULL;
	int r = directory_of(file, &directory, err);

	if (r == 0)
		r = project_identity_find(mc->home.path, directory, &identity, err);
	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	name = plan_sandbox_name(identity.name, component, err);
	r = name ? was_made(mc, &identity, component, name, err) : -ERROR_NO_MEMORY;
	if (r > 0)
		*sandbox = TAKE_PTR(name);
	return r < 0 ? r : 0;
}

int monocore_project_made(struct monocore *mc, const char *file, const char *component, char **sandbox,
	struct monocore_error *error)
{
	_cleanup_free_ char *nearest = NULL;
	struct monocore_error failure;
	struct error err;

	*sandbox = NULL;
	if (!file && monocore_project_find(NULL, &nearest, &failure) < 0) {
		if (failure.code == MONOCORE_NOT_FOUND)
			return 0;
		if (error)
			*error = failure;
		return -failure.code;
	}
	return find_made(mc, file ? file : nearest, component, sandbox, &err) < 0 ? give_error(error, &err)
										  : 0;
}
