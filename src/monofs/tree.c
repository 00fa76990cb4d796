/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a revision are found by path, and directories are listed. */
#include "monofs/tree.h"

#include "monofs/mst_cursor.h"

void tree_object_free(struct tree_object *o)
{
	entry_free(&o->entry);
	*o = (struct tree_object){0};
}

struct mst tree_map(struct repository *r, enum object_type type)
{
	return (struct mst){.store = repository_store(r), .crypt = repository_crypt(r), .type = type};
}

int tree_root(
	struct repository *r, const struct object_id *commit, struct tree_object *out, struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	struct store *s = repository_store(r);
	int code = commit_get(s, commit, &c, err);

	*out = (struct tree_object){0};
	if (code == 0)
		code = root_get_content(s, &c.content, &out->entry, err);
	if (code == 0)
		code = root_get_identity(s, &c.identity, &out->identity, err);
	if (code < 0)
		tree_object_free(out);
	return code;
}

/* The value that a name has in one of a directory's maps. 1: found. */
static int map_value(struct repository *r, enum object_type type, const struct object_id *root,
	const char *name, size_t n, struct buffer *value, struct error *err)
{
	struct mst map = tree_map(r, type);

	return mst_get(&map, root, name, n, value, err);
}

int tree_child(struct repository *r, const struct tree_object *directory, const char *name, size_t n,
	struct tree_object *out, struct error *err)
{
	_cleanup_buffer_ struct buffer content = {0}, identity = {0};
	int code = map_value(r, OBJECT_CONTENT, &directory->entry.children, name, n, &content, err);

	*out = (struct tree_object){0};
	if (code <= 0)
		return code;
	code = map_value(r, OBJECT_IDENTITY, &directory->identity.children, name, n, &identity, err);
	if (code == 0)
		code = error_set(err, ERROR_CORRUPT, "%.*s: it has no identity", (int)n, name);
	if (code == 1)
		code = entry_decode_owned(content.data, content.size, &out->entry, err);
	if (code == 0)
		code = identity_decode(identity.data, identity.size, &out->identity, err);
	if (code == 0 && (out->entry.kind != ENTRY_DIRECTORY) && !object_id_is_none(&out->identity.children))
		code = error_set(
			err, ERROR_CORRUPT, "%.*s: it is no directory and has children", (int)n, name);
	if (code == 0)
		return 1;
	tree_object_free(out);
	return code;
}

static int not_there(const char *path, size_t n, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, "%.*s: it is not there", (int)n, path);
}

/* A step down: *at becomes its child. `name` lies in path. */
static int descend(struct repository *r, struct tree_object *at, const char *path, const char *name, size_t n,
	struct error *err)
{
	struct tree_object child;
	int code;

	if (at->entry.kind != ENTRY_DIRECTORY)
		return error_set(err, ERROR_NOT_FOUND, "%.*s: it is no directory",
			name > path ? (int)(name - path - 1) : 0, path);
	code = tree_child(r, at, name, n, &child, err);
	if (code < 0)
		return error_prefix(err, "%.*s", (int)(name + n - path), path);
	if (code == 0)
		return not_there(path, (size_t)(name + n - path), err);
	tree_object_free(at);
	*at = child;
	return 0;
}

int tree_find_name(struct repository *r, const struct object_id *commit, const char *path, size_t path_size,
	struct tree_object *out, struct error *err)
{
	const char *name = path, *end = path + path_size;
	int code;

	if (path_size > 0 && entry_path_fault(path, path_size))
		return not_there(path, path_size, err);
	code = tree_root(r, commit, out, err);
	while (code == 0 && name < end) {
		const char *slash = memchr(name, '/', (size_t)(end - name));
		size_t n = (size_t)((slash ? slash : end) - name);

		code = descend(r, out, path, name, n, err);
		name += n + 1;
	}
	if (code < 0)
		tree_object_free(out);
	return code;
}

int tree_find(struct repository *r, const struct object_id *commit, const char *path, struct tree_object *out,
	struct error *err)
{
	struct tree_object first;
	int code;

	*out = (struct tree_object){0};
	code = tree_find_name(r, commit, path, strlen(path), out, err);
	if (code < 0 || out->entry.kind != ENTRY_LINK)
		return code;
	code = tree_find_name(r, commit, out->entry.target, out->entry.target_size, &first, err);
	if (code == 0 && (first.entry.kind == ENTRY_LINK || first.entry.kind == ENTRY_DIRECTORY)) {
		tree_object_free(&first);
		code = -(int)ERROR_NOT_FOUND;
	}
	if (code == -(int)ERROR_NOT_FOUND)
		code = error_set(err, ERROR_CORRUPT, "%s: the first of its names, %.*s, is not there", path,
			(int)out->entry.target_size, out->entry.target);
	if (code < 0) {
		tree_object_free(out);
		return code;
	}
	tree_object_free(out);
	*out = first;
	return 0;
}

/* ---- listing ---- */

struct listing {
	struct mst content, identity;
	struct mst_cursor names, ids;
	bool with_ids;
};

/* The identity of the name that is next. */
static int list_identity(struct listing *l, uint64_t *skip, struct identity *out, struct error *err)
{
	const struct mst_item *name = &l->names.item, *id = &l->ids.item;
	int code = mst_cursor_item(&l->ids, skip, err);

	if (code < 0)
		return code;
	if (code == 0 || mst_compare(name->name, name->name_size, id->name, id->name_size) != 0)
		return error_set(
			err, ERROR_CORRUPT, "%.*s: it has no identity", (int)name->name_size, name->name);
	return identity_decode(id->value, id->value_size, out, err);
}

static int list_child(struct listing *l, uint64_t position, uint64_t *skip, tree_take *take, void *context,
	struct error *err)
{
	_cleanup_entry_ struct entry entry = {0};
	struct identity identity = {0};
	struct tree_child child = {.position = position, .entry = &entry, .identity = &identity};
	char name[MST_NAME_MAX + 1];
	int code = l->with_ids ? list_identity(l, skip, &identity, err) : 0;

	if (code < 0)
		return code;
	memcpy(name, l->names.item.name, l->names.item.name_size);
	name[l->names.item.name_size] = 0;
	child.name = name;
	code = entry_decode(l->names.item.value, l->names.item.value_size, &entry, err);
	return code < 0 ? error_prefix(err, "%s", name) : take(context, &child, err);
}

static int list_all(struct listing *l, uint64_t from, tree_take *take, void *context, struct error *err)
{
	uint64_t skip = from, skip_ids = from;
	int code;

	while ((code = mst_cursor_item(&l->names, &skip, err)) == 1) {
		code = list_child(l, from++, &skip_ids, take, context, err);
		if (code != 0)
			return code;
		mst_cursor_skip(&l->names);
		if (l->with_ids)
			mst_cursor_skip(&l->ids);
	}
	return code;
}

int tree_list(struct repository *r, const struct tree_object *directory, uint64_t from, bool identities,
	tree_take *take, void *context, struct error *err)
{
	struct listing *l;
	int code;

	if (directory->entry.kind != ENTRY_DIRECTORY)
		return error_set(err, ERROR_INVALID, "it is no directory");
	l = calloc(1, sizeof *l);
	if (!l)
		return error_no_memory(err, "list a directory");
	l->content = tree_map(r, OBJECT_CONTENT);
	l->identity = tree_map(r, OBJECT_IDENTITY);
	l->with_ids = identities;
	mst_cursor_begin(&l->names, &l->content, &directory->entry.children);
	mst_cursor_begin(&l->ids, &l->identity, &directory->identity.children);
	code = list_all(l, from, take, context, err);
	mst_cursor_end(&l->names);
	mst_cursor_end(&l->ids);
	free(l);
	return code;
}
