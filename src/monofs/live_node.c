/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: found, made from what the revision says, bound to names, and let go of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "monofs/live_parts.h"

#define NAMES_MOST 196608u

/* ---- locks --------------------------------------------------------------------------------------------- */

void live_lock(struct live *l, bool exclusive)
{
	pthread_mutex_lock(&l->gate);
	if (exclusive)
		pthread_rwlock_wrlock(&l->tree);
	else
		pthread_rwlock_rdlock(&l->tree);
	pthread_mutex_unlock(&l->gate);
}

void live_unlock_tree(struct live **l)
{
	if (*l)
		pthread_rwlock_unlock(&(*l)->tree);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

uint64_t live_ino(const uint8_t id[ENTRY_ID_SIZE])
{
	uint64_t ino = 0;

	for (unsigned i = 0; i < 8; i++)
		ino |= (uint64_t)id[i] << 8 * i;
	ino >>= 1;
	return ino <= VFS_ROOT ? ino + VFS_ROOT + 1 : ino;
}

static uint64_t generation_of(const uint8_t id[ENTRY_ID_SIZE])
{
	uint64_t generation = 0;

	for (unsigned i = 8; i < ENTRY_ID_SIZE; i++)
		generation |= (uint64_t)id[i] << 8 * (i - 8);
	return generation;
}

/* Numbers are random already, unless the repository is an enemy's: then its chains are long. */
static size_t bucket_of(uint64_t ino, unsigned bits)
{
	return bits ? (size_t)(ino * 0x9e3779b97f4a7c15ull >> (64 - bits)) : 0;
}

static struct live_node *find(const struct live *l, uint64_t ino)
{
	struct live_node *n = l->buckets[bucket_of(ino, l->bucket_bits)];

	while (n && n->ino != ino)
		n = n->next;
	return n;
}

static bool held(const struct live_node *n)
{
	return atomic_load(&n->lookups) || atomic_load(&n->opened);
}

int live_get(const struct live *l, uint64_t ino, struct live_node **out)
{
	struct live_node *n = find(l, ino);

	if (!n || n->shed || (!n->links && !held(n)))
		return -ESTALE;
	atomic_store_explicit(&n->used, true, memory_order_relaxed);
	*out = n;
	return 0;
}

bool live_find_any(const struct live *l, uint64_t ino, struct live_node **out)
{
	*out = find(l, ino);
	return *out != NULL;
}

unsigned live_depth(const struct live_node *d)
{
	unsigned depth = 0;

	for (; d->names; d = d->names->directory)
		depth++;
	return depth;
}

int live_enter(struct live *l, uint64_t ino, bool exclusive, struct live_node **out)
{
	for (;;) {
		struct live_node *n;
		int r;

		live_lock(l, exclusive);
		r = live_get(l, ino, &n);
		if (r == 0 && !S_ISDIR(n->type))
			r = -ENOTDIR;
		if (r == 0 && !n->links)
			r = -ENOENT;
		*out = r == 0 ? n : NULL;
		if (r < 0 || n->directory.loaded)
			return r;
		live_pin(n);
		pthread_rwlock_unlock(&l->tree);
		r = live_load(l, n);
		live_unpin(n);
		if (r < 0) {
			live_lock(l, exclusive);
			return r;
		}
	}
}

static void widen(struct live *l)
{
	unsigned bits = l->bucket_bits + 1;
	struct live_node **buckets = calloc((size_t)1 << bits, sizeof(struct live_node *)), *next;

	if (!buckets)
		return;
	for (size_t i = 0; i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n; n = next) {
			size_t bucket = bucket_of(n->ino, bits);

			next = n->next;
			n->next = buckets[bucket];
			buckets[bucket] = n;
		}
	free(l->buckets);
	l->buckets = buckets;
	l->bucket_bits = bits;
}

static void put(struct live *l, struct live_node *n)
{
	size_t bucket;

	if (l->node_count >= (size_t)1 << l->bucket_bits)
		widen(l);
	bucket = bucket_of(n->ino, l->bucket_bits);
	n->next = l->buckets[bucket];
	l->buckets[bucket] = n;
	l->node_count++;
}

static void set_type(struct live_node *n, uint32_t mode, const struct vfs_time *now, uint64_t change)
{
	n->mode = mode;
	n->type = mode & S_IFMT;
	n->atime = n->mtime = n->ctime = n->btime = *now;
	n->change = change;
	n->shed = false;
	n->uid = n->gid = n->major = n->minor = 0;
	memset(&n->file, 0, sizeof n->file);
	memset(&n->directory, 0, sizeof n->directory);
	if (S_ISREG(mode))
		n->file.cut = UINT64_MAX;
	if (S_ISDIR(mode))
		n->directory.loaded = true;
}

struct live_node *live_node_new(struct live *l, const uint8_t id[ENTRY_ID_SIZE], uint32_t mode)
{
	uint64_t ino = l->root ? live_ino(id) : VFS_ROOT, change = atomic_fetch_add(&l->version, 1);
	const struct vfs_time now = live_now();
	struct live_node *n;

	while ((n = find(l, ino)) != NULL && !(n->shed && !memcmp(n->id, id, ENTRY_ID_SIZE)))
		ino = ino == INT64_MAX ? VFS_ROOT + 1 : ino + 1;
	if (!n) {
		n = calloc(1, sizeof *n);
		if (!n)
			return NULL;
		n->ino = ino;
		n->generation = generation_of(id);
		memcpy(n->id, id, ENTRY_ID_SIZE);
		pthread_rwlock_init(&n->lock, NULL);
		put(l, n);
	}
	n->used = true;
	set_type(n, mode, &now, change);
	return n;
}

/* ---- what the revision says ---------------------------------------------------------------------------- */

struct live_base *live_base_new(struct live_blob *blob, struct error *err)
{
	struct live_base *b = calloc(1, sizeof *b);

	if (!b) {
		error_no_memory(err, "read an entry");
		return NULL;
	}
	atomic_init(&b->users, 1);
	if (entry_decode(blob->bytes, blob->size, &b->entry, err) < 0) {
		free(b);
		return NULL;
	}
	b->blob = live_blob_hold(blob);
	return b;
}

struct live_base *live_base_hold(struct live_base *b)
{
	if (b)
		atomic_fetch_add(&b->users, 1);
	return b;
}

void live_base_drop(struct live_base *b)
{
	if (!b || atomic_fetch_sub(&b->users, 1) != 1)
		return;
	entry_free(&b->entry);
	live_blob_drop(b->blob);
	free(b);
}

static uint32_t type_of(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_FILE:
		return S_IFREG;
	case ENTRY_DIRECTORY:
		return S_IFDIR;
	case ENTRY_SYMLINK:
		return S_IFLNK;
	case ENTRY_FIFO:
		return S_IFIFO;
	case ENTRY_SOCKET:
		return S_IFSOCK;
	case ENTRY_CHARACTER:
		return S_IFCHR;
	case ENTRY_BLOCK:
		return S_IFBLK;
	case ENTRY_LINK:
		break;
	}
	return 0;
}

static int take_xattrs(struct live_node *n, const struct entry *e)
{
	struct live_xattr **at = &n->xattrs;

	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *from = &e->xattrs[i];
		bool here = object_id_is_none(&from->object);

		*at = live_xattr_new(from->name, here ? from->value : NULL, here ? from->value_size : 0);
		if (!*at)
			return -ENOMEM;
		(*at)->object = from->object;
		(*at)->size = from->value_size;
		n->xattr_bytes += (*at)->name_size + (*at)->size;
		at = &(*at)->next;
	}
	return 0;
}

static int take_entry(struct live_node *n, struct live_base *base)
{
	const struct entry *e = &base->entry;
	struct identity i = {0};

	n->mode |= e->mode & 07777;
	n->uid = e->uid;
	n->gid = e->gid;
	n->major = e->major;
	n->minor = e->minor;
	n->mtime = (struct vfs_time){e->mtime.seconds, e->mtime.nanoseconds};
	n->atime = n->ctime = n->btime = n->mtime;
	if (S_ISREG(n->type)) {
		n->base = live_base_hold(base);
		n->file.size = n->file.base_limit = e->content.size;
	} else if (S_ISLNK(n->type)) {
		n->target.text = text_copy_bytes(e->target, e->target_size, NULL);
		if (!n->target.text)
			return -ENOMEM;
		n->target.size = strlen(n->target.text);
	} else if (S_ISDIR(n->type)) {
		if (identity_decode(
			    base->blob->bytes + base->blob->size, base->blob->identity_size, &i, NULL) < 0)
			return -EIO;
		n->directory.loaded = false;
		n->directory.content = e->children;
		n->directory.identity = i.children;
	}
	return take_xattrs(n, e);
}

int live_node_of(struct live *l, struct live_name *name, struct live_node **out)
{
	struct live_base *base;
	struct live_node *n;
	int r;

	*out = name->node;
	if (name->node)
		return 0;
	base = live_base_new(name->blob, NULL);
	if (!base || base->entry.kind == ENTRY_LINK) {
		live_base_drop(base);
		return -EIO;
	}
	n = live_node_new(l, name->id, type_of(base->entry.kind));
	r = n ? take_entry(n, base) : -ENOMEM;
	live_base_drop(base);
	if (n && r < 0)
		live_settle(l, n);
	if (r < 0)
		return r;
	live_bind(l, name, n);
	*out = n;
	return 0;
}

/* ---- names of nodes ------------------------------------------------------------------------------------ */

static void set_multi(struct live *l, struct live_node *n)
{
	bool wanted = n->names && n->names->next;

	if (wanted && !n->multi_at) {
		n->multi = l->multi;
		n->multi_at = &l->multi;
		if (n->multi)
			n->multi->multi_at = &n->multi;
		l->multi = n;
	} else if (!wanted && n->multi_at) {
		*n->multi_at = n->multi;
		if (n->multi)
			n->multi->multi_at = n->multi_at;
		n->multi = NULL;
		n->multi_at = NULL;
	}
}

void live_bind(struct live *l, struct live_name *name, struct live_node *n)
{
	static const uint8_t kinds[16] = {[S_IFREG >> 12] = ENTRY_FILE,
		[S_IFDIR >> 12] = ENTRY_DIRECTORY,
		[S_IFLNK >> 12] = ENTRY_SYMLINK,
		[S_IFIFO >> 12] = ENTRY_FIFO,
		[S_IFSOCK >> 12] = ENTRY_SOCKET,
		[S_IFCHR >> 12] = ENTRY_CHARACTER,
		[S_IFBLK >> 12] = ENTRY_BLOCK};

	name->node = n;
	name->next = n->names;
	name->kind = kinds[(n->mode & S_IFMT) >> 12];
	memcpy(name->id, n->id, ENTRY_ID_SIZE);
	n->names = name;
	n->links++;
	set_multi(l, n);
}

void live_unbind(struct live *l, struct live_name *name)
{
	struct live_name **at = &name->node->names;

	while (*at != name)
		at = &(*at)->next;
	*at = name->next;
	name->next = NULL;
	name->node->links--;
	set_multi(l, name->node);
	name->node = NULL;
}

/* ---- letting go ---------------------------------------------------------------------------------------- */

void live_lost_free(struct live_lost *lost)
{
	while (lost) {
		struct live_lost *next = lost->next;

		free(lost);
		lost = next;
	}
}

static void free_contents(struct live *l, struct live_node *n)
{
	live_xattrs_free(n->xattrs);
	n->xattrs = NULL;
	n->xattr_bytes = 0;
	live_base_drop(n->base);
	n->base = NULL;
	if (S_ISREG(n->type)) {
		live_extents_free(&n->file.extents);
		n->file.base_limit = 0;
	} else if (S_ISLNK(n->type)) {
		free(n->target.text);
		n->target.text = NULL;
	} else if (S_ISDIR(n->type)) {
		l->name_count -= n->directory.names.count;
		live_names_free(&n->directory.names);
		live_lost_free(n->directory.lost);
		n->directory.lost = NULL;
	}
}

void live_node_free(struct live *l, struct live_node *n)
{
	struct live_node **at = &l->buckets[bucket_of(n->ino, l->bucket_bits)];

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	l->node_count--;
	free_contents(l, n);
	pthread_rwlock_destroy(&n->lock);
	free(n);
}

void live_settle(struct live *l, struct live_node *n)
{
	if (n->links || held(n) || atomic_load(&n->pins) || n == l->root)
		return;
	/* What is in the list of dirt goes with the next commit. */
	if (n->dirty)
		free_contents(l, n);
	else
		live_node_free(l, n);
}

void live_nodes_free(struct live *l)
{
	struct live_node *next;

	for (size_t i = 0; l->buckets && i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n; n = next) {
			next = n->next;
			free_contents(l, n);
			pthread_rwlock_destroy(&n->lock);
			free(n);
		}
	free(l->buckets);
}

static void shed(struct live *l, struct live_node *n)
{
	free_contents(l, n);
	n->names = NULL;
	n->multi = NULL;
	n->multi_at = NULL;
	n->dirty = false;
	n->next_dirty = NULL;
	n->links = 0;
	n->segment = 0;
	n->shed = true;
}

void live_shed(struct live *l)
{
	struct live_node *next;

	live_take_dirty(l, false);
	l->multi = NULL;
	l->paths_changed = false;
	for (size_t i = 0; i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n; n = next) {
			next = n->next;
			shed(l, n);
			live_settle(l, n);
		}
}

static bool has_nodes(const struct live_node *d)
{
	for (struct live_name *n = live_names_after(&d->directory.names, 0); n;
		n = live_names_after(&d->directory.names, n->cookie))
		if (n->node)
			return true;
	return false;
}

/* Second chance: what was used since the last look stays for now. */
static void shrink_node(struct live *l, struct live_node *n)
{
	if (n == l->root || held(n) || n->dirty || atomic_load(&n->pins))
		return;
	if (!n->links) {
		live_node_free(l, n);
		return;
	}
	if (n->used || n->names->next || (S_ISDIR(n->type) && n->directory.loaded)) {
		n->used = false;
		return;
	}
	n->names->node = NULL;
	live_node_free(l, n);
}

static void shrink_names(struct live *l, struct live_node *d)
{
	if (!S_ISDIR(d->type) || !d->directory.loaded || !d->links || d->dirty || atomic_load(&d->pins))
		return;
	if (d->used || has_nodes(d)) {
		d->used = false;
		return;
	}
	l->name_count -= d->directory.names.count;
	live_names_free(&d->directory.names);
	d->directory.loaded = false;
}

static bool has_too_many(size_t count, size_t limit, size_t most)
{
	return count > (limit > most ? limit : most);
}

static bool has_too_many_nodes(const struct live *l)
{
	return has_too_many(l->node_count, l->node_limit, live_nodes_most(l));
}

static bool has_too_many_names(const struct live *l)
{
	return has_too_many(l->name_count, l->name_limit, NAMES_MOST);
}

bool live_is_large(const struct live *l)
{
	return has_too_many_nodes(l) || has_too_many_names(l);
}

static void look_through(struct live *l, bool nodes, bool names)
{
	struct live_node *next;

	for (size_t i = 0; i < (size_t)1 << l->bucket_bits; i++)
		for (struct live_node *n = l->buckets[i]; n; n = next) {
			next = n->next;
			if (names)
				shrink_names(l, n);
			if (nodes || names || !n->links)
				shrink_node(l, n);
		}
}

/* A look takes the mark of use away, the next one the nodes, and the third the names of directories that have
 * none of them in memory any more: further ones come where those before have not been enough. */
void live_shrink(struct live *l)
{
	for (unsigned looks = 0; looks < 3; looks++) {
		bool nodes = has_too_many_nodes(l), names = has_too_many_names(l);

		if (looks && !nodes && !names)
			break;
		look_through(l, nodes, names);
	}
	/* What all need stays, and is not looked through again and again. */
	l->node_limit = l->node_count + l->node_count / 4;
	l->name_limit = l->name_count + l->name_count / 4;
}
