/* SPDX-License-Identifier: Apache-2.0 */
/* Names are looked up, and come and go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "monofs/live_parts.h"

/* ---- looking up ---------------------------------------------------------------------------------------- */

static int find_name(struct live *l, const struct live_node *d, const char *name, struct live_name **out)
{
	*out = live_names_find(&d->directory.names, l->seed, name, strlen(name));
	return *out ? 0 : -ENOENT;
}

/* 1: it has no node yet, which takes the lock for itself alone. */
static int look_up(
	struct live *l, uint64_t parent, const char *name, bool exclusive, struct vfs_attributes *out)
{
	struct live_name *found;
	struct live_node *d, *n;
	int r = live_enter(l, parent, exclusive, &d);

	if (r == 0)
		r = find_name(l, d, name, &found);
	if (r == 0 && !found->node && !exclusive)
		r = 1;
	if (r == 0)
		r = live_node_of(l, found, &n);
	if (r == 0)
		live_look_up(n, out);
	pthread_rwlock_unlock(&l->tree);
	return r;
}

int live_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	int r = look_up(live_of(fs), parent, name, false, out);

	return r == 1 ? look_up(live_of(fs), parent, name, true, out) : r;
}

static bool subtract(struct live_node *n, uint64_t times)
{
	uint64_t had = atomic_load(&n->lookups), left;

	do
		left = times < had ? had - times : 0;
	while (!atomic_compare_exchange_weak(&n->lookups, &had, left));
	return left == 0 && !n->links;
}

static bool forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	LIVE_SHARED(l, fs);
	struct live_node *n;

	/* What was rolled back is forgotten, too. */
	return live_find_any(l, ino, &n) && subtract(n, times);
}

void live_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	struct live_node *n;

	if (!forget(fs, ino, times))
		return;
	LIVE_LOCKED(l, fs);
	if (live_find_any(l, ino, &n))
		live_settle(l, n);
}

/* ---- making -------------------------------------------------------------------------------------------- */

struct maker {
	const struct vfs_caller *who;
	const char *name, *target; /* target: of a symbolic link */
	uint32_t mode, major, minor;
};

static int record_make(
	struct live *l, const struct live_making *m, const struct maker *k, const struct vfs_time *now)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct journal_record r = {
		.type = LIVE_MAKE, .seconds = now->seconds, .nanoseconds = now->nanoseconds};
	const struct live_node *n = m->node;
	int error = live_number(l, m->directory, &r.argument);

	buffer_u32(&body, n->mode);
	buffer_u32(&body, n->uid);
	buffer_u32(&body, n->gid);
	buffer_u32(&body, n->major);
	buffer_u32(&body, n->minor);
	buffer_append(&body, n->id, ENTRY_ID_SIZE);
	buffer_string(&body, k->name);
	if (k->target)
		buffer_string(&body, k->target);
	if (error < 0 || body.failed)
		return error < 0 ? error : -ENOMEM;
	return live_append_new(l, &r, &body, m->node);
}

/* Who asked owns it, but for the group where the directory has the setgid bit. */
static int fill(struct live_making *m, const struct maker *k)
{
	const struct live_node *d = m->directory;
	struct live_node *n = m->node;

	n->uid = k->who->uid;
	n->gid = d->mode & S_ISGID ? d->gid : k->who->gid;
	if (d->mode & S_ISGID && S_ISDIR(k->mode))
		n->mode |= S_ISGID;
	if (S_ISCHR(k->mode) || S_ISBLK(k->mode)) {
		n->major = k->major;
		n->minor = k->minor;
	}
	if (!k->target)
		return 0;
	n->target.text = strdup(k->target);
	n->target.size = strlen(k->target);
	return n->target.text ? 0 : -ENOMEM;
}

/* In a directory that was entered; the lock is held. */
static int make_in(struct live *l, struct live_node *d, const struct maker *k, struct live_making *m)
{
	const struct vfs_time now = live_now();
	uint8_t id[ENTRY_ID_SIZE];
	int r;

	if (S_ISDIR(k->mode) && live_depth(d) >= ENTRY_DEPTH_MAX - 1)
		return -ENAMETOOLONG;
	if (getentropy(id, sizeof id) < 0)
		return -EIO;
	r = live_prepare_make(l, d, k->name, k->mode, id, m);
	if (r < 0)
		return r;
	r = fill(m, k);
	if (r == 0)
		r = record_make(l, m, k, &now);
	if (r < 0) {
		live_abandon_make(l, m);
		return r;
	}
	live_apply_make(l, m, &now);
	return 0;
}

static int make(struct vfs *fs, uint64_t parent, const struct maker *k, struct vfs_attributes *out)
{
	struct live *l = live_of(fs);
	struct live_making m;
	struct live_node *d;
	int r = live_begin(l);

	if (r < 0)
		return r;
	r = live_enter(l, parent, true, &d);
	if (r == 0)
		r = make_in(l, d, k, &m);
	if (r == 0)
		live_look_up(m.node, out);
	pthread_rwlock_unlock(&l->tree);
	return r;
}

int live_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	const struct maker k = {
		.who = who, .name = name, .mode = mode & (S_IFMT | 07777), .major = major, .minor = minor};

	return make(fs, parent, &k, out);
}

int live_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name, uint32_t mode,
	struct vfs_attributes *out)
{
	const struct maker k = {.who = who, .name = name, .mode = S_IFDIR | (mode & 07777)};

	return make(fs, parent, &k, out);
}

int live_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	const struct maker k = {.who = who, .name = name, .mode = S_IFLNK | 0777, .target = target};

	return make(fs, parent, &k, out);
}

static int open_existing(
	struct live *l, struct live_name *name, unsigned flags, struct live_node **n, vfs_handle *handle)
{
	int r = flags & VFS_EXCLUSIVE ? -EEXIST : live_node_of(l, name, n);

	return r < 0 ? r : live_open_node(l, *n, flags, handle);
}

static int make_open(struct live *l, struct live_node *d, const struct maker *k, unsigned flags,
	struct live_node **n, vfs_handle *handle)
{
	struct live_making m;
	int r = make_in(l, d, k, &m);

	if (r < 0)
		return r;
	*n = m.node;
	return live_handle_new(l, m.node, flags, handle);
}

int live_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	const struct maker k = {.who = who, .name = name, .mode = S_IFREG | (mode & 07777)};
	struct live *l = live_of(fs);
	struct live_name *found;
	struct live_node *d, *n = NULL;
	vfs_handle opened;
	int r = live_begin(l);

	if (r < 0)
		return r;
	r = live_enter(l, parent, true, &d);
	if (r == 0)
		r = find_name(l, d, name, &found) == 0 ? open_existing(l, found, flags, &n, &opened)
						       : make_open(l, d, &k, flags, &n, &opened);
	if (r == 0) {
		live_look_up(n, out);
		*handle = opened;
	}
	pthread_rwlock_unlock(&l->tree);
	return r;
}

/* ---- further names ------------------------------------------------------------------------------------- */

static int link_in(struct live *l, struct live_node *n, struct live_node *d, const char *name)
{
	const struct vfs_time now = live_now();
	struct journal_record r = {.type = LIVE_LINK,
		.seconds = now.seconds,
		.nanoseconds = now.nanoseconds,
		.body = name,
		.size = strlen(name)};
	struct live_making m;
	int error = live_prepare_make(l, d, name, 0, NULL, &m);

	if (error < 0)
		return error;
	m.node = n;
	error = live_number(l, n, &r.object);
	if (error == 0)
		error = live_number(l, d, &r.argument);
	if (error == 0)
		error = journal_append(l->journal, &r, NULL, 0, NULL);
	if (error < 0) {
		live_name_free(m.name);
		return error;
	}
	live_apply_link(l, &m, &now);
	return 0;
}

int live_link(struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	struct live *l = live_of(fs);
	struct live_node *n = NULL, *d;
	int r = live_begin(l);

	if (r < 0)
		return r;
	r = live_enter(l, parent, true, &d);
	if (r == 0 || r == -ENOTDIR || r == -ENOENT) {
		int error = live_get(l, ino, &n);

		r = error < 0 ? error : r;
	}
	if (r == 0 && live_names_find(&d->directory.names, l->seed, name, strlen(name)))
		r = -EEXIST;
	if (r == 0 && S_ISDIR(n->type))
		r = -EPERM;
	if (r == 0 && !n->links)
		r = -ENOENT;
	if (r == 0 && n->links == UINT32_MAX)
		r = -EMLINK;
	if (r == 0)
		r = link_in(l, n, d, name);
	if (r == 0)
		live_look_up(n, out);
	pthread_rwlock_unlock(&l->tree);
	return r;
}

/* ---- removing ------------------------------------------------------------------------------------------ */

static int remove_in(struct live *l, struct live_node *d, struct live_name *name)
{
	const struct vfs_time now = live_now();
	struct journal_record r = {.type = LIVE_UNLINK,
		.seconds = now.seconds,
		.nanoseconds = now.nanoseconds,
		.body = name->name,
		.size = name->size};
	struct live_lost *lost = live_lost_new(name->name, name->size);
	int error = lost ? live_number(l, d, &r.argument) : -ENOMEM;

	if (error == 0)
		error = journal_append(l->journal, &r, NULL, 0, NULL);
	if (error < 0) {
		free(lost);
		return error;
	}
	live_apply_unlink(l, name, lost, &now);
	return 0;
}

static int judge_removal(const struct live_node *n, bool directory)
{
	if (!directory)
		return S_ISDIR(n->type) ? -EISDIR : 0;
	if (!S_ISDIR(n->type))
		return -ENOTDIR;
	if (n->directory.loaded)
		return n->directory.names.count ? -ENOTEMPTY : 0;
	return object_id_is_none(&n->directory.content) ? 0 : -ENOTEMPTY;
}

static int remove_name(struct vfs *fs, uint64_t parent, const char *name, bool directory)
{
	struct live *l = live_of(fs);
	struct live_name *found;
	struct live_node *d, *n;
	int r = live_begin(l);

	if (r < 0)
		return r;
	r = live_enter(l, parent, true, &d);
	if (r == 0)
		r = find_name(l, d, name, &found);
	if (r == 0)
		r = live_node_of(l, found, &n);
	if (r == 0)
		r = judge_removal(n, directory);
	if (r == 0)
		r = remove_in(l, d, found);
	pthread_rwlock_unlock(&l->tree);
	return r;
}

int live_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, false);
}

int live_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	return remove_name(fs, parent, name, true);
}
