/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/memory/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400

/* ---- locking ---------------------------------------------------------------------------------------- */

struct memory *memory_lock_shared(struct vfs *fs)
{
	struct memory *m = memory_of(fs);

	pthread_mutex_lock(&m->gate);
	pthread_rwlock_rdlock(&m->lock);
	pthread_mutex_unlock(&m->gate);
	return m;
}

struct memory *memory_lock(struct vfs *fs)
{
	struct memory *m = memory_of(fs);

	pthread_mutex_lock(&m->gate);
	pthread_rwlock_wrlock(&m->lock);
	pthread_mutex_unlock(&m->gate);
	return m;
}

void memory_unlock(struct memory **m)
{
	pthread_rwlock_unlock(&(*m)->lock);
}

/* ---- the table -------------------------------------------------------------------------------------- */

/* The key is random, so nobody can choose which numbers share a bucket. */
static size_t bucket_of(const struct memory *m, uint64_t ino, unsigned bits)
{
	return bits ? (size_t)(ino * m->bucket_key >> (64 - bits)) : 0;
}

int memory_get(const struct memory *m, uint64_t ino, struct memory_node **node)
{
	struct memory_node *at = m->buckets[bucket_of(m, ino, m->bucket_bits)];

	while (at && at->ino != ino)
		at = at->next;
	*node = at;
	return at ? 0 : -ESTALE;
}

int memory_get_directory(const struct memory *m, uint64_t ino, struct memory_node **node)
{
	int r = memory_get(m, ino, node);

	if (r < 0)
		return r;
	if (!S_ISDIR((*node)->mode))
		return -ENOTDIR;
	return (*node)->links ? 0 : -ENOENT;
}

int memory_get_file(
	const struct memory *m, uint64_t ino, vfs_handle handle, unsigned flags, struct memory_node **node)
{
	struct memory_handle *h = NULL;
	int r = memory_get(m, ino, node);

	if (r < 0)
		return r;
	if (handle != VFS_NO_HANDLE && !(h = memory_handle_find(m, *node, handle)))
		return -EBADF;
	if (S_ISDIR((*node)->mode))
		return -EISDIR;
	if (!S_ISREG((*node)->mode))
		return -EINVAL;
	return h && (h->flags & flags) != flags ? -EBADF : 0;
}

/* Twice as many buckets; where memory is short, chains only grow longer. */
static void widen(struct memory *m)
{
	unsigned bits = m->bucket_bits + 1;
	struct memory_node **buckets = calloc((size_t)1 << bits, sizeof *buckets), *next;

	if (!buckets)
		return;
	for (size_t i = 0; i < (size_t)1 << m->bucket_bits; i++) {
		for (struct memory_node *at = m->buckets[i]; at; at = next) {
			size_t bucket = bucket_of(m, at->ino, bits);

			next = at->next;
			at->next = buckets[bucket];
			buckets[bucket] = at;
		}
	}
	free(m->buckets);
	m->buckets = buckets;
	m->bucket_bits = bits;
}

static uint64_t node_cost(void)
{
	return sizeof(struct memory_node) + 2 * sizeof(struct memory_node *);
}

int memory_node_new(struct memory *m, uint32_t mode, struct memory_node **node)
{
	struct memory_node *new;
	size_t bucket;

	if (m->inodes >= m->inode_limit || !memory_budget_take(&m->budget, node_cost()))
		return -ENOSPC;
	new = calloc(1, sizeof *new);
	if (!new) {
		memory_budget_give(&m->budget, node_cost());
		return -ENOMEM;
	}
	if (m->inodes >= (uint64_t)1 << m->bucket_bits)
		widen(m);
	new->ino = ++m->last_ino;
	new->mode = mode;
	m->now(m->context, &new->btime);
	new->atime = new->mtime = new->ctime = new->btime;
	new->change = 1;
	bucket = bucket_of(m, new->ino, m->bucket_bits);
	new->next = m->buckets[bucket];
	m->buckets[bucket] = new;
	m->inodes++;
	*node = new;
	return 0;
}

static void node_free(struct memory *m, struct memory_node *node)
{
	memory_xattrs_free(&node->xattrs, &m->budget);
	if (S_ISREG(node->mode))
		memory_pages_release(&node->pages, 0, UINT64_MAX, &m->budget);
	else if (S_ISDIR(node->mode))
		memory_entries_free(&node->directory.entries, &m->budget);
	else if (S_ISLNK(node->mode) && node->target) {
		memory_budget_give(&m->budget, node->size + 1);
		free(node->target);
	}
	memory_budget_give(&m->budget, node_cost());
	m->inodes--;
	free(node);
}

void memory_node_settle(struct memory *m, struct memory_node *node)
{
	struct memory_node **at = &m->buckets[bucket_of(m, node->ino, m->bucket_bits)];

	if (node->links || node->opened || node->lookups || node == m->root)
		return;
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node_free(m, node);
}

void memory_drop_link(struct memory *m, struct memory_node *node)
{
	if (S_ISDIR(node->mode)) {
		node->links = 0;
		node->directory.parent = NULL;
	} else {
		node->links--;
	}
	memory_touch(m, node, MEMORY_CHANGED);
	memory_node_settle(m, node);
}

void memory_nodes_free(struct memory *m)
{
	struct memory_node *next;

	for (size_t i = 0; m->buckets && i < (size_t)1 << m->bucket_bits; i++) {
		for (struct memory_node *at = m->buckets[i]; at; at = next) {
			next = at->next;
			node_free(m, at);
		}
	}
	free(m->buckets);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

void memory_attributes(const struct memory_node *node, struct vfs_attributes *out)
{
	*out = (struct vfs_attributes){.ino = node->ino,
		.generation = 1,
		.size = node->size,
		.mode = node->mode,
		.links = node->links,
		.uid = node->uid,
		.gid = node->gid,
		.major = node->major,
		.minor = node->minor,
		.block_size = MEMORY_PAGE,
		.atime = node->atime,
		.mtime = node->mtime,
		.ctime = node->ctime,
		.btime = node->btime,
		.change = node->change,
		.told = true};
	if (S_ISREG(node->mode))
		out->blocks = node->pages.count * (MEMORY_PAGE / 512);
	if (S_ISDIR(node->mode))
		out->size = (2 + node->directory.entries.names.size) * sizeof(struct memory_entry);
}

void memory_look_up(struct memory_node *node, struct vfs_attributes *out)
{
	atomic_fetch_add(&node->lookups, 1);
	memory_attributes(node, out);
}

void memory_touch(struct memory *m, struct memory_node *node, enum memory_touch how)
{
	m->now(m->context, &node->ctime);
	if (how == MEMORY_MODIFIED)
		node->mtime = node->ctime;
	node->change++;
	m->version++;
}

static bool before(struct vfs_time a, struct vfs_time b)
{
	return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanoseconds < b.nanoseconds;
}

bool memory_wants_atime(const struct memory *m, const struct memory_node *node)
{
	struct vfs_time now;

	if (m->fs.read_only)
		return false;
	m->now(m->context, &now);
	return !before(node->mtime, node->atime) || !before(node->ctime, node->atime) ||
	       (node->atime.seconds < now.seconds &&
		       (uint64_t)now.seconds - (uint64_t)node->atime.seconds >= DAY);
}

void memory_set_atime(struct vfs *fs, uint64_t ino)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;

	if (memory_get(m, ino, &node) == 0)
		m->now(m->context, &node->atime);
}

/* ---- open files and directories --------------------------------------------------------------------- */

static int more_handles(struct memory *m)
{
	uint32_t count = m->handle_count ? m->handle_count * 2 : 16;
	struct memory_handle *handles;

	if (m->handle_count >= m->handle_limit)
		return -ENFILE;
	if (count > m->handle_limit)
		count = m->handle_limit;
	handles = reallocarray(m->handles, count, sizeof *handles);
	if (!handles)
		return -ENOMEM;
	for (uint32_t i = m->handle_count; i < count; i++) {
		memset(&handles[i], 0, sizeof handles[i]);
		handles[i].next_free = i + 1 < count ? i + 1 : UINT32_MAX;
	}
	m->free_handle = m->handle_count;
	m->handles = handles;
	m->handle_count = count;
	return 0;
}

int memory_handle_new(struct memory *m, struct memory_node *node, unsigned flags, vfs_handle *handle)
{
	struct memory_handle *h;
	int r = m->free_handle == UINT32_MAX ? more_handles(m) : 0;

	if (r < 0)
		return r;
	h = &m->handles[m->free_handle];
	*handle = (uint64_t)h->sequence << 32 | m->free_handle;
	m->free_handle = h->next_free;
	h->node = node;
	h->flags = flags;
	h->last_cookie = UINT64_MAX;
	node->opened++;
	return 0;
}

struct memory_handle *memory_handle_find(
	const struct memory *m, const struct memory_node *node, vfs_handle handle)
{
	uint32_t index = (uint32_t)handle;
	struct memory_handle *h = index < m->handle_count ? &m->handles[index] : NULL;

	return h && h->node == node && h->sequence == handle >> 32 ? h : NULL;
}

void memory_handle_free(struct memory *m, uint64_t ino, vfs_handle handle)
{
	struct memory_handle *h;
	struct memory_node *node;

	if (memory_get(m, ino, &node) < 0 || !(h = memory_handle_find(m, node, handle)))
		return;
	h->node = NULL;
	h->sequence++;
	h->next_free = m->free_handle;
	m->free_handle = (uint32_t)handle;
	node->opened--;
	memory_node_settle(m, node);
}
