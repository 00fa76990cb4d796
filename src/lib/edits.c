/* SPDX-License-Identifier: Apache-2.0 */
/* Components come into a project's file, and go. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/handle.h"
#include "lib/project.h"
#include "project/edit.h"
#include "project/rewrite.h"
#include "project/yaml.h"

CLEANUP_DEFINE(project, struct project, project_free);

/* The file as it was read, and as it is to be. */
struct editing {
	struct rewrite file;
	struct buffer text; /* so far */
	const char *shown;
	struct mistakes m;
	uint32_t number; /* of the text in m */
};

static void editing_close(struct editing *e)
{
	rewrite_close(&e->file);
	buffer_free(&e->text);
	mistakes_free(&e->m);
}

static int editing_open(struct editing *e, const char *file, struct error *err)
{
	int r = rewrite_open(file, YAML_BYTES_MAX, &e->file, err);

	if (r < 0)
		return r;
	e->shown = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	buffer_reserve(&e->text, 1);
	buffer_append(&e->text, e->file.bytes.data, e->file.bytes.size);
	return e->text.failed ? error_no_memory(err, "edit a project") : 0;
}

/* Each text that is edited is one that mistakes can be in. */
static int begin(struct editing *e, struct error *err)
{
	mistakes_free(&e->m);
	return mistakes_file(&e->m, e->shown, e->text.data, e->text.size, &e->number, err);
}

static void take(struct editing *e, struct buffer *out)
{
	buffer_free(&e->text);
	e->text = *out;
	*out = (struct buffer){0};
	buffer_reserve(&e->text, 1);
}

/* What the file is to be is a project; *project NULL: nobody wants it. */
static int load(struct editing *e, struct project **project, struct error *err)
{
	_cleanup_(cleanup_project) struct project *p = NULL;
	struct project_load load = {.path = e->file.path,
		.shown = e->shown,
		.text = (const char *)e->text.data,
		.size = e->text.size};
	int r;

	mistakes_free(&e->m);
	project_load_here(&load);
	r = project_load(&load, &p, &e->m, err);
	if (project)
		*project = TAKE_PTR(p);
	return r;
}

static int finish(struct editing *e, int r, struct monocore_project_mistakes *mistakes, struct error *err,
	struct monocore_error *error)
{
	if (r == 0)
		r = rewrite_commit(&e->file, e->text.data, e->text.size, err);
	if (r < 0 && e->m.count && mistakes && project_give_mistakes(&e->m, mistakes, err) < 0)
		r = -ERROR_NO_MEMORY;
	return r < 0 ? give_error(error, err) : 0;
}

/* ---- add -------------------------------------------------------------------------------------------- */

static int add_one(struct editing *e, enum edit_section section, const char *name,
	const struct edit_setting *settings, size_t count, struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};
	int r = begin(e, err);

	if (r == 0)
		r = edit_add(e->text.data, e->text.size, &e->m, e->number, section, name, settings, count,
			&out, err);
	if (r == 0)
		take(e, &out);
	return r;
}

int monocore_project_add(const char *file, enum monocore_project_section section, const char *const *names,
	const struct monocore_project_setting *settings, size_t count,
	struct monocore_project_mistakes *mistakes, struct monocore_error *error)
{
	_cleanup_(editing_close) struct editing e = {.file.directory = -1};
	_cleanup_free_ struct edit_setting *list = calloc(count + 1, sizeof *list);
	struct error err = {0};
	int r = list ? editing_open(&e, file, &err) : error_no_memory(&err, "edit a project");

	if (mistakes)
		*mistakes = (struct monocore_project_mistakes){0};
	for (size_t i = 0; list && i < count; i++)
		list[i] = (struct edit_setting){.key = settings[i].key,
			.name = settings[i].name,
			.value = settings[i].value,
			.list = settings[i].list,
			.number = settings[i].number};
	for (; r == 0 && *names; names++)
		r = add_one(&e, (enum edit_section)section, *names, list, count, &err);
	if (r == 0)
		r = load(&e, NULL, &err);
	return finish(&e, r, mistakes, &err, error);
}

/* ---- remove ----------------------------------------------------------------------------------------- */

static bool has(char *const *list, const char *name)
{
	for (; list && *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

static bool common_needs(const struct project_common *c, enum edit_section section, const char *name)
{
	if (section == EDIT_BUILDS && c->image_is_build && !strcmp(c->image, name))
		return true;
	return section != EDIT_GROUPS && has(c->depends_on, name);
}

static bool sandbox_needs(const struct project_sandbox *s, enum edit_section section, const char *name)
{
	for (size_t i = 0; section == EDIT_GROUPS && i < s->group_count; i++)
		if (!strcmp(s->groups[i].group, name))
			return true;
	return common_needs(&s->common, section, name);
}

static bool build_needs(const struct project_build *b, enum edit_section section, const char *name)
{
	for (size_t i = 0; section == EDIT_BUILDS && i < b->step_count; i++)
		if (b->steps[i].from && !strcmp(b->steps[i].from, name))
			return true;
	return common_needs(&b->common, section, name);
}

static bool is_listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* Whatever else than the file's own mistakes would be told is told by what comes out. */
static int check_needed(struct editing *e, enum edit_section section, const char *name,
	const char *const *names, struct error *err)
{
	_cleanup_(cleanup_project) struct project *p = NULL;

	if (load(e, &p, NULL) < 0)
		return 0;
	for (size_t i = 0; i < p->sandbox_count; i++)
		if (sandbox_needs(&p->sandboxes[i], section, name) &&
			!(section == EDIT_SANDBOXES && is_listed(names, p->sandboxes[i].common.name)))
			return error_set(err, ERROR_BUSY,
				"sandboxes.%s needs %s: remove that first, or use --force",
				p->sandboxes[i].common.name, name);
	for (size_t i = 0; i < p->build_count; i++)
		if (build_needs(&p->builds[i], section, name) &&
			!(section == EDIT_BUILDS && is_listed(names, p->builds[i].common.name)))
			return error_set(err, ERROR_BUSY,
				"builds.%s needs %s: remove that first, or use --force",
				p->builds[i].common.name, name);
	return 0;
}

static int remove_from(
	struct editing *e, enum edit_section section, const char *name, struct buffer *out, struct error *err)
{
	int r = begin(e, err);

	return r < 0 ? r : edit_remove(e->text.data, e->text.size, &e->m, e->number, section, name, out, err);
}

/* The section that has it, where none was named. */
static int find_section(struct editing *e, const char *name, enum edit_section *section, struct error *err)
{
	size_t found = 0;
	int r = 0;

	for (int s = EDIT_SANDBOXES; s <= EDIT_GROUPS; s++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct error *first = s == EDIT_SANDBOXES ? err : NULL;

		r = remove_from(e, (enum edit_section)s, name, &out, first);
		if (r == -ERROR_NO_MEMORY || r == -ERROR_INVALID)
			return r;
		if (r == -ERROR_NOT_FOUND)
			continue;
		*section = (enum edit_section)s;
		found++;
	}
	if (found > 1)
		return error_set(err, ERROR_USAGE,
			"'%s' is more than one thing: say which by -s (sandbox), -b (build) or -g (group)",
			name);
	return found ? 0 : -ERROR_NOT_FOUND;
}

static int remove_one(struct editing *e, int section, const char *name, const char *const *names, bool force,
	struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};
	enum edit_section in = (enum edit_section)section;
	int r = section < 0 ? find_section(e, name, &in, err) : 0;

	if (r == 0)
		r = remove_from(e, in, name, &out, err);
	if (r == 0 && !force)
		r = check_needed(e, in, name, names, err);
	if (r == 0)
		take(e, &out);
	return r;
}

int monocore_project_remove(const char *file, enum monocore_project_section section, const char *const *names,
	bool force, struct monocore_project_mistakes *mistakes, struct monocore_error *error)
{
	_cleanup_(editing_close) struct editing e = {.file.directory = -1};
	struct error err = {0};
	int r = editing_open(&e, file, &err);

	if (mistakes)
		*mistakes = (struct monocore_project_mistakes){0};
	for (const char *const *name = names; r == 0 && *name; name++)
		r = remove_one(&e, (int)section, *name, names, force, &err);
	if (r == 0 && !force)
		r = load(&e, NULL, &err);
	return finish(&e, r, mistakes, &err, error);
}
