/* SPDX-License-Identifier: Apache-2.0 */
/* Each path is walked as the kernel does, a name at a time. */
#include "project/guarded.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/identity.h"
#include "project/load.h"

#define LINKS_MOST 40 /* as Linux */

struct walk {
	char *at;   /* where it is: a directory, without a slash at its end; "": the root */
	char *left; /* the names that are to come */
	unsigned links;
	char ***paths;
};

static int add(char ***paths, const char *path, struct error *err)
{
	for (char **known = *paths; known && *known; known++)
		if (!strcmp(*known, path))
			return 0;
	return text_list_add(paths, path, err);
}

static int replace(char **text, char *with)
{
	if (!with)
		return -ERROR_NO_MEMORY;
	free(*text);
	*text = with;
	return 0;
}

/* A link stands in `here`: the walk goes on where it leads. */
static int follow(struct walk *w, const char *here, const char *target, const char *behind, struct error *err)
{
	int r = add(w->paths, here, err);

	if (r == 0 && ++w->links > LINKS_MOST)
		return 1;
	if (r == 0 && *target == '/')
		*w->at = 0;
	return r == 0 ? replace(&w->left, text_format(err, "%s/%s", target, behind)) : r;
}

/* One name. 1: the walk is at its end. */
static int step(struct walk *w, struct error *err)
{
	_cleanup_free_ char *name = NULL, *here = NULL, *behind = NULL;
	char *start = w->left + strspn(w->left, "/"), target[PATH_MAX];
	size_t n = strcspn(start, "/");
	char *cut = strrchr(w->at, '/');
	ssize_t size;
	int r;

	name = text_copy_bytes(start, n, err);
	behind = name ? text_copy(start + n + strspn(start + n, "/"), err) : NULL;
	here = behind ? text_format(err, "%s/%s", w->at, name) : NULL;
	if (!here)
		return -ERROR_NO_MEMORY;
	if (!n)
		return 1;
	if (!strcmp(name, "..") && cut)
		*cut = 0;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return replace(&w->left, TAKE_PTR(behind));
	size = readlink(here, target, sizeof target - 1);
	if (size > 0) {
		target[size] = 0;
		return follow(w, here, target, behind, err);
	}
	if (errno == EINVAL && *behind) { /* no link */
		r = replace(&w->at, TAKE_PTR(here));
		return r < 0 ? r : replace(&w->left, TAKE_PTR(behind));
	}
	r = add(w->paths, here, err); /* it, or the first that is missing */
	return r < 0 ? r : 1;
}

static int walk(char ***paths, const char *path, struct error *err)
{
	struct walk w = {.at = text_copy("", err), .left = text_copy(path, err), .paths = paths};
	int r = w.at && w.left ? 0 : -ERROR_NO_MEMORY;

	while (r == 0)
		r = step(&w, err);
	free(w.at);
	free(w.left);
	return r < 0 ? r : 0;
}

int project_guarded(const struct project *p, const char *file, char ***paths, struct error *err)
{
	static const char *const beside[] = {PROJECT_FILE, ".env", PROJECT_ID_FILE};
	_cleanup_text_list_ char **all = NULL;
	int r = walk(&all, file, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(beside); i++) {
		_cleanup_free_ char *path = text_format(err, "%s/%s", p->directory, beside[i]);

		r = path ? walk(&all, path, err) : -ERROR_NO_MEMORY;
	}
	for (char **path = p->reads; r == 0 && path && *path; path++)
		r = walk(&all, *path, err);
	if (r < 0)
		return r;
	*paths = TAKE_PTR(all);
	return 0;
}
