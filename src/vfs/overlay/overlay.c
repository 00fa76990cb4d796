/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/overlay/overlay.h"

#include <errno.h>
#include <string.h>

#include "vfs/overlay/overlay_parts.h"

#define DEFAULT_NODES      2000000u
#define DEFAULT_REMEMBERED 65536u

static void destroy(struct vfs *vfs)
{
	struct overlay *fs = overlay_of(vfs);

	overlay_opens_free(fs);
	overlay_nodes_free(fs);
	if (fs->index)
		vfs_forget(overlay_upper(fs), fs->index, 1);
	for (unsigned i = 0; i < OVERLAY_STRIPES; i++)
		pthread_mutex_destroy(&fs->copying[i]);
	pthread_mutex_destroy(&fs->lock);
	pthread_rwlock_destroy(&fs->tree);
	free(fs->layers);
	free(fs);
}

static int statfs_of(struct vfs *vfs, struct vfs_statistics *out)
{
	struct overlay *fs = overlay_of(vfs);

	return vfs_statfs(overlay_fs(fs, overlay_upper(fs) ? OVERLAY_UPPER : 1), out);
}

static const struct vfs_operations operations = {
	.name = "overlay",
	.destroy = destroy,
	.lookup = overlay_lookup,
	.forget = overlay_forget,
	.getattr = overlay_getattr,
	.setattr = overlay_setattr,
	.readlink = overlay_readlink,
	.mknod = overlay_mknod,
	.mkdir = overlay_mkdir,
	.symlink = overlay_symlink,
	.link = overlay_link,
	.unlink = overlay_unlink,
	.rmdir = overlay_rmdir,
	.rename = overlay_rename,
	.create = overlay_create,
	.open = overlay_open,
	.release = overlay_release,
	.read = overlay_read,
	.write = overlay_write,
	.fsync = overlay_fsync,
	.allocate = overlay_allocate,
	.seek = overlay_seek,
	.opendir = overlay_opendir,
	.releasedir = overlay_releasedir,
	.readdir = overlay_readdir,
	.fsyncdir = overlay_fsyncdir,
	.getxattr = overlay_getxattr,
	.setxattr = overlay_setxattr,
	.listxattr = overlay_listxattr,
	.removexattr = overlay_removexattr,
	.statfs = statfs_of,
	.persist = overlay_persist,
	.resolve = overlay_resolve,
};

/* The numbers of layers, of what is spare, and one for none, in the highest bits. */
static unsigned shift_for(uint32_t layers)
{
	unsigned bits = 1;

	while ((uint64_t)1 << bits < (uint64_t)layers + 2)
		bits++;
	return 64 - bits;
}

static struct overlay *allocate(const struct overlay_options *options)
{
	struct overlay *fs = calloc(1, sizeof *fs);

	if (!fs)
		return NULL;
	fs->layer_count = (uint32_t)options->lower_count + 1;
	fs->layers = calloc(fs->layer_count, sizeof *fs->layers);
	if (!fs->layers) {
		free(fs);
		return NULL;
	}
	fs->layers[OVERLAY_UPPER] = options->upper;
	for (size_t i = 0; i < options->lower_count; i++)
		fs->layers[i + 1] = options->lowers[i];
	fs->vfs = (struct vfs){.operations = &operations, .read_only = !options->upper.fs};
	fs->form = options->form;
	fs->own = (struct vfs_caller){.uid = options->uid, .gid = options->gid};
	fs->unsynced = options->unsynced;
	fs->node_max = options->nodes ? options->nodes : DEFAULT_NODES;
	fs->remembered_max = options->remembered ? options->remembered : DEFAULT_REMEMBERED;
	fs->shift = shift_for(fs->layer_count);
	pthread_rwlock_init(&fs->tree, NULL);
	pthread_mutex_init(&fs->lock, NULL);
	for (unsigned i = 0; i < OVERLAY_STRIPES; i++)
		pthread_mutex_init(&fs->copying[i], NULL);
	return fs;
}

static int check_layer(const struct overlay_layer *layer, uint64_t directory, struct error *err)
{
	struct vfs_attributes a;
	int r = vfs_getattr(layer->fs, directory, VFS_NO_HANDLE, &a);

	if (r < 0)
		return error_errno(err, -r, "look at a layer of an overlay");
	if (!S_ISDIR(a.mode))
		return error_set(err, ERROR_INVALID, "a layer of an overlay is no directory");
	return 0;
}

static int check(const struct overlay_options *options, struct error *err)
{
	int r = 0;

	if (options->lower_count > OVERLAY_LOWERS_MAX || (!options->lower_count && !options->upper.fs))
		return error_set(err, ERROR_INVALID, "an overlay has 1 to %u lower layers, not %zu",
			OVERLAY_LOWERS_MAX, options->lower_count);
	for (size_t i = 0; r == 0 && i < options->lower_count; i++)
		r = check_layer(&options->lowers[i], options->lowers[i].directory, err);
	if (r == 0 && options->upper.fs) {
		r = check_layer(&options->upper, options->upper.directory, err);
		if (r == 0)
			r = check_layer(&options->upper, options->work, err);
		if (r == 0 && options->work == options->upper.directory)
			r = error_set(err, ERROR_INVALID,
				"the work directory of an overlay is its upper directory");
	}
	return r;
}

int overlay_new(const struct overlay_options *options, struct vfs **out, struct error *err)
{
	struct overlay *fs;
	int r = check(options, err);

	if (r < 0)
		return r;
	fs = allocate(options);
	if (!fs)
		return error_no_memory(err, "an overlay");
	if (overlay_upper(fs)) {
		r = overlay_work_open(fs, options->work);
		if (r < 0)
			r = error_errno(err, -r, "make the work directory of an overlay ready");
	}
	if (r == 0)
		r = overlay_nodes_new(fs, err);
	if (r < 0) {
		destroy(&fs->vfs);
		return r;
	}
	*out = &fs->vfs;
	return 0;
}
