/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of memory, of what the journal has: they cannot fail. And what has to be found out, and made,
 * before that. The same for calls and for replay. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monofs/live_parts.h"

struct live_lost *live_lost_new(const char *name, size_t size)
{
	struct live_lost *lost = malloc(sizeof *lost + size + 1);

	if (!lost)
		return NULL;
	lost->next = NULL;
	lost->size = (uint16_t)size;
	memcpy(lost->name, name, size);
	lost->name[size] = 0;
	return lost;
}

/* The next commit takes the name out of the directory, where a revision has it. */
static void lose(struct live_name *name, struct live_lost *lost)
{
	struct live_node *d = name->directory;

	if (!name->known) {
		free(lost);
		return;
	}
	lost->next = d->directory.lost;
	d->directory.lost = lost;
}

static void add(struct live *l, struct live_node *d, struct live_name *name)
{
	name->directory = d;
	live_names_add(&d->directory.names, name);
	l->name_count++;
}

static void take_out(struct live *l, struct live_name *name, struct live_lost *lost)
{
	live_names_remove(&name->directory->directory.names, name);
	l->name_count--;
	lose(name, lost);
	live_name_free(name);
}

/* ---- making -------------------------------------------------------------------------------------------- */

static bool cookie_is_taken(const struct live_node *d, uint64_t cookie)
{
	const struct live_name *n = live_names_after(&d->directory.names, cookie - 1);

	return n && n->cookie == cookie;
}

static int prepare_name(struct live *l, const struct live_node *d, const char *text, struct live_name **out)
{
	struct live_name *n = live_name_new(l->seed, text, strlen(text));

	if (!n)
		return -ENOMEM;
	if (cookie_is_taken(d, n->cookie)) {
		live_name_free(n);
		return -ENOSPC;
	}
	*out = n;
	return 0;
}

int live_prepare_make(struct live *l, struct live_node *d, const char *name, uint32_t mode,
	const uint8_t id[ENTRY_ID_SIZE], struct live_making *m)
{
	int r;

	*m = (struct live_making){.directory = d};
	if (live_names_find(&d->directory.names, l->seed, name, strlen(name)))
		return -EEXIST;
	r = prepare_name(l, d, name, &m->name);
	if (r < 0 || !id)
		return r;
	m->node = live_node_new(l, id, mode);
	if (m->node)
		return 0;
	live_name_free(m->name);
	return -ENOMEM;
}

void live_abandon_make(struct live *l, struct live_making *m)
{
	live_name_free(m->name);
	if (m->node)
		live_settle(l, m->node);
}

static void changed_names(struct live *l, struct live_node *d, const struct vfs_time *now)
{
	live_touch_locking(l, d, LIVE_MODIFIED, now);
	live_dirty(l, d);
}

void live_apply_make(struct live *l, const struct live_making *m, const struct vfs_time *now)
{
	struct live_node *n = m->node;

	n->atime = n->mtime = n->ctime = n->btime = *now;
	add(l, m->directory, m->name);
	live_bind(l, m->name, n);
	live_dirty(l, n);
	changed_names(l, m->directory, now);
}

void live_apply_link(struct live *l, const struct live_making *m, const struct vfs_time *now)
{
	add(l, m->directory, m->name);
	live_bind(l, m->name, m->node);
	live_touch_locking(l, m->node, LIVE_CHANGED, now);
	live_dirty(l, m->node);
	changed_names(l, m->directory, now);
	l->paths_changed = true;
}

/* ---- removing ------------------------------------------------------------------------------------------ */

/* The node has lost a name. */
static void lost_name(struct live *l, struct live_node *n, const struct vfs_time *now)
{
	live_touch_locking(l, n, LIVE_CHANGED, now);
	if (n->links) { /* who is the first of the others may be another now */
		l->paths_changed = true;
		live_dirty(l, n);
	}
	live_settle(l, n);
}

void live_apply_unlink(
	struct live *l, struct live_name *name, struct live_lost *lost, const struct vfs_time *now)
{
	struct live_node *n = name->node, *d = name->directory;

	live_unbind(l, name);
	take_out(l, name, lost);
	changed_names(l, d, now);
	lost_name(l, n, now);
}

/* ---- renaming ------------------------------------------------------------------------------------------ */

/* Whether the directory is `above` or beneath it. */
static bool beneath(const struct live_node *d, const struct live_node *above)
{
	while (d && d != above)
		d = d->names ? d->names->directory : NULL;
	return d != NULL;
}

static int judge_replacing(const struct live_node *n, const struct live_node *other)
{
	if (S_ISDIR(n->type) && !S_ISDIR(other->type))
		return -ENOTDIR;
	if (!S_ISDIR(n->type) && S_ISDIR(other->type))
		return -EISDIR;
	if (!S_ISDIR(other->type))
		return 0;
	return (other->directory.loaded ? other->directory.names.count == 0
					: object_id_is_none(&other->directory.content))
		       ? 0
		       : -ENOTEMPTY;
}

/* The order is Linux's. */
static int judge(const struct live_renaming *r, const struct live_node *n, const struct live_node *other)
{
	if (other && r->flags & VFS_NO_REPLACE)
		return -EEXIST;
	if (!other && r->flags & VFS_EXCHANGE)
		return -ENOENT;
	if (r->from != r->to && S_ISDIR(n->type) && beneath(r->to, n))
		return -EINVAL;
	if (!other)
		return 0;
	if (r->from != r->to && S_ISDIR(other->type) && beneath(r->from, other))
		return r->flags & VFS_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (other == n)
		return 1;
	return r->flags & VFS_EXCHANGE ? 0 : judge_replacing(n, other);
}

int live_judge_rename(struct live *l, struct live_renaming *r, const char *name, const char *new_name)
{
	struct live_node *n, *other = NULL;
	int error;

	r->name = live_names_find(&r->from->directory.names, l->seed, name, strlen(name));
	if (!r->name)
		return -ENOENT;
	r->other = live_names_find(&r->to->directory.names, l->seed, new_name, strlen(new_name));
	error = live_node_of(l, r->name, &n);
	if (error == 0 && r->other)
		error = live_node_of(l, r->other, &other);
	return error < 0 ? error : judge(r, n, other);
}

int live_prepare_rename(struct live *l, struct live_renaming *r, const char *new_name)
{
	int error = 0;

	if (r->flags & VFS_EXCHANGE)
		return 0;
	r->lost = live_lost_new(r->name->name, r->name->size);
	if (!r->lost)
		return -ENOMEM;
	if (!r->other)
		error = prepare_name(l, r->to, new_name, &r->fresh);
	if (error < 0)
		free(TAKE_PTR(r->lost));
	return error;
}

void live_abandon_rename(struct live_renaming *r)
{
	live_name_free(r->fresh);
	free(r->lost);
}

static void exchange(struct live *l, const struct live_renaming *r, const struct vfs_time *now)
{
	struct live_node *n = r->name->node, *other = r->other->node;

	live_unbind(l, r->name);
	live_unbind(l, r->other);
	live_bind(l, r->name, other);
	live_bind(l, r->other, n);
	live_touch_locking(l, other, LIVE_CHANGED, now);
	live_dirty(l, other);
}

static void move(struct live *l, const struct live_renaming *r, const struct vfs_time *now)
{
	struct live_node *n = r->name->node, *gone = r->other ? r->other->node : NULL;

	if (gone)
		live_unbind(l, r->other);
	else
		add(l, r->to, r->fresh);
	/* Bound before it is let go of, so that it never is without a name. */
	live_bind(l, r->other ? r->other : r->fresh, n);
	live_unbind(l, r->name);
	take_out(l, r->name, r->lost);
	if (gone)
		lost_name(l, gone, now);
}

void live_apply_rename(struct live *l, const struct live_renaming *r, const struct vfs_time *now)
{
	struct live_node *n = r->name->node, *other = r->other ? r->other->node : NULL;

	if (S_ISDIR(n->type) || n->names->next || (other && (S_ISDIR(other->type) || other->names->next)))
		l->paths_changed = true;
	if (r->flags & VFS_EXCHANGE)
		exchange(l, r, now);
	else
		move(l, r, now);
	live_touch_locking(l, n, LIVE_CHANGED, now);
	live_dirty(l, n);
	changed_names(l, r->from, now);
	if (r->to != r->from)
		changed_names(l, r->to, now);
}

/* ---- attributes and contents --------------------------------------------------------------------------- */

void live_apply_size(struct live *l, struct live_node *n, uint64_t size, uint64_t epoch)
{
	(void)l;
	(void)epoch;
	if (size < n->file.size) {
		live_extents_cut(&n->file.extents, size);
		if (size < n->file.base_limit)
			n->file.base_limit = size;
		if (size < n->file.cut)
			n->file.cut = size;
	}
	n->file.size = size;
}

void live_apply_set(struct live *l, struct live_node *n, const struct vfs_attributes *v, unsigned what,
	const struct vfs_time *now)
{
	if (what & VFS_SET_SIZE && S_ISREG(n->type))
		live_apply_size(l, n, v->size, 0);
	if (what & VFS_SET_MODE)
		n->mode = (n->mode & S_IFMT) | (v->mode & 07777);
	if (what & VFS_SET_UID)
		n->uid = v->uid;
	if (what & VFS_SET_GID)
		n->gid = v->gid;
	if (what)
		live_touch(l, n, what & VFS_SET_SIZE ? LIVE_MODIFIED : LIVE_CHANGED, now);
	if (what & VFS_SET_ATIME)
		n->atime = v->atime;
	if (what & VFS_SET_MTIME)
		n->mtime = v->mtime;
	if (n->links && what & ~(unsigned)VFS_SET_ATIME)
		live_dirty(l, n);
}

void live_apply_extent(struct live *l, struct live_node *n, const struct live_extent *x, bool grow,
	const struct vfs_time *now)
{
	live_extents_set(&n->file.extents, x);
	if (grow && x->offset + x->size > n->file.size)
		n->file.size = x->offset + x->size;
	live_touch(l, n, LIVE_MODIFIED, now);
	if (n->links)
		live_dirty(l, n);
}

void live_apply_xattr(struct live *l, struct live_node *n, const char *name, struct live_xattr *set,
	const struct vfs_time *now)
{
	struct live_xattr **at = &n->xattrs, *old;
	int order = 1;

	/* Sorted, as an entry has them. */
	while (*at && (order = strcmp((*at)->bytes, name)) < 0)
		at = &(*at)->next;
	old = *at && order == 0 ? *at : NULL;
	if (old) {
		n->xattr_bytes -= old->name_size + old->size;
		*at = old->next;
		free(old);
	}
	if (set) {
		n->xattr_bytes += set->name_size + set->size;
		set->next = *at;
		*at = set;
	}
	live_touch(l, n, LIVE_CHANGED, now);
	if (n->links)
		live_dirty(l, n);
}
