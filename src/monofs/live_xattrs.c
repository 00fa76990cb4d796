/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: few, and bounded. Values that are objects of their own are read when they are asked
 * for. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_parts.h"

struct live_xattr *live_xattr_new(const char *name, const void *value, size_t size)
{
	size_t name_size = strlen(name) + 1;
	struct live_xattr *x = malloc(sizeof *x + name_size + size);

	if (!x)
		return NULL;
	*x = (struct live_xattr){.name_size = name_size, .size = size};
	memcpy(x->bytes, name, name_size);
	if (size)
		memcpy(x->bytes + name_size, value, size);
	return x;
}

void live_xattrs_free(struct live_xattr *x)
{
	while (x) {
		struct live_xattr *next = x->next;

		free(x);
		x = next;
	}
}

struct live_xattr *live_xattrs_copy(const struct live_xattr *x, int *error)
{
	struct live_xattr *first = NULL, **at = &first;

	for (; x; x = x->next) {
		bool here = object_id_is_none(&x->object);

		*at = live_xattr_new(x->bytes, x->bytes + x->name_size, here ? x->size : 0);
		if (!*at) {
			live_xattrs_free(first);
			*error = -ENOMEM;
			return NULL;
		}
		(*at)->size = x->size;
		(*at)->object = x->object;
		at = &(*at)->next;
	}
	return first;
}

static struct live_xattr *find(const struct live_node *n, const char *name)
{
	struct live_xattr *x = n->xattrs;

	while (x && strcmp(x->bytes, name) != 0)
		x = x->next;
	return x;
}

static int read_value(struct live *l, const struct live_xattr *x, void *value)
{
	struct store_bytes bytes = {0};
	int r;

	if (object_id_is_none(&x->object)) {
		if (x->size)
			memcpy(value, x->bytes + x->name_size, x->size);
		return 0;
	}
	r = live_errno(store_get(l->store, OBJECT_VALUE, &x->object, &bytes, NULL));
	if (r == 0 && bytes.size != x->size)
		r = -EIO;
	if (r == 0)
		memcpy(value, bytes.bytes, bytes.size);
	store_release(l->store, &bytes);
	return r;
}

int64_t live_getxattr(struct vfs *fs, uint64_t ino, const char *name, void *value, size_t size)
{
	LIVE_SHARED(l, fs);
	const struct live_xattr *x;
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	_cleanup_node_ struct live_node *locked = live_read_node(n);
	x = find(n, name);
	if (!x)
		return -ENODATA;
	if (size && x->size > size)
		return -ERANGE;
	r = size ? read_value(l, x, value) : 0;
	return r < 0 ? r : (int64_t)x->size;
}

int64_t live_listxattr(struct vfs *fs, uint64_t ino, char *names, size_t size)
{
	LIVE_SHARED(l, fs);
	size_t total = 0;
	struct live_node *n;
	int r = live_get(l, ino, &n);

	if (r < 0)
		return r;
	_cleanup_node_ struct live_node *locked = live_read_node(n);
	for (const struct live_xattr *x = n->xattrs; x; x = x->next) {
		if (size && x->name_size > size - total)
			return -ERANGE;
		if (size)
			memcpy(names + total, x->bytes, x->name_size);
		total += x->name_size;
	}
	return (int64_t)total;
}

/* value NULL: it goes. */
static int record_xattr(struct live *l, struct live_node *n, const char *name, const void *value, size_t size,
	const struct vfs_time *now)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct journal_record r = {.type = value ? LIVE_SETXATTR : LIVE_REMOVEXATTR,
		.seconds = now->seconds,
		.nanoseconds = now->nanoseconds};
	int error = live_number(l, n, &r.object);

	if (error < 0 || !r.object)
		return error;
	if (!buffer_string(&body, name))
		return -ENOMEM;
	r.body = body.data;
	r.size = body.size;
	return journal_append(l->journal, &r, value, size, NULL);
}

static int set(
	struct live *l, struct live_node *n, const char *name, const void *value, size_t size, unsigned flags)
{
	const struct vfs_time now = live_now();
	const struct live_xattr *old = find(n, name);
	size_t bytes = n->xattr_bytes - (old ? old->name_size + old->size : 0) + strlen(name) + 1 + size;
	struct live_xattr *x;
	int r;

	if (old ? flags & VFS_XATTR_CREATE : flags & VFS_XATTR_REPLACE)
		return old ? -EEXIST : -ENODATA;
	if (bytes > ENTRY_XATTRS_MAX)
		return -ENOSPC;
	x = live_xattr_new(name, value, size);
	r = x ? record_xattr(l, n, name, value ? value : "", size, &now) : -ENOMEM;
	if (r < 0)
		free(x);
	else
		live_apply_xattr(l, n, name, x, &now);
	return r;
}

/* What an import has taken is kept, for a restore. But of a mount the kernel heeds none, nor would the mode
 * follow: cp -p, which sets either of them, would leave the mode as it was. */
static bool is_acl(const char *name)
{
	return !strncmp(name, "system.posix_acl_", 17);
}

int live_setxattr(
	struct vfs *fs, uint64_t ino, const char *name, const void *value, size_t size, unsigned flags)
{
	struct live_node *n;
	int r = is_acl(name) ? -EOPNOTSUPP : live_begin(live_of(fs));

	if (r < 0)
		return r;
	LIVE_SHARED(l, fs);
	r = live_get(l, ino, &n);
	if (r < 0)
		return r;
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	return set(l, n, name, value, size, flags);
}

int live_removexattr(struct vfs *fs, uint64_t ino, const char *name)
{
	const struct vfs_time now = live_now();
	struct live_node *n;
	int r = live_begin(live_of(fs));

	if (r < 0)
		return r;
	LIVE_SHARED(l, fs);
	r = live_get(l, ino, &n);
	if (r < 0)
		return r;
	_cleanup_node_ struct live_node *locked = live_write_node(n);
	if (!find(n, name))
		return -ENODATA;
	r = record_xattr(l, n, name, NULL, 0, &now);
	if (r == 0)
		live_apply_xattr(l, n, name, NULL, &now);
	return r;
}
