/* SPDX-License-Identifier: Apache-2.0 */
/* The builds of a project → stages: what each has besides steps becomes steps, too. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json.h"
#include "lib/build.h"
#include "lib/build_inputs.h"
#include "lib/component.h"
#include "lib/project.h"
#include "project/guarded.h"

#define SCRIPTS_LABEL "dev.monocore.scripts"

struct adding { /* steps to a stage */
	struct build *build;
	const struct project *project;
	struct build_stage *stage;
	struct error *err;
};

static int add_step(struct adding *a, struct build_step *s)
{
	struct build_stage *stage = a->stage;
	struct build_step *grown = realloc(stage->steps, (stage->count + 1) * sizeof *grown);

	if (!grown || !s->text) {
		build_step_free(s);
		return error_no_memory(a->err, "read what is to be built");
	}
	stage->steps = grown;
	grown[stage->count++] = *s;
	return 0;
}

static void put_quoted(struct buffer *b, const char *text)
{
	buffer_u8(b, '"');
	for (; *text; text++)
		buffer_format(b, "%s%c", strchr("\"\\$", *text) ? "\\" : "", *text);
	buffer_u8(b, '"');
}

/* A step that changes the config alone, as commit_change() has it. */
static int add_change(struct adding *a, const char *change)
{
	struct build_step s = {.kind = BUILD_CONFIG};

	if (text_list_add(&s.changes, change, a->err) < 0)
		return -ERROR_NO_MEMORY;
	s.text = text_copy(change, a->err);
	return add_step(a, &s);
}

/* "KIND [KEY=]\"value\"", a step that changes the config alone; key NULL: none. */
static int add_config(struct adding *a, const char *kind, const char *key, size_t key_size, const char *value)
{
	_cleanup_buffer_ struct buffer change = {0};

	buffer_format(&change, "%s ", kind);
	if (key)
		buffer_format(&change, "%.*s=", (int)key_size, key);
	put_quoted(&change, value);
	return buffer_u8(&change, 0) ? add_change(a, (const char *)change.data)
				     : error_no_memory(a->err, "read what is to be built");
}

static int add_pairs(struct adding *a, const char *kind, char *const *pairs)
{
	int r = 0;

	for (; r == 0 && pairs && *pairs; pairs++) {
		size_t key = strcspn(*pairs, "=");

		r = add_config(a, kind, *pairs, key, (*pairs)[key] ? *pairs + key + 1 : "");
	}
	return r;
}

static int find_build(const struct adding *a, const char *name, size_t *number)
{
	for (size_t i = 0; i < a->project->build_count; i++)
		if (!strcmp(a->project->builds[i].common.name, name)) {
			*number = i;
			return build_add_need(a->stage, i, a->err);
		}
	return error_set(a->err, ERROR_NOT_FOUND, "the project has no build '%s'", name);
}

/* ---- steps ------------------------------------------------------------------------------------------- */

static int add_run(struct adding *a, const struct project_step *from)
{
	const struct project_common *common = &a->stage->build->common;
	const char *shell = common->shell ? common->shell : "/bin/sh";
	struct build_step s = {.kind = BUILD_RUN};
	int r = 0;

	if (from->argv)
		r = (s.argv = text_list_copy(from->argv, a->err)) ? 0 : -ERROR_NO_MEMORY;
	else {
		r = text_list_add(&s.argv, shell, a->err);
		r = r < 0 ? r : text_list_add(&s.argv, "-c", a->err);
		r = r < 0 ? r : text_list_add(&s.argv, from->command, a->err);
	}
	if (r == 0 && a->stage->volumes && !(s.volumes = text_list_copy(a->stage->volumes, a->err)))
		r = -ERROR_NO_MEMORY;
	if (r < 0) {
		build_step_free(&s);
		return r;
	}
	s.text = text_format(a->err, "RUN %s", from->command ? from->command : from->argv[0]);
	return add_step(a, &s);
}

/* Files of the host (absolute paths), or of another build's result. */
static int add_copy(
	struct adding *a, char *const *sources, const char *from, const char *target, const char *what)
{
	struct build_step s = {.kind = BUILD_COPY, .absolute = !from};
	_cleanup_buffer_ struct buffer text = {0};
	size_t number = 0;
	int r = from ? find_build(a, from, &number) : 0;

	s.stage = from ? number + 1 : 0;
	s.sources = text_list_copy(sources, a->err);
	s.target = text_copy(target, a->err);
	if (r < 0 || !s.sources || !s.target) {
		build_step_free(&s);
		return r < 0 ? r : -ERROR_NO_MEMORY;
	}
	buffer_append_text(&text, what);
	if (from)
		buffer_format(&text, " --from=%s", from);
	for (char *const *p = sources; *p; p++)
		buffer_format(&text, " %s",
			from || !text_starts(*p, a->project->directory)
				? *p
				: *p + strlen(a->project->directory) + 1);
	buffer_format(&text, " %s", target);
	s.text = text.failed ? NULL : text_copy_bytes(text.data, text.size, a->err);
	return add_step(a, &s);
}

static int add_own(struct adding *a, const struct project_step *from)
{
	switch (from->kind) {
	case STEP_RUN:
		return add_run(a, from);
	case STEP_COPY:
		return add_copy(a, from->sources, from->from, from->target, "COPY");
	case STEP_ENV:
		return add_pairs(a, "ENV", from->env);
	case STEP_WORKDIR:
		return add_config(a, "WORKDIR", NULL, 0, from->target);
	default:
		return add_config(a, "USER", NULL, 0, from->target);
	}
}

/* The scripts as the label that `run` and `tmp` read: a JSON object of name → command. */
static int add_scripts(struct adding *a)
{
	const struct project_common *common = &a->stage->build->common;
	_cleanup_json_ json_t *scripts = json_object();
	_cleanup_buffer_ struct buffer text = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < common->script_count; i++)
		if (json_object_set_new(
			    scripts, common->scripts[i].name, json_string(common->scripts[i].value)) < 0)
			r = error_set(
				a->err, ERROR_INVALID, "script '%s' is not UTF-8", common->scripts[i].name);
	if (r == 0)
		r = json_write(scripts, JSON_COMPACT | JSON_SORT_KEYS, &text, a->err);
	if (r == 0 && !buffer_u8(&text, 0))
		r = error_no_memory(a->err, "read what is to be built");
	return r < 0 || !common->script_count ? r
					      : add_config(a, "LABEL", SCRIPTS_LABEL, strlen(SCRIPTS_LABEL),
							(const char *)text.data);
}

/* The guest's ports of "[ADDRESS:][HOST:]GUEST[/PROTOCOL]". */
static int add_ports(struct adding *a)
{
	int r = 0;

	for (char *const *p = a->stage->build->common.ports; r == 0 && p && *p; p++) {
		_cleanup_free_ char *text = text_copy_bytes(*p, strcspn(*p, ","), a->err);
		char *colon = text ? strrchr(text, ':') : NULL;

		r = text ? add_config(a, "EXPOSE", NULL, 0, colon ? colon + 1 : text) : -ERROR_NO_MEMORY;
	}
	return r;
}

/* As a HEALTHCHECK of the image, in milliseconds. */
static int add_health(struct adding *a)
{
	const struct project_healthcheck *h = &a->stage->build->healthcheck;
	_cleanup_json_ json_t *command = json_array();
	_cleanup_buffer_ struct buffer text = {0};
	int r = 0;

	if (h->disabled)
		return add_change(a, "HEALTHCHECK NONE");
	if (!h->command)
		return 0;
	for (char **word = h->command; *word; word++)
		if (json_array_append_new(command, json_string(*word)) < 0)
			return error_set(a->err, ERROR_INVALID, "healthcheck: '%s' is not UTF-8", *word);
	buffer_format(&text,
		"HEALTHCHECK --interval=%llums --timeout=%llums --start-period=%llums --retries=%u CMD ",
		(unsigned long long)(h->interval / MILLISECONDS(1)),
		(unsigned long long)(h->timeout / MILLISECONDS(1)),
		(unsigned long long)(h->start_period / MILLISECONDS(1)), h->retries);
	r = json_write(command, JSON_COMPACT, &text, a->err);
	if (r == 0 && !buffer_u8(&text, 0))
		r = error_no_memory(a->err, "read what is to be built");
	return r < 0 ? r : add_change(a, (const char *)text.data);
}

static int add_imports(struct adding *a)
{
	const struct project_common *common = &a->stage->build->common;
	int r = 0;

	for (size_t i = 0; r == 0 && i < common->import_count; i++) {
		const struct project_import *m = &common->imports[i];
		char *sources[] = {m->source, NULL};

		r = add_copy(a, sources, m->build, m->target, "COPY");
	}
	return r;
}

static int add_all(struct adding *a, const struct project_build *from)
{
	const struct project_common *common = &from->common;
	int r = add_pairs(a, "ENV", common->env);

	if (r == 0 && common->workdir)
		r = add_config(a, "WORKDIR", NULL, 0, common->workdir);
	if (r == 0)
		r = add_imports(a);
	for (size_t i = 0; r == 0 && i < from->step_count; i++)
		r = add_own(a, &from->steps[i]);
	if (r == 0 && common->user)
		r = add_config(a, "USER", NULL, 0, common->user);
	if (r == 0)
		r = add_ports(a);
	if (r == 0)
		r = add_health(a);
	return r < 0 ? r : add_scripts(a);
}

static int read_stage(struct build *b, const struct project *p, const struct project_identity *identity,
	size_t i, struct error *err)
{
	const struct project_build *from = &p->builds[i];
	struct build_stage *s = &b->stages[i];
	struct adding a = {.build = b, .project = p, .stage = s, .err = err};
	int r = 0;

	s->build = from;
	s->name = text_copy(from->common.name, err);
	s->image_name = component_build_image(identity->name, from->common.name, err);
	if (!s->name || !s->image_name)
		return -ERROR_NO_MEMORY;
	r = component_volumes(
		identity->name, from->common.volumes, from->common.volume_count, &s->volumes, err);
	if (r == 0)
		r = project_own_volumes(
			b->mc, identity, from->common.volumes, from->common.volume_count, err);
	if (r < 0)
		return error_prefix(err, "%s", s->name);
	if (from->common.image_is_build)
		r = find_build(&a, from->common.image, &s->base_stage);
	else
		r = (s->base = text_copy(from->common.image, err)) ? 0 : -ERROR_NO_MEMORY;
	for (char *const *d = from->common.depends_on; r == 0 && d && *d; d++) {
		size_t number;

		if (project_build(p, *d))
			r = find_build(&a, *d, &number);
	}
	if (r == 0)
		r = add_all(&a, from);
	return r < 0 ? error_prefix(err, "%s", s->name) : 0;
}

/* ---- all --------------------------------------------------------------------------------------------- */

static int want_named(struct build *b, const struct project *p, const char *const *names, struct error *err)
{
	for (size_t i = 0; !names && i < p->build_count; i++)
		build_want(b, i);
	for (; names && *names; names++) {
		size_t i = 0;

		while (i < p->build_count && strcmp(p->builds[i].common.name, *names))
			i++;
		if (i == p->build_count)
			return error_set(err, ERROR_NOT_FOUND, "the project has no build '%s'", *names);
		build_want(b, i);
	}
	return 0;
}

static int list_digests(const struct build *b, const char *const *names, char ***digests, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && !names && i < b->count; i++)
		r = text_list_add(digests, b->stages[i].digest, err);
	for (; r == 0 && names && *names; names++)
		for (size_t i = 0; r == 0 && i < b->count; i++)
			if (!strcmp(b->stages[i].name, *names))
				r = text_list_add(digests, b->stages[i].digest, err);
	return r;
}

static int snapshot_named(struct build *b, const char *const *names, struct error *err)
{
	int r = 0;

	for (; r == 0 && *names; names++)
		for (size_t i = 0; r == 0 && i < b->count; i++)
			if (!strcmp(b->stages[i].name, *names))
				r = build_snapshot(b, &b->stages[i], b->stages[i].image_name, err);
	return r;
}

/* What is copied, before it is read; and, once all is built, that this is what it was. */
static int note_inputs(struct build *b, const struct project_identity *identity, bool done, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->count; i++) {
		struct build_stage *s = &b->stages[i];

		if (s->wanted && done)
			r = inputs_end(b->mc, identity, s->build, s->inputs, err);
		else if (s->wanted)
			r = inputs_begin(b->mc, identity, s->build, s->inputs, err);
	}
	return r;
}

static int build_all(struct build *b, const struct project *p, const struct project_identity *identity,
	const char *const *names, char ***digests, struct error *err)
{
	int r = 0;

	b->stages = calloc(p->build_count + 1, sizeof *b->stages);
	if (!b->stages)
		return error_no_memory(err, "read what is to be built");
	b->count = p->build_count;
	b->target = b->count;
	for (size_t i = 0; r == 0 && i < b->count; i++)
		r = read_stage(b, p, identity, i, err);
	if (r == 0)
		r = want_named(b, p, names, err);
	if (r == 0)
		r = build_lock(b, err);
	if (r == 0)
		r = note_inputs(b, identity, false, err);
	if (r == 0)
		r = build_stages(b, err);
	if (r == 0)
		r = note_inputs(b, identity, true, err);
	if (r == 0 && b->options->snapshot)
		r = snapshot_named(b, names, err);
	return r < 0 || !digests ? r : list_digests(b, names, digests, err);
}

int build_of_project(struct monocore *mc, const struct monocore_project *project,
	const struct project_identity *identity, const char *const *names,
	const struct monocore_build_options *options, char ***digests, struct error *err)
{
	_cleanup_(build_free) struct build b = {0};
	int r = build_begin(&b, mc, options, err);

	if (r == 0 && options->snapshot && !names)
		r = error_set(err, ERROR_USAGE,
			"which builds are to be saved running? Name them: 'monocore build --snapshot NAME'");
	if (r == 0)
		r = project_guarded(project->project, project->file, &b.guarded, err);
	return r < 0 ? r : build_all(&b, project->project, identity, names, digests, err);
}

int monocore_project_build(struct monocore *mc, const struct monocore_project *project,
	const char *const *builds, const struct monocore_build_options *options, char ***digests,
	struct monocore_error *error)
{
	const struct monocore_build_options none = MONOCORE_BUILD_OPTIONS_INIT;
	_cleanup_project_identity_ struct project_identity identity = {0};
	struct error err;
	int r = project_check_grants(mc, project, &err);

	if (digests)
		*digests = NULL;
	if (r == 0)
		r = project_who(mc, project, true, &identity, &err);
	if (r == 0)
		r = build_of_project(
			mc, project, &identity, builds, options ? options : &none, digests, &err);
	return r < 0 ? give_error(error, &err) : 0;
}
