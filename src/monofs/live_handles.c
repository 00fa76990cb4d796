/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and directories. */
#include <errno.h>
#include <stdlib.h>

#include "monofs/live_parts.h"

#define NONE UINT32_MAX

static int more(struct live *l)
{
	uint32_t count = l->handle_count ? l->handle_count * 2 : 64;
	struct live_handle *handles;

	if (l->handle_count >= LIVE_HANDLES)
		return -ENFILE;
	handles = reallocarray(l->handles, count, sizeof *handles);
	if (!handles)
		return -ENOMEM;
	for (uint32_t i = l->handle_count; i < count; i++)
		handles[i] = (struct live_handle){.next_free = i + 1 < count ? i + 1 : NONE};
	l->free_handle = l->handle_count;
	l->handles = handles;
	l->handle_count = count;
	return 0;
}

int live_handle_new(struct live *l, struct live_node *n, unsigned flags, vfs_handle *out)
{
	struct live_handle *h;
	int r = 0;

	pthread_mutex_lock(&l->handles_lock);
	if (l->free_handle == NONE)
		r = more(l);
	if (r == 0) {
		h = &l->handles[l->free_handle];
		*out = (uint64_t)h->sequence << 32 | l->free_handle;
		l->free_handle = h->next_free;
		h->node = n;
		h->flags = flags;
		l->open_count++;
		atomic_fetch_add(&n->opened, 1);
	}
	pthread_mutex_unlock(&l->handles_lock);
	return r;
}

static struct live_handle *find(struct live *l, const struct live_node *n, vfs_handle handle)
{
	uint32_t index = (uint32_t)handle;
	struct live_handle *h = index < l->handle_count ? &l->handles[index] : NULL;

	return h && h->node == n && h->sequence == handle >> 32 ? h : NULL;
}

bool live_handle_is(
	struct live *l, const struct live_node *n, vfs_handle handle, unsigned flags, unsigned *has)
{
	struct live_handle *h;
	bool is;

	pthread_mutex_lock(&l->handles_lock);
	h = find(l, n, handle);
	is = h && (h->flags & LIVE_LISTING) == (flags & LIVE_LISTING) && (h->flags & flags) == flags;
	if (is && has)
		*has = h->flags;
	pthread_mutex_unlock(&l->handles_lock);
	return is;
}

bool live_handle_close(struct live *l, struct live_node *n, vfs_handle handle, unsigned kind)
{
	struct live_handle *h;

	pthread_mutex_lock(&l->handles_lock);
	h = find(l, n, handle);
	if (h && (h->flags & LIVE_LISTING) != kind)
		h = NULL;
	if (h) {
		h->node = NULL;
		h->sequence++;
		h->next_free = l->free_handle;
		l->free_handle = (uint32_t)handle;
		l->open_count--;
		atomic_fetch_sub(&n->opened, 1);
	}
	pthread_mutex_unlock(&l->handles_lock);
	return h != NULL;
}
