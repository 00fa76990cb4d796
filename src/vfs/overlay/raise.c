/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up. A copy is made in the work directory, gets all that the original has, and is renamed into place;
 * so a crash leaves what was there, or the copy. Directories above come first.
 */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

/* A copy that is not in place. */
struct raising {
	struct overlay_node *node;
	struct vfs_attributes original;
	char temp[OVERLAY_TEMP_MAX];
	uint64_t ino; /* in the upper, looked up; 0: none */
	bool named;   /* the work directory has it */
	struct overlay_copy *copy;
};

static void raising_end(struct raising *r)
{
	struct overlay *fs = r->node->fs;

	if (r->named)
		overlay_discard(fs, fs->work, r->temp);
	if (r->ino)
		vfs_forget(overlay_upper(fs), r->ino, 1);
	free(r->copy);
}
#define _cleanup_raising_ __attribute__((cleanup(raising_end)))

/* ---- making a copy ---------------------------------------------------------------------------------- */

static int make_link(struct raising *r, const struct vfs_caller *who, struct vfs_attributes *a)
{
	struct overlay *fs = r->node->fs;
	struct overlay_object from = r->node->lower[0];
	_cleanup_free_ char *target = malloc(VFS_PATH_MAX + 1);
	int e = target ? vfs_readlink(overlay_fs(fs, from.layer), from.ino, target) : -ENOMEM;

	return e < 0 ? e : vfs_symlink(overlay_upper(fs), who, fs->work, r->temp, target, a);
}

static int make_object(struct raising *r)
{
	struct overlay *fs = r->node->fs;
	struct vfs *upper = overlay_upper(fs);
	const struct vfs_attributes *o = &r->original;
	struct vfs_caller who = {.uid = o->uid, .gid = o->gid};
	struct vfs_attributes a;
	int e;

	overlay_temp_name(fs, r->temp);
	if (S_ISDIR(o->mode))
		e = vfs_mkdir(upper, &who, fs->work, r->temp, 0700, &a);
	else if (S_ISLNK(o->mode))
		e = make_link(r, &who, &a);
	else
		e = vfs_mknod(
			upper, &who, fs->work, r->temp, (o->mode & S_IFMT) | 0600, o->major, o->minor, &a);
	if (e < 0)
		return e;
	r->ino = a.ino;
	r->named = true;
	return 0;
}

/* Its origin is noted where the layers can do that. */
static int note_origin(struct raising *r)
{
	struct overlay *fs = r->node->fs;
	size_t size;
	int e;

	r->copy = calloc(1, sizeof *r->copy);
	if (!r->copy)
		return -ENOMEM;
	e = overlay_key(fs, r->node->lower[0], r->copy->key, &size);
	if (e < 0)
		return e == -ENOSYS || e == -EOVERFLOW || e == -EOPNOTSUPP ? 0 : e;
	r->copy->key_size = (uint8_t)size;
	e = overlay_write_origin(fs, r->ino, r->copy->key, size);
	return e == -EOPNOTSUPP ? 0 : e;
}

static int make_copy(struct raising *r, uint64_t keep)
{
	struct overlay *fs = r->node->fs;
	struct overlay_object from = r->node->lower[0];
	int e = vfs_getattr(overlay_fs(fs, from.layer), from.ino, VFS_NO_HANDLE, &r->original);

	if (e == 0)
		e = make_object(r);
	if (e == 0 && S_ISREG(r->original.mode))
		e = overlay_copy_data(fs, from, r->ino, keep);
	if (e == 0)
		e = overlay_copy_xattrs(fs, from, r->ino);
	if (e == 0 && !S_ISDIR(r->original.mode))
		e = note_origin(r);
	if (e == 0)
		e = overlay_copy_attributes(fs, &r->original, r->ino);
	if (e == 0 && !fs->unsynced && S_ISREG(r->original.mode))
		e = vfs_fsync(overlay_upper(fs), r->ino, VFS_NO_HANDLE, false);
	return e;
}

/* ---- putting it in place: the tree is held for writing ----------------------------------------------- */

/* A directory's times, put back behind a change that is not the client's. */
static int save_times(struct overlay *fs, uint64_t directory, struct vfs_attributes *times)
{
	return vfs_getattr(overlay_upper(fs), directory, VFS_NO_HANDLE, times);
}

static void restore_times(struct overlay *fs, uint64_t directory, const struct vfs_attributes *times)
{
	struct vfs_attributes out;

	vfs_setattr(overlay_upper(fs), &fs->own, directory, VFS_NO_HANDLE, times,
		VFS_SET_ATIME | VFS_SET_MTIME, &out);
}

/* The node has the copy from now on. */
static void take_copy(struct raising *r)
{
	struct overlay_node *node = r->node;
	struct vfs_attributes a;

	/* The change attribute goes on from where the original's was. */
	if (vfs_getattr(overlay_upper(node->fs), r->ino, VFS_NO_HANDLE, &a) == 0 &&
		a.change <= r->original.change)
		atomic_fetch_add(&node->change_base, r->original.change + 1 - a.change);
	if (!node->copy)
		node->copy = TAKE_PTR(r->copy);
	atomic_store(&node->upper, r->ino);
	r->ino = 0;
}

static int rename_into(struct raising *r, struct overlay_node *parent, const char *name)
{
	struct overlay *fs = r->node->fs;
	uint64_t directory = atomic_load(&parent->upper);
	struct vfs_attributes times;
	int e = save_times(fs, directory, &times);

	if (e == 0)
		e = vfs_rename(overlay_upper(fs), fs->work, r->temp, directory, name, 0);
	if (e < 0)
		return e;
	r->named = false;
	restore_times(fs, directory, &times);
	return 0;
}

/* The other names of the original lead to the copy from now on. 0 also where the upper cannot do that. */
static int enter_index(struct raising *r)
{
	struct overlay *fs = r->node->fs;
	struct vfs *upper = overlay_upper(fs);
	char hex[OVERLAY_HEX_MAX];
	struct vfs_attributes a;
	int e;

	if (!r->copy || !r->copy->key_size || r->original.links < 2)
		return 0;
	overlay_hex(r->copy->key, r->copy->key_size, hex);
	e = vfs_link(upper, r->ino, fs->index, hex, &a);
	if (e == -EEXIST) { /* of an original whose names were all hidden once */
		e = overlay_discard(fs, fs->index, hex);
		if (e == 0)
			e = vfs_link(upper, r->ino, fs->index, hex, &a);
	}
	if (e < 0)
		return e == -EPERM || e == -EMLINK || e == -EOPNOTSUPP || e == -ENOSYS ? 0 : e;
	vfs_forget(upper, a.ino, 1);
	r->copy->indexed = true;
	atomic_store(&fs->indexed, true);
	return 0;
}

static void leave_index(struct raising *r)
{
	char hex[OVERLAY_HEX_MAX];

	if (!r->copy || !r->copy->indexed)
		return;
	overlay_hex(r->copy->key, r->copy->key_size, hex);
	vfs_unlink(overlay_upper(r->node->fs), r->node->fs->index, hex);
	r->copy->indexed = false;
}

/* A name for the copy, or only the index, or, where the original has no names left, none at all. */
static int name_copy(struct raising *r, struct overlay_node *parent)
{
	struct overlay_node *node = r->node;
	struct overlay *fs = node->fs;
	uint32_t covered = atomic_load(&node->covered) + (parent != NULL);
	bool unnamed = !parent && covered >= r->original.links;
	bool counts = r->original.links > 1 && r->copy->key_size;
	int e = parent ? overlay_raise_directory(parent) : 0;

	/* Before other names lead there, which count it. A copy in the index without a count is not in place.
	 */
	if (e == 0 && counts && !unnamed && (covered != 1 || !parent))
		e = overlay_write_covered(fs, r->copy->key, r->copy->key_size, covered);
	if (e == 0 && !unnamed)
		e = enter_index(r);
	if (e == 0 && parent)
		e = rename_into(r, parent, node->name);
	if (e == 0 && !parent) {
		e = overlay_discard(fs, fs->work, r->temp);
		r->named = e < 0;
	}
	if (e < 0) {
		leave_index(r);
		return e;
	}
	/* So that the index is enough when this name is gone. */
	if (counts && parent && covered == 1)
		overlay_write_covered(fs, r->copy->key, r->copy->key_size, covered);
	atomic_store(&node->covered, covered);
	node->lower_links = r->original.links;
	return 0;
}

/* ---- directories ------------------------------------------------------------------------------------ */

static int raise_one_directory(struct overlay_node *node)
{
	_cleanup_raising_ struct raising r = {.node = node};
	struct overlay_node *parent = atomic_load(&node->removed) ? NULL : node->parent;
	int e;

	if (!parent && !atomic_load(&node->removed))
		return -ESTALE; /* by a persistent handle, and nobody has seen where it is */
	e = make_copy(&r, 0);
	if (e == 0)
		e = overlay_expect_upper(node, r.ino);
	if (e < 0)
		return e;
	if (parent)
		e = rename_into(&r, parent, node->name);
	else {
		e = overlay_discard(node->fs, node->fs->work, r.temp);
		r.named = e < 0;
	}
	if (e < 0) {
		overlay_unexpect_upper(node, r.ino);
		return e;
	}
	node->placed = true;
	take_copy(&r);
	return 0;
}

int overlay_raise_directory(struct overlay_node *node)
{
	_cleanup_free_ struct overlay_node **chain = NULL;
	size_t depth = 0;
	int e = 0;

	for (struct overlay_node *n = node; n && !atomic_load(&n->upper); n = n->parent) {
		depth++;
		if (atomic_load(&n->removed))
			break;
	}
	if (depth == 0)
		return 0;
	chain = calloc(depth, sizeof(struct overlay_node *));
	if (!chain)
		return -ENOMEM;
	for (size_t i = depth; i-- > 0; node = node->parent)
		chain[i] = node;
	for (size_t i = 0; e == 0 && i < depth; i++)
		e = raise_one_directory(chain[i]);
	return e;
}

/* ---- all -------------------------------------------------------------------------------------------- */

int overlay_link_up(struct overlay_node *node, struct overlay_node *parent, const char *name)
{
	struct overlay *fs = node->fs;
	struct vfs_attributes times, a;
	uint64_t directory;
	int e = overlay_raise_directory(parent);

	if (e < 0)
		return e;
	directory = atomic_load(&parent->upper);
	e = save_times(fs, directory, &times);
	if (e == 0)
		e = vfs_link(overlay_upper(fs), atomic_load(&node->upper), directory, name, &a);
	if (e < 0)
		return e;
	vfs_forget(overlay_upper(fs), a.ino, 1);
	restore_times(fs, directory, &times);
	overlay_cover(node);
	if (overlay_is_placed(node, parent, name))
		node->placed = true;
	return 0;
}

static bool is_raised(struct overlay_node *node)
{
	bool is;

	if (!atomic_load(&node->upper))
		return false;
	if (S_ISDIR(node->type) || !node->lower_count)
		return true;
	pthread_mutex_lock(&node->fs->lock);
	is = node->placed || !node->parent;
	pthread_mutex_unlock(&node->fs->lock);
	return is;
}

/* The tree is held for writing. */
static int expect_copies(struct overlay *fs)
{
	int r = atomic_load(&fs->copies) ? 0 : overlay_unset_pure(fs);

	if (r == 0)
		atomic_store(&fs->copies, true);
	return r;
}

/* The copy is made without holding up anybody else; only this file's copying is held. */
static int raise_file(struct overlay_node *node, uint64_t keep)
{
	_cleanup_raising_ struct raising r = {.node = node};
	_cleanup_tree_ struct overlay *held = NULL;
	int e;

	if (!atomic_load(&node->upper)) {
		e = make_copy(&r, keep);
		if (e == 0)
			e = overlay_expect_upper(node, r.ino);
		if (e < 0)
			return e;
	}
	held = overlay_tree_write(node->fs);
	if (r.ino) {
		e = expect_copies(node->fs);
		if (e == 0)
			e = name_copy(&r, node->parent);
		if (e < 0) {
			overlay_unexpect_upper(node, r.ino);
			return e;
		}
		node->placed = node->parent != NULL;
		take_copy(&r);
		return 0;
	}
	if (node->parent && !node->placed)
		return overlay_link_up(node, node->parent, node->name);
	return 0;
}

int overlay_raise(struct overlay_node *node, uint64_t keep)
{
	struct overlay *fs = node->fs;
	pthread_mutex_t *copying = &fs->copying[node->number % OVERLAY_STRIPES];
	int e = 0;

	if (!overlay_upper(fs))
		return -EROFS;
	if (is_raised(node))
		return 0;
	if (S_ISDIR(node->type)) {
		_cleanup_tree_ struct overlay *held = overlay_tree_write(fs);

		return overlay_raise_directory(node);
	}
	pthread_mutex_lock(copying);
	if (!is_raised(node))
		e = raise_file(node, keep);
	pthread_mutex_unlock(copying);
	return e;
}
