/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known objects. A node is found by its number and by its objects in the layers: the upper's, and the topmost
 * lower's. It lives while something refers to it; its objects stay looked up in their layers as long.
 */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define KEY_SIZE          12u
#define SPARE_NUMBER(fs)  ((uint64_t)1 << (fs)->shift)
#define SPARE_NUMBERS(fs) ((uint64_t)((fs)->layer_count + 1) << (fs)->shift)

static void object_key(struct overlay_object o, uint8_t key[KEY_SIZE])
{
	memcpy(key, &o.layer, sizeof o.layer);
	memcpy(key + sizeof o.layer, &o.ino, sizeof o.ino);
}

static struct overlay_node *find_object(struct overlay *fs, struct overlay_object o)
{
	uint8_t key[KEY_SIZE];

	object_key(o, key);
	return map_get(&fs->by_object, key, sizeof key);
}

static int set_object(struct overlay *fs, struct overlay_object o, struct overlay_node *node)
{
	uint8_t key[KEY_SIZE];

	object_key(o, key);
	return map_set(&fs->by_object, key, sizeof key, node, NULL, NULL) < 0 ? -ENOMEM : 0;
}

/* Only where it stands for this node: another may have come first. */
static void unset_object(struct overlay *fs, struct overlay_object o, const struct overlay_node *node)
{
	uint8_t key[KEY_SIZE];

	object_key(o, key);
	if (map_get(&fs->by_object, key, sizeof key) == node)
		map_remove(&fs->by_object, key, sizeof key);
}

static struct overlay_object upper_of(struct overlay_node *node)
{
	return (struct overlay_object){.ino = atomic_load(&node->upper), .layer = OVERLAY_UPPER};
}

struct overlay_object overlay_top(const struct overlay_node *node)
{
	struct overlay_object upper = upper_of((struct overlay_node *)node);

	return upper.ino ? upper : node->lower[0];
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

/* One that does not fit is scattered over those that no layer has: the same again and again, unless another
 * object is there. */
static uint64_t number_of(struct overlay *fs, struct overlay_object o)
{
	uint8_t key[KEY_SIZE];

	if (o.ino >> fs->shift == 0)
		return (uint64_t)(o.layer + 1) << fs->shift | o.ino;
	object_key(o, key);
	return SPARE_NUMBERS(fs) | (overlay_hash((const char *)key, sizeof key) & (SPARE_NUMBER(fs) - 1));
}

static uint64_t free_number(struct overlay *fs, struct overlay_object o)
{
	uint64_t number = number_of(fs, o);

	while (map_get(&fs->by_number, &number, sizeof number))
		number = SPARE_NUMBERS(fs) | ((number + 1) & (SPARE_NUMBER(fs) - 1));
	return number;
}

uint64_t overlay_number(struct overlay *fs, struct overlay_object o)
{
	struct overlay_node *node;
	uint64_t number;

	pthread_mutex_lock(&fs->lock);
	node = find_object(fs, o);
	number = node ? node->number : number_of(fs, o);
	pthread_mutex_unlock(&fs->lock);
	return number;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void free_node(struct overlay_node *node)
{
	struct overlay *fs = node->fs;
	uint64_t upper = atomic_load(&node->upper);

	if (node != fs->root) {
		if (upper)
			vfs_forget(overlay_upper(fs), upper, 1);
		for (uint32_t i = 0; i < node->lower_count; i++)
			vfs_forget(overlay_fs(fs, node->lower[i].layer), node->lower[i].ino, 1);
	}
	free(node->lower);
	free(node->copy);
	free(node->name);
	free(node);
}

static void free_doomed(struct overlay_node *doomed)
{
	while (doomed) {
		struct overlay_node *next = doomed->next_doomed;

		free_node(doomed);
		doomed = next;
	}
}

/* The lock is held. Nodes that nothing refers to any more are added to *doomed. */
static void put_locked(struct overlay_node *node, struct overlay_node **doomed)
{
	while (node && --node->references == 0) {
		struct overlay *fs = node->fs;
		struct overlay_node *parent = node->parent;

		map_remove(&fs->by_number, &node->number, sizeof node->number);
		unset_object(fs, upper_of(node), node);
		if (node->lower_count)
			unset_object(fs, node->lower[0], node);
		fs->node_count--;
		node->next_doomed = *doomed;
		*doomed = node;
		node = parent;
	}
}

void overlay_put(struct overlay_node *node)
{
	struct overlay *fs = node->fs;
	struct overlay_node *doomed = NULL;

	pthread_mutex_lock(&fs->lock);
	put_locked(node, &doomed);
	pthread_mutex_unlock(&fs->lock);
	free_doomed(doomed);
}

void overlay_refer(struct overlay_node *node)
{
	pthread_mutex_lock(&node->fs->lock);
	node->references++;
	pthread_mutex_unlock(&node->fs->lock);
}

int overlay_get(struct overlay *fs, uint64_t number, struct overlay_node **out)
{
	struct overlay_node *node;
	int r = -ESTALE;

	pthread_mutex_lock(&fs->lock);
	node = map_get(&fs->by_number, &number, sizeof number);
	if (node && (node->lookups || node->opens || node == fs->root)) {
		node->references++;
		*out = node;
		r = 0;
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

int overlay_get_directory(struct overlay *fs, uint64_t number, struct overlay_node **out)
{
	_cleanup_node_ struct overlay_node *node = NULL;
	int r = overlay_get(fs, number, &node);

	if (r == 0 && !S_ISDIR(node->type))
		r = -ENOTDIR;
	if (r == 0)
		*out = TAKE_PTR(node);
	return r;
}

void overlay_looked_up(struct overlay_node *node)
{
	pthread_mutex_lock(&node->fs->lock);
	if (node->lookups++ == 0)
		node->references++;
	pthread_mutex_unlock(&node->fs->lock);
}

void overlay_forget(struct vfs *vfs, uint64_t ino, uint64_t times)
{
	struct overlay *fs = overlay_of(vfs);
	struct overlay_node *node, *doomed = NULL;

	pthread_mutex_lock(&fs->lock);
	node = map_get(&fs->by_number, &ino, sizeof ino);
	if (node && node->lookups) {
		node->lookups = times < node->lookups ? node->lookups - times : 0;
		if (node->lookups == 0)
			put_locked(node, &doomed);
	}
	pthread_mutex_unlock(&fs->lock);
	free_doomed(doomed);
}

/* ---- places ----------------------------------------------------------------------------------------- */

static bool same_place(
	const struct overlay_node *node, const struct overlay_node *parent, const char *name, bool placed)
{
	return node->parent == parent && node->placed == placed && (!parent || !strcmp(node->name, name));
}

int overlay_place(struct overlay_node *node, struct overlay_node *parent, const char *name, bool placed)
{
	struct overlay_node *doomed = NULL;
	char *copy = NULL, *old;
	bool same;

	if (node == node->fs->root || (!node->lower_count && !S_ISDIR(node->type)))
		return 0;
	pthread_mutex_lock(&node->fs->lock);
	same = same_place(node, parent, name, placed);
	pthread_mutex_unlock(&node->fs->lock);
	if (same)
		return 0;
	if (parent && !(copy = strdup(name)))
		return -ENOMEM;
	pthread_mutex_lock(&node->fs->lock);
	old = node->name;
	if (parent)
		parent->references++;
	if (node->parent)
		put_locked(node->parent, &doomed);
	node->parent = parent;
	node->name = copy;
	node->placed = placed;
	pthread_mutex_unlock(&node->fs->lock);
	free(old);
	free_doomed(doomed);
	return 0;
}

bool overlay_is_placed(struct overlay_node *node, const struct overlay_node *parent, const char *name)
{
	bool is;

	pthread_mutex_lock(&node->fs->lock);
	is = node->parent && node->parent == parent && !strcmp(node->name, name);
	pthread_mutex_unlock(&node->fs->lock);
	return is;
}

int overlay_expect_upper(struct overlay_node *node, uint64_t ino)
{
	int r;

	pthread_mutex_lock(&node->fs->lock);
	r = set_object(node->fs, (struct overlay_object){.ino = ino, .layer = OVERLAY_UPPER}, node);
	pthread_mutex_unlock(&node->fs->lock);
	return r;
}

void overlay_unexpect_upper(struct overlay_node *node, uint64_t ino)
{
	pthread_mutex_lock(&node->fs->lock);
	unset_object(node->fs, (struct overlay_object){.ino = ino, .layer = OVERLAY_UPPER}, node);
	pthread_mutex_unlock(&node->fs->lock);
}

/* ---- entering --------------------------------------------------------------------------------------- */

/* A node of its own of what was found; the lookups move into it. */
static int make_node(struct overlay *fs, struct overlay_found *f, struct overlay_node **out)
{
	size_t lowers = f->count - f->here;
	struct overlay_node *node = calloc(1, sizeof *node);

	/* Room for the origin of an upper file. */
	if (node)
		node->lower = calloc(lowers ? lowers : 1, sizeof *node->lower);
	if (!node || !node->lower) {
		free(node);
		return -ENOMEM;
	}
	node->fs = fs;
	node->references = 1;
	node->type = f->top.mode & S_IFMT;
	node->generation = f->top.generation;
	node->lower_links = f->here ? 0 : f->top.links;
	atomic_store(&node->upper, f->here ? f->objects[0].ino : 0);
	memcpy(node->lower, f->objects + f->here, lowers * sizeof *node->lower);
	node->lower_count = (uint32_t)lowers;
	f->count = 0; /* taken */
	*out = node;
	return 0;
}

/* The generation that goes with the number. */
static int load_generation(struct overlay_node *node)
{
	struct overlay_object o = node->lower_count ? node->lower[0] : overlay_top(node);
	struct vfs_attributes a;
	int r = vfs_getattr(overlay_fs(node->fs, o.layer), o.ino, VFS_NO_HANDLE, &a);

	if (r == 0)
		node->generation = a.generation;
	return r;
}

static int load_node(struct overlay_node *node)
{
	if (S_ISDIR(node->type))
		return atomic_load(&node->upper) && node->lower_count ? load_generation(node) : 0;
	if (atomic_load(&node->upper))
		return atomic_load(&node->fs->copies) ? overlay_load_origin(node) : 0;
	return node->lower_links > 1 && atomic_load(&node->fs->indexed) ? overlay_load_index(node) : 0;
}

/* The lock is held. Another thread may have entered it meanwhile: *node is then that. */
static int insert(struct overlay *fs, struct overlay_node **node, struct overlay_node **doomed)
{
	struct overlay_node *mine = *node, *there = find_object(fs, overlay_top(mine));
	struct overlay_object upper = upper_of(mine);

	if (!there && mine->lower_count)
		there = find_object(fs, mine->lower[0]);
	if (there && (!upper.ino || atomic_load(&there->upper) == upper.ino)) {
		there->references++;
		mine->next_doomed = *doomed;
		*doomed = mine;
		*node = there;
		return 0;
	}
	if (fs->node_count >= fs->node_max)
		return -ENFILE;
	mine->number = free_number(fs, mine->lower_count && !there ? mine->lower[0] : overlay_top(mine));
	if (map_set(&fs->by_number, &mine->number, sizeof mine->number, mine, NULL, NULL) < 0)
		return -ENOMEM;
	if ((upper.ino && set_object(fs, upper, mine) < 0) ||
		(mine->lower_count && !there && set_object(fs, mine->lower[0], mine) < 0)) {
		unset_object(fs, upper, mine);
		map_remove(&fs->by_number, &mine->number, sizeof mine->number);
		return -ENOMEM;
	}
	fs->node_count++;
	return 0;
}

struct overlay_node *overlay_known(struct overlay *fs, struct overlay_object o)
{
	struct overlay_node *node;

	pthread_mutex_lock(&fs->lock);
	node = find_object(fs, o);
	if (node)
		node->references++;
	pthread_mutex_unlock(&fs->lock);
	return node;
}

int overlay_enter(struct overlay *fs, struct overlay_found *f, struct overlay_node *parent, const char *name,
	struct overlay_node **out)
{
	_cleanup_node_ struct overlay_node *node = overlay_known(fs, f->objects[0]);
	struct overlay_node *made = NULL, *doomed = NULL;
	bool here = f->here;
	int r = 0;

	if (!node) {
		r = make_node(fs, f, &made);
		if (r == 0)
			r = load_node(made);
		if (r == 0) {
			node = made;
			pthread_mutex_lock(&fs->lock);
			r = insert(fs, &node, &doomed);
			pthread_mutex_unlock(&fs->lock);
		}
		free_doomed(doomed);
		if (r < 0) {
			node = NULL;
			if (made)
				free_node(made);
			return r;
		}
	}
	if (parent)
		r = overlay_place(node, parent, name, here);
	if (r == 0)
		*out = TAKE_PTR(node);
	return r;
}

/* ---- those that are kept for their persistent handles ------------------------------------------------ */

void overlay_remember(struct overlay_node *node)
{
	struct overlay *fs = node->fs;
	struct overlay_node *doomed = NULL, **slot;

	pthread_mutex_lock(&fs->lock);
	if (!fs->remembered)
		fs->remembered = calloc(fs->remembered_max, sizeof(struct overlay_node *));
	if (fs->remembered && !node->remembered && node != fs->root) {
		slot = &fs->remembered[fs->remembered_at++ % fs->remembered_max];
		if (*slot) {
			(*slot)->remembered = false;
			put_locked(*slot, &doomed);
		}
		node->remembered = true;
		node->references++;
		*slot = node;
	}
	pthread_mutex_unlock(&fs->lock);
	free_doomed(doomed);
}

/* ---- the table -------------------------------------------------------------------------------------- */

/* The lowers of the root, down to the first that is opaque. */
static int root_lowers(struct overlay *fs, struct overlay_node *root)
{
	uint32_t first = overlay_upper(fs) ? OVERLAY_UPPER : 1;
	int r = 0;

	for (uint32_t i = first; r == 0 && i < fs->layer_count; i++) {
		struct overlay_object o = {.ino = fs->layers[i].directory, .layer = i};

		if (i != OVERLAY_UPPER)
			root->lower[root->lower_count++] = o;
		if (i + 1 < fs->layer_count)
			r = overlay_opaque(fs, o);
	}
	return r < 0 ? r : 0;
}

int overlay_nodes_new(struct overlay *fs, struct error *err)
{
	struct overlay_node *root = fs->root = calloc(1, sizeof *root);
	int r;

	if (!root)
		return error_no_memory(err, "an overlay");
	root->fs = fs;
	root->number = VFS_ROOT;
	root->references = 1;
	root->type = S_IFDIR;
	root->placed = true;
	root->lower = calloc(fs->layer_count, sizeof *root->lower);
	if (!root->lower)
		return error_no_memory(err, "an overlay");
	if (overlay_upper(fs))
		atomic_store(&root->upper, fs->layers[OVERLAY_UPPER].directory);
	r = root_lowers(fs, root);
	if (r == 0)
		r = load_generation(root);
	if (r < 0)
		return error_errno(err, -r, "read the root of an overlay's layer");
	if (map_set(&fs->by_number, &root->number, sizeof root->number, root, NULL, err) < 0 ||
		set_object(fs, overlay_top(root), root) < 0 ||
		(root->lower_count && set_object(fs, root->lower[0], root) < 0))
		return error_no_memory(err, "an overlay");
	return 0;
}

void overlay_nodes_free(struct overlay *fs)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&fs->by_number, &at)))
		if (slot->value != fs->root)
			free_node(slot->value);
	if (fs->root)
		free_node(fs->root);
	map_free(&fs->by_number);
	map_free(&fs->by_object);
	free(fs->remembered);
}
