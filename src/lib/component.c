/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/component.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "project/digest.h"
#include "project/guarded.h"

void component_free(struct component *c)
{
	text_list_free(c->env);
	text_list_free(c->labels);
	text_list_free(c->volumes);
	text_list_free(c->guarded);
	text_list_free(c->groups);
	text_list_free(c->subnets);
	text_list_free(c->aliases);
	free(c->name);
	free(c->image);
	free(c->hostname);
	free(c->restart);
}

/* Appends a text that was made for it. */
static int add_made(char ***list, char *made, struct error *err)
{
	int r = made ? text_list_add(list, made, err) : -ERROR_NO_MEMORY;

	free(made);
	return r;
}

char *component_build_image(const char *project, const char *build, struct error *err)
{
	return text_format(err, "monocore.local/%s/%s:latest", project, build);
}

/* ---- parts of it -------------------------------------------------------------------------------------- */

static int set_labels(const struct project *p, const struct project_identity *identity,
	const struct project_sandbox *s, struct component *c, struct error *err)
{
	char digest[SHA256_HEX_SIZE];
	int r = project_digest(p, s, digest, err);

	for (char **l = s->labels; r == 0 && l && *l; l++)
		r = text_list_add(&c->labels, *l, err);
	if (r == 0)
		r = add_made(&c->labels, text_format(err, LABEL_PROJECT "=%s", identity->id), err);
	if (r == 0)
		r = add_made(&c->labels, text_format(err, LABEL_COMPONENT "=%s", s->common.name), err);
	return r == 0 ? add_made(&c->labels, text_format(err, LABEL_DIGEST "=%s", digest), err) : r;
}

int component_volumes(
	const char *project, const struct project_volume *v, size_t count, char ***list, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		bool plain = !v[i].options || !*v[i].options;

		r = add_made(list,
			text_format(err, "%s%s%s:%s%s%s", v[i].named ? project : "", v[i].named ? "_" : "",
				v[i].source, v[i].target, plain ? "" : ":", plain ? "" : v[i].options),
			err);
	}
	return r;
}

static int add_alias(struct component *c, const char *alias, struct error *err)
{
	for (char **a = c->aliases; a && *a; a++)
		if (!strcmp(*a, alias))
			return 0;
	return text_list_add(&c->aliases, alias, err);
}

static int set_groups(const struct project *p, const struct project_identity *identity,
	const struct project_sandbox *s, struct component *c, struct error *err)
{
	int r = add_alias(c, s->common.name, err);

	for (size_t i = 0; r == 0 && i < s->group_count; i++) {
		const struct project_membership *m = &s->groups[i];
		const struct project_group *g = project_group(p, m->group);

		r = add_made(&c->groups,
			text_format(err, "%s-%s%s%s", identity->name, m->group, m->ip ? ":" : "",
				m->ip ? m->ip : ""),
			err);
		if (r == 0)
			r = text_list_add(&c->subnets, g && g->subnet ? g->subnet : "", err);
		if (r == 0 && m->hostname)
			r = add_alias(c, m->hostname, err);
		if (r == 0)
			r = component_volumes(identity->name, m->volumes, m->volume_count, &c->volumes, err);
	}
	return r;
}

/* What it calls itself; "_" is for names of components alone. */
static int set_hostname(const struct project_sandbox *s, struct component *c, struct error *err)
{
	const char *own = s->group_count && s->groups[0].hostname ? s->groups[0].hostname : s->common.name;

	c->hostname = text_copy(own, err);
	for (char *p = c->hostname; p && *p; p++)
		if (*p == '_')
			*p = '-';
	c->options.hostname = c->hostname;
	return c->hostname ? 0 : -ERROR_NO_MEMORY;
}

static int set_restart(const struct project_sandbox *s, struct component *c, struct error *err)
{
	static const char *const names[] = {"no", "on-failure", "always", "unless-stopped"};

	c->restart = s->restart == RESTART_ON_FAILURE && s->restart_most
			     ? text_format(err, "on-failure:%u", s->restart_most)
			     : text_copy(names[s->restart], err);
	c->options.restart = c->restart;
	return c->restart ? 0 : -ERROR_NO_MEMORY;
}

static void set_health(const struct project_healthcheck *h, struct monocore_sandbox_options *o)
{
	static const char *const none[] = {NULL};

	if (h->disabled)
		o->health_command = none;
	if (!h->command)
		return; /* the image's */
	o->health_command = (const char *const *)h->command;
	o->health_interval = h->interval;
	o->health_timeout = h->timeout;
	o->health_start_period = h->start_period;
	o->health_retries = h->retries;
}

/* The script `start` of the file, else that of the image, else its Entrypoint and Cmd. */
static void set_command(const struct project_common *common, struct component *c)
{
	static const char *const nothing[] = {NULL};

	c->options.script = "start";
	for (size_t i = 0; i < common->script_count; i++) {
		if (strcmp(common->scripts[i].name, "start") != 0)
			continue;
		c->command[0] = common->shell ? common->shell : "/bin/sh";
		c->command[1] = "-c";
		c->command[2] = common->scripts[i].value;
		c->options.command = c->command;
		c->options.entrypoint = nothing;
		c->options.script = NULL;
	}
}

static void set_plain(const struct project_common *common, struct monocore_sandbox_options *o)
{
	o->memory = common->memory;
	o->disk = common->disk;
	o->cpus = common->cpus;
	o->workdir = common->workdir;
	o->user = common->user;
	o->ports = (const char *const *)common->ports;
	o->reach = common->network.reach;
	o->allow = (const char *const *)common->network.allow;
	o->deny = (const char *const *)common->network.deny;
	o->bandwidth = common->network.bandwidth;
}

/* ---- all of it ---------------------------------------------------------------------------------------- */

static void point_to(struct component *c)
{
	struct monocore_sandbox_options *o = &c->options;

	o->name = c->name;
	o->image = c->image;
	o->env = (const char *const *)c->env;
	o->labels = (const char *const *)c->labels;
	o->volumes = (const char *const *)c->volumes;
	o->groups = (const char *const *)c->groups;
	o->subnets = (const char *const *)c->subnets;
	o->aliases = (const char *const *)c->aliases;
}

int component_make(const struct project *p, const struct project_identity *identity,
	const struct project_sandbox *s, struct component *c, struct error *err)
{
	const struct project_common *common = &s->common;
	int r;

	*c = (struct component){.options = MONOCORE_SANDBOX_OPTIONS_INIT};
	c->name = plan_sandbox_name(identity->name, common->name, err);
	c->image = common->image_is_build ? component_build_image(identity->name, common->image, err)
					  : text_copy(common->image, err);
	r = c->name && c->image ? project_environment(p, s, &c->env, err) : -ERROR_NO_MEMORY;
	if (r == 0)
		r = set_labels(p, identity, s, c, err);
	if (r == 0)
		r = component_volumes(
			identity->name, common->volumes, common->volume_count, &c->volumes, err);
	if (r == 0)
		r = set_groups(p, identity, s, c, err);
	if (r == 0)
		r = set_hostname(s, c, err);
	if (r == 0)
		r = set_restart(s, c, err);
	set_plain(common, &c->options);
	set_health(&s->healthcheck, &c->options);
	set_command(common, c);
	point_to(c);
	return r;
}

int component_guard(const struct monocore_project *project, struct component *c, struct error *err)
{
	int r = project_guarded(project->project, project->file, &c->guarded, err);

	c->options.guarded = (const char *const *)c->guarded;
	return r;
}
