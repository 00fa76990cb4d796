/* SPDX-License-Identifier: Apache-2.0 */
#include "project/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/load_parts.h"

void load_fail(struct load *l, int code, const char *what)
{
	if (!l->failed && code == -ERROR_NO_MEMORY)
		error_no_memory(l->err, what);
	else if (!l->failed)
		error_set(l->err, (enum error_code) - code, "%s", what);
	l->failed = code;
}

char *load_keep(struct load *l, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy;

	if (n > l->left) {
		load_fail(l, -ERROR_LIMIT, "the project's texts are too much altogether");
		return NULL;
	}
	l->left -= n;
	copy = text_copy(text, l->err);
	if (!copy)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
	return copy;
}

void load_list_add(struct load *l, char ***list, const char *text)
{
	size_t n = strlen(text) + 1;

	if (n > l->left)
		load_fail(l, -ERROR_LIMIT, "the project's texts are too much altogether");
	if (l->failed)
		return;
	l->left -= n;
	if (text_list_add(list, text, l->err) < 0)
		load_fail(l, -ERROR_NO_MEMORY, "read the project");
}

const char *load_variable(void *context, const char *name)
{
	struct load *l = context;
	const char *value = env_get(&l->dot_env, name);

	if (value || !l->in->variable)
		return value;
	value = l->in->variable(l->in->context, name);
	if (value)
		load_reach(l, REACH_VARIABLE, NULL, name, l->place);
	return value;
}

static void load_all(struct load *l, struct file *root)
{
	struct scope s = {0};

	root->open = true;
	load_build_scope(l, root, &s);
	if (!l->failed)
		load_order(l, &s);
	if (!l->failed)
		resolve_project(l, root, &s);
	load_free_scope(&s);
}

/* The first mistake as an error, for those who want one line. */
static int first_mistake(const struct mistakes *m, struct error *err)
{
	const struct mistake *first = &m->list[0];
	const char *name = first->place.file < m->file_count ? m->files[first->place.file].name : "?";
	int r;

	if (first->place.line)
		r = error_set(err, ERROR_INVALID, "%s:%u:%u: %s", name, first->place.line,
			first->place.column, first->text);
	else
		r = error_set(err, ERROR_INVALID, "%s: %s", name, first->text);
	return r;
}

int project_load(
	const struct project_load *load, struct project **project, struct mistakes *m, struct error *err)
{
	struct load l = {.in = load, .m = m, .err = err, .left = LOAD_BYTES_MAX};
	struct file *root;
	int r;

	*project = NULL;
	l.p = calloc(1, sizeof *l.p);
	if (!l.p)
		return error_no_memory(err, "read a project");
	r = load_open_file(&l, load->path, &root, err);
	if (r == 0 && !l.failed)
		load_all(&l, root);
	if (r == 0)
		r = l.failed;
	if (r == 0 && m->failed)
		r = error_no_memory(err, "read a project");
	mistakes_sort(m);
	if (r == 0 && m->count)
		r = first_mistake(m, err);
	load_free_components(&l);
	load_free_files(&l);
	env_free(&l.dot_env);
	map_free(&l.reaches);
	if (r == 0)
		*project = l.p;
	else
		project_free(l.p);
	return r;
}
