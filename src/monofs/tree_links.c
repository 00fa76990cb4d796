/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/tree_links.h"

#include <stdlib.h>
#include <string.h>

#include "codec/sha256.h"

#define DIRECTORIES_MOST 4096u
#define FIRSTS_MOST      (1u << 20)

static void forget_directories(struct tree_links *l)
{
	struct map_slot *s;

	for (size_t at = 0; (s = map_next(&l->directories, &at));)
		free(s->value);
	map_free(&l->directories);
}

void tree_links_begin(struct tree_links *l, struct repository *r, const struct object_id *root)
{
	forget_directories(l);
	l->r = r;
	l->root = *root;
	l->firsts.width = 16;
}

void tree_links_free(struct tree_links *l)
{
	forget_directories(l);
	id_set_free(&l->firsts);
}

int tree_links_of(
	struct tree_links *l, struct repository *r, const struct object_id *commit, struct error *err)
{
	_cleanup_tree_object_ struct tree_object root = {0};
	int code = tree_root(r, commit, &root, err);

	if (code == 0)
		tree_links_begin(l, r, &root.entry.children);
	return code;
}

/* What a name has in a directory; *children is of one that is a directory itself. 1: it is there. */
static int look_up(struct tree_links *l, const struct object_id *directory, const char *name, size_t n,
	enum entry_kind *kind, struct object_id *children, struct error *err)
{
	_cleanup_buffer_ struct buffer value = {0};
	_cleanup_entry_ struct entry e = {0};
	struct mst map = tree_map(l->r, OBJECT_CONTENT);
	int r = mst_get(&map, directory, name, n, &value, err);

	if (r <= 0)
		return r;
	r = entry_decode(value.data, value.size, &e, err);
	if (r < 0)
		return r;
	*kind = e.kind;
	*children = e.children;
	return 1;
}

static int keep_directory(
	struct tree_links *l, const char *path, size_t n, const struct object_id *children, struct error *err)
{
	struct object_id *kept = malloc(sizeof *kept);
	int r;

	if (!kept)
		return error_no_memory(err, "look at hard links");
	if (l->directories.size >= DIRECTORIES_MOST)
		forget_directories(l);
	*kept = *children;
	r = map_set(&l->directories, path, n, kept, NULL, err);
	if (r < 0)
		free(kept);
	return r < 0 ? r : 1;
}

/* The map of the directory of that path. 1: it is there, and one. */
static int find_directory(
	struct tree_links *l, const char *path, size_t n, struct object_id *out, struct error *err)
{
	const struct object_id *kept = n ? map_get(&l->directories, path, n) : &l->root;
	const char *name = path, *end = path + n;
	struct object_id at = l->root;

	if (kept) {
		*out = *kept;
		return 1;
	}
	while (name < end) {
		const char *slash = memchr(name, '/', (size_t)(end - name));
		size_t size = (size_t)((slash ? slash : end) - name);
		enum entry_kind kind = ENTRY_DIRECTORY;
		int r = look_up(l, &at, name, size, &kind, out, err);

		if (r <= 0 || kind != ENTRY_DIRECTORY)
			return r < 0 ? r : 0;
		at = *out;
		name += size + 1;
	}
	return keep_directory(l, path, n, out, err);
}

static int hash_first(const struct object_id *directory, const char *name, size_t n, struct object_id *out,
	struct error *err)
{
	uint8_t both[sizeof directory->bytes + MST_NAME_MAX];

	memcpy(both, directory->bytes, sizeof directory->bytes);
	memcpy(both + sizeof directory->bytes, name, n);
	return sha256_of(both, sizeof directory->bytes + n, out->bytes, err);
}

static bool is_first(enum entry_kind kind)
{
	return kind != ENTRY_LINK && kind != ENTRY_DIRECTORY;
}

/* What is at a path that is not the root's. 1: something. */
static int find(struct tree_links *l, const char *path, size_t n, enum entry_kind *kind, struct error *err)
{
	const char *slash = memrchr(path, '/', n), *name = slash ? slash + 1 : path;
	size_t size = (size_t)(path + n - name);
	struct object_id directory, children, first;
	int r = find_directory(l, path, slash ? (size_t)(slash - path) : 0, &directory, err);

	if (r == 1 && hash_first(&directory, name, size, &first, err) < 0)
		r = -(int)err->code;
	if (r <= 0 || id_set_has(&l->firsts, &first))
		return r;
	r = look_up(l, &directory, name, size, kind, &children, err);
	if (r != 1 || !is_first(*kind))
		return r;
	if (l->firsts.size >= FIRSTS_MOST)
		id_set_free(&l->firsts);
	r = id_set_add(&l->firsts, &first, NULL, err);
	return r < 0 ? r : 1;
}

int tree_links_judge(
	struct tree_links *l, const char *path, size_t path_size, const struct entry *link, struct error *err)
{
	enum entry_kind kind = ENTRY_FILE;
	const char *fault = NULL;
	int r;

	if (entry_path_compare(link->target, link->target_size, path, path_size) >= 0) {
		fault = "is not before it";
	} else {
		r = find(l, link->target, link->target_size, &kind, err);
		if (r < 0)
			return r;
		if (r == 0)
			fault = "is not there";
		else if (kind == ENTRY_LINK)
			fault = "has another one before it";
		else if (kind == ENTRY_DIRECTORY)
			fault = "is a directory";
	}
	if (!fault)
		return 0;
	error_set(err, ERROR_CORRUPT, "the first of its names, %.*s, %s", (int)link->target_size,
		link->target, fault);
	return 1;
}

int tree_links_require(struct tree_links *l, const char *path, const struct entry *link, struct error *err)
{
	struct error why;
	int r = tree_links_judge(l, path, strlen(path), link, err ? err : &why);

	return r == 1 ? error_prefix(err ? err : &why, "%s", path) : r;
}
