/* SPDX-License-Identifier: Apache-2.0 */
#include "monofs/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "monofs/live_parts.h"
#include "os/fs.h"

static void live_destroy(struct vfs *fs)
{
	struct live *l = live_of(fs);

	if (l->thread_runs) {
		pthread_mutex_lock(&l->guard);
		l->stop = true;
		pthread_cond_broadcast(&l->told);
		pthread_mutex_unlock(&l->guard);
		pthread_join(l->thread, NULL);
	}
	live_ahead_end(l);
	live_nodes_free(l);
	live_index_free(l->index);
	if (l->journal)
		journal_give_reserve(l->journal);
	journal_close(l->journal);
	free(l->handles);
	free(l->author);
	pthread_rwlock_destroy(&l->tree);
	pthread_mutex_destroy(&l->gate);
	pthread_mutex_destroy(&l->handles_lock);
	pthread_mutex_destroy(&l->guard);
	pthread_mutex_destroy(&l->committing);
	pthread_mutex_destroy(&l->index_lock);
	pthread_mutex_destroy(&l->telling);
	pthread_cond_destroy(&l->told);
	free(l);
}

static int live_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	struct live *l = live_of(fs);
	uint64_t available, total;
	struct error err = {0};

	if (fs_space(repository_directory(l->repository), &available, &total, &err) < 0)
		return -EIO;
	*out = (struct vfs_statistics){.blocks = total / 4096,
		.free = available / 4096,
		.available = available / 4096,
		.files = 1ull << 32,
		.files_free = (1ull << 32) - l->node_count,
		.block_size = 4096,
		.name_max = VFS_NAME_MAX};
	return 0;
}

static uint64_t live_version(struct vfs *fs, uint64_t ino)
{
	(void)ino;
	return atomic_load(&live_of(fs)->version) + 1;
}

static int live_watch(struct vfs *fs, const struct vfs_watcher *watcher)
{
	LIVE_LOCKED(l, fs);

	l->watcher = *watcher;
	return 0;
}

static void live_unwatch(struct vfs *fs)
{
	struct live *l = live_of(fs);

	pthread_mutex_lock(&l->telling);
	live_lock(l, true);
	l->watcher = (struct vfs_watcher){0};
	pthread_rwlock_unlock(&l->tree);
	pthread_mutex_unlock(&l->telling);
}

static bool live_watched(struct vfs *fs, uint64_t ino)
{
	LIVE_SHARED(l, fs);

	(void)ino;
	return l->watcher.name != NULL;
}

static const struct vfs_operations operations = {.name = "monofs",
	.destroy = live_destroy,
	.lookup = live_lookup,
	.forget = live_forget,
	.getattr = live_getattr,
	.setattr = live_setattr,
	.readlink = live_readlink,
	.mknod = live_mknod,
	.mkdir = live_mkdir,
	.symlink = live_symlink,
	.link = live_link,
	.unlink = live_unlink,
	.rmdir = live_rmdir,
	.rename = live_rename,
	.create = live_create,
	.open = live_open,
	.release = live_release,
	.read = live_read,
	.write = live_write,
	.fsync = live_fsync,
	.allocate = live_allocate,
	.seek = live_seek,
	.opendir = live_opendir,
	.releasedir = live_releasedir,
	.readdir = live_readdir,
	.fsyncdir = live_fsyncdir,
	.getxattr = live_getxattr,
	.setxattr = live_setxattr,
	.listxattr = live_listxattr,
	.removexattr = live_removexattr,
	.statfs = live_statfs,
	.watch = live_watch,
	.unwatch = live_unwatch,
	.watched = live_watched,
	.version = live_version,
	.persist = live_persist,
	.resolve = live_resolve};

/* ---- making one ---------------------------------------------------------------------------------------- */

static void make_locks(struct live *l)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&l->gate, NULL);
	pthread_rwlock_init(&l->tree, NULL);
	pthread_mutex_init(&l->handles_lock, NULL);
	pthread_mutex_init(&l->guard, NULL);
	pthread_mutex_init(&l->committing, NULL);
	pthread_mutex_init(&l->index_lock, NULL);
	pthread_mutex_init(&l->telling, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->told, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int live_make(
	struct repository *r, const struct object_id *commit, bool keep, struct live **out, struct error *err)
{
	struct live *l = calloc(1, sizeof *l);
	struct vfs_time now = live_now();
	int error;

	if (!l)
		return error_no_memory(err, "open a tree");
	make_locks(l);
	live_ahead_init(l);
	l->fs.operations = &operations;
	l->fs.read_only = true;
	l->repository = r;
	l->store = repository_store(r);
	l->crypt = repository_crypt(r);
	l->content_map = (struct mst){l->store, l->crypt, OBJECT_CONTENT};
	l->identity_map = (struct mst){l->store, l->crypt, OBJECT_IDENTITY};
	l->free_handle = UINT32_MAX;
	memcpy(l->seed, l->crypt->encrypted ? l->crypt->level : repository_id(r), sizeof l->seed);
	/* So change attributes grow over restarts, too. */
	atomic_init(&l->version, (uint64_t)now.seconds * 1000000000u + now.nanoseconds);
	l->buckets = calloc(1, sizeof(struct live_node *));
	error = l->buckets ? live_load_root(l, commit, err) : error_no_memory(err, "open a tree");
	if (error == 0)
		error = live_load_links(l, keep, err);
	if (error < 0)
		live_destroy(&l->fs);
	else
		*out = l;
	if (error == 0)
		l->main = l->base;
	return error;
}

static int open_journal(struct live *l, struct error *err)
{
	int r = journal_open(repository_directory(l->repository), l->crypt, &l->base, &l->base_content,
		&l->base_identity, &l->journal, err);

	if (r == 0)
		r = live_replay(l, err);
	if (r == 0) {
		l->segment = journal_number(l->journal);
		journal_take_reserve(l->journal);
	}
	return r;
}

int live_new(struct repository *r, const struct live_options *o, struct vfs **fs, struct error *err)
{
	struct object_id main, base;
	struct live *l = NULL;
	int error = live_find_main(r, &main, err);

	base = main;
	if (error == 0)
		error = live_find_draft(r, &main, &base, err);
	if (error >= 0)
		error = live_make(r, &base, true, &l, err);
	if (error < 0)
		return error;
	l->main = main;
	if (live_is_draft(l)) { /* it becomes a revision as what is replayed does */
		l->first_change = l->last_change = clock_monotonic();
		l->drafted = 1;
	}
	if (o)
		l->options = *o;
	l->author = strdup(o && o->author ? o->author : "");
	error = l->author ? open_journal(l, err) : error_no_memory(err, "open a tree");
	if (error < 0) {
		live_destroy(&l->fs);
		return error;
	}
	l->fs.read_only = false;
	*fs = &l->fs;
	return 0;
}

/* ---- revisions ----------------------------------------------------------------------------------------- */

int live_commit(struct vfs *fs, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err)
{
	return live_commit_now(live_of(fs), author, message, id, made, err);
}

void live_state(struct vfs *fs, struct live_state *out)
{
	LIVE_SHARED(l, fs);

	*out = (struct live_state){.base = l->main, .dirty = l->drafted};
	if (!l->journal)
		return;
	out->journal_bytes = journal_bytes(l->journal);
	pthread_mutex_lock(&l->guard);
	out->dirty += l->dirty_count;
	pthread_mutex_unlock(&l->guard);
}

int live_start(struct vfs *fs, struct error *err)
{
	struct live *l = live_of(fs);
	int r = pthread_create(&l->thread, NULL, live_thread, l);

	l->thread_runs = r == 0;
	return r ? error_errno(err, r, "start a thread") : 0;
}
