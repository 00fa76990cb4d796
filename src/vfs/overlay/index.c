/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where copies come from. A copy has an xattr with the key of its lower file (its layer and persistent
 * handle), so that it keeps its number; where the lower file has several names, the directory `index` has a
 * link to the copy, named after the key, so that the other names lead to it. A second xattr counts how many
 * of the lower's names are not the lower's any more; without it, that is one.
 */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define BATCH 32

static const char *const origin_xattrs[] = {
	"trusted.overlay.monocore.origin", "user.overlay.monocore.origin"};
static const char *const covered_xattrs[] = {
	"trusted.overlay.monocore.covered", "user.overlay.monocore.covered"};

/* ---- keys ------------------------------------------------------------------------------------------- */

int overlay_key(struct overlay *fs, struct overlay_object lower, uint8_t key[OVERLAY_KEY_MAX], size_t *size)
{
	size_t n = 0;
	struct vfs *layer = overlay_fs(fs, lower.layer);
	int r = layer->operations->persist
			? layer->operations->persist(layer, lower.ino, key + 2, OVERLAY_KEY_MAX - 2, &n)
			: -ENOSYS;

	if (r < 0)
		return r;
	key[0] = (uint8_t)lower.layer;
	key[1] = (uint8_t)(lower.layer >> 8);
	*size = n + 2;
	return 0;
}

void overlay_hex(const uint8_t *key, size_t size, char hex[OVERLAY_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[key[i] >> 4];
		hex[2 * i + 1] = digits[key[i] & 15];
	}
	hex[2 * size] = 0;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* false: no name of the index. */
static bool key_of_hex(const char *hex, uint8_t key[OVERLAY_KEY_MAX], size_t *size)
{
	size_t n = strlen(hex);

	if (n % 2 || n / 2 > OVERLAY_KEY_MAX)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	*size = n / 2;
	return true;
}

int overlay_key_resolve(struct overlay *fs, const uint8_t *key, size_t size, struct overlay_object *lower,
	struct vfs_attributes *a)
{
	int r;

	if (size < 3)
		return -ESTALE;
	lower->layer = key[0] | (uint32_t)key[1] << 8;
	if (lower->layer == OVERLAY_UPPER || lower->layer >= fs->layer_count)
		return -ESTALE;
	r = vfs_resolve(overlay_fs(fs, lower->layer), key + 2, size - 2, a);
	if (r == 0)
		lower->ino = a->ino;
	return r;
}

/* ---- xattrs ----------------------------------------------------------------------------------------- */

static int64_t read_first(
	struct overlay *fs, uint64_t upper, const char *const names[2], void *value, size_t size)
{
	int64_t n = vfs_getxattr(overlay_upper(fs), upper, names[0], value, size);

	return n >= 0 ? n : vfs_getxattr(overlay_upper(fs), upper, names[1], value, size);
}

static int write_first(
	struct overlay *fs, uint64_t upper, const char *const names[2], const void *value, size_t size)
{
	int r = vfs_setxattr(overlay_upper(fs), upper, names[0], value, size, 0);

	if (r == -EOPNOTSUPP || r == -EPERM || r == -ENOSYS)
		r = vfs_setxattr(overlay_upper(fs), upper, names[1], value, size, 0);
	return r == -EPERM || r == -ENOSYS ? -EOPNOTSUPP : r;
}

int overlay_write_origin(struct overlay *fs, uint64_t upper, const uint8_t *key, size_t size)
{
	return write_first(fs, upper, origin_xattrs, key, size);
}

/* -1: not written. */
static int64_t read_covered(struct overlay *fs, uint64_t upper)
{
	uint8_t v[4];

	if (read_first(fs, upper, covered_xattrs, v, sizeof v) != sizeof v)
		return -1;
	return v[0] | (uint32_t)v[1] << 8 | (uint32_t)v[2] << 16 | (int64_t)v[3] << 24;
}

int overlay_write_covered(struct overlay *fs, uint64_t upper, uint32_t covered)
{
	uint8_t v[4] = {(uint8_t)covered, (uint8_t)(covered >> 8), (uint8_t)(covered >> 16),
		(uint8_t)(covered >> 24)};

	return write_first(fs, upper, covered_xattrs, v, sizeof v);
}

static void load_covered(struct overlay_node *node)
{
	int64_t covered = read_covered(node->fs, atomic_load(&node->upper));

	atomic_store(&node->covered, covered < 0 ? 1 : (uint32_t)covered);
}

void overlay_cover(struct overlay_node *node)
{
	uint32_t covered = atomic_fetch_add(&node->covered, 1) + 1;

	atomic_fetch_add(&node->change_base, 1);
	if (node->copy && node->lower_links > 1)
		overlay_write_covered(node->fs, atomic_load(&node->upper), covered);
}

/* ---- loading ---------------------------------------------------------------------------------------- */

/* The object in the index, looked up. */
static int find_in_index(struct overlay *fs, const uint8_t *key, size_t size, struct vfs_attributes *a)
{
	char hex[OVERLAY_HEX_MAX];

	overlay_hex(key, size, hex);
	return vfs_lookup(overlay_upper(fs), fs->index, hex, a);
}

static bool is_indexed(struct overlay_node *node)
{
	struct vfs_attributes a;

	if (find_in_index(node->fs, node->copy->key, node->copy->key_size, &a) < 0)
		return false;
	vfs_forget(overlay_upper(node->fs), a.ino, 1);
	return a.ino == atomic_load(&node->upper);
}

static int new_copy(struct overlay_node *node, const uint8_t *key, size_t size)
{
	node->copy = calloc(1, sizeof *node->copy);
	if (!node->copy)
		return -ENOMEM;
	memcpy(node->copy->key, key, size);
	node->copy->key_size = (uint8_t)size;
	return 0;
}

int overlay_load_origin(struct overlay_node *node)
{
	struct overlay *fs = node->fs;
	uint8_t key[OVERLAY_KEY_MAX];
	struct overlay_object lower;
	struct vfs_attributes a;
	int64_t n = read_first(fs, atomic_load(&node->upper), origin_xattrs, key, sizeof key);

	if (n < 0) /* made in the upper, or by somebody who could not note it */
		return 0;
	if (new_copy(node, key, (size_t)n) < 0)
		return -ENOMEM;
	node->copy->indexed = atomic_load(&fs->indexed) && is_indexed(node);
	if (overlay_key_resolve(fs, key, (size_t)n, &lower, &a) < 0)
		return 0;
	if ((a.mode & S_IFMT) != node->type) {
		vfs_forget(overlay_fs(fs, lower.layer), a.ino, 1);
		return 0;
	}
	node->lower[0] = lower;
	node->lower_count = 1;
	node->lower_links = a.links;
	node->generation = a.generation;
	load_covered(node);
	return 0;
}

int overlay_load_index(struct overlay_node *node)
{
	uint8_t key[OVERLAY_KEY_MAX];
	struct vfs_attributes a;
	size_t size;
	int r = overlay_key(node->fs, node->lower[0], key, &size);

	if (r == 0)
		r = find_in_index(node->fs, key, size, &a);
	if (r < 0)
		return r == -ENOENT || r == -ENOSYS ? 0 : r;
	if ((a.mode & S_IFMT) != node->type) {
		vfs_forget(overlay_upper(node->fs), a.ino, 1);
		return 0;
	}
	atomic_store(&node->upper, a.ino);
	if (new_copy(node, key, size) < 0)
		return -ENOMEM; /* whoever frees the node forgets it */
	node->copy->indexed = true;
	load_covered(node);
	return 0;
}

/* ---- links ------------------------------------------------------------------------------------------ */

uint64_t overlay_links(struct overlay_node *node, uint64_t layer_links)
{
	uint64_t covered = atomic_load(&node->covered);
	uint64_t lower, upper = layer_links;

	if (S_ISDIR(node->type))
		return node->lower_count + (atomic_load(&node->upper) != 0) > 1 ? 1 : layer_links;
	if (node->copy && node->copy->indexed && upper)
		upper--;
	if (!node->lower_count)
		return upper;
	if (!atomic_load(&node->upper))
		return layer_links > covered ? layer_links - covered : 0;
	lower = node->lower_links;
	return upper + (lower > covered ? lower - covered : 0);
}

void overlay_drop_unnamed(struct overlay_node *node)
{
	struct vfs *upper = overlay_upper(node->fs);
	char hex[OVERLAY_HEX_MAX];
	struct vfs_attributes a;

	if (!node->copy || !node->copy->indexed ||
		vfs_getattr(upper, atomic_load(&node->upper), VFS_NO_HANDLE, &a) < 0 ||
		overlay_links(node, a.links) > 0)
		return;
	overlay_hex(node->copy->key, node->copy->key_size, hex);
	if (vfs_unlink(upper, node->fs->index, hex) == 0)
		node->copy->indexed = false;
}

/* ---- what is left of a killed process ----------------------------------------------------------------- */

struct batch {
	char names[BATCH][OVERLAY_HEX_MAX];
	size_t count;
	uint64_t cookie;
};

static int take_name(void *context, const struct vfs_entry *entry)
{
	struct batch *b = context;

	if (b->count == BATCH)
		return 1;
	b->cookie = entry->cookie;
	if (entry->name_size >= OVERLAY_HEX_MAX || entry->name[0] == '.')
		return 0;
	memcpy(b->names[b->count], entry->name, entry->name_size);
	b->names[b->count++][entry->name_size] = 0;
	return 0;
}

/* Whether some name can lead there. Links: of the copy. One that has no other and no count was not put in
 * place yet. */
static bool is_wanted(struct overlay *fs, const char *hex, const struct vfs_attributes *copy)
{
	int64_t covered = read_covered(fs, copy->ino);
	uint8_t key[OVERLAY_KEY_MAX];
	struct overlay_object lower;
	struct vfs_attributes a;
	size_t size;

	if (!key_of_hex(hex, key, &size))
		return false;
	if (copy->links > 1)
		return true;
	if (covered < 0 || overlay_key_resolve(fs, key, size, &lower, &a) < 0)
		return false;
	vfs_forget(overlay_fs(fs, lower.layer), lower.ino, 1);
	return a.links > covered;
}

static int sweep_one(struct overlay *fs, const char *hex)
{
	struct vfs_attributes a;
	bool wanted;
	int r = vfs_lookup(overlay_upper(fs), fs->index, hex, &a);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	wanted = !S_ISDIR(a.mode) && is_wanted(fs, hex, &a);
	vfs_forget(overlay_upper(fs), a.ino, 1);
	if (!wanted)
		return overlay_discard(fs, fs->index, hex);
	atomic_store(&fs->indexed, true);
	return 0;
}

int overlay_sweep_index(struct overlay *fs)
{
	_cleanup_free_ struct batch *b = calloc(1, sizeof *b);
	uint64_t before;
	int r = b ? 0 : -ENOMEM;

	while (r == 0) {
		before = b->cookie;
		b->count = 0;
		r = vfs_readdir(overlay_upper(fs), fs->index, VFS_NO_HANDLE, b->cookie, false, take_name, b);
		for (size_t i = 0; r == 0 && i < b->count; i++)
			r = sweep_one(fs, b->names[i]);
		if (b->cookie == before)
			break;
	}
	return r;
}
