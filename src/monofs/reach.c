/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/reach.h"

#include <stdlib.h>

#include "monofs/content_list.h"
#include "monofs/live.h"
#include "monofs/walk_path.h"

#define REPORT_EVERY 64u /* revisions */

void reach_free(struct reach *r)
{
	id_set_free(&r->nodes);
	id_set_free(&r->leaves);
	buffer_free(&r->path);
	free(r->stack);
}

static struct reach_place place(struct reach *r)
{
	return (struct reach_place){.revision = r->revision, .path = (const char *)r->path.data};
}

/* err has why; it is kept where the work goes on. */
static int broken(
	struct reach *r, enum object_type type, const struct object_id *id, bool in_tree, struct error *err)
{
	struct reach_place at = place(r);
	int code = -(int)err->code;

	if (!in_tree)
		at.path = NULL;
	/* What is not the repository's fault ends it. */
	if (code == -(int)ERROR_NO_MEMORY || code == 0)
		return code ? code : -(int)ERROR_SYSTEM;
	return r->broken(r->context, type, id, &at, err);
}

/* 1: it was looked into before. */
static int enter(struct reach *r, const struct object_id *id, struct error *err)
{
	bool fresh;
	int code = id_set_add(&r->nodes, id, &fresh, err);

	return code < 0 ? code : !fresh;
}

static int leaf(struct reach *r, enum object_type type, const struct object_id *id, struct error *err)
{
	struct reach_place at = place(r);
	int code = r->leaf(r->context, type, id, &at, err);

	return code < 0 ? code : id_set_add(&r->leaves, id, NULL, err);
}

/* ---- files ---- */

static int take_chunk(void *context, uint64_t offset, const struct content_ref *ref, struct error *err)
{
	(void)offset;
	return object_id_is_none(&ref->id) ? 0 : leaf(context, OBJECT_CHUNK, &ref->id, err);
}

static int reach_list(struct reach *r, const struct content_ref *ref, unsigned depth, struct error *err)
{
	struct store *s = repository_store(r->r);
	struct content_list list;
	struct content_ref part;
	int code = enter(r, &ref->id, err);

	if (code != 0)
		return code < 0 ? code : 0;
	code = content_list_load(s, ref, depth, &list, err);
	if (code < 0)
		code = broken(r, OBJECT_LIST, &ref->id, true, err);
	else
		while (code == 0 && content_list_next(&list, &part))
			code = depth ? reach_list(r, &part, depth - 1, err) : take_chunk(r, 0, &part, err);
	content_list_release(s, &list);
	return code;
}

static int reach_entry(struct reach *r, const struct entry *e, struct error *err)
{
	const struct content *c = &e->content;
	int code = 0;

	for (size_t i = 0; code == 0 && i < e->xattr_count; i++) {
		if (!object_id_is_none(&e->xattrs[i].object))
			code = leaf(r, OBJECT_VALUE, &e->xattrs[i].object, err);
	}
	if (e->kind != ENTRY_FILE)
		return code;
	r->files++;
	r->bytes += c->size;
	for (size_t i = 0; code == 0 && i < c->ref_count; i++)
		code = c->depth ? reach_list(r, &c->refs[i], c->depth - 1, err)
				: take_chunk(r, 0, &c->refs[i], err);
	return code;
}

/* ---- maps ---- */

static int visit_node(void *context, const struct object_id *id, struct error *err)
{
	return enter(context, id, err);
}

static int content_broken(void *context, const struct object_id *id, struct error *err)
{
	return broken(context, OBJECT_CONTENT, id, true, err);
}

static int identity_broken(void *context, const struct object_id *id, struct error *err)
{
	return broken(context, OBJECT_IDENTITY, id, true, err);
}

static int reach_map(struct reach *r, enum object_type type, const struct object_id *root, struct error *err);

static int too_deep(struct reach *r, enum object_type type, const struct object_id *id, struct error *err)
{
	error_set(err, ERROR_CORRUPT, "more than %u directories in each other", ENTRY_DEPTH_MAX);
	return broken(r, type, id, true, err);
}

static int content_item(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	struct reach *r = context;
	size_t before = walk_path_enter(&r->path, item->name, item->name_size);
	int code;

	(void)position;
	if (r->path.failed)
		return error_no_memory(err, "go through a repository");
	code = entry_decode(item->value, item->value_size, &e, err);
	if (code < 0) {
		static const struct object_id none;

		code = broken(r, OBJECT_CONTENT, &none, true, err);
	} else {
		code = reach_entry(r, &e, err);
		if (code == 0 && e.kind == ENTRY_DIRECTORY)
			code = reach_map(r, OBJECT_CONTENT, &e.children, err);
	}
	walk_path_leave(&r->path, before);
	return code;
}

static int identity_item(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	struct reach *r = context;
	size_t before = walk_path_enter(&r->path, item->name, item->name_size);
	struct identity i;
	int code;

	(void)position;
	if (r->path.failed)
		return error_no_memory(err, "go through a repository");
	code = identity_decode(item->value, item->value_size, &i, err);
	if (code < 0) {
		static const struct object_id none;

		code = broken(r, OBJECT_IDENTITY, &none, true, err);
	} else {
		code = reach_map(r, OBJECT_IDENTITY, &i.children, err);
	}
	walk_path_leave(&r->path, before);
	return code;
}

static int reach_map(struct reach *r, enum object_type type, const struct object_id *root, struct error *err)
{
	struct mst map = tree_map(r->r, type);
	struct mst_visitor v = {.node = visit_node,
		.take = type == OBJECT_CONTENT ? content_item : identity_item,
		.broken = type == OBJECT_CONTENT ? content_broken : identity_broken,
		.context = r};
	int code;

	if (object_id_is_none(root))
		return 0;
	if (r->depth >= ENTRY_DEPTH_MAX)
		return too_deep(r, type, root, err);
	r->depth++;
	code = mst_visit(&map, root, &v, err);
	r->depth--;
	return code;
}

/* ---- revisions ---- */

static int reach_content(struct reach *r, const struct object_id *id, struct error *err)
{
	_cleanup_entry_ struct entry e = {0};
	int code = enter(r, id, err);

	if (code != 0)
		return code < 0 ? code : 0;
	code = root_get_content(repository_store(r->r), id, &e, err);
	if (code < 0)
		return broken(r, OBJECT_ROOT, id, false, err);
	code = reach_entry(r, &e, err);
	return code < 0 ? code : reach_map(r, OBJECT_CONTENT, &e.children, err);
}

static int reach_identity(struct reach *r, const struct object_id *id, struct error *err)
{
	struct identity i;
	int code = enter(r, id, err);

	if (code != 0)
		return code < 0 ? code : 0;
	code = root_get_identity(repository_store(r->r), id, &i, err);
	return code < 0 ? broken(r, OBJECT_ROOT, id, false, err)
			: reach_map(r, OBJECT_IDENTITY, &i.children, err);
}

static int push(struct reach *r, const struct object_id *id, struct error *err)
{
	int code = enter(r, id, err);

	if (code != 0)
		return code < 0 ? code : 0;
	if (r->stack_count == r->stack_room) {
		size_t room = r->stack_room ? 2 * r->stack_room : 64;
		struct object_id *stack = realloc(r->stack, room * sizeof *stack);

		if (!stack)
			return error_no_memory(err, "go through a repository");
		r->stack = stack;
		r->stack_room = room;
	}
	r->stack[r->stack_count++] = *id;
	return 0;
}

static int reach_commit(struct reach *r, const struct object_id *id, struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	struct progress_event e = {.task = "revisions", .unit = "steps"};
	int code = commit_get(repository_store(r->r), id, &c, err);

	object_id_hex(id, r->revision);
	buffer_clear(&r->path);
	buffer_u8(&r->path, 0);
	if (code < 0)
		return broken(r, OBJECT_COMMIT, id, false, err);
	e.done = ++r->commits;
	if (e.done % REPORT_EVERY == 0)
		progress_report(r->progress, &e);
	code = reach_content(r, &c.content, err);
	if (code == 0)
		code = reach_identity(r, &c.identity, err);
	if (code == 0 && r->took) {
		const struct reach_place at = place(r);

		code = r->took(r->context, &c, &at, err);
	}
	for (size_t i = c.parent_count; code == 0 && i-- > 0;)
		code = push(r, &c.parents[i], err);
	return code;
}

/* The draft that a live tree stands on. */
static int push_draft(struct reach *r, const struct references *refs, struct error *err)
{
	static const struct object_id none;
	const struct reach_place at = {0};
	const struct reference *main = references_find(refs, REFERENCE_MAIN);
	struct object_id draft;
	int code = main ? live_find_draft(r->r, &main->commit, &draft, err) : 0;

	if (code < 0)
		return r->broken(r->context, OBJECT_COMMIT, &none, &at, err);
	return code == 1 ? push(r, &draft, err) : 0;
}

int reach_all(struct reach *r, struct error *err)
{
	_cleanup_references_ struct references refs = {0};
	int code = references_read(repository_directory(r->r), repository_crypt(r->r), &refs, err);

	r->nodes.width = 16;
	r->leaves.width = 8;
	for (size_t i = 0; code == 0 && i < refs.count; i++)
		code = push(r, &refs.list[i].commit, err);
	if (code == 0)
		code = push_draft(r, &refs, err);
	while (code == 0 && r->stack_count) {
		struct object_id id = r->stack[--r->stack_count];

		code = reach_commit(r, &id, err);
	}
	return code;
}
