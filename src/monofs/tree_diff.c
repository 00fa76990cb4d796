/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two trees are gone through side by side, by what their maps differ in: of contents, which say what is told,
 * and of identities, which say what is the same object at another path.
 */
#include <stdlib.h>

#include "base/text.h"
#include "monofs/mst_cursor.h"
#include "monofs/tree_renames.h"

struct diff {
	struct repository *r;
	const struct object_id *a, *b;
	const struct tree_diff_options *o;
	tree_difference_take *take;
	void *context;
	struct mst content, identity;
	struct tree_renames renames;
	unsigned depth;
};

/* One directory in both trees: an id of none is an empty one, or none. */
struct pair {
	const char *path_a, *path_b;
	struct object_id content_a, content_b, identity_a, identity_b;
};

/* A name that differs. */
struct name_pair {
	const char *path_a, *path_b;
	struct entry *a, *b;
	struct identity *id_a, *id_b; /* NULL: not known, or the same in both */
};

/* ---- what differs in entries ---- */

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

static bool same_content(const struct content *a, const struct content *b)
{
	if (a->size != b->size || a->depth != b->depth || a->ref_count != b->ref_count)
		return false;
	if (a->ref_count == 0)
		return same_bytes(a->bytes, a->size, b->bytes, b->size);
	for (size_t i = 0; i < a->ref_count; i++) {
		if (a->refs[i].size != b->refs[i].size || !object_id_equal(&a->refs[i].id, &b->refs[i].id))
			return false;
	}
	return true;
}

static bool same_xattrs(const struct entry *a, const struct entry *b)
{
	if (a->xattr_count != b->xattr_count)
		return false;
	for (size_t i = 0; i < a->xattr_count; i++) {
		const struct entry_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (strcmp(x->name, y->name) != 0 || x->value_size != y->value_size ||
			!object_id_equal(&x->object, &y->object))
			return false;
		if (x->value && !same_bytes(x->value, x->value_size, y->value, y->value_size))
			return false;
	}
	return true;
}

static unsigned differences(const struct entry *a, const struct entry *b)
{
	unsigned what = 0;

	if (a->kind != b->kind || !same_content(&a->content, &b->content) ||
		!same_bytes(a->target, a->target_size, b->target, b->target_size) || a->major != b->major ||
		a->minor != b->minor)
		what |= TREE_CONTENT;
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || !same_xattrs(a, b))
		what |= TREE_META;
	if (a->mtime.seconds != b->mtime.seconds || a->mtime.nanoseconds != b->mtime.nanoseconds)
		what |= TREE_TIME;
	return what;
}

/* ---- telling ---- */

static int diff_pair(struct diff *d, const struct pair *p, struct error *err);

static int tell(struct diff *d, enum tree_change change, const char *path, const char *old_path,
	unsigned what, const struct entry *before, const struct entry *after, struct error *err)
{
	const struct tree_difference t = {.change = change,
		.path = path,
		.old_path = old_path,
		.what = what,
		.before = before,
		.after = after};

	return d->take(d->context, &t, err);
}

/* What lies in directories of which at least one is there. */
static int tell_children(struct diff *d, const struct name_pair *n, struct error *err)
{
	struct pair p = {.path_a = n->path_a, .path_b = n->path_b};

	if (n->a && n->a->kind == ENTRY_DIRECTORY)
		p.content_a = n->a->children;
	if (n->b && n->b->kind == ENTRY_DIRECTORY)
		p.content_b = n->b->children;
	if (n->id_a)
		p.identity_a = n->id_a->children;
	if (n->id_b)
		p.identity_b = n->id_b->children;
	return diff_pair(d, &p, err);
}

static int tell_removed(struct diff *d, const struct name_pair *n, struct error *err)
{
	struct name_pair only = {.path_a = n->path_a, .path_b = n->path_a, .a = n->a, .id_a = n->id_a};
	int r = tell(d, TREE_REMOVED, n->path_a, NULL, 0, n->a, NULL, err);

	return r != 0 || d->o->shallow || n->a->kind != ENTRY_DIRECTORY ? r : tell_children(d, &only, err);
}

static int tell_added(struct diff *d, const struct name_pair *n, struct error *err)
{
	struct name_pair only = {.path_a = n->path_b, .path_b = n->path_b, .b = n->b, .id_b = n->id_b};
	int r = tell(d, TREE_ADDED, n->path_b, NULL, 0, NULL, n->b, err);

	return r != 0 || d->o->shallow || n->b->kind != ENTRY_DIRECTORY ? r : tell_children(d, &only, err);
}

/* What a name of several leads to: which of them is the first is no difference. */
static int follow(struct diff *d, const struct object_id *commit, const char *path, struct entry **e,
	struct tree_object *found, struct error *err)
{
	int r = (*e)->kind == ENTRY_LINK ? tree_find(d->r, commit, path, found, err) : 0;

	if (r == 0 && (*e)->kind == ENTRY_LINK)
		*e = &found->entry;
	return r;
}

/* Both are there, and are the same object, or one that took the other's place. */
static int tell_changed(struct diff *d, const struct name_pair *n, struct error *err)
{
	_cleanup_tree_object_ struct tree_object found_a = {0}, found_b = {0};
	struct entry *a = n->a, *b = n->b;
	int r = follow(d, d->a, n->path_a, &a, &found_a, err);
	unsigned what;

	if (r == 0)
		r = follow(d, d->b, n->path_b, &b, &found_b, err);
	if (r < 0)
		return r;
	what = differences(a, b);
	r = what ? tell(d, TREE_CHANGED, n->path_b, NULL, what, a, b, err) : 0;
	if (r != 0 || (a->kind != ENTRY_DIRECTORY && b->kind != ENTRY_DIRECTORY))
		return r;
	return a->kind != b->kind && d->o->shallow ? 0 : tell_children(d, n, err);
}

/* It was at old_path. */
static int tell_renamed(struct diff *d, const struct name_pair *n, const char *old_path, struct error *err)
{
	_cleanup_tree_object_ struct tree_object old = {0};
	struct name_pair both = {.path_a = old_path, .path_b = n->path_b, .b = n->b, .id_b = n->id_b};
	int r = tree_find_name(d->r, d->a, old_path, strlen(old_path), &old, err);

	if (r < 0)
		return r;
	both.a = &old.entry;
	both.id_a = &old.identity;
	r = tell(d, TREE_RENAMED, n->path_b, old_path, differences(&old.entry, n->b), &old.entry, n->b, err);
	if (r != 0 || (old.entry.kind != ENTRY_DIRECTORY && n->b->kind != ENTRY_DIRECTORY))
		return r;
	return tell_children(d, &both, err);
}

static int tell_name(struct diff *d, const struct name_pair *n, struct error *err)
{
	const char *from = n->id_b ? tree_renames_gone(&d->renames, n->id_b) : NULL;
	const char *to = n->id_a ? tree_renames_come(&d->renames, n->id_a) : NULL;
	bool same = n->a && n->b &&
		    (!n->id_a || !n->id_b || memcmp(n->id_a->id, n->id_b->id, ENTRY_ID_SIZE) == 0);
	int r = 0;

	/* Another name of a file of several is no other place of it. */
	if (from && (same || strcmp(from, n->path_a) == 0))
		from = NULL;
	if (to && (same || strcmp(to, n->path_b) == 0))
		to = NULL;
	if (n->a && n->b && !from && !to)
		return tell_changed(d, n, err);
	if (n->a && !to)
		r = tell_removed(d, n, err);
	if (r != 0 || !n->b)
		return r;
	return from ? tell_renamed(d, n, from, err) : tell_added(d, n, err);
}

/* ---- names that differ ---- */

static char *join(const char *path, const char *name, size_t n, struct error *err)
{
	if (strlen(path) + 1 + n > ENTRY_PATH_MAX) {
		error_set(err, ERROR_CORRUPT, "%s: a path that is too long", path);
		return NULL;
	}
	return text_format(err, "%s%s%.*s", path, *path ? "/" : "", (int)n, name);
}

/* Where only the identity differs, the entry is the same in both. */
static int same_entry(struct diff *d, const struct pair *p, const struct mst_item *item, struct buffer *value,
	struct error *err)
{
	int r = mst_get(&d->content, &p->content_b, item->name, item->name_size, value, err);

	return r == 0 ? error_set(err, ERROR_CORRUPT, "%s: names and identities are not the same", p->path_b)
		      : r;
}

static int decode_entry(const struct mst_item *item, struct entry *e, struct entry **out, struct error *err)
{
	int r = item ? entry_decode(item->value, item->value_size, e, err) : 0;

	*out = item && r == 0 ? e : NULL;
	return r;
}

static int decode_identity(
	const struct mst_item *item, struct identity *i, struct identity **out, struct error *err)
{
	int r = item ? identity_decode(item->value, item->value_size, i, err) : 0;

	*out = item && r == 0 ? i : NULL;
	return r;
}

/* content, identity: what differs of the name in each map; NULL: nothing. */
static int diff_name(struct diff *d, const struct pair *p, const struct mst_difference *content,
	const struct mst_difference *identity, struct error *err)
{
	const struct mst_difference *known = content ? content : identity;
	const struct mst_item *item = known->a ? known->a : known->b;
	_cleanup_free_ char *path_a = join(p->path_a, item->name, item->name_size, err);
	_cleanup_free_ char *path_b = join(p->path_b, item->name, item->name_size, err);
	_cleanup_entry_ struct entry a = {0}, b = {0};
	_cleanup_buffer_ struct buffer value = {0};
	struct identity id_a, id_b;
	struct name_pair n = {.path_a = path_a, .path_b = path_b};
	int r = path_a && path_b ? 0 : -(int)ERROR_CORRUPT;

	if (r == 0 && identity)
		r = decode_identity(identity->a, &id_a, &n.id_a, err);
	if (r == 0 && identity)
		r = decode_identity(identity->b, &id_b, &n.id_b, err);
	if (r < 0)
		return r;
	if (!content) {
		/* The same contents: told only where they are another object's, which has moved here. */
		if (!n.id_a || !n.id_b || memcmp(n.id_a->id, n.id_b->id, ENTRY_ID_SIZE) == 0)
			return 0;
		r = same_entry(d, p, item, &value, err);
		if (r == 1)
			r = entry_decode(value.data, value.size, &b, err);
		n.a = n.b = &b;
	} else {
		r = decode_entry(content->a, &a, &n.a, err);
		if (r == 0)
			r = decode_entry(content->b, &b, &n.b, err);
	}
	return r < 0 ? r : tell_name(d, &n, err);
}

/* Which of two differences is the first by its name; 0: both have the same one. */
static int order_of(const struct mst_difference *x, int x_there, const struct mst_difference *y, int y_there)
{
	const struct mst_item *a = x->a ? x->a : x->b, *b = y->a ? y->a : y->b;

	if (!x_there || !y_there)
		return x_there ? -1 : 1;
	return mst_compare(a->name, a->name_size, b->name, b->name_size);
}

static int diff_names(struct diff *d, const struct pair *p, struct mst_difference *content,
	struct mst_difference *identity, struct error *err)
{
	int c = mst_difference_next(content, err), i = c < 0 ? c : mst_difference_next(identity, err);

	while (c > 0 || i > 0) {
		int order, r;

		if (c < 0 || i < 0)
			break;
		order = order_of(content, c, identity, i);
		r = diff_name(d, p, order <= 0 ? content : NULL, order >= 0 ? identity : NULL, err);
		if (r != 0)
			return r;
		if (order <= 0)
			c = mst_difference_next(content, err);
		if (order >= 0 && c >= 0)
			i = mst_difference_next(identity, err);
	}
	return c < 0 ? c : i < 0 ? i : 0;
}

static int diff_pair(struct diff *d, const struct pair *p, struct error *err)
{
	static const struct object_id none;
	struct mst_difference *both;
	int r;

	if (d->depth >= ENTRY_DEPTH_MAX)
		return error_set(
			err, ERROR_CORRUPT, "more than %u directories in each other", ENTRY_DEPTH_MAX);
	both = calloc(2, sizeof *both);
	if (!both)
		return error_no_memory(err, "compare trees");
	mst_difference_begin(&both[0], &d->content, &p->content_a, &p->content_b);
	if (d->o->no_renames)
		mst_difference_begin(&both[1], &d->identity, &none, &none);
	else
		mst_difference_begin(&both[1], &d->identity, &p->identity_a, &p->identity_b);
	d->depth++;
	r = diff_names(d, p, &both[0], &both[1], err);
	d->depth--;
	mst_difference_end(&both[0]);
	mst_difference_end(&both[1]);
	free(both);
	return r;
}

/* ---- the beginning ---- */

/* What a revision has at the path. 1: something. */
static int begin_side(
	struct diff *d, const struct object_id *commit, struct tree_object *out, struct error *err)
{
	int r;

	*out = (struct tree_object){0};
	if (object_id_is_none(commit))
		return 0;
	r = tree_find_name(d->r, commit, d->o->path, strlen(d->o->path), out, err);
	if (r == -(int)ERROR_NOT_FOUND && *d->o->path)
		return 0;
	return r < 0 ? r : 1;
}

int tree_diff(struct repository *r, const struct object_id *a, const struct object_id *b,
	const struct tree_diff_options *o, tree_difference_take *take, void *context, struct error *err)
{
	_cleanup_tree_object_ struct tree_object left = {0}, right = {0};
	struct tree_diff_options options = *o;
	struct diff d = {.r = r, .a = a, .b = b, .o = &options, .take = take, .context = context};
	struct name_pair n;
	int there_a, there_b, code = 0;

	if (!options.path)
		options.path = "";
	d.content = tree_map(r, OBJECT_CONTENT);
	d.identity = tree_map(r, OBJECT_IDENTITY);
	there_a = begin_side(&d, a, &left, err);
	there_b = there_a < 0 ? there_a : begin_side(&d, b, &right, err);
	if (there_b < 0)
		return there_b;
	n = (struct name_pair){.path_a = options.path,
		.path_b = options.path,
		.a = there_a ? &left.entry : NULL,
		.b = there_b ? &right.entry : NULL,
		.id_a = there_a ? &left.identity : NULL,
		.id_b = there_b ? &right.identity : NULL};
	if (!there_a || !there_b)
		options.no_renames = true;
	if (!options.no_renames)
		code = tree_renames_find(
			&d.renames, r, options.path, &left.identity.children, &right.identity.children, err);
	options.no_renames |= d.renames.given_up;
	if (code == 0 && (there_a || there_b))
		code = there_a && there_b ? tell_changed(&d, &n, err) : tell_name(&d, &n, err);
	tree_renames_free(&d.renames);
	return code;
}
