/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files that load a project. Files become trees (load_files.c), trees become components that know
 * whom they need (load_scope.c), what is needed is put in order (load_order.c), and each becomes a struct of
 * the project (resolve*.c).
 *
 * Running out of memory, or over the bound on what all texts are together, is noted in `failed` and ends the
 * load; everything else that is wrong is a mistake.
 */
#pragma once

#include "project/env.h"
#include "project/load.h"
#include "project/schema.h"

#define LOAD_BYTES_MAX (64u << 20) /* of all texts of a project */

struct file {
	struct file *next;
	char *path, *directory; /* absolute; no links in the directory */
	uint32_t number;
	struct yaml_document *yaml;
	struct yaml_node *root; /* NULL: there is nothing to be read in it */
	bool open;              /* it is being brought in */
};

enum part { PART_SANDBOX, PART_BUILD, PART_GROUP, PART_COUNT };

enum role { ROLE_DEPENDS, ROLE_IMAGE, ROLE_FROM, ROLE_GROUP };

struct component;
struct reference {
	const struct yaml_node *at;
	struct component *to;
	enum role role;
};

struct component {
	struct component *next; /* of all that were made */
	enum part part;
	char *name;   /* where it is now: in its own file, or in one that brought it in */
	char *lifted; /* the name that it gets where it is brought in */
	struct yaml_node *key, *node;
	struct file *file;
	struct reference *references;
	size_t reference_count;
	unsigned depth; /* of what it depends on */
	bool seen, on_path;
};

/* What names mean in a file. */
struct scope {
	struct component **list;
	size_t count, room;
	struct map names[PART_COUNT];
};

struct env_kept {
	struct env_kept *next;
	char *path;
	struct env env;
};

struct load {
	const struct project_load *in;
	struct project *p;
	struct mistakes *m;
	struct error *err;
	struct file *files;
	struct component *components;
	struct env dot_env; /* of the project's .env */
	struct env_kept *env_files;
	struct map reaches; /* those that are known */
	size_t loads, part_count, left;
	const char *component; /* "sandboxes.web": whose variables are looked up */
	struct project_place place;
	int failed;
};

void load_fail(struct load *l, int code, const char *what);

/* A copy that the project will own; NULL where there is no memory. */
char *load_keep(struct load *l, const char *text);
void load_list_add(struct load *l, char ***list, const char *text);

/* The value of a variable: of .env, then of the host, which is a reach-out. context is the struct load. */
const char *load_variable(void *context, const char *name);

/* load_files.c */
int load_open_file(struct load *l, const char *path, struct file **file, struct error *err);
int load_read_env_file(struct load *l, const char *path, struct project_place place, const struct env **env);
void load_read_dot_env(struct load *l);
void load_free_files(struct load *l);

/* load_scope.c */
void load_build_scope(struct load *l, struct file *file, struct scope *s);
void load_free_scope(struct scope *s);
void load_free_components(struct load *l);

/* resolve_paths.c */
/* `path`, absolute, is read: it goes among the project's reads. */
void load_note_read(struct load *l, const char *path);

/* load_order.c */
void load_order(struct load *l, const struct scope *s);

/* resolve.c: all of a scope into l->p */
void resolve_project(struct load *l, struct file *root, const struct scope *s);

/* A member that is there, means something and is not broken; or NULL. */
struct yaml_node *resolve_member(const struct yaml_node *node, const char *key);
/* Of a list, or of a scalar that stands for a list of one: how many, and each (NULL: it is broken). */
size_t resolve_count(const struct yaml_node *node);
const char *resolve_item(const struct yaml_node *node, size_t i, struct project_place *place);

/* Filled by resolve_parts.c and resolve_build.c */
void resolve_sandbox(struct load *l, struct component *c, struct project_sandbox *s);
void resolve_build(struct load *l, struct component *c, struct project_build *b);
void resolve_group(struct load *l, struct component *c, struct project_group *g);
void resolve_common(struct load *l, struct component *c, struct project_common *common);
char **resolve_words(struct load *l, const struct yaml_node *node);

/* resolve_env.c: appends what a node of envs says, or files of it. */
void resolve_env(struct load *l, struct component *c, const struct yaml_node *node, struct env *e);
void resolve_env_files(struct load *l, struct component *c, const struct yaml_node *node, struct env *e);

/* resolve_paths.c */
void load_reach(struct load *l, enum project_reach_kind kind, struct component *c, const char *value,
	struct project_place place);
bool load_is_outside(const struct load *l, const char *path);
/* The path of the host that a text in a file means, without links; NULL: load_fail() or a mistake. */
/* read: what is there is part of the project's configuration. */
char *load_path(
	struct load *l, const struct file *file, const char *text, bool read, struct project_place place);
/* The same, and noted as a reach-out of that kind where it is outside. `suffix` belongs to the value. */
char *load_path_reach(struct load *l, struct component *c, const char *text, enum project_reach_kind kind,
	const char *suffix, struct project_place place);
void resolve_volumes(
	struct load *l, struct component *c, const struct yaml_node *node, struct project_common *common);
void resolve_image(struct load *l, struct component *c, struct project_common *common);
/* A volume's source and whether it is a name. */
void resolve_source(
	struct load *l, struct component *c, const char *text, const char *options, struct project_volume *v);

/* resolve_build.c */
void resolve_steps(struct load *l, struct component *c, struct project_build *b);

/* resolve_checks.c: a port that others of the network reach, and what two sandboxes cannot both have */
void resolve_port(struct load *l, struct component *c, const char *text, struct project_place place);
void resolve_checks(struct load *l);
