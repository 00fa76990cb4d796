/* SPDX-License-Identifier: Apache-2.0 */
/* What each component of a project is made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/output.h"
#include "bin/monocore/project.h"
#include "bin/monocore/tree_print.h"
#include "bin/monocore/verbs.h"

CLEANUP_DEFINE(project, struct monocore_project, monocore_project_close);

#define DEPTH_ALL 64

struct options {
	uint64_t depth;
	bool json;
};

static const struct options defaults = {.depth = DEPTH_ALL};

static const struct option_spec options[] = {
	{"depth", 'L', OPTION_NUMBER, "DEPTH", offsetof(struct options, depth),
		"show so many levels; default: all", .most = DEPTH_ALL},
	{"json", 0, OPTION_FLAG, NULL, offsetof(struct options, json), "print JSON"},
	{NULL},
};

/* A layer, and the image that it was found in: one that is in another, too, is shared. */
struct layer {
	struct tree_node *node;
	const char *image;
};

struct making {
	struct cli *cli;
	const struct monocore_project *project;
	struct monocore_project_entry *entries;
	size_t count;
	bool *shown; /* of each entry: what is in it */
	struct layer *layers;
	size_t layer_count;
	uint64_t depth;
	bool failed; /* out of memory */
};

static void making_free(struct making *m)
{
	monocore_project_entries_free(m->entries, m->count);
	free(m->shown);
	free(m->layers);
}

static struct tree_node *add(struct making *m, struct tree_node *parent, const char *kind, const char *name)
{
	struct tree_node *node = tree_node_add(parent, kind, name);

	m->failed |= !node;
	return node;
}

static void add_layer(struct making *m, struct tree_node *image, const struct monocore_image_step *s)
{
	struct tree_node *node = add(m, image, "layer", s->digest);
	struct layer *more = reallocarray(m->layers, m->layer_count + 1, sizeof *more);

	m->failed |= !more;
	if (more)
		m->layers = more;
	if (!more || !node)
		return;
	node->size = s->size;
	node->sized = true;
	node->made_by = strdup(s->created_by);
	m->layers[m->layer_count++] = (struct layer){node, image->name};
}

/* An image that is not here has no layers that could be told. */
static void add_image(struct making *m, struct tree_node *parent, const char *name, uint64_t depth)
{
	struct tree_node *image = add(m, parent, "image", name);
	struct monocore_image_step *steps;
	size_t count;

	if (!image || monocore_image_history(m->cli->mc, name, NULL, &steps, &count, NULL) < 0)
		return;
	image->sized = true;
	for (size_t i = 0; i < count; i++) {
		image->size += steps[i].size;
		if (*steps[i].digest && depth + 1 < m->depth)
			add_layer(m, image, &steps[i]);
	}
	monocore_image_history_free(steps, count);
}

static size_t find(const struct making *m, const char *name, bool build)
{
	size_t i = 0;

	while (i < m->count && (strcmp(m->entries[i].name, name) != 0 ||
				       m->entries[i].section != (build ? MONOCORE_SECTION_BUILDS
								       : MONOCORE_SECTION_SANDBOXES)))
		i++;
	return i;
}

static void add_component(struct making *m, struct tree_node *parent, size_t at, uint64_t depth);

static void add_named(struct making *m, struct tree_node *parent, const char *name, uint64_t depth)
{
	size_t at = find(m, name, false);

	add_component(m, parent, at < m->count ? at : find(m, name, true), depth);
}

static void add_parts(struct making *m, struct tree_node *node, size_t at, uint64_t depth)
{
	const struct monocore_project_entry *e = &m->entries[at];
	char *made = NULL;

	if (e->section == MONOCORE_SECTION_BUILDS &&
		monocore_project_build_image(m->cli->mc, m->project, e->name, &made, NULL) == 0)
		add_image(m, node, made, depth);
	monocore_free(made);
	if (e->image_is_build)
		add_component(m, node, find(m, e->image, true), depth);
	else
		add_image(m, node, e->image, depth);
	for (char **i = e->imports; i && *i; i++)
		add(m, node, "import", *i);
	for (char **d = e->depends_on; d && *d; d++)
		if (!e->image_is_build || strcmp(*d, e->image) != 0)
			add_named(m, node, *d, depth);
}

/* Depths are those of depends_on, which are bounded, and of builds, which are no circle. */
static void add_component(struct making *m, struct tree_node *parent, size_t at, uint64_t depth)
{
	struct tree_node *node;

	if (at == m->count || depth >= m->depth)
		return;
	node = add(m, parent, m->entries[at].section == MONOCORE_SECTION_BUILDS ? "build" : "sandbox",
		m->entries[at].name);
	if (!node || depth + 1 >= m->depth)
		return;
	node->above = m->shown[at];
	m->shown[at] = true;
	if (!node->above)
		add_parts(m, node, at, depth + 1);
}

static void mark_shared(struct making *m)
{
	for (size_t i = 0; i < m->layer_count; i++)
		for (size_t j = 0; j < m->layer_count && !m->layers[i].node->shared; j++)
			m->layers[i].node->shared =
				!strcmp(m->layers[i].node->name, m->layers[j].node->name) &&
				strcmp(m->layers[i].image, m->layers[j].image) != 0;
}

static int add_all(struct making *m, struct tree_node *root, int count, char **words)
{
	struct monocore_error err = {0};

	for (int i = 0; i < count; i++) {
		size_t at = find(m, words[i], false);

		if (at == m->count)
			at = find(m, words[i], true);
		if (at == m->count) {
			err.code = MONOCORE_NOT_FOUND;
			snprintf(err.text, sizeof err.text, "the project has no sandbox or build '%s'",
				words[i]);
			return cli_fail(m->cli, &err);
		}
		add_component(m, root, at, 0);
	}
	for (size_t i = 0; count == 0 && i < m->count; i++)
		if (m->entries[i].section != MONOCORE_SECTION_GROUPS)
			add_component(m, root, i, 0);
	mark_shared(m);
	return 0;
}

static int show(struct making *m, const struct options *o, int count, char **words)
{
	struct tree_node *root = calloc(1, sizeof *root);
	struct monocore_error err;
	int status = 0;

	if (monocore_project_entries(m->project, &m->entries, &m->count, &err) < 0)
		status = cli_fail(m->cli, &err);
	m->shown = calloc(m->count + 1, sizeof *m->shown);
	if (status == 0 && root && m->shown)
		status = add_all(m, root, count, words);
	if (status == 0 && (m->failed || !root || !m->shown)) {
		complain("monocore: %s: out of memory", m->cli->path);
		status = 1;
	}
	if (status == 0)
		status = o->json ? tree_print_json(m->cli, root) : tree_print(root);
	tree_node_free(root);
	making_free(m);
	return status;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	_cleanup_(cleanup_project) struct monocore_project *project = NULL;
	struct making m = {.cli = cli, .depth = o->depth ? o->depth : DEPTH_ALL};
	int status = cli_open_project(cli, &project);

	if (status == 0 && cli_open(cli) < 0)
		status = 1;
	m.project = project;
	return status ? status : show(&m, o, count, words);
}

const struct command tree_command = {
	.name = "tree",
	.arguments = "[NAME...]",
	.summary = "show what each component is made of",
	.help = "Below each sandbox and build stands what it is made of: its image or the build that makes "
		"it, "
		"imports, and what it depends on; below an image that is here its layers, the newest first, "
		"with "
		"sizes and what made them. A layer that is in several of the images is marked as shared.",
	.examples = "monocore tree\nmonocore tree web -L 2\nmonocore tree --json",
	.options = options,
	.size = sizeof(struct options),
	.defaults = &defaults,
	.most = WORDS_ANY,
	.run = run,
	.words = WORDS_PARTS,
};
