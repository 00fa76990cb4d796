/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next names of a directory of several layers, in an order of their own: by a hash, or by their bytes.
 * All layers are read, and the `room` smallest names behind a place are kept: so memory is bounded, whatever
 * the layers' own orders and cookies are. A whiteout takes the place of the name that it hides.
 */
#include <errno.h>
#include <string.h>

#include "base/siphash.h"
#include "vfs/overlay/overlay_parts.h"

/* SipHash-1-3 (Aumasson and Bernstein 2012) under a constant key: the same in every process, since it is what
 * cookies are. */
uint64_t overlay_hash(const char *name, size_t size)
{
	uint64_t v[4] = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573};
	uint64_t word = 0;

	for (size_t i = 0; i <= size; i++) {
		word |= (uint64_t)(i < size ? (uint8_t)name[i] : 0xff) << (8 * (i % 8));
		if (i % 8 == 7 || i == size) {
			v[3] ^= word;
			siphash_round(v);
			v[0] ^= word;
			word = 0;
		}
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		siphash_round(v);
	word = (v[0] ^ v[1] ^ v[2] ^ v[3]) >> 2; /* cookies that are positive in any type of 64 bits */
	return word < 4 ? 4 : word;              /* behind those of "." and "..", with room for one before */
}

struct overlay_window *overlay_window_new(bool by_name, size_t room)
{
	struct overlay_window *w = calloc(1, sizeof *w);

	if (w) {
		w->by_name = by_name;
		w->room = room;
	}
	return w;
}

void overlay_window_free(struct overlay_window *w)
{
	free(w->entries);
	free(w->names);
	free(w);
}

/* ---- taking what the layers have -------------------------------------------------------------------- */

struct filling {
	struct overlay *fs;
	struct overlay_window *w;
	uint32_t layer;
	bool limited, counted; /* entries were left out; one was taken by the last call */
	uint64_t cookie;
	int failed;
};

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
	int c = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return c ? c : (a_size > b_size) - (a_size < b_size);
}

static int compare_to_place(
	uint64_t hash, const char *name, size_t size, const struct overlay_position *place)
{
	if (hash != place->hash)
		return hash < place->hash ? -1 : 1;
	return compare_names(name, size, place->name, strlen(place->name));
}

static int compare_entries(const void *a_, const void *b_)
{
	const struct overlay_listed *a = a_, *b = b_;
	int c;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	c = compare_names(a->name, a->size, b->name, b->size);
	if (c)
		return c;
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	return a->hides - b->hides; /* an entry beside its own whiteout is there */
}

/* Sorted, each name once, of the topmost layer that has it, and no more than there is room for. */
static void settle(struct filling *f)
{
	struct overlay_window *w = f->w;
	size_t n = 0, names = 0;

	for (size_t i = 0; i < w->count; i++)
		w->entries[i].name = w->names + w->entries[i].offset;
	if (w->count)
		qsort(w->entries, w->count, sizeof *w->entries, compare_entries);
	for (size_t i = 0; i < w->count; i++) {
		struct overlay_listed *e = &w->entries[i], *last = n ? &w->entries[n - 1] : NULL;

		if (last && last->hash == e->hash && last->size == e->size &&
			!memcmp(last->name, e->name, e->size))
			continue;
		if (n == w->room) {
			f->limited = true;
			break;
		}
		w->entries[n++] = *e;
	}
	w->count = n;
	if (n) {
		w->end.hash = w->entries[n - 1].hash;
		memcpy(w->end.name, w->entries[n - 1].name, w->entries[n - 1].size);
		w->end.name[w->entries[n - 1].size] = 0;
	}
	for (size_t i = 0; i < n; i++)
		names += w->entries[i].size + 1u;
	if (names < w->names_size / 2) {
		char *compact = malloc(names);
		size_t at = 0;

		for (size_t i = 0; compact && i < n; i++) {
			memcpy(compact + at, w->entries[i].name, w->entries[i].size + 1u);
			w->entries[i].offset = at;
			w->entries[i].name = compact + at;
			at += w->entries[i].size + 1u;
		}
		if (compact) {
			free(w->names);
			w->names = compact;
			w->names_size = w->names_allocated = names;
		}
	}
}

static bool grow(void **array, size_t *allocated, size_t need, size_t size)
{
	size_t more = *allocated ? *allocated : 64;
	void *bigger;

	if (need <= *allocated)
		return true;
	while (more < need)
		more *= 2;
	bigger = realloc(*array, more * size);
	if (!bigger)
		return false;
	*array = bigger;
	*allocated = more;
	return true;
}

static int add(struct filling *f, const char *name, size_t size, uint64_t ino, uint32_t type, bool hides)
{
	struct overlay_window *w = f->w;
	uint64_t hash = w->by_name ? 0 : overlay_hash(name, size);

	if ((w->after.hash || w->after.name[0]) && compare_to_place(hash, name, size, &w->after) <= 0)
		return 0;
	if (f->limited && compare_to_place(hash, name, size, &w->end) > 0)
		return 0;
	if (w->count == 2 * w->room)
		settle(f);
	if (!grow((void **)&w->entries, &w->allocated, w->count + 1, sizeof *w->entries) ||
		!grow((void **)&w->names, &w->names_allocated, w->names_size + size + 1, 1))
		return -ENOMEM;
	memcpy(w->names + w->names_size, name, size);
	w->names[w->names_size + size] = 0;
	w->entries[w->count++] = (struct overlay_listed){.hash = hash,
		.ino = ino,
		.offset = w->names_size,
		.layer = f->layer,
		.type = type,
		.size = (uint8_t)size,
		.hides = hides};
	w->names_size += size + 1;
	return 0;
}

static int take(void *context, const struct vfs_entry *e)
{
	struct filling *f = context;
	const char *name = e->name;
	size_t size = e->name_size;
	bool hides = size >= OVERLAY_MARK_LEN && !memcmp(name, OVERLAY_MARK, OVERLAY_MARK_LEN);

	f->cookie = e->cookie;
	f->counted = true;
	if (size == 0 || size > VFS_NAME_MAX ||
		(name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'))))
		return 0;
	if (hides) {
		name += OVERLAY_MARK_LEN;
		size -= OVERLAY_MARK_LEN;
		/* ".wh..wh.…" are marks of the directory itself. */
		if (size == 0 || (size >= OVERLAY_MARK_LEN && !memcmp(name, OVERLAY_MARK, OVERLAY_MARK_LEN)))
			return 0;
	}
	f->failed = add(f, name, size, e->ino, e->type, hides);
	return f->failed ? 1 : 0;
}

static int fill_from(struct filling *f, struct overlay_object directory)
{
	struct vfs *layer = overlay_fs(f->fs, directory.layer);
	vfs_handle handle;
	int r = vfs_opendir(layer, directory.ino, &handle);

	if (r < 0)
		return r;
	f->layer = directory.layer;
	f->cookie = 0;
	do {
		f->counted = false;
		r = vfs_readdir(layer, directory.ino, handle, f->cookie, false, take, f);
	} while (r == 0 && f->failed == 0 && f->counted);
	vfs_releasedir(layer, directory.ino, handle);
	return r < 0 ? r : f->failed;
}

/* ---- what is shown of them -------------------------------------------------------------------------- */

/* Devices may be whiteouts; a layer may not know the type. */
static int look_closer(struct filling *f, const struct overlay_stack *of, struct overlay_listed *e)
{
	struct vfs *layer = overlay_fs(f->fs, e->layer);
	uint64_t directory = of->upper;
	struct vfs_attributes a;
	int r;

	for (size_t i = 0; e->layer != OVERLAY_UPPER && i < of->count; i++)
		if (of->objects[i].layer == e->layer)
			directory = of->objects[i].ino;
	r = vfs_lookup(layer, directory, e->name, &a);
	if (r == -ENOENT) /* a lower that changes */
		e->hides = true;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	vfs_forget(layer, a.ino, 1);
	e->type = a.mode & S_IFMT;
	e->hides = overlay_is_whiteout(&a);
	return 0;
}

static int drop_hidden(struct filling *f, const struct overlay_stack *of)
{
	struct overlay_window *w = f->w;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		struct overlay_listed *e = &w->entries[i];

		if (!e->hides && (e->type == 0 || S_ISCHR(e->type)))
			r = look_closer(f, of, e);
		if (!e->hides)
			w->entries[n++] = *e;
	}
	w->count = n;
	return r;
}

int overlay_window_fill(struct overlay *fs, struct overlay_window *w, const struct overlay_stack *of,
	const struct overlay_position *after)
{
	struct filling f = {.fs = fs, .w = w};
	int r = 0;

	w->after = after ? *after : (struct overlay_position){0};
	w->end = w->after;
	w->count = 0;
	w->names_size = 0;
	if (of->upper)
		r = fill_from(&f, (struct overlay_object){.ino = of->upper, .layer = OVERLAY_UPPER});
	for (size_t i = 0; r == 0 && i < of->count; i++)
		r = fill_from(&f, of->objects[i]);
	if (r < 0) {
		w->count = 0;
		return r;
	}
	settle(&f);
	w->complete = !f.limited;
	return drop_hidden(&f, of);
}

int overlay_is_empty(struct overlay_node *directory)
{
	_cleanup_window_ struct overlay_window *w = overlay_window_new(false, 256);
	struct overlay_stack s = overlay_stack_of(directory);
	struct overlay_position after = {0};
	int r = w ? 0 : -ENOMEM;

	while (r == 0) {
		r = overlay_window_fill(directory->fs, w, &s, &after);
		if (r < 0 || w->count || w->complete)
			break;
		after = w->end;
	}
	return r < 0 ? r : w->count == 0;
}
