/* SPDX-License-Identifier: Apache-2.0 */
/* Names come and go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/memory/calls.h"
#include "vfs/memory/node.h"

int memory_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	MEMORY_SHARED(m, fs);
	struct memory_entry *entry;
	struct memory_node *d;
	int r = memory_get_directory(m, parent, &d);

	if (r < 0)
		return r;
	entry = memory_entries_find(&d->directory.entries, name);
	if (!entry)
		return -ENOENT;
	memory_look_up(entry->node, out);
	return 0;
}

void memory_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;

	if (memory_get(m, ino, &node) < 0)
		return;
	node->lookups -= times < node->lookups ? times : node->lookups;
	memory_node_settle(m, node);
}

/* ---- making ----------------------------------------------------------------------------------------- */

/* A directory where the name is free. */
static int place_for(const struct memory *m, uint64_t parent, const char *name, struct memory_node **d)
{
	int r = memory_get_directory(m, parent, d);

	if (r < 0)
		return r;
	return memory_entries_find(&(*d)->directory.entries, name) ? -EEXIST : 0;
}

/* Who asked owns it, but for the group where the directory has the setgid bit. */
static int node_for(struct memory *m, const struct vfs_caller *who, const struct memory_node *d,
	uint32_t mode, struct memory_node **node)
{
	int r = memory_node_new(m, mode, node);

	if (r < 0)
		return r;
	(*node)->uid = who->uid;
	(*node)->gid = d->mode & S_ISGID ? d->gid : who->gid;
	if (d->mode & S_ISGID && S_ISDIR(mode))
		(*node)->mode |= S_ISGID;
	return 0;
}

/* Gives the object a name; where that fails, it goes unless something else holds it. */
static int name_it(struct memory *m, struct memory_node *d, const char *name, struct memory_node *node)
{
	int r = memory_entries_add(&d->directory.entries, name, node, &m->budget);

	if (r < 0) {
		memory_node_settle(m, node);
		return r;
	}
	node->links++;
	if (S_ISDIR(node->mode)) {
		node->links = 2;
		node->directory.parent = d;
		d->links++;
	}
	memory_touch(m, d, MEMORY_MODIFIED);
	return 0;
}

static int make(struct memory *m, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct memory_node **node)
{
	struct memory_node *d;
	int r = place_for(m, parent, name, &d);

	if (r == 0)
		r = node_for(m, who, d, mode, node);
	return r < 0 ? r : name_it(m, d, name, *node);
}

int memory_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	int r = make(m, who, parent, name, mode & (S_IFMT | 07777), &node);

	if (r < 0)
		return r;
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		node->major = major;
		node->minor = minor;
	}
	memory_look_up(node, out);
	return 0;
}

int memory_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *node;
	int r = make(m, who, parent, name, S_IFDIR | (mode & 07777), &node);

	if (r == 0)
		memory_look_up(node, out);
	return r;
}

static int set_target(struct memory *m, struct memory_node *node, const char *target)
{
	size_t size = strlen(target);

	if (!memory_budget_take(&m->budget, size + 1))
		return -ENOSPC;
	node->target = strdup(target);
	if (!node->target) {
		memory_budget_give(&m->budget, size + 1);
		return -ENOMEM;
	}
	node->size = size;
	return 0;
}

int memory_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *d, *node;
	int r = place_for(m, parent, name, &d);

	if (r == 0)
		r = node_for(m, who, d, S_IFLNK | 0777, &node);
	if (r < 0)
		return r;
	r = set_target(m, node, target);
	if (r < 0) {
		memory_node_settle(m, node);
		return r;
	}
	r = name_it(m, d, name, node);
	if (r == 0)
		memory_look_up(node, out);
	return r;
}

static int open_existing(struct memory *m, struct memory_node *node, unsigned flags, vfs_handle *handle)
{
	int r;

	if (flags & VFS_EXCLUSIVE)
		return -EEXIST;
	if (!S_ISREG(node->mode))
		return S_ISDIR(node->mode) ? -EISDIR : S_ISLNK(node->mode) ? -ELOOP : -ENXIO;
	r = memory_handle_new(m, node, flags, handle);
	if (r == 0 && flags & VFS_TRUNCATE) {
		memory_set_size(m, node, 0);
		memory_touch(m, node, MEMORY_MODIFIED);
	}
	return r;
}

/* Opened before it has a name: what fails leaves nothing. */
static int make_open(struct memory *m, struct memory_node *d, const char *name, struct memory_node *node,
	unsigned flags, vfs_handle *handle)
{
	int r = memory_handle_new(m, node, flags, handle);

	if (r < 0) {
		memory_node_settle(m, node);
		return r;
	}
	r = name_it(m, d, name, node);
	if (r < 0)
		memory_handle_free(m, node->ino, *handle);
	return r;
}

int memory_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	MEMORY_LOCKED(m, fs);
	vfs_handle opened = VFS_NO_HANDLE;
	struct memory_entry *entry;
	struct memory_node *d, *node;
	int r = memory_get_directory(m, parent, &d);

	if (r < 0)
		return r;
	entry = memory_entries_find(&d->directory.entries, name);
	if (entry) {
		node = entry->node;
		r = open_existing(m, node, flags, &opened);
	} else {
		r = node_for(m, who, d, S_IFREG | (mode & 07777), &node);
		if (r == 0)
			r = make_open(m, d, name, node, flags, &opened);
	}
	if (r < 0)
		return r;
	*handle = opened;
	memory_look_up(node, out);
	return 0;
}

int memory_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	MEMORY_LOCKED(m, fs);
	struct memory_node *d, *node;
	int r = memory_get(m, ino, &node);

	if (r == 0)
		r = place_for(m, parent, name, &d);
	if (r < 0)
		return r;
	if (S_ISDIR(node->mode))
		return -EPERM;
	if (node->links == 0)
		return -ENOENT;
	if (node->links == UINT32_MAX)
		return -EMLINK;
	r = name_it(m, d, name, node);
	if (r < 0)
		return r;
	memory_touch(m, node, MEMORY_CHANGED);
	memory_look_up(node, out);
	return 0;
}

/* ---- removing --------------------------------------------------------------------------------------- */

static int find_entry(const struct memory *m, uint64_t parent, const char *name, struct memory_node **d,
	struct memory_entry **entry)
{
	int r = memory_get_directory(m, parent, d);

	if (r < 0)
		return r;
	*entry = memory_entries_find(&(*d)->directory.entries, name);
	return *entry ? 0 : -ENOENT;
}

int memory_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	MEMORY_LOCKED(m, fs);
	struct memory_entry *entry;
	struct memory_node *d, *node;
	int r = find_entry(m, parent, name, &d, &entry);

	if (r < 0)
		return r;
	node = entry->node;
	if (S_ISDIR(node->mode))
		return -EISDIR;
	memory_entries_remove(&d->directory.entries, entry, &m->budget);
	memory_touch(m, d, MEMORY_MODIFIED);
	memory_drop_link(m, node);
	return 0;
}

int memory_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	MEMORY_LOCKED(m, fs);
	struct memory_entry *entry;
	struct memory_node *d, *node;
	int r = find_entry(m, parent, name, &d, &entry);

	if (r < 0)
		return r;
	node = entry->node;
	if (!S_ISDIR(node->mode))
		return -ENOTDIR;
	if (node->directory.entries.names.size)
		return -ENOTEMPTY;
	memory_entries_remove(&d->directory.entries, entry, &m->budget);
	d->links--;
	memory_touch(m, d, MEMORY_MODIFIED);
	memory_drop_link(m, node);
	return 0;
}
