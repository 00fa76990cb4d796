/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were read or written last stay open for a moment: NFSv3 has no open files, and to open one anew
 * for each call costs more than the call. Nothing depends on it; where a file cannot be opened here the call
 * is made without.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "vfs/nfs3/parts.h"

#define IDLE_MOST  (2 * NANOSECONDS_PER_SECOND)
#define PAGE_LEAST 4096u

static void unmap(struct nfs3_open *o)
{
	if (o->window)
		munmap((void *)o->window, NFS3_WINDOW);
	o->window = NULL;
}

static void close_file(struct nfs3_open *o)
{
	if (!o->object.fs)
		return;
	unmap(o);
	vfs_release(o->object.fs, o->object.a.ino, o->handle);
	nfs3_object_put(&o->object);
}

/* The lock is held. */
static struct nfs3_open *find(struct nfs3_server *s, uint64_t ino, unsigned flags)
{
	for (size_t i = 0; i < NFS3_OPENS; i++) {
		struct nfs3_open *o = &s->opens[i];

		if (o->object.fs && o->object.a.ino == ino && (o->flags & flags) == flags)
			return o;
	}
	return NULL;
}

/* The one that is unused for longest, emptied; what was in it is *old. NULL: all are in use. */
static struct nfs3_open *make_room(struct nfs3_server *s, struct nfs3_open *old)
{
	struct nfs3_open *to = NULL;

	for (size_t i = 0; i < NFS3_OPENS; i++)
		if (!s->opens[i].users && (!to || s->opens[i].used < to->used))
			to = &s->opens[i];
	if (to) {
		*old = *to;
		*to = (struct nfs3_open){0};
	}
	return to;
}

/* Keeps what was opened just now; the caller uses it. */
static struct nfs3_open *keep(struct nfs3_server *s, struct nfs3_open *new)
{
	struct nfs3_open old = {0}, *to;

	pthread_mutex_lock(&s->opens_lock);
	to = make_room(s, &old);
	if (to) {
		*to = *new;
		to->users = 1;
	}
	pthread_mutex_unlock(&s->opens_lock);
	close_file(to ? &old : new);
	return to;
}

struct nfs3_open *nfs3_open_take(struct nfs3_request *q, const struct nfs3_handle *handle,
	const struct vfs_attributes *a, unsigned flags)
{
	struct nfs3_server *s = q->server;
	struct nfs3_open new = {.flags = flags}, *o;

	pthread_mutex_lock(&s->opens_lock);
	o = find(s, a->ino, flags);
	if (o)
		o->users++;
	pthread_mutex_unlock(&s->opens_lock);
	/* It is looked up for as long as it is open. */
	if (o || nfs3_resolve(q, handle, &new.object) != NFS3_OK)
		return o;
	if (new.object.a.ino != a->ino || vfs_open(q->fs, a->ino, flags, &new.handle) < 0) {
		nfs3_object_put(&new.object);
		return NULL;
	}
	return keep(s, &new);
}

vfs_handle nfs3_open_handle(const struct nfs3_open *o)
{
	return o ? o->handle : VFS_NO_HANDLE;
}

void nfs3_open_give(struct nfs3_server *s, struct nfs3_open *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&s->opens_lock);
	o->users--;
	o->used = clock_monotonic();
	pthread_mutex_unlock(&s->opens_lock);
}

/* Whether all of it can be had without waiting for a disk. */
static bool is_cached(const uint8_t *bytes, size_t size)
{
	unsigned char pages[VFS_IO_MAX / PAGE_LEAST + 1];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)bytes + size;
	uintptr_t from = (uintptr_t)bytes & ~(page - 1);
	size_t count = (end - from + page - 1) / page;

	if (mincore((void *)from, end - from, pages) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!(pages[i] & 1))
			return false;
	return true;
}

const void *nfs3_open_map(struct nfs3_server *s, struct nfs3_open *o, uint64_t offset, size_t size)
{
	uint64_t at = offset - offset % NFS3_WINDOW;
	const void *bytes = NULL, *window;

	if (offset - at + size > NFS3_WINDOW)
		return NULL;
	pthread_mutex_lock(&s->opens_lock);
	if ((!o->window || o->window_at != at) && o->users == 1) {
		unmap(o);
		if (vfs_map(s->fs, o->object.a.ino, o->handle, at, NFS3_WINDOW, &window) == 0) {
			o->window = window;
			o->window_at = at;
		}
	}
	if (o->window && o->window_at == at)
		bytes = o->window + (offset - at);
	pthread_mutex_unlock(&s->opens_lock);
	return bytes && is_cached(bytes, size) ? bytes : NULL;
}

/* Taken out under the lock and closed behind it. True: some are left. */
static bool close_some(struct nfs3_server *s, uint64_t ino, uint64_t before)
{
	struct nfs3_open closed[NFS3_OPENS];
	size_t count = 0;
	bool left = false;

	pthread_mutex_lock(&s->opens_lock);
	for (size_t i = 0; i < NFS3_OPENS; i++) {
		struct nfs3_open *o = &s->opens[i];

		if (!o->object.fs)
			continue;
		if (o->users || (o->object.a.ino != ino && o->used >= before)) {
			left = true;
			continue;
		}
		closed[count++] = *o;
		*o = (struct nfs3_open){0};
	}
	pthread_mutex_unlock(&s->opens_lock);
	while (count > 0)
		close_file(&closed[--count]);
	return left;
}

void nfs3_opens_drop(struct nfs3_server *s, uint64_t ino)
{
	close_some(s, ino, 0);
}

bool nfs3_opens_close_idle(struct nfs3_server *s)
{
	uint64_t now = clock_monotonic();

	return close_some(s, 0, now > IDLE_MOST ? now - IDLE_MOST : 0);
}

void nfs3_opens_free(struct nfs3_server *s)
{
	close_some(s, 0, UINT64_MAX);
}
