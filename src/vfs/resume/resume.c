/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call is made as it is; where the answer is that the number or the open file is unknown, it is made
 * again after that was put right.
 */
#include "vfs/resume/resume.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/resume/tree.h"

#define TREE_AGAIN NANOSECONDS_PER_SECOND /* between walks, at least */
#define GIVEN_BITS 18

struct resume {
	struct vfs vfs; /* the first member */
	struct vfs *fs;
	pthread_mutex_t lock;
	struct resume_tree *tree;
	uint64_t until;  /* clock_realtime(): what is younger no earlier process has given out */
	uint64_t walked; /* clock_monotonic() when; 0: never */
	/* Of what is younger this process has given out the numbers that are marked here; of two with one
	 * mark it is taken for both. */
	atomic_bool given[1u << GIVEN_BITS];
};

static struct resume *of(struct vfs *fs)
{
	return (struct resume *)fs;
}

static struct vfs *inner(struct vfs *fs)
{
	return of(fs)->fs;
}

static atomic_bool *mark_of(struct resume *r, uint64_t ino)
{
	return &r->given[ino * 0x9e3779b97f4a7c15u >> (64 - GIVEN_BITS)];
}

/* The client has the number of this object from now on, whoever had it before. */
static int give(struct vfs *fs, int result, const struct vfs_attributes *a)
{
	struct resume *r = of(fs);

	if (result == 0 && resume_is_younger(a, r->until))
		*mark_of(r, a->ino) = true;
	return result;
}

/* Makes the number known. What others have moved since the tree was walked is found by walking it again. */
static bool recover(struct vfs *vfs, uint64_t ino)
{
	struct resume *r = of(vfs);
	uint64_t until = *mark_of(r, ino) ? UINT64_MAX : r->until;
	bool found;

	pthread_mutex_lock(&r->lock);
	found = r->tree && resume_tree_find(r->tree, r->fs, ino, until);
	if (!found && (!r->walked || clock_monotonic() - r->walked > TREE_AGAIN)) {
		resume_tree_free(r->tree);
		r->tree = resume_tree_new(r->fs);
		r->walked = clock_monotonic();
		found = r->tree && resume_tree_find(r->tree, r->fs, ino, until);
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

/* `call` again, where `ino` was not known. */
#define WITH_INO(ino, call) \
	({ \
		__typeof__(call) result_ = (call); \
		if (result_ == -ESTALE && recover(fs, (ino))) \
			result_ = (call); \
		result_; \
	})

/* The same, and once more where `handle` was not known. */
#define WITH_HANDLE(ino, handle, call) \
	({ \
		__typeof__(call) answer_ = WITH_INO(ino, call); \
		if (answer_ == -EBADF && (handle) != VFS_NO_HANDLE) { \
			(handle) = VFS_NO_HANDLE; \
			answer_ = WITH_INO(ino, call); \
		} \
		answer_; \
	})

#define WITH_TWO(a, b, call) \
	({ \
		__typeof__(call) both_ = WITH_INO(a, call); \
		if (both_ == -ESTALE && recover(fs, (b))) \
			both_ = (call); \
		both_; \
	})

static void resume_destroy(struct vfs *fs)
{
	struct resume *r = of(fs);

	resume_tree_free(r->tree);
	vfs_destroy(r->fs);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int resume_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	return give(fs, WITH_INO(parent, vfs_lookup(inner(fs), parent, name, out)), out);
}

static void resume_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	vfs_forget(inner(fs), ino, times);
}

static int resume_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	return WITH_HANDLE(ino, handle, vfs_getattr(inner(fs), ino, handle, out));
}

static int resume_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *values, unsigned what, struct vfs_attributes *out)
{
	return WITH_HANDLE(ino, handle, vfs_setattr(inner(fs), who, ino, handle, values, what, out));
}

static int resume_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	return WITH_INO(ino, vfs_readlink(inner(fs), ino, target));
}

static int resume_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	return give(
		fs, WITH_INO(parent, vfs_mknod(inner(fs), who, parent, name, mode, major, minor, out)), out);
}

static int resume_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	return give(fs, WITH_INO(parent, vfs_mkdir(inner(fs), who, parent, name, mode, out)), out);
}

static int resume_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	return give(fs, WITH_INO(parent, vfs_symlink(inner(fs), who, parent, name, target, out)), out);
}

static int resume_link(
	struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	return give(fs, WITH_TWO(ino, parent, vfs_link(inner(fs), ino, parent, name, out)), out);
}

static int resume_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	return WITH_INO(parent, vfs_unlink(inner(fs), parent, name));
}

static int resume_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	return WITH_INO(parent, vfs_rmdir(inner(fs), parent, name));
}

/* The tree, which may have to find what was moved, has it where it is. The lock is held. */
static void note_move(struct resume *r, uint64_t to, const char *name)
{
	struct vfs_attributes a;

	if (!r->tree || vfs_lookup(r->fs, to, name, &a) < 0)
		return;
	if (!resume_tree_move(r->tree, a.ino, to, name)) {
		resume_tree_free(r->tree);
		r->tree = NULL;
		r->walked = 0;
	}
	vfs_forget(r->fs, a.ino, 1);
}

/* Nothing moves while the tree is walked. */
static int move(
	struct resume *r, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	int result;

	pthread_mutex_lock(&r->lock);
	result = vfs_rename(r->fs, from, name, to, new_name, flags);
	if (result == 0)
		note_move(r, to, new_name);
	if (result == 0 && flags & VFS_EXCHANGE)
		note_move(r, from, name);
	pthread_mutex_unlock(&r->lock);
	return result;
}

static int resume_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	return WITH_TWO(from, to, move(of(fs), from, name, to, new_name, flags));
}

static int resume_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	return give(fs, WITH_INO(parent, vfs_create(inner(fs), who, parent, name, mode, flags, out, handle)),
		out);
}

static int resume_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	return WITH_INO(ino, vfs_open(inner(fs), ino, flags, handle));
}

static void resume_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_release(inner(fs), ino, handle);
}

static int64_t resume_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	return WITH_HANDLE(ino, handle, vfs_read(inner(fs), ino, handle, bytes, size, offset));
}

static int resume_map(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, size_t size, const void **bytes)
{
	return WITH_HANDLE(ino, handle, vfs_map(inner(fs), ino, handle, offset, size, bytes));
}

static int64_t resume_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	return WITH_HANDLE(ino, handle, vfs_write(inner(fs), ino, handle, bytes, size, offset));
}

static int resume_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	return WITH_HANDLE(ino, handle, vfs_fsync(inner(fs), ino, handle, data_only));
}

static int resume_allocate(
	struct vfs *fs, uint64_t ino, vfs_handle handle, unsigned mode, uint64_t offset, uint64_t length)
{
	return WITH_HANDLE(ino, handle, vfs_allocate(inner(fs), ino, handle, mode, offset, length));
}

static int64_t resume_seek(
	struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t offset, enum vfs_seek whence)
{
	return WITH_HANDLE(ino, handle, vfs_seek(inner(fs), ino, handle, offset, whence));
}

static int resume_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	return WITH_INO(ino, vfs_opendir(inner(fs), ino, handle));
}

static void resume_releasedir(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	vfs_releasedir(inner(fs), ino, handle);
}

struct giving {
	struct vfs *fs;
	vfs_entry_call *take;
	void *context;
};

static int give_entry(void *context, const struct vfs_entry *e)
{
	const struct giving *g = context;
	int r = g->take(g->context, e);

	return r == 0 && e->attributes ? give(g->fs, 0, e->attributes) : r;
}

static int resume_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	struct giving g = {fs, take, context};

	return WITH_HANDLE(
		ino, handle, vfs_readdir(inner(fs), ino, handle, cookie, attributes, give_entry, &g));
}

static int resume_fsyncdir(struct vfs *fs, uint64_t ino)
{
	return WITH_INO(ino, vfs_fsyncdir(inner(fs), ino));
}

static int64_t resume_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	return WITH_INO(ino, vfs_getxattr(inner(fs), ino, name, value, size));
}

static int resume_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	return WITH_INO(ino, vfs_setxattr(inner(fs), ino, name, value, size, flags));
}

static int64_t resume_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	return WITH_INO(ino, vfs_listxattr(inner(fs), ino, names, size));
}

static int resume_removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	return WITH_INO(ino, vfs_removexattr(inner(fs), ino, name));
}

static int resume_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	return vfs_statfs(inner(fs), out);
}

static int resume_persist(struct vfs *fs, uint64_t ino, uint8_t *bytes, size_t room, size_t *size)
{
	return room < VFS_PERSISTENT_MAX ? -EINVAL : WITH_INO(ino, vfs_persist(inner(fs), ino, bytes, size));
}

static int resume_resolve(struct vfs *fs, const uint8_t *bytes, size_t size, struct vfs_attributes *out)
{
	return give(fs, vfs_resolve(inner(fs), bytes, size, out), out);
}

static int resume_watch(struct vfs *fs, const struct vfs_watcher *watcher)
{
	int r = vfs_watch(inner(fs), watcher);

	/* The client keeps what an earlier process has told it: all directories are looked up, and so
	 * watched. */
	if (r == 0) {
		of(fs)->tree = resume_tree_new(of(fs)->fs);
		of(fs)->walked = clock_monotonic();
	}
	return r;
}

static void resume_unwatch(struct vfs *fs)
{
	vfs_unwatch(inner(fs));
}

static bool resume_watched(struct vfs *fs, uint64_t ino)
{
	return vfs_watched(inner(fs), ino);
}

static const struct vfs_operations operations = {
	.name = "resume",
	.destroy = resume_destroy,
	.lookup = resume_lookup,
	.forget = resume_forget,
	.getattr = resume_getattr,
	.setattr = resume_setattr,
	.readlink = resume_readlink,
	.mknod = resume_mknod,
	.mkdir = resume_mkdir,
	.symlink = resume_symlink,
	.link = resume_link,
	.unlink = resume_unlink,
	.rmdir = resume_rmdir,
	.rename = resume_rename,
	.create = resume_create,
	.open = resume_open,
	.release = resume_release,
	.read = resume_read,
	.map = resume_map,
	.write = resume_write,
	.fsync = resume_fsync,
	.allocate = resume_allocate,
	.seek = resume_seek,
	.opendir = resume_opendir,
	.releasedir = resume_releasedir,
	.readdir = resume_readdir,
	.fsyncdir = resume_fsyncdir,
	.getxattr = resume_getxattr,
	.setxattr = resume_setxattr,
	.listxattr = resume_listxattr,
	.removexattr = resume_removexattr,
	.statfs = resume_statfs,
	.watch = resume_watch,
	.unwatch = resume_unwatch,
	.watched = resume_watched,
	.persist = resume_persist,
	.resolve = resume_resolve,
};

int resume_new(struct vfs *fs, uint64_t until, struct vfs **out, struct error *err)
{
	struct resume *r = calloc(1, sizeof *r);

	if (!r) {
		vfs_destroy(fs);
		return error_no_memory(err, "go on with a file system");
	}
	r->vfs = (struct vfs){.operations = &operations, .read_only = fs->read_only};
	r->fs = fs;
	r->until = until;
	pthread_mutex_init(&r->lock, NULL);
	*out = &r->vfs;
	return 0;
}
