/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is live is what references lead to, and the draft that a live tree stands on (live.h). Where it stands
 * on a revision, that is one of these: its journal names what `main` led to when it began, and main moves
 * forward only.
 */
#include "monofs/check.h"
#include "monofs/reach.h"

static int leaf(void *context, enum object_type type, const struct object_id *id,
	const struct reach_place *at, struct error *err)
{
	(void)context;
	(void)type;
	(void)id;
	(void)at;
	(void)err;
	return 0;
}

/* What cannot be read may lead to more: nothing is removed then. */
static int broken(void *context, enum object_type type, const struct object_id *id,
	const struct reach_place *at, struct error *err)
{
	(void)context;
	(void)type;
	(void)id;
	(void)at;
	return error_prefix(err, "nothing is removed from a repository that is damaged");
}

static int mark(void *context, struct error *err)
{
	return reach_all(context, err);
}

static bool live(void *context, const struct object_id *id)
{
	const struct reach *r = context;

	return id_set_has(&r->leaves, id) || id_set_has(&r->nodes, id);
}

int collect_garbage(
	struct repository *r, const struct collect_options *o, struct store_sweep *result, struct error *err)
{
	struct error unused;
	struct reach reach = {.r = r, .progress = o->progress, .leaf = leaf, .broken = broken};
	int code;

	*result = (struct store_sweep){.mark = mark,
		.live = live,
		.context = &reach,
		.grace = o->grace,
		.keep_percent = o->keep_percent,
		.dry_run = o->dry_run,
		.progress = o->progress};
	code = store_tidy(repository_store(r), result, err ? err : &unused);
	reach_free(&reach);
	result->context = NULL;
	return code;
}
