/* SPDX-License-Identifier: Apache-2.0 */
/* What was frozen becomes objects: contents of files first, then directories, the deepest before those above
 * them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_snap.h"

struct live_change {
	const char *name;
	size_t size;
	struct live_blob *blob; /* NULL: the name goes */
};

struct storing {
	struct live_frozen *f;
	struct store_writer *w;
	struct content_writer *contents;
	uint64_t clock, replica;
	struct entry_xattr *xattrs; /* of the entry that is made, and room */
	size_t xattr_room;
};

void live_changes_free(struct live_snap *s)
{
	for (size_t i = 0; i < s->change_count; i++)
		live_blob_drop(s->changes[i].blob);
	free(s->changes);
}

static int add_change(
	struct live_snap *d, const char *name, size_t size, struct live_blob *blob, struct error *err)
{
	if (d->change_count == d->change_room) {
		size_t room = d->change_room ? d->change_room * 2 : 8;
		struct live_change *changes = reallocarray(d->changes, room, sizeof *changes);

		if (!changes)
			return error_no_memory(err, "make a revision");
		d->changes = changes;
		d->change_room = room;
	}
	d->changes[d->change_count++] =
		(struct live_change){.name = name, .size = size, .blob = live_blob_hold(blob)};
	return 0;
}

/* ---- contents of files --------------------------------------------------------------------------------- */

struct source {
	struct live_contents contents;
	uint64_t at;
};

static int store_failed(int r, struct error *err)
{
	return error_errno(err, -r, "read what was written");
}

static ssize_t read_at(void *context, void *to, size_t n, uint64_t offset, uint64_t *hole, struct error *err)
{
	struct source *s = context;
	enum live_extent_kind kind;
	uint64_t size;
	int r;

	*hole = 0;
	if (offset >= s->contents.size)
		return 0;
	r = live_contents_run(&s->contents, offset, &size, &kind);
	if (r < 0)
		return store_failed(r, err);
	if (kind != LIVE_DATA) {
		*hole = size;
		return 0;
	}
	if (n > s->contents.size - offset)
		n = (size_t)(s->contents.size - offset);
	r = live_contents_read(&s->contents, to, n, offset);
	return r < 0 ? store_failed(r, err) : (ssize_t)n;
}

static ssize_t read_on(void *context, void *to, size_t n, uint64_t *hole, struct error *err)
{
	struct source *s = context;
	ssize_t got = read_at(context, to, n, s->at, hole, err);

	if (got >= 0)
		s->at += *hole ? *hole : (uint64_t)got;
	return got;
}

/* What differs from the base, in order; beyond what is left of that, all. */
static struct content_range *ranges_of(const struct live_snap *s, size_t *count)
{
	const struct live_extents *e = &s->extents;
	struct content_range *ranges = reallocarray(NULL, e->count + 1, sizeof *ranges);
	uint64_t limit = s->base_limit, old = s->base->entry.content.size, end;

	*count = 0;
	if (!ranges)
		return NULL;
	for (size_t i = 0; i < e->count && e->list[i].offset < limit; i++) {
		struct content_range *last = *count ? &ranges[*count - 1] : NULL;

		end = e->list[i].offset + e->list[i].size;
		end = end < limit ? end : limit;
		if (last && last->offset + last->size == e->list[i].offset)
			last->size = end - last->offset;
		else
			ranges[(*count)++] =
				(struct content_range){e->list[i].offset, end - e->list[i].offset};
	}
	/* Also what was cut off meanwhile, though it grew again. */
	end = s->size > old ? s->size : old;
	if (limit < end)
		ranges[(*count)++] = (struct content_range){limit, end - limit};
	return ranges;
}

static int update(struct storing *g, const struct live_snap *s, struct source *source, struct content *out,
	struct error *err)
{
	const struct content_reader_at reader = {read_at, source};
	size_t count;
	_cleanup_free_ struct content_range *ranges = ranges_of(s, &count);

	if (!ranges)
		return error_no_memory(err, "make a revision");
	return content_update(
		g->contents, &s->base->entry.content, ranges, count, s->size, &reader, out, err);
}

static int store_contents(
	struct storing *g, const struct live_snap *s, struct content *out, struct error *err)
{
	struct source source = {.contents = {.live = g->f->live,
					.size = s->size,
					.base_limit = s->base_limit,
					.extents = &s->extents,
					.base = s->base}};
	const struct content_source from = {read_on, &source};

	if (s->base && !s->extents.count && s->size == s->base_limit &&
		s->size == s->base->entry.content.size) {
		*out = s->base->entry.content;
		return 0;
	}
	if (s->base && s->base_limit && s->base->entry.content.ref_count)
		return update(g, s, &source, out, err);
	return content_write(g->contents, &from, out, err);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

static enum entry_kind kind_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return ENTRY_DIRECTORY;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFIFO:
		return ENTRY_FIFO;
	case S_IFSOCK:
		return ENTRY_SOCKET;
	case S_IFCHR:
		return ENTRY_CHARACTER;
	case S_IFBLK:
		return ENTRY_BLOCK;
	default:
		return ENTRY_FILE;
	}
}

static int store_xattrs(struct storing *g, const struct live_snap *s, struct entry *e, struct error *err)
{
	size_t n = 0;

	for (const struct live_xattr *x = s->xattrs; x; x = x->next, n++) {
		struct entry_xattr *to;

		if (n == g->xattr_room) {
			size_t room = n ? n * 2 : 16;
			struct entry_xattr *more = reallocarray(g->xattrs, room, sizeof *more);

			if (!more)
				return error_no_memory(err, "make a revision");
			g->xattrs = more;
			g->xattr_room = room;
		}
		to = &g->xattrs[n];
		*to = (struct entry_xattr){.name = x->bytes, .value_size = x->size, .object = x->object};
		if (!object_id_is_none(&x->object))
			continue;
		if (x->size <= ENTRY_INLINE_MAX)
			to->value = (const uint8_t *)x->bytes + x->name_size;
		else if (store_put(g->w, OBJECT_VALUE, x->bytes + x->name_size, x->size, &to->object, NULL,
				 err) < 0)
			return err ? -(int)err->code : -ERROR_SYSTEM;
	}
	e->xattrs = g->xattrs;
	e->xattr_count = n;
	return 0;
}

static int fill_entry(struct storing *g, const struct live_snap *s, struct entry *e, struct error *err)
{
	*e = (struct entry){.kind = kind_of(s->mode),
		.mode = s->mode & 07777,
		.uid = s->uid,
		.gid = s->gid,
		.mtime = {s->mtime.seconds, s->mtime.nanoseconds},
		.children = s->content,
		.target = s->target,
		.target_size = s->target ? strlen(s->target) : 0,
		.major = s->major,
		.minor = s->minor};
	return store_xattrs(g, s, e, err);
}

static struct identity identity_of(const struct storing *g, const struct live_snap *s)
{
	struct identity i = {.replica = g->replica, .clock = g->clock};

	memcpy(i.id, s->id, sizeof i.id);
	if (S_ISDIR(s->mode))
		i.children = s->identity;
	return i;
}

static int make_blob(
	const struct entry *e, const struct identity *i, struct live_blob **out, struct error *err)
{
	_cleanup_buffer_ struct buffer entry = {0}, identity = {0};
	int r = entry_encode(e, &entry, err);

	if (r == 0)
		r = identity_encode(i, &identity, err);
	if (r < 0)
		return r;
	*out = live_blob_new(entry.data, entry.size, identity.data, identity.size);
	return *out ? 0 : error_no_memory(err, "make a revision");
}

/* The name that has what the object is: the first by its path. Names whose paths are too long to be named by
 * links are objects of their own in the revision. */
static struct live_snap_name *first_name(const struct live_snap *s)
{
	struct live_snap_name *first = NULL;

	for (size_t i = 0; i < s->name_count; i++) {
		struct live_snap_name *n = &s->names[i];

		if (n->path && (!first || entry_path_compare(n->path, strlen(n->path), first->path,
						  strlen(first->path)) < 0))
			first = n;
	}
	return first;
}

static int put_names(struct storing *g, struct live_snap *s, struct live_blob *blob, struct error *err)
{
	const struct live_snap_name *first = s->name_count > 1 ? first_name(s) : NULL;
	const struct identity identity = identity_of(g, s);
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->name_count; i++) {
		struct live_snap_name *n = &s->names[i];

		if (first && n != first && n->path) {
			const struct entry link = {.kind = ENTRY_LINK,
				.target = first->path,
				.target_size = strlen(first->path)};

			r = make_blob(&link, &identity, &n->blob, err);
		} else {
			n->blob = live_blob_hold(blob);
		}
		if (r == 0)
			r = add_change(n->directory, n->name, n->size, n->blob, err);
	}
	return r;
}

static int store_object(struct storing *g, struct live_snap *s, struct error *err)
{
	const struct identity identity = identity_of(g, s);
	struct live_blob *blob = NULL;
	struct entry e;
	int r = fill_entry(g, s, &e, err);

	if (r == 0 && S_ISREG(s->mode))
		r = store_contents(g, s, &e.content, err);
	if (r == 0)
		r = make_blob(&e, &identity, &blob, err);
	if (r == 0 && S_ISREG(s->mode) && !(s->new_base = live_base_new(blob, err)))
		r = -ERROR_NO_MEMORY;
	if (r == 0)
		r = put_names(g, s, blob, err);
	live_blob_drop(blob);
	return r;
}

/* ---- directories --------------------------------------------------------------------------------------- */

/* By name; of the same name what sets it comes before what removes it. */
static int compare(const void *a, const void *b)
{
	const struct live_change *x = a, *y = b;
	int order = mst_compare(x->name, x->size, y->name, y->size);

	return order ? order : (x->blob == NULL) - (y->blob == NULL);
}

static size_t make_unique(struct live_snap *d)
{
	size_t n = 0;

	qsort(d->changes, d->change_count, sizeof *d->changes, compare);
	for (size_t i = 0; i < d->change_count; i++) {
		struct live_change *c = &d->changes[i];

		if (n && mst_compare(c->name, c->size, d->changes[n - 1].name, d->changes[n - 1].size) == 0)
			live_blob_drop(c->blob);
		else
			d->changes[n++] = *c;
	}
	return d->change_count = n;
}

static int update_maps(struct storing *g, struct live_snap *d, struct error *err)
{
	struct live *l = g->f->live;
	size_t n = d->change_count ? make_unique(d) : 0;
	_cleanup_free_ struct mst_item *items = n ? reallocarray(NULL, n, sizeof *items) : NULL;
	int r;

	if (!n)
		return 0;
	if (!items)
		return error_no_memory(err, "make a revision");
	for (size_t i = 0; i < n; i++) {
		const struct live_change *c = &d->changes[i];

		items[i] = (struct mst_item){
			c->name, c->size, c->blob ? c->blob->bytes : NULL, c->blob ? c->blob->size : 0};
	}
	r = mst_update(&l->content_map, g->w, &d->content, items, n, &d->content, NULL, err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct live_change *c = &d->changes[i];

		if (c->blob) {
			items[i].value = c->blob->bytes + c->blob->size;
			items[i].value_size = c->blob->identity_size;
		}
	}
	return r < 0 ? r
		     : mst_update(&l->identity_map, g->w, &d->identity, items, n, &d->identity, NULL, err);
}

static int store_directory(struct storing *g, struct live_snap *d, struct error *err)
{
	int r = 0;

	for (const struct live_lost *lost = d->lost; r == 0 && lost; lost = lost->next)
		r = add_change(d, lost->name, lost->size, NULL, err);
	if (r == 0)
		r = update_maps(g, d, err);
	return r < 0 || d == g->f->root ? r : store_object(g, d, err);
}

static int by_depth(const void *a, const void *b)
{
	const struct live_snap *x = *(struct live_snap *const *)a, *y = *(struct live_snap *const *)b;

	return (x->depth < y->depth) - (x->depth > y->depth);
}

static int store_directories(struct storing *g, struct error *err)
{
	_cleanup_free_ struct live_snap **list = reallocarray(NULL, g->f->count, sizeof(struct live_snap *));
	size_t n = 0;
	int r = 0;

	if (!list)
		return error_no_memory(err, "make a revision");
	for (struct live_snap *s = g->f->first; s; s = s->next)
		if (S_ISDIR(s->mode))
			list[n++] = s;
	qsort(list, n, sizeof *list, by_depth);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = store_directory(g, list[i], err);
	return r;
}

static int store_roots(struct storing *g, struct error *err)
{
	struct live_snap *root = g->f->root;
	struct identity identity;
	struct entry e;
	int r;

	g->f->content_root = g->f->live->base_content;
	g->f->identity_root = g->f->live->base_identity;
	if (!root) /* what the tree stands on as it is */
		return 0;
	identity = identity_of(g, root);
	r = fill_entry(g, root, &e, err);
	if (r == 0)
		r = root_put_content(g->w, &e, &g->f->content_root, err);
	return r < 0 ? r : root_put_identity(g->w, &identity, &g->f->identity_root, err);
}

int live_store(struct live_frozen *f, struct store_writer *w, uint64_t clock, struct error *err)
{
	struct storing g = {
		.f = f, .w = w, .clock = clock, .replica = repository_replica(f->live->repository)};
	int r = content_writer_new(w, f->live->crypt, &g.contents, err);

	if (r < 0)
		return r;
	for (struct live_snap *s = f->first; r == 0 && s; s = s->next)
		if (!S_ISDIR(s->mode))
			r = store_object(&g, s, err);
	if (r == 0)
		r = store_directories(&g, err);
	if (r == 0)
		r = store_roots(&g, err);
	content_writer_free(g.contents);
	free(g.xattrs);
	return r;
}
