/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that outlive the process: an object's identity. What is in memory is found by its number. For the
 * rest, an index of the newest revision is made when it is first asked for, which says in which directory
 * each identity lies: what was moved or made since is dirty, and so in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_parts.h"

#define VERSION     1u
#define ID_SIZE     8u /* of the repository's */
#define PROBES      8u /* numbers that are tried: two objects in memory may want the same */
#define HANDLE_SIZE (1u + ID_SIZE + ENTRY_ID_SIZE)

struct slot {
	uint64_t key;       /* the first 8 bytes of the identity */
	uint32_t directory; /* number + 1; 0: free */
};

struct live_index {
	struct object_id identity; /* root, of which revision */
	struct slot *slots;
	size_t count, capacity;
	uint8_t (*directories)[ENTRY_ID_SIZE];
	size_t directory_count, directory_room;
};

/* ---- the index ----------------------------------------------------------------------------------------- */

void live_index_free(struct live_index *x)
{
	if (!x)
		return;
	free(x->slots);
	free(x->directories);
	free(x);
}

static uint64_t key_of(const uint8_t id[ENTRY_ID_SIZE])
{
	uint64_t key;

	memcpy(&key, id, sizeof key);
	return key;
}

static void put(struct live_index *x, uint64_t key, uint32_t directory)
{
	size_t at = (size_t)(key * 0x9e3779b97f4a7c15ull) & (x->capacity - 1);

	while (x->slots[at].directory)
		at = (at + 1) & (x->capacity - 1);
	x->slots[at] = (struct slot){key, directory};
	x->count++;
}

static int grow(struct live_index *x)
{
	size_t capacity = x->capacity;
	struct slot *old = x->slots;

	if (x->count * 2 < capacity)
		return 0;
	x->capacity = capacity ? capacity * 2 : 1024;
	x->slots = calloc(x->capacity, sizeof *x->slots);
	if (!x->slots) {
		x->slots = old;
		x->capacity = capacity;
		return -ERROR_NO_MEMORY;
	}
	x->count = 0;
	for (size_t i = 0; i < capacity; i++)
		if (old[i].directory)
			put(x, old[i].key, old[i].directory);
	free(old);
	return 0;
}

static int add_directory(struct live_index *x, const uint8_t id[ENTRY_ID_SIZE])
{
	if (x->directory_count == x->directory_room) {
		size_t room = x->directory_room ? x->directory_room * 2 : 256;
		void *more = room < UINT32_MAX ? reallocarray(x->directories, room, ENTRY_ID_SIZE) : NULL;

		if (!more)
			return -ERROR_NO_MEMORY;
		x->directories = more;
		x->directory_room = room;
	}
	memcpy(x->directories[x->directory_count++], id, ENTRY_ID_SIZE);
	return 0;
}

struct walk {
	struct live *live;
	struct live_index *index;
	uint32_t directory; /* number + 1 */
	unsigned depth;
};

static int walk_directory(
	struct walk *w, const uint8_t id[ENTRY_ID_SIZE], const struct object_id *root, struct error *err);

static int take(void *context, uint64_t position, const struct mst_item *item, struct error *err)
{
	struct walk *w = context;
	struct identity i = {0};
	int r = identity_decode(item->value, item->value_size, &i, err);

	(void)position;
	if (r == 0)
		r = grow(w->index);
	if (r < 0)
		return r;
	put(w->index, key_of(i.id), w->directory);
	return object_id_is_none(&i.children) ? 0 : walk_directory(w, i.id, &i.children, err);
}

static int walk_directory(
	struct walk *w, const uint8_t id[ENTRY_ID_SIZE], const struct object_id *root, struct error *err)
{
	uint32_t before = w->directory;
	int r = w->depth >= ENTRY_DEPTH_MAX ? -ERROR_LIMIT : add_directory(w->index, id);

	if (r < 0)
		return r;
	w->directory = (uint32_t)w->index->directory_count;
	w->depth++;
	r = mst_walk(&w->live->identity_map, root, 0, take, w, err);
	w->depth--;
	w->directory = before;
	return r;
}

static int make_index(struct live *l, const struct object_id *root)
{
	struct live_index *x = calloc(1, sizeof *x);
	struct walk w = {.live = l, .index = x};
	struct identity i = {0};
	int r = x ? root_get_identity(l->store, root, &i, NULL) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = grow(x);
	if (r == 0 && !object_id_is_none(&i.children))
		r = walk_directory(&w, i.id, &i.children, NULL);
	if (r < 0) {
		live_index_free(x);
		return live_errno(r);
	}
	x->identity = *root;
	live_index_free(l->index);
	l->index = x;
	return 0;
}

/* The next directory in which an object may be whose identity begins so. `at` begins with 0. */
static bool next_directory(
	const struct live_index *x, uint64_t key, size_t *at, uint8_t directory[ENTRY_ID_SIZE])
{
	size_t begin = (size_t)(key * 0x9e3779b97f4a7c15ull);

	for (;; ++*at) {
		const struct slot *s = &x->slots[(begin + *at) & (x->capacity - 1)];

		if (!s->directory)
			return false;
		if (s->key != key)
			continue;
		memcpy(directory, x->directories[s->directory - 1], ENTRY_ID_SIZE);
		++*at;
		return true;
	}
}

static int find_directory(
	struct live *l, const uint8_t id[ENTRY_ID_SIZE], size_t *at, uint8_t directory[ENTRY_ID_SIZE])
{
	struct object_id identity;
	int r = 0;

	live_lock(l, false);
	identity = l->base_identity;
	pthread_rwlock_unlock(&l->tree);
	pthread_mutex_lock(&l->index_lock);
	if (!l->index || !object_id_equal(&l->index->identity, &identity))
		r = make_index(l, &identity);
	if (r == 0 && !next_directory(l->index, key_of(id), at, directory))
		r = -ESTALE;
	pthread_mutex_unlock(&l->index_lock);
	return r;
}

/* ---- handles ------------------------------------------------------------------------------------------- */

int live_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	LIVE_SHARED(l, fs);
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	if (room < HANDLE_SIZE)
		return -ERANGE;
	bytes[0] = VERSION;
	memcpy(bytes + 1, repository_id(l->repository), ID_SIZE);
	memcpy(bytes + 1 + ID_SIZE, n->id, ENTRY_ID_SIZE);
	*size = HANDLE_SIZE;
	return 0;
}

static int find_in_memory(struct live *l, const uint8_t id[ENTRY_ID_SIZE], struct vfs_attributes *out)
{
	uint64_t ino = memcmp(id, l->root->id, ENTRY_ID_SIZE) ? live_ino(id) : VFS_ROOT;
	struct live_node *n;

	for (unsigned i = 0; i < PROBES; i++)
		if (live_get(l, ino + i, &n) == 0 && !memcmp(n->id, id, ENTRY_ID_SIZE)) {
			live_look_up(n, out);
			return 0;
		}
	return -ESTALE;
}

static int find_in_directory(
	struct live *l, uint64_t ino, const uint8_t id[ENTRY_ID_SIZE], struct vfs_attributes *out)
{
	struct live_node *d, *n;
	int r = live_enter(l, ino, true, &d);
	struct live_name *name = r == 0 ? live_names_after(&d->directory.names, 0) : NULL;

	while (name && memcmp(name->id, id, ENTRY_ID_SIZE) != 0)
		name = live_names_after(&d->directory.names, name->cookie);
	r = name ? live_node_of(l, name, &n) : -ESTALE;
	if (r == 0)
		live_look_up(n, out);
	pthread_rwlock_unlock(&l->tree);
	return r;
}

static int resolve(
	struct live *l, const uint8_t id[ENTRY_ID_SIZE], unsigned depth, struct vfs_attributes *out)
{
	uint8_t directory[ENTRY_ID_SIZE];
	struct vfs_attributes a;
	size_t at = 0;
	int r;

	live_lock(l, false);
	r = find_in_memory(l, id, out);
	pthread_rwlock_unlock(&l->tree);
	if (r == 0 || depth == 0)
		return r;
	while ((r = find_directory(l, id, &at, directory)) == 0) {
		r = resolve(l, directory, depth - 1, &a);
		if (r < 0)
			continue;
		r = find_in_directory(l, a.ino, id, out);
		live_forget(&l->fs, a.ino, 1);
		if (r == 0)
			return 0;
	}
	return r == -ENOMEM || r == -EIO ? r : -ESTALE;
}

int live_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	struct live *l = live_of(fs);

	if (size != HANDLE_SIZE || bytes[0] != VERSION ||
		memcmp(bytes + 1, repository_id(l->repository), ID_SIZE) != 0)
		return -ESTALE;
	return resolve(l, bytes + 1 + ID_SIZE, ENTRY_DEPTH_MAX, out);
}
