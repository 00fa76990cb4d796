/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and directories: what a client holds is a slot and a number that is never given twice. */
#include <errno.h>

#include "vfs/overlay/overlay_parts.h"

#define OPENS_MAX (1u << 20)

static void free_open(struct overlay_open *o)
{
	struct overlay *fs = o->node->fs;
	struct overlay_object object = {.layer = o->layer};
	uint64_t upper = atomic_load(&o->node->upper);

	if (!o->directory) {
		object.ino = o->layer == OVERLAY_UPPER ? upper : o->node->lower[0].ino;
		vfs_release(overlay_fs(fs, object.layer), object.ino, o->handle);
		if (o->copied != VFS_NO_HANDLE)
			vfs_release(overlay_upper(fs), upper, o->copied);
	}
	if (o->window)
		overlay_window_free(o->window);
	pthread_mutex_destroy(&o->lock);
	pthread_mutex_lock(&fs->lock);
	o->node->opens--;
	pthread_mutex_unlock(&fs->lock);
	overlay_put(o->node);
	free(o);
}

/* The lock is held. */
static int find_slot(struct overlay *fs, size_t *slot)
{
	size_t more = fs->opens_size ? fs->opens_size * 2 : 64;
	struct overlay_open **bigger;

	for (size_t i = 0; i < fs->opens_size; i++) {
		*slot = fs->opens_hint++ % fs->opens_size;
		if (!fs->opens[*slot])
			return 0;
	}
	if (more > OPENS_MAX)
		return -ENFILE;
	bigger = realloc(fs->opens, more * sizeof(struct overlay_open *));
	if (!bigger)
		return -ENOMEM;
	for (size_t i = fs->opens_size; i < more; i++)
		bigger[i] = NULL;
	*slot = fs->opens_hint = fs->opens_size;
	fs->opens = bigger;
	fs->opens_size = more;
	return 0;
}

int overlay_open_new(
	struct overlay_node *node, unsigned flags, uint32_t layer, vfs_handle handle, vfs_handle *id)
{
	struct overlay *fs = node->fs;
	struct overlay_open *o = calloc(1, sizeof *o);
	size_t slot;
	int r;

	if (!o)
		return -ENOMEM;
	*o = (struct overlay_open){.node = node,
		.references = 1,
		.directory = S_ISDIR(node->type),
		.flags = flags,
		.layer = layer,
		.handle = handle,
		.copied = VFS_NO_HANDLE};
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_lock(&fs->lock);
	r = find_slot(fs, &slot);
	if (r == 0) {
		o->id = (uint64_t)(++fs->open_sequence & INT32_MAX) << 32 | slot;
		*id = o->id;
		fs->opens[slot] = o;
		node->opens++;
		node->references++;
	}
	pthread_mutex_unlock(&fs->lock);
	if (r < 0) {
		pthread_mutex_destroy(&o->lock);
		free(o);
	}
	return r;
}

/* The lock is held. */
static struct overlay_open *find(struct overlay *fs, uint64_t number, vfs_handle id, bool directory)
{
	size_t slot = id & UINT32_MAX;
	struct overlay_open *o = slot < fs->opens_size ? fs->opens[slot] : NULL;

	return o && o->id == id && o->node->number == number && o->directory == directory ? o : NULL;
}

int overlay_open_get(
	struct overlay *fs, uint64_t number, vfs_handle id, bool directory, struct overlay_open **out)
{
	struct overlay_open *o;

	pthread_mutex_lock(&fs->lock);
	o = find(fs, number, id, directory);
	if (o) {
		o->references++;
		*out = o;
	}
	pthread_mutex_unlock(&fs->lock);
	return o ? 0 : -EBADF;
}

void overlay_open_put(struct overlay_open *o)
{
	struct overlay *fs = o->node->fs;
	bool last;

	pthread_mutex_lock(&fs->lock);
	last = --o->references == 0;
	pthread_mutex_unlock(&fs->lock);
	if (last)
		free_open(o);
}

void overlay_open_close(struct overlay *fs, uint64_t number, vfs_handle id, bool directory)
{
	struct overlay_open *o;

	pthread_mutex_lock(&fs->lock);
	o = find(fs, number, id, directory);
	if (o)
		fs->opens[id & UINT32_MAX] = NULL;
	pthread_mutex_unlock(&fs->lock);
	if (o)
		overlay_open_put(o);
}

void overlay_opens_free(struct overlay *fs)
{
	for (size_t i = 0; i < fs->opens_size; i++)
		if (fs->opens[i])
			free_open(fs->opens[i]);
	free(fs->opens);
}
