/* SPDX-License-Identifier: Apache-2.0 */
#include "project/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

/* Goes into every digest: another way to make sandboxes of the same file makes them anew. */
#define DIGEST_FORMAT "monocore component 2"

#define BUILDS_DEEP 8 /* builds of builds that are looked at: they may meet again and again */

/* ---- environment ------------------------------------------------------------------------------------- */

static bool has_variable(char *const *env, const char *variable)
{
	size_t n = strcspn(variable, "=");

	for (; env && *env; env++)
		if (!strncmp(*env, variable, n) && ((*env)[n] == '=' || !(*env)[n]))
			return true;
	return false;
}

static int add_missing(char ***env, char *const *more, struct error *err)
{
	int r = 0;

	for (; r == 0 && more && *more; more++)
		if (!has_variable(*env, *more))
			r = text_list_add(env, *more, err);
	return r;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int project_environment(
	const struct project *p, const struct project_sandbox *s, char ***env, struct error *err)
{
	_cleanup_text_list_ char **all = NULL;
	int r = add_missing(&all, s->common.env, err);

	for (size_t i = 0; r == 0 && i < s->group_count; i++) {
		const struct project_group *g = project_group(p, s->groups[i].group);

		r = g ? add_missing(&all, g->env, err) : 0;
	}
	if (r < 0)
		return r;
	if (all)
		qsort(all, text_list_size(all), sizeof *all, by_text);
	*env = TAKE_PTR(all);
	return 0;
}

/* ---- canonical bytes ---------------------------------------------------------------------------------- */

/* Everything has its length before it, so that no two lists of fields have the same bytes. */
static void put_list(struct buffer *b, char *const *list)
{
	buffer_u64(b, text_list_size(list));
	for (; list && *list; list++)
		buffer_string(b, *list);
}

static void put_volumes(struct buffer *b, const struct project_volume *v, size_t count)
{
	buffer_u64(b, count);
	for (size_t i = 0; i < count; i++) {
		buffer_string(b, v[i].source);
		buffer_u8(b, v[i].named);
		buffer_string(b, v[i].target);
		buffer_string(b, v[i].options);
	}
}

/* What its volumes do not let it change (guarded.h), as far as that is not the same in every project. */
static void put_guarded(
	struct buffer *b, const struct project *p, const struct project_volume *v, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool none = v[i].named || !strcmp(v[i].options, "ro");
		size_t n = strlen(v[i].source);

		for (char **path = p->reads; !none && path && *path; path++)
			if (!strncmp(*path, v[i].source, n) && (*path)[n] == '/')
				buffer_string(b, *path + n);
		buffer_string(b, ""); /* the end */
	}
}

static void put_pairs(struct buffer *b, const struct project_pair *pairs, size_t count, const char *only)
{
	for (size_t i = 0; i < count; i++)
		if (!only || !strcmp(pairs[i].name, only)) {
			buffer_string(b, pairs[i].name);
			buffer_string(b, pairs[i].value);
		}
	buffer_string(b, ""); /* the end */
}

static void put_imports(struct buffer *b, const struct project_common *c)
{
	buffer_u64(b, c->import_count);
	for (size_t i = 0; i < c->import_count; i++) {
		buffer_string(b, c->imports[i].build);
		buffer_string(b, c->imports[i].name);
		buffer_string(b, c->imports[i].source);
		buffer_string(b, c->imports[i].target);
	}
}

static void put_health(struct buffer *b, const struct project_healthcheck *h)
{
	put_list(b, h->command);
	buffer_u64(b, h->interval);
	buffer_u64(b, h->timeout);
	buffer_u64(b, h->start_period);
	buffer_u64(b, h->retries);
	buffer_u8(b, h->disabled);
}

static void put_steps(struct buffer *b, const struct project_build *build)
{
	buffer_u64(b, build->step_count);
	for (size_t i = 0; i < build->step_count; i++) {
		const struct project_step *s = &build->steps[i];

		buffer_u32(b, s->kind);
		buffer_string(b, s->command);
		put_list(b, s->argv);
		put_list(b, s->sources);
		buffer_string(b, s->target);
		buffer_string(b, s->from);
		put_list(b, s->env);
	}
}

static void put_common(struct buffer *b, const struct project_common *c)
{
	buffer_string(b, c->image);
	buffer_u8(b, c->image_is_build);
	buffer_u64(b, c->memory);
	buffer_u64(b, c->disk);
	buffer_u32(b, c->cpus);
	put_volumes(b, c->volumes, c->volume_count);
	buffer_string(b, c->workdir);
	buffer_string(b, c->user);
	put_imports(b, c);
}

/* A build that is written in another way is another image, whether or not it has been built again yet; and so
 * is what is made of it. */
static void put_build(struct buffer *b, const struct project *p, const char *name, unsigned deep)
{
	const struct project_build *build = project_build(p, name);
	const struct project_common *c = build ? &build->common : NULL;

	if (!build || !deep)
		return;
	put_common(b, c);
	put_list(b, c->env);
	buffer_string(b, c->shell);
	put_pairs(b, c->scripts, c->script_count, NULL);
	put_health(b, &build->healthcheck);
	put_steps(b, build);
	if (c->image_is_build)
		put_build(b, p, c->image, deep - 1);
	for (size_t i = 0; i < c->import_count; i++)
		put_build(b, p, c->imports[i].build, deep - 1);
	for (size_t i = 0; i < build->step_count; i++)
		if (build->steps[i].from)
			put_build(b, p, build->steps[i].from, deep - 1);
}

static void put_groups(struct buffer *b, const struct project *p, const struct project_sandbox *s)
{
	buffer_u64(b, s->group_count);
	for (size_t i = 0; i < s->group_count; i++) {
		const struct project_membership *m = &s->groups[i];
		const struct project_group *g = project_group(p, m->group);

		buffer_string(b, m->group);
		buffer_string(b, g ? g->subnet : NULL);
		buffer_string(b, m->ip);
		buffer_string(b, m->hostname);
		put_volumes(b, m->volumes, m->volume_count);
		put_guarded(b, p, m->volumes, m->volume_count);
	}
}

static bool has_start(const struct project_common *c)
{
	for (size_t i = 0; i < c->script_count; i++)
		if (!strcmp(c->scripts[i].name, "start"))
			return true;
	return false;
}

static void put_sandbox(struct buffer *b, const struct project *p, const struct project_sandbox *s)
{
	put_common(b, &s->common);
	put_guarded(b, p, s->common.volumes, s->common.volume_count);
	buffer_string(b, has_start(&s->common) ? s->common.shell : NULL);
	put_pairs(b, s->common.scripts, s->common.script_count, "start");
	buffer_u32(b, s->restart);
	buffer_u32(b, s->restart_most);
	put_health(b, &s->healthcheck);
	put_list(b, s->labels);
}

int project_digest(const struct project *p, const struct project_sandbox *s, char digest[SHA256_HEX_SIZE],
	struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_text_list_ char **env = NULL;
	uint8_t hash[SHA256_SIZE];
	int r = project_environment(p, s, &env, err);

	if (r < 0)
		return r;
	buffer_string(&b, DIGEST_FORMAT);
	put_sandbox(&b, p, s);
	put_list(&b, env);
	put_groups(&b, p, s);
	if (s->common.image_is_build)
		put_build(&b, p, s->common.image, BUILDS_DEEP);
	if (b.failed)
		return error_no_memory(err, "compare a component");
	r = sha256_of(b.data, b.size, hash, err);
	if (r == 0)
		sha256_hex(hash, digest);
	return r;
}
