/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories. A handle is a slot and a sequence number that grows each time the slot is used
 * again, so that one which was never given out, or was released, leads to nothing. The first one of a slot is
 * random: a client that goes on with handles of an earlier process (vfs/resume) must not mean others of this.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs/native/native_parts.h"

#define SLOTS_FIRST   64u
#define SEQUENCE_MASK 0x7fffffffu /* so that none is VFS_NO_HANDLE */

static int slots_grow(struct native *fs)
{
	uint32_t size = fs->opens_size ? fs->opens_size * 2 : SLOTS_FIRST;
	struct native_open **opens;
	uint32_t *sequences;

	opens = reallocarray(fs->opens, size, sizeof *opens);
	if (!opens)
		return -ENOMEM;
	fs->opens = opens;
	sequences = reallocarray(fs->sequences, size, sizeof *sequences);
	if (!sequences)
		return -ENOMEM;
	fs->sequences = sequences;
	for (uint32_t i = fs->opens_size; i < size; i++) {
		opens[i] = NULL;
		sequences[i] = (uint32_t)fs->seed & SEQUENCE_MASK;
	}
	fs->opens_hint = fs->opens_size;
	fs->opens_size = size;
	return 0;
}

/* The lock is held. */
static int slot_take(struct native *fs, struct native_open *open)
{
	int r;

	if (fs->opens_count >= fs->options.opens)
		return -ENFILE;
	for (uint32_t tries = 0; tries < fs->opens_size; tries++) {
		uint32_t slot = (fs->opens_hint + tries) % fs->opens_size;

		if (fs->opens[slot])
			continue;
		fs->opens[slot] = open;
		fs->opens_count++;
		fs->sequences[slot] = (fs->sequences[slot] + 1) & SEQUENCE_MASK;
		fs->opens_hint = slot + 1;
		open->id = (vfs_handle)fs->sequences[slot] << 32 | slot;
		return 0;
	}
	r = slots_grow(fs);
	return r < 0 ? r : slot_take(fs, open);
}

int native_open_new(struct native *fs, struct native_inode *inode, int fd, bool directory, vfs_handle *id)
{
	struct native_open *open = calloc(1, sizeof *open);
	int r = open ? 0 : -ENOMEM;

	if (open && directory) {
		open->listing = native_listing_new();
		r = open->listing ? 0 : -ENOMEM;
	}
	if (r == 0) {
		open->inode = inode;
		open->references = 1;
		open->fd = fd;
		native_lock(fs);
		r = slot_take(fs, open);
		if (r == 0) {
			inode->references++;
			open->next = inode->opens;
			inode->opens = open;
			*id = open->id;
		}
		native_unlock(fs);
	}
	if (r < 0) {
		close(fd);
		if (open)
			native_listing_free(open->listing);
		free(open);
	}
	return r;
}

struct native_open *native_open_find(
	struct native *fs, const struct native_inode *inode, vfs_handle id, bool directory)
{
	uint32_t slot = (uint32_t)id;
	struct native_open *open = slot < fs->opens_size ? fs->opens[slot] : NULL;

	return open && open->id == id && open->inode == inode && !open->listing == !directory ? open : NULL;
}

static void unlink_from(struct native_inode *inode, struct native_open *open)
{
	struct native_open **o = &inode->opens;

	while (*o != open)
		o = &(*o)->next;
	*o = open->next;
}

void native_open_release(struct native *fs, struct native_open *open)
{
	struct native_inode *inode = open->inode;

	if (--open->references)
		return;
	unlink_from(inode, open);
	if (!inode->place && inode->lookups) {
		native_keep_descriptor(fs, inode, open->fd); /* the last way to an object without a name */
		native_orphan(fs, inode);
	} else {
		native_doom(fs, open->fd);
	}
	native_listing_free(open->listing);
	free(open);
	native_release(fs, inode);
}

/* vfs_release() and vfs_releasedir(): the handle is gone, what runs on it ends first. */
void native_close(struct vfs *vfs, uint64_t ino, vfs_handle handle)
{
	struct native *fs = native_of(vfs);
	struct native_inode *inode;
	struct native_open *open;
	uint32_t slot = (uint32_t)handle;

	native_lock(fs);
	inode = native_find_number(fs, ino);
	open = slot < fs->opens_size ? fs->opens[slot] : NULL;
	if (inode && open && open->id == handle && open->inode == inode) {
		fs->opens[slot] = NULL;
		fs->opens_count--;
		native_open_release(fs, open);
	}
	native_unlock(fs);
}

void native_closedir(struct vfs *vfs, uint64_t ino, vfs_handle handle)
{
	native_close(vfs, ino, handle);
}

void native_opens_free(struct native *fs)
{
	for (uint32_t i = 0; i < fs->opens_size; i++)
		if (fs->opens[i]) {
			close(fs->opens[i]->fd);
			native_listing_free(fs->opens[i]->listing);
			free(fs->opens[i]);
		}
	free(fs->opens);
	free(fs->sequences);
}
