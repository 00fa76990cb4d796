/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of known objects: as many as options.descriptors are kept, the ones longest unused go first. A
 * call pins the one it works with. Those of objects that have lost their last name are kept apart, since no
 * path leads to such an object again.
 *
 * A kept descriptor stays good for what a host process has moved out of the exported directory, so it is
 * confirmed by its path when that was last done more than a second ago.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vfs/native/native_parts.h"

#define CONFIRMED_FOR MILLISECONDS(1000)
#define UNUSED_FOR    MILLISECONDS(3000) /* more than the above, by which use is noticed */

void native_lock(struct native *fs)
{
	pthread_mutex_lock(&fs->lock);
}

void native_unlock(struct native *fs)
{
	struct native_descriptor *d = fs->doomed;

	fs->doomed = NULL;
	pthread_mutex_unlock(&fs->lock);
	while (d) {
		struct native_descriptor *next = d->next;

		close(d->fd);
		free(d);
		d = next;
	}
}

void native_changed(struct native *fs, struct native_inode *inode)
{
	atomic_fetch_add(&inode->changes, 1);
	native_lock(fs);
	native_touch(fs, inode);
	native_unlock(fs);
}

/* ---- which are kept; the lock is held ------------------------------------------------------------------ */

static void doom(struct native *fs, struct native_descriptor *d)
{
	d->next = fs->doomed;
	fs->doomed = d;
}

/* The inode has it no more; it is closed with its last pin. */
static void detach(struct native *fs, struct native_descriptor *d)
{
	ring_remove(&d->used);
	if (d->orphan)
		fs->orphan_count--;
	else
		fs->used_count--;
	d->inode->descriptor = NULL;
	d->inode = NULL;
	if (!d->pins)
		doom(fs, d);
}

static bool evict(struct native *fs, struct ring *head)
{
	for (struct ring *r = head->behind; r != head; r = r->behind) {
		struct native_descriptor *d = (struct native_descriptor *)r;

		if (!d->pins) {
			detach(fs, d);
			return true;
		}
	}
	return false;
}

static void evict_surplus(struct native *fs)
{
	while (fs->orphan_count > fs->options.descriptors / 2 && evict(fs, &fs->orphans))
		;
	while (fs->used_count + fs->orphan_count > fs->options.descriptors && evict(fs, &fs->used))
		;
}

void native_drop_descriptor(struct native *fs, struct native_inode *inode)
{
	if (inode->descriptor)
		detach(fs, inode->descriptor);
}

void native_doom(struct native *fs, int fd)
{
	struct native_descriptor *d = calloc(1, sizeof *d);

	if (!d) {
		close(fd);
		return;
	}
	d->fd = fd;
	doom(fs, d);
}

static void keep(struct native *fs, struct native_inode *inode, int fd)
{
	struct native_descriptor *d = inode->descriptor || inode == fs->root ? NULL : calloc(1, sizeof *d);

	if (!d) {
		native_doom(fs, fd);
		return;
	}
	d->fd = fd;
	d->inode = inode;
	d->checked = clock_monotonic();
	inode->descriptor = d;
	ring_push(&fs->used, &d->used);
	fs->used_count++;
}

void native_keep_descriptor(struct native *fs, struct native_inode *inode, int fd)
{
	keep(fs, inode, fd);
	evict_surplus(fs);
}

void native_orphan(struct native *fs, struct native_inode *inode)
{
	struct native_descriptor *d = inode->descriptor;

	if (!d || d->orphan)
		return;
	ring_remove(&d->used);
	ring_push(&fs->orphans, &d->used);
	d->orphan = true;
	fs->used_count--;
	fs->orphan_count++;
	evict_surplus(fs);
}

bool native_squeeze(struct native *fs)
{
	bool any;

	native_lock(fs);
	any = evict(fs, &fs->used);
	for (size_t more = fs->used_count / 2; any && more; more--)
		if (!evict(fs, &fs->used))
			break;
	native_unlock(fs);
	return any;
}

bool native_tidy(struct vfs *vfs)
{
	struct native *fs = native_of(vfs);
	uint64_t now = clock_monotonic();
	bool left = false;

	native_lock(fs);
	for (struct ring *r = fs->used.behind, *next; r != &fs->used; r = next) {
		struct native_descriptor *d = (struct native_descriptor *)r;

		next = r->behind;
		if (!d->inode->remembered)
			continue;
		if (d->pins || now - d->checked <= UNUSED_FOR)
			left = true;
		else
			detach(fs, d);
	}
	native_unlock(fs);
	return left;
}

/* ---- pins ---------------------------------------------------------------------------------------------- */

void native_unpin(struct native_pin *pin)
{
	struct native *fs = pin->fs;

	if (!pin->inode)
		return;
	native_lock(fs);
	if (pin->descriptor && --pin->descriptor->pins == 0 && !pin->descriptor->inode)
		doom(fs, pin->descriptor);
	if (pin->open)
		native_open_release(fs, pin->open);
	native_release(fs, pin->inode);
	native_unlock(fs);
	*pin = (struct native_pin){.fd = -1};
}

static void pin_descriptor(struct native_pin *pin, struct native_descriptor *d)
{
	d->pins++;
	ring_remove(&d->used);
	ring_push(d->orphan ? &pin->fs->orphans : &pin->fs->used, &d->used);
	pin->descriptor = d;
	pin->fd = d->fd;
}

static void pin_open(struct native_pin *pin, struct native_open *open)
{
	open->references++;
	pin->open = open;
	pin->fd = open->fd;
}

/* What is at hand; an open directory is not, since it may have been moved. */
static bool pin_at_hand(struct native_pin *pin, bool *confirm)
{
	struct native_inode *inode = pin->inode;
	uint64_t now;

	if (inode == pin->fs->root) {
		pin->fd = pin->fs->root_fd;
	} else if (inode->descriptor) {
		pin_descriptor(pin, inode->descriptor);
		now = clock_monotonic();
		*confirm = !inode->descriptor->orphan && now - inode->descriptor->checked > CONFIRMED_FOR;
		if (*confirm)
			inode->descriptor->checked = now; /* others need not do it as well */
	} else if (inode->opens && (!inode->place || !S_ISDIR(inode->type))) {
		pin_open(pin, inode->opens);
	}
	return pin->fd >= 0;
}

/* What a host process has unlinked is still there for who has it open. */
static int pin_removed(struct native_pin *pin)
{
	struct statx s;

	native_lock(pin->fs);
	if (pin->inode->opens)
		pin_open(pin, pin->inode->opens);
	native_unlock(pin->fs);
	return pin->open && native_statx(pin->fd, &s) == 0 && s.stx_nlink == 0 ? 0 : -ESTALE;
}

static int pin_anew(struct native_pin *pin)
{
	int fd = native_open_inode(pin->fs, pin->inode);

	if (fd == -ESTALE)
		return pin_removed(pin);
	if (fd < 0)
		return fd;
	native_lock(pin->fs);
	keep(pin->fs, pin->inode, fd);
	if (pin->inode->descriptor)
		pin_descriptor(pin, pin->inode->descriptor);
	evict_surplus(pin->fs);
	native_unlock(pin->fs);
	return pin->descriptor ? 0 : -ENOMEM;
}

int native_pin_inode(struct native *fs, struct native_inode *inode, struct native_pin *pin)
{
	bool confirm = false, at_hand;
	int r;

	*pin = (struct native_pin){.fs = fs, .inode = inode, .fd = -1};
	native_lock(fs);
	at_hand = pin_at_hand(pin, &confirm);
	native_unlock(fs);
	r = !at_hand ? pin_anew(pin) : confirm ? native_confirm(fs, inode, pin->fd) : 0;
	if (r < 0 && confirm) {
		native_lock(fs);
		if (inode->descriptor == pin->descriptor)
			native_drop_descriptor(fs, inode);
		native_unlock(fs);
	}
	if (r < 0)
		native_unpin(pin);
	return r;
}

/* With a reference. What is open may be forgotten. */
static struct native_inode *known(struct native *fs, uint64_t number, bool open)
{
	struct native_inode *inode;

	native_lock(fs);
	inode = native_find_number(fs, number);
	if (inode && !inode->lookups && !(open && inode->opens))
		inode = NULL;
	if (inode)
		inode->references++;
	native_unlock(fs);
	return inode;
}

int native_pin(struct native *fs, uint64_t number, struct native_pin *pin)
{
	struct native_inode *inode = known(fs, number, false);

	*pin = (struct native_pin){.fd = -1};
	return inode ? native_pin_inode(fs, inode, pin) : -ESTALE;
}

int native_pin_handle(
	struct native *fs, uint64_t number, vfs_handle handle, bool directory, struct native_pin *pin)
{
	struct native_inode *inode;
	struct native_open *open;

	if (handle == VFS_NO_HANDLE)
		return native_pin(fs, number, pin);
	*pin = (struct native_pin){.fd = -1};
	inode = known(fs, number, true);
	if (!inode)
		return -ESTALE;
	*pin = (struct native_pin){.fs = fs, .inode = inode, .fd = -1};
	native_lock(fs);
	open = native_open_find(fs, inode, handle, directory);
	if (open)
		pin_open(pin, open);
	native_unlock(fs);
	if (!open)
		native_unpin(pin);
	return open ? 0 : -EBADF;
}
