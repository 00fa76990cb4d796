/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renames. Directories move only if no lower has any of them; files are copied first. What a lower shows at
 * the old name is hidden before the rename by a ".wh." file, or with it, by changing places with a device; a
 * directory is made opaque before it comes to where a lower has a directory.
 */
#include <errno.h>

#include "vfs/overlay/overlay_parts.h"

struct side {
	struct overlay_node *directory; /* borrowed */
	const char *name;
	struct overlay_found f;
	struct overlay_node *node; /* NULL: the union has no such name */
	bool below;                /* a lower shows the name, if the upper does not hide it */
};

static void side_end(struct side *s)
{
	overlay_found_release(&s->f);
	cleanup_overlay_node(&s->node);
}
#define _cleanup_side_ __attribute__((cleanup(side_end)))

static bool is_directory(const struct side *s)
{
	return s->node && S_ISDIR(s->node->type);
}

static uint64_t upper_directory(const struct side *s)
{
	return atomic_load(&s->directory->upper);
}

static int look(struct side *s)
{
	int r = overlay_find(s->directory, s->name, &s->f), below;

	if (r == 0)
		r = overlay_enter(s->directory->fs, &s->f, s->directory, s->name, &s->node);
	else if (r == -ENOENT && !atomic_load(&s->directory->removed))
		r = 0;
	if (r < 0 || s->directory->lower_count == 0)
		return r;
	below = overlay_below(s->directory, s->name);
	s->below = below > 0;
	return below < 0 ? below : 0;
}

/* ---- what is allowed -------------------------------------------------------------------------------- */

/* Whether a directory is this node, or beneath it. */
static bool is_beneath(struct overlay_node *directory, const struct overlay_node *node)
{
	for (struct overlay_node *n = directory; n; n = n->parent)
		if (n == node)
			return true;
	return false;
}

static int check_replaced(const struct side *a, const struct side *b)
{
	if (!b->node)
		return 0;
	if (is_directory(a) && !is_directory(b))
		return -ENOTDIR;
	if (!is_directory(a) && is_directory(b))
		return -EISDIR;
	return 0;
}

/* 1: nothing is to be done. */
static int check(const struct side *a, const struct side *b, unsigned flags)
{
	bool exchange = flags & VFS_EXCHANGE;
	int r;

	if (!a->node || (exchange && !b->node))
		return -ENOENT;
	if (flags & VFS_NO_REPLACE && b->node)
		return -EEXIST;
	if (a->node == b->node)
		return 1;
	if (is_directory(a) && is_beneath(b->directory, a->node))
		return -EINVAL;
	if (is_directory(b) && is_beneath(a->directory, b->node))
		return exchange ? -EINVAL : -ENOTEMPTY;
	r = exchange ? 0 : check_replaced(a, b);
	if (r < 0)
		return r;
	if ((is_directory(a) && a->node->lower_count) ||
		(exchange && is_directory(b) && b->node->lower_count))
		return -EXDEV;
	if (exchange || !is_directory(b))
		return 0;
	r = overlay_is_empty(b->node);
	return r < 0 ? r : r ? 0 : -ENOTEMPTY;
}

/* ---- doing it --------------------------------------------------------------------------------------- */

static int move(const struct side *a, const struct side *b, unsigned flags)
{
	return vfs_rename(overlay_upper(a->directory->fs), upper_directory(a), a->name, upper_directory(b),
		b->name, flags);
}

/* The upper has the name itself. */
static int materialize(struct side *s)
{
	if (s->f.here)
		return 0;
	if (S_ISDIR(s->node->type))
		return -EXDEV;
	return overlay_link_up(s->node, s->directory, s->name);
}

/* A directory that comes to this place must hide what is below it. */
static int prepare_place(const struct side *moved, const struct side *place)
{
	return is_directory(moved) && place->below
		       ? overlay_write_opaque(moved->node->fs, atomic_load(&moved->node->upper))
		       : 0;
}

/* The upper's directory that is replaced has nothing in it but marks; they go, after it was cut off from what
 * is below. */
static int prepare_replaced(struct side *b)
{
	struct overlay *fs = b->directory->fs;
	int r = 0;

	if (!is_directory(b) || !b->f.here)
		return 0;
	if (b->below && fs->form != OVERLAY_OCI)
		r = overlay_write_opaque(fs, atomic_load(&b->node->upper));
	else if (b->below && !overlay_marks_by_device(fs, b->name)) {
		r = overlay_write_whiteout(fs, upper_directory(b), b->name);
		b->f.mark = true;
	}
	return r < 0 ? r : overlay_clear_marks(fs, atomic_load(&b->node->upper));
}

/* The new name is a device, or becomes one, and changes places with what is moved. leave: it stays there. */
static int change_places(struct side *a, struct side *b, bool leave)
{
	struct overlay *fs = a->directory->fs;
	struct vfs *upper = overlay_upper(fs);
	struct vfs_attributes made;
	int r = 0;

	if (!b->f.device) {
		r = vfs_mknod(upper, &fs->own, upper_directory(b), b->name, S_IFCHR | 0600, 0, 0, &made);
		if (r == 0)
			vfs_forget(upper, made.ino, 1);
	}
	if (r == 0)
		r = move(a, b, VFS_EXCHANGE);
	if (r < 0 && !b->f.device)
		vfs_unlink(upper, upper_directory(b), b->name);
	if (r == 0 && !leave)
		vfs_unlink(upper, upper_directory(a), a->name);
	return r;
}

static int replace(struct side *a, struct side *b)
{
	struct overlay *fs = a->directory->fs;
	bool by_device = overlay_marks_by_device(fs, a->name);
	int r = prepare_place(a, b);

	if (r == 0)
		r = prepare_replaced(b);
	if (r < 0)
		return r;
	if (a->below && !by_device) {
		r = overlay_write_whiteout(fs, upper_directory(a), a->name);
		if (r == 0) {
			r = b->f.device && is_directory(a) ? change_places(a, b, false) : move(a, b, 0);
			if (r < 0 && !a->f.mark)
				overlay_drop_whiteout(fs, upper_directory(a), a->name);
		}
	} else if (!b->node && (a->below || (b->f.device && is_directory(a))))
		r = change_places(a, b, a->below);
	else {
		r = move(a, b, 0);
		if (r == 0 && a->below)
			r = overlay_write_whiteout(fs, upper_directory(a), a->name);
	}
	if (r == 0 && b->f.mark)
		overlay_drop_whiteout(fs, upper_directory(b), b->name);
	return r;
}

static int exchange(struct side *a, struct side *b)
{
	int r = materialize(b);

	if (r == 0)
		r = prepare_place(a, b);
	if (r == 0)
		r = prepare_place(b, a);
	return r < 0 ? r : move(a, b, VFS_EXCHANGE);
}

/* What is known of the nodes, after it was done. */
static void note_replaced(const struct side *b)
{
	if (!b->node)
		return;
	if (is_directory(b))
		atomic_store(&b->node->removed, true);
	else if (!b->f.here)
		overlay_cover(b->node);
	if (overlay_is_placed(b->node, b->directory, b->name))
		overlay_place(b->node, NULL, NULL, false);
	if (!is_directory(b))
		overlay_drop_unnamed(b->node);
}

/* The tree is held for writing. */
static int rename_held(struct side *a, struct side *b, unsigned flags)
{
	int r = check(a, b, flags);

	if (r != 0)
		return r < 0 ? r : 0;
	r = overlay_raise_directory(a->directory);
	if (r == 0)
		r = overlay_raise_directory(b->directory);
	if (r == 0)
		r = materialize(a);
	if (r == 0)
		r = flags & VFS_EXCHANGE ? exchange(a, b) : replace(a, b);
	if (r < 0)
		return r;
	if (!(flags & VFS_EXCHANGE))
		note_replaced(b);
	r = overlay_place(a->node, b->directory, b->name, true);
	if (r == 0 && flags & VFS_EXCHANGE)
		r = overlay_place(b->node, a->directory, a->name, true);
	return r;
}

/* A file is copied before the tree is held. */
static int raise_name(struct overlay_node *directory, const char *name)
{
	struct overlay *fs = directory->fs;
	_cleanup_node_ struct overlay_node *node = NULL;
	_cleanup_found_ struct overlay_found f = {.fs = fs};
	int r;

	{
		_cleanup_tree_ struct overlay *held = overlay_tree_read(fs);

		r = overlay_find(directory, name, &f);
		if (r == 0 && (S_ISDIR(f.top.mode) || f.here))
			return 0;
		if (r == 0)
			r = overlay_enter(fs, &f, directory, name, &node);
	}
	return r < 0 ? r : overlay_raise(node, OVERLAY_KEEP_ALL);
}

static bool needs_raising(const struct side *s)
{
	return s->node && !is_directory(s) && !atomic_load(&s->node->upper);
}

/* 1: what is there now was not copied yet. */
static int try_rename(struct overlay_node *from, const char *name, struct overlay_node *to,
	const char *new_name, unsigned flags)
{
	_cleanup_side_ struct side a = {.directory = from, .name = name, .f.fs = from->fs};
	_cleanup_side_ struct side b = {.directory = to, .name = new_name, .f.fs = from->fs};
	_cleanup_tree_ struct overlay *held = overlay_tree_write(from->fs);
	int r = look(&a);

	if (r == 0)
		r = look(&b);
	if (r < 0)
		return r;
	if (needs_raising(&a) || (flags & VFS_EXCHANGE && needs_raising(&b))) {
		r = check(&a, &b, flags);
		return r < 0 ? r : r == 1 ? 0 : 1;
	}
	return rename_held(&a, &b, flags);
}

int overlay_rename(
	struct vfs *vfs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	_cleanup_node_ struct overlay_node *source = NULL, *target = NULL;
	int r = overlay_get_directory(overlay_of(vfs), from, &source);

	if (r == 0)
		r = overlay_get_directory(overlay_of(vfs), to, &target);
	if (r < 0)
		return r;
	if (overlay_is_mark(name))
		return -ENOENT;
	if (overlay_is_mark(new_name))
		return -EINVAL;
	while ((r = try_rename(source, name, target, new_name, flags)) == 1) {
		r = raise_name(source, name);
		if (r == 0 && flags & VFS_EXCHANGE)
			r = raise_name(target, new_name);
		if (r < 0)
			return r;
	}
	return r;
}
