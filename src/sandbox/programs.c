/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/programs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#ifndef MONOCORE_LIBEXEC_DIR
#error "the build sets MONOCORE_LIBEXEC_DIR"
#endif

static char *own_directory(struct error *err)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = 0;
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = 0;
	return text_copy(path, err);
}

static char *try_place(const char *directory, const char *between, const char *name)
{
	_cleanup_free_ char *path = directory ? text_format(NULL, "%s/%s%s", directory, between, name) : NULL;

	return path && access(path, X_OK) == 0 ? TAKE_PTR(path) : NULL;
}

char *program_path(const char *name, struct error *err)
{
	_cleanup_free_ char *own = own_directory(err), *found = NULL;
	const char *set = getenv("MONOCORE_LIBEXEC");

	if (set && *set)
		found = try_place(set, "", name);
	else {
		found = try_place(own, "", name);
		if (!found) /* a build tree: src/bin/monocore, src/bin/mcrun, src/guest */
			found = try_place(own, "../guest/", name);
		if (!found)
			found = try_place(own, "../libexec/monocore/", name);
		if (!found)
			found = try_place(MONOCORE_LIBEXEC_DIR, "", name);
	}
	if (!found)
		error_set(err, ERROR_NOT_FOUND,
			"the program %s was not found %s %s: is monocore installed as a whole?", name,
			set && *set ? "in" : "beside this one, nor in",
			set && *set ? set : MONOCORE_LIBEXEC_DIR);
	return TAKE_PTR(found);
}
