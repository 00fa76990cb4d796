/* SPDX-License-Identifier: Apache-2.0 */
/* LOOKUP, REMOVE, RMDIR, RENAME, LINK (RFC 1813, 3.3.3 and 12 to 15). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

/* ---- LOOKUP ----------------------------------------------------------------------------------------- */

static int take_parent(void *context, const struct vfs_entry *e)
{
	uint64_t *ino = context;

	if (e->name_size != 2 || memcmp(e->name, "..", 2) != 0)
		return 0;
	*ino = e->ino;
	return 1;
}

/* A directory's parent is known from what it lists only. */
static uint32_t find_parent(struct nfs3_request *q, uint64_t directory, uint64_t *parent)
{
	vfs_handle handle;
	int r = vfs_opendir(q->fs, directory, &handle);

	*parent = 0;
	if (r == 0) {
		r = vfs_readdir(q->fs, directory, handle, 0, false, take_parent, parent);
		vfs_releasedir(q->fs, directory, handle);
	}
	if (r < 0)
		return nfs3_status(r);
	return *parent ? NFS3_OK : NFS3ERR_NOENT;
}

static uint32_t lookup_dots(struct nfs3_request *q, const struct vfs_attributes *directory, bool parent)
{
	uint64_t ino = directory->ino;
	uint32_t status = parent && ino != VFS_ROOT ? find_parent(q, ino, &ino) : NFS3_OK;

	if (status == NFS3_OK)
		status = nfs3_make_handle(q->server, ino, &q->r.handle);
	q->r.object = nfs3_post_now(q->server, ino);
	return status;
}

static uint32_t lookup(struct nfs3_request *q, const struct vfs_attributes *directory)
{
	_cleanup_object_ struct nfs3_object o = {0};
	char name[VFS_NAME_MAX + 1];
	uint32_t status = nfs3_may(q, directory, VFS_EXECUTE);

	if (status == NFS3_OK)
		status = nfs3_name(&q->a.name, name);
	if (status != NFS3_OK)
		return status;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return lookup_dots(q, directory, name[1] == '.');
	status = nfs3_find(q, directory->ino, name, &o);
	if (status == NFS3_OK)
		status = nfs3_make_handle(q->server, o.a.ino, &q->r.handle);
	if (status == NFS3_OK)
		q->r.object = nfs3_post(q->server, &o.a);
	return status;
}

void nfs3_lookup(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object directory = {0};

	q->r.status = nfs3_resolve_directory(q, &q->a.object, &directory);
	if (directory.fs)
		q->r.directory = nfs3_post(q->server, &directory.a);
	if (q->r.status == NFS3_OK)
		q->r.status = lookup(q, &directory.a);
}

/* ---- names that go ---------------------------------------------------------------------------------- */

typedef int remove_call(struct vfs *fs, uint64_t parent, const char *name);

static uint32_t remove_judged(
	struct nfs3_request *q, const struct vfs_attributes *directory, const char *name, remove_call *call)
{
	_cleanup_object_ struct nfs3_object o = {0};
	struct nfs3_handle handle;
	uint32_t status = nfs3_may_change(q, directory);

	if (status == NFS3_OK)
		status = nfs3_find(q, directory->ino, name, &o);
	if (status == NFS3_OK)
		status = nfs3_may_remove(q, directory, &o.a);
	/* What is looked up when its last name goes would be kept. */
	if (o.a.links == 1)
		nfs3_object_put(&o);
	if (status == NFS3_OK)
		status = nfs3_status(call(q->fs, directory->ino, name));
	if (status != NFS3_OK || S_ISDIR(o.a.mode))
		return status;
	if (o.a.links > 1)
		nfs3_make_handle(q->server, o.a.ino, &handle); /* it may have been known by that name */
	else
		nfs3_opens_drop(q->server, o.a.ino);
	return status;
}

static uint32_t remove_locked(struct nfs3_request *q, struct nfs3_object *directory, remove_call *call)
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.object);
	uint32_t status = nfs3_resolve_directory(q, &q->a.object, directory);
	char name[VFS_NAME_MAX + 1];

	if (status == NFS3_OK)
		status = nfs3_name(&q->a.name, name);
	if (status != NFS3_OK)
		return status;
	nfs3_before(&q->r.wcc, &directory->a);
	status = remove_judged(q, &directory->a, name, call);
	q->r.wcc.after = nfs3_post_now(q->server, directory->a.ino);
	return status;
}

static void run_remove(struct nfs3_request *q, remove_call *call)
{
	_cleanup_object_ struct nfs3_object directory = {0};
	uint32_t status = remove_locked(q, &directory, call);

	if (status == NFS3_OK)
		status = nfs3_sync_names(q, directory.a.ino);
	q->r.status = status;
}

void nfs3_remove(struct nfs3_request *q)
{
	run_remove(q, vfs_unlink);
}

void nfs3_rmdir(struct nfs3_request *q)
{
	run_remove(q, vfs_rmdir);
}

/* ---- RENAME ----------------------------------------------------------------------------------------- */

static uint32_t judge_rename(struct nfs3_request *q, const struct nfs3_object *from,
	const struct nfs3_object *to, const char *name, const char *new_name)
{
	_cleanup_object_ struct nfs3_object moved = {0}, replaced = {0};
	uint32_t status = nfs3_may_change(q, &from->a);

	if (status == NFS3_OK)
		status = nfs3_may_change(q, &to->a);
	if (status == NFS3_OK)
		status = nfs3_find(q, from->a.ino, name, &moved);
	if (status == NFS3_OK)
		status = nfs3_may_remove(q, &from->a, &moved.a);
	/* Its ".." changes. */
	if (status == NFS3_OK && S_ISDIR(moved.a.mode) && from->a.ino != to->a.ino)
		status = nfs3_may(q, &moved.a, VFS_MAY_WRITE);
	if (status != NFS3_OK)
		return status;
	status = nfs3_find(q, to->a.ino, new_name, &replaced);
	if (status == NFS3_OK)
		return nfs3_may_remove(q, &to->a, &replaced.a);
	return status == NFS3ERR_NOENT ? NFS3_OK : status;
}

static uint32_t rename_locked(struct nfs3_request *q, struct nfs3_object *from, struct nfs3_object *to,
	char name[VFS_NAME_MAX + 1], char new_name[VFS_NAME_MAX + 1])
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.to);
	uint32_t status = nfs3_resolve_directory(q, &q->a.object, from);

	if (status == NFS3_OK)
		status = nfs3_resolve_directory(q, &q->a.to, to);
	if (status == NFS3_OK)
		status = nfs3_name(&q->a.name, name);
	if (status == NFS3_OK)
		status = nfs3_name(&q->a.to_name, new_name);
	if (status != NFS3_OK)
		return status;
	nfs3_before(&q->r.wcc, &from->a);
	nfs3_before(&q->r.to_wcc, &to->a);
	status = judge_rename(q, from, to, name, new_name);
	if (status == NFS3_OK)
		status = nfs3_status(vfs_rename(q->fs, from->a.ino, name, to->a.ino, new_name, 0));
	q->r.wcc.after = nfs3_post_now(q->server, from->a.ino);
	q->r.to_wcc.after = nfs3_post_now(q->server, to->a.ino);
	return status;
}

/* Handles that lead to it, and to what is in it, go on leading there in another process, too: vfs_persist()
 * is how the file system learns that somebody has one. */
static void persist_anew(struct nfs3_request *q, uint64_t directory, const char *name)
{
	_cleanup_object_ struct nfs3_object o = {0};
	struct nfs3_handle handle;

	if (nfs3_find(q, directory, name, &o) == NFS3_OK)
		nfs3_make_handle(q->server, o.a.ino, &handle);
}

void nfs3_rename(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object from = {0}, to = {0};
	char name[VFS_NAME_MAX + 1], new_name[VFS_NAME_MAX + 1];
	uint32_t status = rename_locked(q, &from, &to, name, new_name);

	if (status == NFS3_OK)
		persist_anew(q, to.a.ino, new_name);
	if (status == NFS3_OK)
		status = nfs3_sync_names(q, to.a.ino);
	if (status == NFS3_OK && from.a.ino != to.a.ino)
		status = nfs3_sync_names(q, from.a.ino);
	q->r.status = status;
}

/* ---- LINK ------------------------------------------------------------------------------------------- */

static uint32_t link_locked(struct nfs3_request *q, struct nfs3_object *o, struct nfs3_object *directory)
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.to);
	_cleanup_object_ struct nfs3_object linked = {0};
	uint32_t status = nfs3_resolve(q, &q->a.object, o);
	char name[VFS_NAME_MAX + 1];
	int r;

	if (status == NFS3_OK)
		status = nfs3_resolve_directory(q, &q->a.to, directory);
	if (status == NFS3_OK)
		status = nfs3_name(&q->a.to_name, name);
	if (status != NFS3_OK)
		return status;
	nfs3_before(&q->r.wcc, &directory->a);
	status = nfs3_may_change(q, &directory->a);
	if (status == NFS3_OK) {
		r = vfs_link(q->fs, o->a.ino, directory->a.ino, name, &linked.a);
		linked.fs = r == 0 ? q->fs : NULL;
		status = nfs3_status(r);
	}
	q->r.object = nfs3_post_now(q->server, o->a.ino);
	q->r.wcc.after = nfs3_post_now(q->server, directory->a.ino);
	return status;
}

void nfs3_link(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0}, directory = {0};
	uint32_t status = link_locked(q, &o, &directory);

	if (status == NFS3_OK)
		status = nfs3_sync_names(q, directory.a.ino);
	q->r.status = status;
}
