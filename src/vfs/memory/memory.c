/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/memory/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

static void memory_destroy(struct vfs *fs)
{
	struct memory *m = memory_of(fs);

	memory_nodes_free(m);
	free(m->handles);
	pthread_rwlock_destroy(&m->lock);
	pthread_mutex_destroy(&m->gate);
	free(m);
}

static int memory_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	MEMORY_SHARED(m, fs);
	uint64_t free_blocks = (m->budget.limit - m->budget.used) / MEMORY_PAGE;

	*out = (struct vfs_statistics){.blocks = m->budget.limit / MEMORY_PAGE,
		.free = free_blocks,
		.available = free_blocks,
		.files = m->inode_limit,
		.files_free = m->inode_limit - m->inodes,
		.block_size = MEMORY_PAGE,
		.name_max = VFS_NAME_MAX};
	return 0;
}

/* ---- handles that last ------------------------------------------------------------------------------ */

/* They are good in this process only, as the objects are: of which file system, then the number. */
static int memory_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	int r = memory_get(m, ino, &node);

	if (r < 0)
		return r;
	if (room < MEMORY_ID + sizeof node->ino)
		return -ERANGE;
	memcpy(bytes, m->id, MEMORY_ID);
	memcpy(bytes + MEMORY_ID, &node->ino, sizeof node->ino);
	*size = MEMORY_ID + sizeof node->ino;
	return 0;
}

static int memory_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	MEMORY_SHARED(m, fs);
	struct memory_node *node;
	uint64_t ino;

	if (size != MEMORY_ID + sizeof ino || memcmp(bytes, m->id, MEMORY_ID) != 0)
		return -ESTALE;
	memcpy(&ino, bytes + MEMORY_ID, sizeof ino);
	if (memory_get(m, ino, &node) < 0)
		return -ESTALE;
	memory_look_up(node, out);
	return 0;
}

static uint64_t memory_version(struct vfs *fs, uint64_t ino)
{
	MEMORY_SHARED(m, fs);

	(void)ino;
	return m->version + 1;
}

static const struct vfs_operations operations = {.name = "memory",
	.destroy = memory_destroy,
	.lookup = memory_lookup,
	.forget = memory_forget,
	.getattr = memory_getattr,
	.setattr = memory_setattr,
	.readlink = memory_readlink,
	.mknod = memory_mknod,
	.mkdir = memory_mkdir,
	.symlink = memory_symlink,
	.link = memory_link,
	.unlink = memory_unlink,
	.rmdir = memory_rmdir,
	.rename = memory_rename,
	.create = memory_create,
	.open = memory_open,
	.release = memory_release,
	.read = memory_read,
	.write = memory_write,
	.fsync = memory_fsync,
	.allocate = memory_allocate,
	.seek = memory_seek,
	.opendir = memory_opendir,
	.releasedir = memory_release,
	.readdir = memory_readdir,
	.fsyncdir = memory_fsyncdir,
	.getxattr = memory_getxattr,
	.setxattr = memory_setxattr,
	.listxattr = memory_listxattr,
	.removexattr = memory_removexattr,
	.statfs = memory_statfs,
	.version = memory_version,
	.persist = memory_persist,
	.resolve = memory_resolve};

/* ---- making one ------------------------------------------------------------------------------------- */

static void system_clock(void *context, struct vfs_time *time)
{
	uint64_t now = clock_realtime();

	(void)context;
	time->seconds = (int64_t)(now / NANOSECONDS_PER_SECOND);
	time->nanoseconds = (uint32_t)(now % NANOSECONDS_PER_SECOND);
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
	return value ? value : otherwise;
}

static void set_options(struct memory *m, const struct memory_options *o)
{
	uint64_t handles = or_default(o->handles, MEMORY_DEFAULT_HANDLES);

	m->budget.limit = or_default(o->bytes, MEMORY_DEFAULT_BYTES);
	m->inode_limit = or_default(o->inodes, MEMORY_DEFAULT_INODES);
	m->handle_limit = handles < 1u << 31 ? (uint32_t)handles : 1u << 31;
	m->free_handle = UINT32_MAX;
	m->now = o->now ? o->now : system_clock;
	m->context = o->context;
}

static int make_root(struct memory *m, const struct memory_options *o)
{
	int r;

	m->buckets = calloc(1, sizeof *m->buckets);
	if (!m->buckets)
		return -ENOMEM;
	r = memory_node_new(m, S_IFDIR | (o->mode ? o->mode & 07777 : 0755), &m->root);
	if (r < 0)
		return r;
	m->root->uid = o->uid;
	m->root->gid = o->gid;
	m->root->links = 2;
	return 0;
}

int memory_new(const struct memory_options *options, struct vfs **fs, struct error *err)
{
	const struct memory_options *o = options ? options : &(struct memory_options){0};
	struct memory *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return error_no_memory(err, "make a file system in memory");
	m->fs.operations = &operations;
	pthread_mutex_init(&m->gate, NULL);
	pthread_rwlock_init(&m->lock, NULL);
	set_options(m, o);
	if (getentropy(m->id, sizeof m->id) < 0 || getentropy(&m->bucket_key, sizeof m->bucket_key) < 0) {
		r = error_errno(err, errno, "make a file system in memory");
		memory_destroy(&m->fs);
		return r;
	}
	m->bucket_key |= 1;
	r = make_root(m, o);
	if (r < 0) {
		memory_destroy(&m->fs);
		return error_errno(err, -r, "make a file system in memory");
	}
	*fs = &m->fs;
	return 0;
}
