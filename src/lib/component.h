/* SPDX-License-Identifier: Apache-2.0 */
/* From a component of a project to the sandbox that it asks for, and what there is of them. */
#pragma once

#include "lib/handle.h"
#include "lib/project.h"
#include "project/identity.h"
#include "project/plan.h"
#include "sandbox/network.h"

#define LABEL_PROJECT   "dev.monocore.project"
#define LABEL_COMPONENT "dev.monocore.component"
#define LABEL_DIGEST    "dev.monocore.digest"

/* The options that its sandbox is made with, and what they point to. */
struct component {
	struct monocore_sandbox_options options;
	char **env, **labels, **volumes, **guarded, **groups, **subnets, **aliases;
	char *name, *image, *hostname, *restart;
	const char *command[4];
};
void component_free(struct component *c);
static inline void cleanup_component(struct component *c)
{
	component_free(c);
}
#define _cleanup_component_ __attribute__((cleanup(cleanup_component)))

/* Borrows from the project. *c is the caller's, also after a failure. */
int component_make(const struct project *p, const struct project_identity *identity,
	const struct project_sandbox *s, struct component *c, struct error *err);

/* And what of the project no volume of it lets the sandbox change; it is looked for on this host. */
int component_guard(const struct monocore_project *project, struct component *c, struct error *err);

/* The image that a build makes: "monocore.local/shop/app:latest". The caller's. */
char *component_build_image(const char *project, const char *build, struct error *err);

/* Appends volumes, as create has them; one that has a name is the project's. */
int component_volumes(
	const char *project, const struct project_volume *v, size_t count, char ***list, struct error *err);

/* What the network of its sandbox is to be, as network_make() makes it. */
int component_network(const struct component *c, struct network *n, struct error *err);

/* The sandbox in d has another reach, rules, bandwidth or ports than the component asks for. */
int component_network_is_other(
	const struct component *c, const struct directory *d, bool *other, struct error *err);

/* Gives them to the sandbox. */
int component_network_change(struct monocore *mc, const struct component *c, struct error *err);

/* What there is of a project: its sandboxes, as the plan wants to know of them. */
struct seen_list {
	struct plan_seen *items; /* their texts are owned */
	size_t count;
};
void seen_free(struct seen_list *list);
static inline void cleanup_seen(struct seen_list *list)
{
	seen_free(list);
}
#define _cleanup_seen_ __attribute__((cleanup(cleanup_seen)))

int seen_find(struct monocore *mc, const struct project *p, const struct project_identity *identity,
	struct seen_list *list, struct error *err);

/* Those of these volumes that have a name are the project's from now on. EXISTS: one is another's. */
int project_own_volumes(struct monocore *mc, const struct project_identity *identity,
	const struct project_volume *volumes, size_t count, struct error *err);

/* DENIED: the project reaches out of its directory, and the user has not granted all of that. */
int project_check_grants(struct monocore *mc, const struct monocore_project *project, struct error *err);

/* What a user calls components, of which the names of their sandboxes ("shop-web") are another way to say it;
 * a text list, the caller's. What is neither stays as it is. */
int seen_names(const struct seen_list *seen, const struct project *p, const struct project_identity *identity,
	const char *const *names, char ***components, struct error *err);

/* Which project it is. One that nothing was ever made of gets its identity, or, where `make` is false, has no
 * id and the name that it would ask for. */
int project_who(struct monocore *mc, const struct monocore_project *project, bool make,
	struct project_identity *identity, struct error *err);
