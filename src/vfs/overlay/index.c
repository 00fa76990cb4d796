/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where copies come from. A copy has an xattr with the key of its lower file (its layer and persistent
 * handle), so that it keeps its number; where the lower file has several names, the directory `index` has a
 * link to the copy, named after the key, so that the other names lead to it. How many of the lower's names
 * are not the lower's any more is the target of a symbolic link beside it, named "n" and the key; without it,
 * that is one, where there is a copy.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "vfs/overlay/overlay_parts.h"

#define BATCH        32
#define COUNT_PREFIX 'n' /* no hexadecimal digit */

static const char *const origin_xattrs[] = {
	"trusted.overlay.monocore.origin", "user.overlay.monocore.origin"};
static const char *const pure_xattrs[] = {"trusted.overlay.monocore.pure", "user.overlay.monocore.pure"};

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

	if (n != -ENODATA && n != -EOPNOTSUPP && n != -EPERM)
		return n;
	return vfs_getxattr(overlay_upper(fs), upper, names[1], value, size);
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

/* ---- an upper without copies ------------------------------------------------------------------------------
 */

int overlay_set_pure(struct overlay *fs)
{
	int r = write_first(fs, fs->index, pure_xattrs, "y", 1);

	return r == -EOPNOTSUPP ? 0 : r;
}

bool overlay_is_pure(struct overlay *fs)
{
	char value[2];

	return read_first(fs, fs->index, pure_xattrs, value, sizeof value) == 1;
}

int overlay_unset_pure(struct overlay *fs)
{
	int r = vfs_removexattr(overlay_upper(fs), fs->index, pure_xattrs[1]);

	if (r < 0)
		r = vfs_removexattr(overlay_upper(fs), fs->index, pure_xattrs[0]);
	if (r < 0 && overlay_is_pure(fs))
		return r;
	return fs->unsynced ? 0 : vfs_fsyncdir(overlay_upper(fs), fs->index);
}

/* ---- counts of names -------------------------------------------------------------------------------- */

static void count_name(const char *hex, char name[OVERLAY_HEX_MAX + 1])
{
	name[0] = COUNT_PREFIX;
	memcpy(name + 1, hex, strlen(hex) + 1);
}

/* -ENOENT: not written. */
static int read_covered(struct overlay *fs, const char *hex, uint32_t *covered)
{
	struct vfs *upper = overlay_upper(fs);
	char name[OVERLAY_HEX_MAX + 1];
	_cleanup_free_ char *target = malloc(VFS_PATH_MAX + 1);
	struct vfs_attributes a;
	uint64_t number;
	int r;

	count_name(hex, name);
	r = target ? vfs_lookup(upper, fs->index, name, &a) : -ENOMEM;
	if (r < 0)
		return r;
	r = vfs_readlink(upper, a.ino, target);
	vfs_forget(upper, a.ino, 1);
	if (r < 0 && r != -EINVAL)
		return r;
	if (r == -EINVAL || text_parse_u64(target, UINT32_MAX, "a count", &number, NULL) < 0)
		return -ENOENT; /* not ours */
	*covered = (uint32_t)number;
	return 0;
}

int overlay_write_covered(struct overlay *fs, const uint8_t *key, size_t size, uint32_t covered)
{
	struct vfs *upper = overlay_upper(fs);
	char hex[OVERLAY_HEX_MAX], name[OVERLAY_HEX_MAX + 1], temp[OVERLAY_TEMP_MAX], text[16];
	struct vfs_attributes a;
	int r;

	overlay_hex(key, size, hex);
	count_name(hex, name);
	overlay_temp_name(fs, temp);
	snprintf(text, sizeof text, "%u", covered);
	r = vfs_symlink(upper, &fs->own, fs->work, temp, text, &a);
	if (r < 0)
		return r;
	vfs_forget(upper, a.ino, 1);
	r = vfs_rename(upper, fs->work, temp, fs->index, name, 0);
	if (r < 0)
		overlay_discard(fs, fs->work, temp);
	else
		atomic_store(&fs->indexed, true);
	return r;
}

static int load_covered(struct overlay_node *node, const uint8_t *key, size_t size, uint32_t otherwise)
{
	char hex[OVERLAY_HEX_MAX];
	int r = 0;

	overlay_hex(key, size, hex);
	if (node->lower_links > 1 && atomic_load(&node->fs->indexed))
		r = read_covered(node->fs, hex, &otherwise);
	atomic_store(&node->covered, otherwise);
	return r == -ENOENT ? 0 : r;
}

/* 0: there is none. */
static size_t key_of_node(struct overlay_node *node, uint8_t key[OVERLAY_KEY_MAX])
{
	size_t size;

	if (node->copy) {
		memcpy(key, node->copy->key, node->copy->key_size);
		return node->copy->key_size;
	}
	return node->lower_count && overlay_key(node->fs, node->lower[0], key, &size) == 0 ? size : 0;
}

void overlay_cover(struct overlay_node *node)
{
	uint32_t covered = atomic_fetch_add(&node->covered, 1) + 1;
	uint8_t key[OVERLAY_KEY_MAX];
	size_t size = node->lower_links > 1 ? key_of_node(node, key) : 0;

	atomic_fetch_add(&node->change_base, 1);
	if (size)
		overlay_write_covered(node->fs, key, size, covered);
}

/* ---- loading ---------------------------------------------------------------------------------------- */

/* The object in the index, looked up. */
static int find_in_index(struct overlay *fs, const uint8_t *key, size_t size, struct vfs_attributes *a)
{
	char hex[OVERLAY_HEX_MAX];

	overlay_hex(key, size, hex);
	return vfs_lookup(overlay_upper(fs), fs->index, hex, a);
}

/* 1, 0, or an error. */
static int is_indexed(struct overlay_node *node)
{
	struct vfs_attributes a;
	int r = find_in_index(node->fs, node->copy->key, node->copy->key_size, &a);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
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
	int r;

	if (n < 0) /* -ENODATA: made in the upper */
		return n == -ENODATA || n == -EOPNOTSUPP || n == -ENOSYS || n == -EPERM ? 0 : (int)n;
	if (new_copy(node, key, (size_t)n) < 0)
		return -ENOMEM;
	r = atomic_load(&fs->indexed) ? is_indexed(node) : 0;
	if (r < 0)
		return r;
	node->copy->indexed = r > 0;
	r = overlay_key_resolve(fs, key, (size_t)n, &lower, &a);
	if (r < 0)
		return r == -ESTALE || r == -ENOSYS ? 0 : r;
	if ((a.mode & S_IFMT) != node->type) {
		vfs_forget(overlay_fs(fs, lower.layer), a.ino, 1);
		return 0;
	}
	node->lower[0] = lower;
	node->lower_count = 1;
	node->lower_links = a.links;
	node->generation = a.generation;
	return load_covered(node, key, (size_t)n, 1);
}

int overlay_load_index(struct overlay_node *node)
{
	uint8_t key[OVERLAY_KEY_MAX];
	struct vfs_attributes a;
	size_t size;
	int r = overlay_key(node->fs, node->lower[0], key, &size);

	if (r < 0)
		return r == -ENOSYS ? 0 : r;
	r = find_in_index(node->fs, key, size, &a);
	if (r == 0 && (a.mode & S_IFMT) != node->type) {
		vfs_forget(overlay_upper(node->fs), a.ino, 1);
		r = -ENOENT;
	}
	if (r < 0)
		return r == -ENOENT ? load_covered(node, key, size, 0) : r;
	atomic_store(&node->upper, a.ino);
	if (new_copy(node, key, size) < 0)
		return -ENOMEM; /* whoever frees the node forgets it */
	node->copy->indexed = true;
	return load_covered(node, key, size, 1);
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
	struct overlay *fs = node->fs;
	struct vfs *upper = overlay_upper(fs);
	char hex[OVERLAY_HEX_MAX], name[OVERLAY_HEX_MAX + 1];
	struct overlay_object top = overlay_top(node);
	uint8_t key[OVERLAY_KEY_MAX];
	struct vfs_attributes a;
	size_t size;

	if (node->lower_links < 2 || !atomic_load(&fs->indexed) ||
		vfs_getattr(overlay_fs(fs, top.layer), top.ino, VFS_NO_HANDLE, &a) < 0 ||
		overlay_links(node, a.links) > 0)
		return;
	size = key_of_node(node, key);
	if (!size)
		return;
	overlay_hex(key, size, hex);
	count_name(hex, name);
	if (node->copy && node->copy->indexed && vfs_unlink(upper, fs->index, hex) == 0)
		node->copy->indexed = false;
	vfs_unlink(upper, fs->index, name);
}

/* ---- what is left of a killed process ----------------------------------------------------------------- */

struct batch {
	char names[BATCH][OVERLAY_HEX_MAX + 1];
	size_t count;
	uint64_t cookie;
};

static int take_name(void *context, const struct vfs_entry *entry)
{
	struct batch *b = context;

	if (b->count == BATCH)
		return 1;
	b->cookie = entry->cookie;
	if (entry->name_size > OVERLAY_HEX_MAX || entry->name[0] == '.')
		return 0;
	memcpy(b->names[b->count], entry->name, entry->name_size);
	b->names[b->count++][entry->name_size] = 0;
	return 0;
}

/* 1: some name can lead there; 0; or an error. copy: NULL for a count. A copy that has no other link and no
 * count was not put in place yet. */
static int is_wanted(struct overlay *fs, const char *hex, const struct vfs_attributes *copy)
{
	uint8_t key[OVERLAY_KEY_MAX];
	struct overlay_object lower = {0};
	struct vfs_attributes a;
	uint32_t covered;
	size_t size;
	int r;

	if (!key_of_hex(hex, key, &size))
		return 0;
	if (copy && copy->links > 1)
		return 1;
	r = read_covered(fs, hex, &covered);
	if (r == 0)
		r = overlay_key_resolve(fs, key, size, &lower, &a);
	if (r < 0)
		return r == -ENOENT || r == -ESTALE ? 0 : r;
	vfs_forget(overlay_fs(fs, lower.layer), lower.ino, 1);
	return a.links > covered;
}

/* Of a count, whether it has a copy beside it, or is wanted without one. */
static int is_count_wanted(struct overlay *fs, const char *hex)
{
	struct vfs_attributes a;
	int r = *hex ? vfs_lookup(overlay_upper(fs), fs->index, hex, &a) : 0;

	if (!*hex || r == -ENOENT)
		return is_wanted(fs, hex, NULL);
	if (r < 0)
		return r;
	vfs_forget(overlay_upper(fs), a.ino, 1);
	return 1;
}

static int sweep_one(struct overlay *fs, const char *name)
{
	struct vfs_attributes a;
	int wanted, r = vfs_lookup(overlay_upper(fs), fs->index, name, &a);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (name[0] == COUNT_PREFIX)
		wanted = S_ISLNK(a.mode) ? is_count_wanted(fs, name + 1) : 0;
	else
		wanted = S_ISDIR(a.mode) ? 0 : is_wanted(fs, name, &a);
	vfs_forget(overlay_upper(fs), a.ino, 1);
	if (wanted <= 0)
		return wanted < 0 ? wanted : overlay_discard(fs, fs->index, name);
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
