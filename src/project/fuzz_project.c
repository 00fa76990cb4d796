/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a project's files, each behind a line "%%% NAME"; what stands before the first is its
 * monocore.yaml. They are loaded as on a host: what is found is told, or the project keeps what project.h
 * promises.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "project/load.h"
#include "project/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOME 8

struct files {
	const char *name[SOME], *text[SOME];
	size_t size[SOME], count;
};

static int read_file(void *context, const char *path, size_t most, struct buffer *out, struct error *err)
{
	const struct files *f = context;

	for (size_t i = 1; i < f->count; i++)
		if (text_starts(path, "/p/") && !strcmp(path + 3, f->name[i]) && f->size[i] <= most) {
			buffer_append(out, f->text[i], f->size[i]);
			return 0;
		}
	return error_set(err, ERROR_NOT_FOUND, "open '%s': No such file or directory", path);
}

static int resolve(void *context, const char *path, char **resolved, struct error *err)
{
	(void)context;
	*resolved = text_clean_path(path, err);
	return *resolved ? 0 : -ERROR_NO_MEMORY;
}

/* Judges that take what is not plainly wrong, so that much is tried. */
static int check_text(const char *text, struct error *err)
{
	return strchr(text, '!') ? error_set(err, ERROR_INVALID, "'%s' has a '!'", text) : 0;
}

static int check_ports(const char *text, struct project_port **list, size_t *count, struct error *err)
{
	if (check_text(text, err) < 0)
		return -ERROR_INVALID;
	*list = calloc(1, sizeof **list);
	assert(*list);
	(*list)->host = (uint16_t)atoi(text);
	(*list)->loopback = text_starts(text, "127.");
	(*list)->everywhere = text_starts(text, "0.");
	*count = 1;
	return 0;
}

static int check_rule(const char *text, bool *beyond, struct error *err)
{
	*beyond = *text == '*';
	return check_text(text, err);
}

static int check_address(const char *subnet, const char *text, struct error *err)
{
	(void)subnet;
	return check_text(text, err);
}

static const char *variable(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "HOME") ? strcmp(name, "EMPTY") ? NULL : "" : "/home/me";
}

static void check_mistakes(const struct mistakes *m)
{
	struct buffer out = {0};

	assert(!m->failed && m->count <= MISTAKES_MAX);
	for (size_t i = 0; i < m->count; i++) {
		assert(m->list[i].place.file < m->file_count && *m->list[i].text);
		for (const char *p = m->list[i].text; *p; p++)
			assert((unsigned char)*p >= ' ');
		if (i < 8)
			mistake_format(m, &m->list[i], &out);
	}
	assert(!out.failed);
	buffer_free(&out);
}

static void check_volumes(const struct project_volume *list, size_t count, bool of_group)
{
	for (size_t i = 0; i < count; i++) {
		assert(list[i].source && list[i].target && list[i].options);
		assert(list[i].named || *list[i].source == '/');
		assert(of_group || *list[i].target == '/');
	}
}

static void check_common(const struct project *p, const struct project_common *c)
{
	assert(c->name && c->directory && c->image && *c->image);
	assert(!c->image_is_build || project_build(p, c->image));
	check_volumes(c->volumes, c->volume_count, false);
	for (size_t i = 0; c->depends_on && c->depends_on[i]; i++)
		assert(project_sandbox(p, c->depends_on[i]) || project_build(p, c->depends_on[i]));
	for (size_t i = 0; i < c->import_count; i++)
		assert(project_build(p, c->imports[i].build) && *c->imports[i].source == '/');
	for (size_t i = 0; c->env && c->env[i]; i++)
		assert(strchr(c->env[i], '='));
}

static void check_project(const struct project *p)
{
	for (size_t i = 0; i < p->sandbox_count; i++) {
		const struct project_sandbox *s = &p->sandboxes[i];

		check_common(p, &s->common);
		assert(s->group_count && project_sandbox(p, s->common.name) == s);
		for (size_t k = 0; k < s->group_count; k++) {
			assert(project_group(p, s->groups[k].group));
			check_volumes(s->groups[k].volumes, s->groups[k].volume_count, false);
		}
	}
	for (size_t i = 0; i < p->build_count; i++) {
		const struct project_build *b = &p->builds[i];

		check_common(p, &b->common);
		for (size_t k = 0; k < b->step_count; k++)
			assert(b->steps[k].kind != STEP_RUN || b->steps[k].command || b->steps[k].argv);
	}
	for (size_t i = 0; i < p->group_count; i++)
		check_volumes(p->groups[i].volumes, p->groups[i].volume_count, true);
	for (size_t i = 0; i < p->reach_count; i++)
		assert(p->reaches[i].component && p->reaches[i].value);
}

/* Cuts the copy at its lines "%%% NAME". */
static void cut_files(struct files *f, char *text, size_t size)
{
	char *at = text, *end = text + size;

	f->name[0] = "monocore.yaml";
	f->text[0] = text;
	f->size[0] = size;
	f->count = 1;
	while (f->count < SOME && (at = memmem(at, (size_t)(end - at), "\n%%% ", 5))) {
		char *line = memchr(at + 5, '\n', (size_t)(end - at) - 5);

		if (!line)
			return;
		f->size[f->count - 1] = (size_t)(at + 1 - f->text[f->count - 1]);
		*line = 0;
		f->name[f->count] = at + 5;
		f->text[f->count] = line + 1;
		f->size[f->count++] = (size_t)(end - line) - 1;
		at = line + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct project_checks checks = {
		check_text, check_ports, check_rule, check_text, check_text, check_address};
	struct project_files files = {.read = read_file, .resolve = resolve};
	struct project_load load = {.path = "/p/monocore.yaml",
		.files = &files,
		.checks = &checks,
		.variable = variable,
		.home = "/home/me"};
	char *copy = malloc(size + 1);
	struct files f = {0};
	struct mistakes m = {0};
	struct project *p;
	struct error err;
	int r;

	assert(copy);
	memcpy(copy, data, size);
	copy[size] = 0;
	cut_files(&f, copy, size);
	files.context = &f;
	load.text = f.text[0];
	load.size = f.size[0];
	r = project_load(&load, &p, &m, &err);
	check_mistakes(&m);
	assert(r == 0 || r == -ERROR_INVALID || r == -ERROR_LIMIT);
	assert((r == 0) == (p != NULL) && (r != -ERROR_INVALID || m.count));
	if (p)
		check_project(p);
	project_free(p);
	mistakes_free(&m);
	free(copy);
	return 0;
}
