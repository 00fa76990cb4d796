/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/check.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"
#include "monofs/check_tree.h"
#include "monofs/reach.h"

#define DAMAGED_MOST 100000u /* objects whose paths are looked for; more are told without */

struct check {
	struct repository *r;
	const struct check_options *o;
	struct check_result *result;
	struct map lost;    /* id: why (struct lost) */
	struct id_set seen; /* leaves that are known to be there */
	struct id_set told; /* nodes that cannot be read */
	struct check_tree tree;
	const struct reach *reach;
	const char *revision; /* whose tree is checked */
	bool rescued;         /* what lay in condemned packs is in the index */
	int code;             /* of a callback that has no way to fail */
	struct error *err;
};

struct lost {
	struct object_id id;
	bool told;
	char why[];
};

static void tell(struct check *c, const char *what, const char *revision, const char *path, const char *why)
{
	c->result->damaged++;
	c->o->damaged(c->o->context, what, revision, path, why);
}

/* The store has found an object that cannot be had, or a file that is not what it was. */
static void store_damaged(void *context, const struct object_id *id, const char *file, const char *what)
{
	struct check *c = context;
	char hex[OBJECT_HEX_SIZE];
	struct lost *lost;
	void *old = NULL;

	if (!id) {
		tell(c, file, NULL, NULL, what);
		return;
	}
	if (c->lost.size >= DAMAGED_MOST) {
		tell(c, object_id_hex(id, hex), NULL, NULL, what);
		return;
	}
	lost = malloc(sizeof *lost + strlen(what) + 1);
	if (!lost) {
		c->code = error_no_memory(c->err, "check a repository");
		return;
	}
	lost->id = *id;
	lost->told = false;
	memcpy(lost->why, what, strlen(what) + 1);
	if (map_set(&c->lost, id, sizeof *id, lost, &old, c->err) < 0) {
		free(lost);
		c->code = -(int)ERROR_NO_MEMORY;
	}
	free(old);
}

static void tell_object(
	struct check *c, const struct object_id *id, const struct reach_place *at, const char *why)
{
	struct lost *lost = map_get(&c->lost, id, sizeof *id);
	char hex[OBJECT_HEX_SIZE];

	if (lost)
		lost->told = true;
	tell(c, object_id_hex(id, hex), at->revision, at->path, lost ? lost->why : why);
}

/* What somebody had found before its pack was condemned, and named after, is in that pack. */
static int has(struct check *c, const struct object_id *id, struct error *err)
{
	struct store *s = repository_store(c->r);
	int r = store_has(s, id, err);

	if (r != 0 || c->rescued)
		return r;
	c->rescued = true;
	r = store_rescue_all(s, err);
	return r <= 0 ? r : store_has(s, id, err);
}

static int leaf(void *context, enum object_type type, const struct object_id *id,
	const struct reach_place *at, struct error *err)
{
	struct check *c = context;
	char why[64];
	int r;

	if (map_get(&c->lost, id, sizeof *id)) {
		tell_object(c, id, at, "");
		return 0;
	}
	if (id_set_has(&c->seen, id))
		return 0;
	r = has(c, id, err);
	if (r < 0)
		return r;
	if (r == 1) {
		c->result->objects++;
		return id_set_add(&c->seen, id, NULL, err);
	}
	snprintf(why, sizeof why, "this %s is not there", object_type_name(type));
	tell_object(c, id, at, why);
	return 0;
}

static int broken(void *context, enum object_type type, const struct object_id *id,
	const struct reach_place *at, struct error *err)
{
	struct check *c = context;

	if (object_id_is_none(id)) {
		tell(c, object_type_name(type), at->revision, at->path, err->text);
		return 0;
	}
	tell_object(c, id, at, err->text);
	return id_set_add(&c->told, id, NULL, err);
}

/* ---- trees ---- */

static void tree_wrong(void *context, const char *path, const char *why)
{
	struct check *c = context;

	tell(c, "entry", c->revision, path, why);
}

/* A node that is whole, and lies where it cannot be. */
static void tree_unreadable(void *context, const struct object_id *id, const char *path, struct error *err)
{
	struct check *c = context;
	struct reach_place at = {.revision = c->revision, .path = path};

	if (!id_set_has(&c->told, id))
		tell_object(c, id, &at, err->text);
}

static int took(void *context, const struct commit *commit, const struct reach_place *at, struct error *err)
{
	struct check *c = context;

	c->revision = at->revision;
	return check_tree(&c->tree, commit, c->reach->nodes.size, err);
}

/* What no revision needs is damage all the same. */
static void tell_rest(struct check *c)
{
	char hex[OBJECT_HEX_SIZE];
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(&c->lost, &at));) {
		struct lost *lost = s->value;

		if (!lost->told)
			tell(c, object_id_hex(&lost->id, hex), NULL, NULL, lost->why);
		free(lost);
	}
	map_free(&c->lost);
}

static void file_damaged(void *context, const char *file, const char *what)
{
	tell(context, file, NULL, NULL, what);
}

static int check_store(struct check *c, struct error *err)
{
	struct store_check s = {.read_data = c->o->read_data,
		.damaged = store_damaged,
		.context = c,
		.progress = c->o->progress};
	int r = store_check(repository_store(c->r), &s, err);

	c->result->packs = s.files;
	c->result->bytes = s.bytes;
	if (r == 0)
		r = repository_check_files(c->r, file_damaged, c, err);
	return r < 0 ? r : c->code;
}

int check_repository(
	struct repository *r, const struct check_options *o, struct check_result *out, struct error *err)
{
	struct error unused;
	struct check c = {.r = r, .o = o, .result = out, .seen = {.width = 8}, .told = {.width = 16}};
	struct reach reach = {
		.r = r, .progress = o->progress, .leaf = leaf, .broken = broken, .took = took, .context = &c};
	int code;

	*out = (struct check_result){0};
	c.reach = &reach;
	c.tree = (struct check_tree){
		.r = r, .wrong = tree_wrong, .unreadable = tree_unreadable, .context = &c};
	c.err = err = err ? err : &unused;
	code = check_store(&c, err);
	if (code == 0)
		code = reach_all(&reach, err);
	out->commits = reach.commits;
	out->files = reach.files;
	out->objects += reach.nodes.size;
	tell_rest(&c);
	reach_free(&reach);
	check_tree_free(&c.tree);
	id_set_free(&c.told);
	id_set_free(&c.seen);
	return code;
}
