/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that last: the number of a layer and its own handle; of the lower object where there is one, so
 * that copying does not change it. The root has one of its own. What
 * is behind them finds damage, no forgery.
 */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define LAYER_SIZE 2u
#define CHECK_SIZE 4u

static const uint8_t root_handle[] = {0xfe, 0xff, 'r', 'o', 'o', 't'};

static int key_of(struct overlay_node *node, uint8_t key[OVERLAY_KEY_MAX], size_t *size)
{
	if (node == node->fs->root) {
		memcpy(key, root_handle, sizeof root_handle);
		*size = sizeof root_handle;
		return 0;
	}
	if (node->lower_count)
		return overlay_key(node->fs, node->lower[0], key, size);
	return overlay_key(node->fs, overlay_top(node), key, size);
}

static void check_of(const uint8_t *key, size_t size, uint8_t check[CHECK_SIZE])
{
	uint64_t hash = overlay_hash((const char *)key, size);

	for (size_t i = 0; i < CHECK_SIZE; i++)
		check[i] = (uint8_t)(hash >> (8 * i));
}

int overlay_persist(struct vfs *vfs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	_cleanup_node_ struct overlay_node *node = NULL;
	uint8_t key[OVERLAY_KEY_MAX];
	size_t n;
	int r = overlay_get(overlay_of(vfs), ino, &node);

	if (r == 0)
		r = key_of(node, key, &n);
	if (r == 0 && n + CHECK_SIZE > room)
		r = -EOVERFLOW;
	if (r < 0)
		return r;
	memcpy(bytes, key, n);
	check_of(key, n, bytes + n);
	*size = n + CHECK_SIZE;
	if (node->lower_count)
		overlay_remember(node);
	return 0;
}

/* ---- back ------------------------------------------------------------------------------------------- */

/* Of an object that was not known: whether it is in the union can be told without its name. */
static bool is_visible(struct overlay *fs, struct overlay_object o, const struct vfs_attributes *a)
{
	if (!overlay_upper(fs))
		return !S_ISDIR(a->mode) || fs->layer_count == 2;
	return o.layer == OVERLAY_UPPER && !overlay_is_whiteout(a);
}

/* A copy, by the index: the original may be gone. */
static int resolve_copy(struct overlay *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *a)
{
	char hex[OVERLAY_HEX_MAX];
	int r;

	if (!overlay_upper(fs) || !atomic_load(&fs->indexed))
		return -ESTALE;
	overlay_hex(bytes, size, hex);
	r = vfs_lookup(overlay_upper(fs), fs->index, hex, a);
	return r == -ENOENT ? -ESTALE : r;
}

static int resolve_object(struct overlay *fs, const uint8_t *bytes, size_t size, struct overlay_found *f)
{
	_cleanup_node_ struct overlay_node *known = NULL;
	struct overlay_object o = {.layer = OVERLAY_UPPER};
	int r;

	if (bytes[0] == 0 && bytes[1] == 0) {
		if (!overlay_upper(fs))
			return -ESTALE;
		r = vfs_resolve(overlay_upper(fs), bytes + LAYER_SIZE, size - LAYER_SIZE, &f->top);
	} else
		r = overlay_key_resolve(fs, bytes, size, &o, &f->top);
	if (r == 0) {
		o.ino = f->top.ino;
		known = overlay_known(fs, o);
		if (!known && !is_visible(fs, o, &f->top)) {
			vfs_forget(overlay_fs(fs, o.layer), o.ino, 1);
			r = -ESTALE;
		}
	}
	if (r == -ESTALE && o.layer != OVERLAY_UPPER) {
		r = resolve_copy(fs, bytes, size, &f->top);
		o = (struct overlay_object){.ino = f->top.ino, .layer = OVERLAY_UPPER};
	}
	if (r < 0)
		return r;
	f->one = o;
	f->objects = &f->one;
	f->count = 1;
	f->here = o.layer == OVERLAY_UPPER;
	return 0;
}

int overlay_resolve(struct vfs *vfs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	struct overlay *fs = overlay_of(vfs);
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	_cleanup_tree_ struct overlay *held = NULL;
	uint8_t check[CHECK_SIZE];
	int r;

	if (size <= LAYER_SIZE + CHECK_SIZE)
		return -ESTALE;
	size -= CHECK_SIZE;
	check_of(bytes, size, check);
	if (memcmp(bytes + size, check, CHECK_SIZE) != 0)
		return -ESTALE;
	if (size == sizeof root_handle && !memcmp(bytes, root_handle, size))
		return overlay_attributes(fs->root, out);
	held = overlay_tree_read(fs);
	r = resolve_object(fs, bytes, size, &f);
	if (r == 0)
		r = overlay_enter(fs, &f, NULL, NULL, &node);
	if (r == 0)
		r = overlay_attributes(node, out);
	if (r == 0 && out->links == 0)
		r = -ESTALE;
	if (r == 0)
		overlay_looked_up(node);
	return r;
}
