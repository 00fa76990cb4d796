/* SPDX-License-Identifier: Apache-2.0 */
/* A name in the layers of a directory: which objects make up what the union has of that name. */
#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

void overlay_found_release(struct overlay_found *f)
{
	for (size_t i = 0; i < f->count; i++)
		vfs_forget(overlay_fs(f->fs, f->objects[i].layer), f->objects[i].ino, 1);
	if (f->objects != &f->one)
		free(f->objects);
	f->objects = NULL;
	f->count = 0;
}

struct overlay_stack overlay_stack_of(const struct overlay_node *directory)
{
	struct overlay_stack s = {.objects = directory->lower, .count = directory->lower_count};

	s.upper = atomic_load(&((struct overlay_node *)directory)->upper);
	return s;
}

/* Takes the lookup. room: objects that there may be at most. */
static int add(struct overlay_found *f, uint32_t layer, const struct vfs_attributes *a, size_t room)
{
	struct overlay_object *more;

	if (f->count == 0) {
		f->objects = &f->one;
		f->one = (struct overlay_object){.ino = a->ino, .layer = layer};
		f->top = *a;
		f->here = layer == OVERLAY_UPPER;
	} else if (f->objects == &f->one) {
		more = calloc(room, sizeof *more);
		if (!more) {
			vfs_forget(overlay_fs(f->fs, layer), a->ino, 1);
			return -ENOMEM;
		}
		more[0] = f->one;
		f->objects = more;
	}
	f->objects[f->count++] = (struct overlay_object){.ino = a->ino, .layer = layer};
	return 0;
}

/* What one layer has of the name. Returns 1 where what is below does not count any more. last: there is
 * nothing below, so marks do not matter. */
static int find_one(
	struct overlay_found *f, struct overlay_object directory, const char *name, bool last, size_t room)
{
	struct vfs *layer = overlay_fs(f->fs, directory.layer);
	struct vfs_attributes a;
	int r = vfs_lookup(layer, directory.ino, name, &a), hidden;

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && (overlay_is_whiteout(&a) || (f->count && !S_ISDIR(a.mode)))) {
		f->device |= directory.layer == OVERLAY_UPPER;
		vfs_forget(layer, a.ino, 1);
		return 1;
	}
	if (r == 0) {
		r = add(f, directory.layer, &a, room);
		if (r < 0 || !S_ISDIR(a.mode))
			return r < 0 ? r : 1;
	}
	if (last)
		return 1;
	hidden = overlay_hidden(f->fs, directory, name);
	if (hidden > 0 && directory.layer == OVERLAY_UPPER)
		f->mark = true;
	if (hidden != 0 || r == -ENOENT)
		return hidden;
	return overlay_opaque(f->fs, (struct overlay_object){.ino = a.ino, .layer = directory.layer});
}

int overlay_find_in(
	struct overlay *fs, const struct overlay_stack *in, const char *name, struct overlay_found *f)
{
	size_t room = in->count + 1;
	int r = 0;

	f->fs = fs;
	if (overlay_is_mark(name))
		return -ENOENT;
	if (in->upper)
		r = find_one(f, (struct overlay_object){.ino = in->upper, .layer = OVERLAY_UPPER}, name,
			in->count == 0, room);
	for (size_t i = 0; r == 0 && i < in->count; i++)
		r = find_one(f, in->objects[i], name, i + 1 == in->count, room);
	return r < 0 ? r : f->count ? 0 : -ENOENT;
}

int overlay_find(struct overlay_node *directory, const char *name, struct overlay_found *f)
{
	struct overlay_stack s = overlay_stack_of(directory);

	f->fs = directory->fs;
	if (atomic_load(&directory->removed))
		return -ENOENT;
	return overlay_find_in(directory->fs, &s, name, f);
}

int overlay_below(struct overlay_node *directory, const char *name)
{
	_cleanup_found_ struct overlay_found f = {0};
	struct overlay_stack s = overlay_stack_of(directory);
	int r;

	s.upper = 0;
	r = overlay_find_in(directory->fs, &s, name, &f);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}
