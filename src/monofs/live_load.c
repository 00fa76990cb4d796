/* SPDX-License-Identifier: Apache-2.0 */
/* What the newest revision has comes into memory: a directory's names, all of them when it is first looked
 * into. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "monofs/live_parts.h"

int live_errno(int r)
{
	return r == -ERROR_NO_MEMORY ? -ENOMEM : r == -ERROR_NO_SPACE ? -ENOSPC : r < 0 ? -EIO : r;
}

/* ---- the names of a directory -------------------------------------------------------------------------- */

struct item {
	size_t at, name_size, size; /* in the buffer: the name, the value */
};

struct loading {
	struct live *live;
	struct live_node *directory;
	struct live_names names;
	struct buffer bytes;
	struct item *items;
	size_t count, room, at;
};

static int take_content(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	struct loading *g = context;

	(void)position;
	if (g->count == g->room) {
		size_t room = g->room ? g->room * 2 : 64;
		struct item *items = reallocarray(g->items, room, sizeof *items);

		if (!items)
			return error_no_memory(err, "read a directory");
		g->items = items;
		g->room = room;
	}
	g->items[g->count++] = (struct item){g->bytes.size, item->name_size, item->value_size};
	buffer_append(&g->bytes, item->name, item->name_size);
	return buffer_append(&g->bytes, item->value, item->value_size)
		       ? 0
		       : error_no_memory(err, "read a directory");
}

static int add_name(struct loading *g, const struct item *c, const struct mst_item *item, struct error *err)
{
	const uint8_t *bytes = g->bytes.data + c->at;
	_cleanup_entry_ struct entry e = {0};
	struct identity identity;
	struct live_name *n = live_name_new(g->live->seed, (const char *)bytes, c->name_size);
	int r = n ? entry_decode(bytes + c->name_size, c->size, &e, err)
		  : error_no_memory(err, "read a directory");

	if (r == 0)
		r = identity_decode(item->value, item->value_size, &identity, err);
	if (r == 0) {
		n->directory = g->directory;
		n->kind = (uint8_t)e.kind;
		n->known = true;
		memcpy(n->id, identity.id, ENTRY_ID_SIZE);
		n->blob = live_blob_new(bytes + c->name_size, c->size, item->value, item->value_size);
		if (!n->blob)
			r = error_no_memory(err, "read a directory");
		else if (!live_names_add(&g->names, n))
			r = error_set(err, ERROR_CORRUPT, "two names in a directory have one hash");
	}
	if (r < 0)
		live_name_free(n);
	return r;
}

/* The identities have the same names in the same order. */
static int take_identity(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	struct loading *g = context;
	const struct item *c = g->at < g->count ? &g->items[g->at] : NULL;

	(void)position;
	if (!c || c->name_size != item->name_size ||
		memcmp(g->bytes.data + c->at, item->name, c->name_size) != 0)
		return error_set(err, ERROR_CORRUPT, "the names and the identities in a directory differ");
	g->at++;
	return add_name(g, c, item, err);
}

static int load(struct loading *g, const struct object_id *content, const struct object_id *identity,
	struct error *err)
{
	int r = mst_walk(&g->live->content_map, content, 0, take_content, g, err);

	if (r == 0)
		r = mst_walk(&g->live->identity_map, identity, 0, take_identity, g, err);
	if (r == 0 && g->at != g->count)
		r = error_set(err, ERROR_CORRUPT, "the names and the identities in a directory differ");
	free(g->items);
	buffer_free(&g->bytes);
	if (r < 0)
		live_names_free(&g->names);
	return r;
}

static void attach(struct loading *g, struct live_node *d)
{
	d->directory.names = g->names;
	d->directory.loaded = true;
	g->live->name_count += g->names.count;
}

int live_load(struct live *l, struct live_node *d)
{
	struct loading g = {.live = l, .directory = d};
	struct object_id content, identity;
	bool large;
	int r;

	live_lock(l, false);
	content = d->directory.content;
	identity = d->directory.identity;
	pthread_rwlock_unlock(&l->tree);
	r = load(&g, &content, &identity, NULL);
	if (r < 0)
		return live_errno(r);
	live_lock(l, true);
	large = live_is_large(l);
	if (large)
		live_shrink(l);
	/* Somebody was faster, or a commit came between. */
	if (d->shed || d->directory.loaded || !object_id_equal(&d->directory.content, &content) ||
		!object_id_equal(&d->directory.identity, &identity))
		live_names_free(&g.names);
	else
		attach(&g, d);
	pthread_rwlock_unlock(&l->tree);
	if (large)
		live_prune(l);
	return 0;
}

/* ---- the root ------------------------------------------------------------------------------------------ */

static int read_root(struct live *l, const struct commit *c, struct live_blob **blob,
	uint8_t id[ENTRY_ID_SIZE], struct error *err)
{
	_cleanup_buffer_ struct buffer entry = {0}, identity = {0};
	_cleanup_entry_ struct entry e = {0};
	struct identity i = {0};
	int r = root_get_content(l->store, &c->content, &e, err);

	if (r == 0 && e.kind != ENTRY_DIRECTORY)
		r = error_set(err, ERROR_CORRUPT, "the root of the revision is no directory");
	if (r == 0)
		r = root_get_identity(l->store, &c->identity, &i, err);
	if (r == 0)
		r = entry_encode(&e, &entry, err);
	if (r == 0)
		r = identity_encode(&i, &identity, err);
	if (r < 0)
		return r;
	memcpy(id, i.id, ENTRY_ID_SIZE);
	*blob = live_blob_new(entry.data, entry.size, identity.data, identity.size);
	return *blob ? 0 : error_no_memory(err, "read the root");
}

/* Made through a name that nothing has. */
static int make_root(
	struct live *l, struct live_blob *blob, const uint8_t id[ENTRY_ID_SIZE], struct error *err)
{
	struct live_name *name = live_name_new(l->seed, "/", 1);
	struct live_node *n = l->root, *root = NULL;
	int r;

	if (!name)
		return error_no_memory(err, "read the root");
	name->blob = live_blob_hold(blob);
	memcpy(name->id, id, ENTRY_ID_SIZE);
	/* A shed root is found again by its number. */
	if (n)
		memcpy(n->id, id, ENTRY_ID_SIZE);
	l->root = NULL;
	r = live_node_of(l, name, &root);
	if (r < 0) {
		l->root = n;
		live_name_free(name);
		return error_errno(err, -r, "read the root");
	}
	live_unbind(l, name);
	live_name_free(name);
	root->links = 1;
	l->root = root;
	return 0;
}

int live_load_root(struct live *l, const struct object_id *commit, struct error *err)
{
	_cleanup_commit_ struct commit c = {0};
	struct live_blob *blob = NULL;
	uint8_t id[ENTRY_ID_SIZE];
	int r = commit_get(l->store, commit, &c, err);

	if (r == 0)
		r = read_root(l, &c, &blob, id, err);
	if (r == 0)
		r = make_root(l, blob, id, err);
	live_blob_drop(blob);
	if (r == 0) {
		repository_saw(l->repository, c.clock);
		l->base = *commit;
		l->base_content = c.content;
		l->base_identity = c.identity;
	}
	return r;
}

/* ---- objects of several names -------------------------------------------------------------------------- */

/* Exclusive: nobody else is there yet, so the lock need not be let go of to load. */
static int enter_directory(struct live *l, struct live_node *d, struct error *err)
{
	struct loading g = {.live = l, .directory = d};
	int r = d->directory.loaded ? 0 : load(&g, &d->directory.content, &d->directory.identity, err);

	if (r == 0 && !d->directory.loaded)
		attach(&g, d);
	return r;
}

static int find_name(struct live *l, const char *path, struct live_name **out, struct error *err)
{
	struct live_node *d = l->root;

	for (const char *at = path;;) {
		size_t n = strcspn(at, "/");
		int r = enter_directory(l, d, err);

		*out = r == 0 ? live_names_find(&d->directory.names, l->seed, at, n) : NULL;
		if (r == 0 && (!*out || (at[n] && (*out)->kind != ENTRY_DIRECTORY)))
			r = error_set(err, ERROR_CORRUPT, "%s is not there", path);
		if (r < 0 || !at[n])
			return r;
		r = live_node_of(l, *out, &d);
		if (r < 0)
			return error_errno(err, -r, "read %s", path);
		at += n + 1;
	}
}

int live_bind_link(struct live *l, const char *path, const char *target, struct error *err)
{
	struct live_name *link, *first;
	struct live_node *n;
	int r = entry_path_compare(target, strlen(target), path, strlen(path)) < 0
			? find_name(l, path, &link, err)
			: error_set(err, ERROR_CORRUPT, "the hard link %s leads to a later name", path);

	if (r < 0)
		return r;
	r = find_name(l, target, &first, err);
	if (r < 0)
		return error_prefix(err, "the hard link %s leads nowhere", path);
	if (link->node || first->kind == ENTRY_LINK || first->kind == ENTRY_DIRECTORY)
		return error_set(err, ERROR_CORRUPT, "the hard link %s leads nowhere", path);
	r = live_node_of(l, first, &n);
	if (r < 0)
		return error_errno(err, -r, "read %s", target);
	live_bind(l, link, n);
	return 0;
}
