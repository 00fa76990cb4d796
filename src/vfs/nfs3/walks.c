/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that are being listed stay open between the calls that list them, so that a listing ends though
 * names are made meanwhile, as an open directory's does, and need not begin anew each time. Nothing depends
 * on it: a walk that is not found here goes on by its cookie.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "vfs/nfs3/parts.h"

#define IDLE_MOST (60 * NANOSECONDS_PER_SECOND)

static void close_walk(struct nfs3_walk *w)
{
	if (w->directory.fs)
		vfs_releasedir(w->directory.fs, w->directory.a.ino, w->handle);
	nfs3_object_put(&w->directory);
	free(w->cookies);
	*w = (struct nfs3_walk){0};
}

/* Taken out under the lock and closed behind it. */
bool nfs3_walks_close_idle(struct nfs3_server *s)
{
	struct nfs3_walk idle[NFS3_WALKS];
	uint64_t now = clock_monotonic();
	size_t count = 0;
	bool left = false;

	pthread_mutex_lock(&s->walks_lock);
	for (size_t i = 0; i < NFS3_WALKS; i++) {
		if (!s->walks[i].directory.fs)
			continue;
		if (now - s->walks[i].used < IDLE_MOST) {
			left = true;
			continue;
		}
		idle[count++] = s->walks[i];
		s->walks[i] = (struct nfs3_walk){0};
	}
	pthread_mutex_unlock(&s->walks_lock);
	while (count > 0)
		close_walk(&idle[--count]);
	return left;
}

static bool gave(const struct nfs3_walk *w, uint64_t cookie)
{
	for (size_t i = w->count; i > 0; i--)
		if (w->cookies[i - 1] == cookie)
			return true;
	return false;
}

bool nfs3_walk_take(struct nfs3_server *s, uint64_t ino, uint64_t cookie, struct nfs3_walk *out)
{
	*out = (struct nfs3_walk){0};
	pthread_mutex_lock(&s->walks_lock);
	for (size_t i = 0; i < NFS3_WALKS && !out->directory.fs; i++) {
		struct nfs3_walk *w = &s->walks[i];

		if (!w->directory.fs || w->directory.a.ino != ino || !gave(w, cookie))
			continue;
		*out = *w;
		*w = (struct nfs3_walk){0};
	}
	pthread_mutex_unlock(&s->walks_lock);
	return out->directory.fs != NULL;
}

void nfs3_walk_keep(struct nfs3_server *s, struct nfs3_walk *walk)
{
	struct nfs3_walk *to = &s->walks[0], old;

	nfs3_walks_close_idle(s);
	pthread_mutex_lock(&s->walks_lock);
	/* A free place has never been used: 0. */
	for (size_t i = 1; i < NFS3_WALKS; i++)
		if (s->walks[i].used < to->used)
			to = &s->walks[i];
	old = *to;
	*to = *walk;
	to->used = clock_monotonic();
	pthread_mutex_unlock(&s->walks_lock);
	close_walk(&old);
}

void nfs3_walk_end(struct nfs3_walk *walk)
{
	close_walk(walk);
}

void nfs3_walks_free(struct nfs3_server *s)
{
	for (size_t i = 0; i < NFS3_WALKS; i++)
		close_walk(&s->walks[i]);
}
