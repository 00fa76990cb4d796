/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/guard.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/project.h"
#include "project/guarded.h"
#include "project/identity.h"
#include "sandbox/volume.h"

static bool has(char *const *list, const char *text)
{
	for (; list && *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

static int add(char ***list, const char *text, struct error *err)
{
	return has(*list, text) ? 0 : text_list_add(list, text, err);
}

/* ---- which projects ----------------------------------------------------------------------------------- */

/* path is the directory, or lies in it. */
static bool is_in(const char *path, const char *directory)
{
	size_t n = directory[1] ? strlen(directory) : 0;

	return !strncmp(path, directory, n) && (!path[n] || path[n] == '/');
}

static bool has_file(const char *directory)
{
	char path[PATH_MAX];
	struct stat s;
	int n = snprintf(path, sizeof path, "%s/" PROJECT_FILE, directory[1] ? directory : "");

	return n > 0 && (size_t)n < sizeof path && lstat(path, &s) == 0;
}

static int add_above(const char *source, char ***directories, struct error *err)
{
	_cleanup_free_ char *at = text_copy(source, err);
	int r = at ? 0 : -ERROR_NO_MEMORY;

	for (char *cut; r == 0; *cut = 0) {
		if (has_file(*at ? at : "/"))
			r = add(directories, *at ? at : "/", err);
		cut = strrchr(at, '/');
		if (!cut)
			break;
	}
	return r;
}

static int add_known(const struct project_identity *known, size_t count, const char *source,
	char ***directories, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		if (is_in(known[i].directory, source) && has_file(known[i].directory))
			r = add(directories, known[i].directory, err);
	return r;
}

/* Where the volume is one whose changes the host sees. */
static int source_of(const char *volume, char **source, struct error *err)
{
	struct record_mount m;
	int r = volume_parse(volume, &m, err);

	*source = NULL;
	if (r < 0)
		return r;
	if (!strcmp(m.type, "bind") && !m.read_only)
		*source = realpath(m.source, NULL); /* one that is missing is said later */
	record_mount_free(&m);
	return 0;
}

static int find_directories(
	struct monocore *mc, const char *const *volumes, char ***directories, struct error *err)
{
	struct project_identity *known = NULL;
	size_t count = 0;
	int r = 0;

	for (; r == 0 && *volumes; volumes++) {
		_cleanup_free_ char *source = NULL;

		r = source_of(*volumes, &source, err);
		if (r == 0 && source && !known)
			r = project_identity_list(mc->home.path, &known, &count, err);
		if (r == 0 && source)
			r = add_above(source, directories, err);
		if (r == 0 && source)
			r = add_known(known, count, source, directories, err);
	}
	project_identity_list_free(known, count);
	return r;
}

/* ---- what they read ----------------------------------------------------------------------------------- */

/* Of one whose file has mistakes only that is known which all have. */
static int find_paths(const char *directory, char ***paths, struct error *err)
{
	_cleanup_free_ char *file = text_format(err, "%s/" PROJECT_FILE, directory[1] ? directory : "");
	const struct project unknown = {.directory = (char *)directory};
	struct project_load load = {.path = file, .shown = PROJECT_FILE};
	struct project *p = NULL;
	struct mistakes m = {0};
	int r;

	if (!file)
		return -ERROR_NO_MEMORY;
	project_load_here(&load);
	r = project_load(&load, &p, &m, err);
	mistakes_free(&m);
	r = r == -ERROR_NO_MEMORY ? r : project_guarded(r == 0 ? p : &unknown, file, paths, err);
	project_free(p);
	return r;
}

int guard_projects(struct monocore *mc, const char *const *volumes, const char *const *given, char ***guarded,
	struct error *err)
{
	_cleanup_text_list_ char **all = NULL, **directories = NULL;
	int r = 0;

	for (; r == 0 && given && *given; given++)
		r = add(&all, *given, err);
	if (r == 0 && volumes)
		r = find_directories(mc, volumes, &directories, err);
	for (char **d = directories; r == 0 && d && *d; d++) {
		_cleanup_text_list_ char **paths = NULL;

		r = find_paths(*d, &paths, err);
		for (char **path = paths; r == 0 && path && *path; path++)
			r = add(&all, *path, err);
	}
	*guarded = r == 0 ? TAKE_PTR(all) : NULL;
	return r;
}
