/* SPDX-License-Identifier: Apache-2.0 */
/* CREATE, MKDIR, SYMLINK, MKNOD (RFC 1813, 3.3.8 to 11). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

/* Makes something by a name in a directory that is locked, if the caller may; *o gets it. */
typedef uint32_t make_call(struct nfs3_request *q, const struct vfs_attributes *directory, const char *name,
	struct nfs3_object *o);

uint32_t nfs3_sync_names(struct nfs3_request *q, uint64_t directory)
{
	return q->server->options.lazy_names ? NFS3_OK : nfs3_status(vfs_fsyncdir(q->fs, directory));
}

static uint32_t made(struct nfs3_request *q, int r, struct nfs3_object *o)
{
	if (r == 0)
		o->fs = q->fs;
	return nfs3_status(r);
}

/* Attributes that the call gave beside the mode. Owners are who asked, unless root says otherwise: some
 * clients always send a group. */
static uint32_t set_others(struct nfs3_request *q, struct nfs3_object *o)
{
	struct nfs3_set set = q->a.set;

	set.set_mode = false;
	if (q->who.uid != 0)
		set.set_uid = set.set_gid = false;
	if (!S_ISREG(o->a.mode) || set.size == 0)
		set.set_size = false;
	return nfs3_set(q, &o->a, &set);
}

static uint32_t make_locked(
	struct nfs3_request *q, struct nfs3_object *directory, make_call *make, struct nfs3_object *o)
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.object);
	uint32_t status = nfs3_resolve_directory(q, &q->a.object, directory);
	char name[VFS_NAME_MAX + 1];

	if (status == NFS3_OK)
		status = nfs3_name(&q->a.name, name);
	if (status != NFS3_OK)
		return status;
	nfs3_before(&q->r.wcc, &directory->a);
	status = make(q, &directory->a, name, o);
	q->r.wcc.after = nfs3_post_now(q->server, directory->a.ino);
	return status;
}

static void run(struct nfs3_request *q, make_call *make)
{
	_cleanup_object_ struct nfs3_object directory = {0}, o = {0};
	uint32_t status = make_locked(q, &directory, make, &o);

	if (status == NFS3_OK)
		status = nfs3_sync_names(q, directory.a.ino);
	q->r.status = status;
	if (status != NFS3_OK)
		return;
	q->r.has_handle = nfs3_make_handle(q->server, o.a.ino, &q->r.handle) == NFS3_OK;
	q->r.object = nfs3_post(q->server, &o.a);
}

/* ---- files ------------------------------------------------------------------------------------------ */

static uint32_t create_new(struct nfs3_request *q, const struct vfs_attributes *directory, const char *name,
	struct nfs3_object *o)
{
	uint32_t status = nfs3_may_change(q, directory);
	vfs_handle handle;
	int r;

	if (status != NFS3_OK)
		return status;
	r = vfs_create(q->fs, &q->who, directory->ino, name, nfs3_new_mode(q, directory, 0600),
		VFS_WRITE | VFS_EXCLUSIVE, &o->a, &handle);
	status = made(q, r, o);
	if (r == 0)
		vfs_release(q->fs, o->a.ino, handle);
	return status;
}

/* The verifier is kept in the times; without the high bits, which not every file system keeps. */
static void times_of_verifier(const struct nfs3_request *q, struct nfs3_time *atime, struct nfs3_time *mtime)
{
	uint32_t words[2];

	memcpy(words, q->a.verifier, sizeof words);
	*atime = (struct nfs3_time){words[0] & INT32_MAX, 0};
	*mtime = (struct nfs3_time){words[1] & INT32_MAX, 0};
}

static bool has_verifier(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	struct nfs3_time atime, mtime;

	times_of_verifier(q, &atime, &mtime);
	return S_ISREG(a->mode) && a->size == 0 && a->atime.seconds == atime.seconds &&
	       a->mtime.seconds == mtime.seconds && a->atime.nanoseconds == 0 && a->mtime.nanoseconds == 0;
}

static uint32_t create_exclusive(struct nfs3_request *q, const struct vfs_attributes *directory,
	const char *name, struct nfs3_object *o)
{
	struct nfs3_set set = {.set_atime = NFS3_CLIENT_TIME, .set_mtime = NFS3_CLIENT_TIME};
	uint32_t status = create_new(q, directory, name, o);

	if (status == NFS3ERR_EXIST) {
		status = nfs3_find(q, directory->ino, name, o);
		return status == NFS3_OK && !has_verifier(q, &o->a) ? NFS3ERR_EXIST : status;
	}
	if (status != NFS3_OK)
		return status;
	times_of_verifier(q, &set.atime, &set.mtime);
	return nfs3_set(q, &o->a, &set);
}

/* Of a file that is there only the size is set. */
static uint32_t create_over(struct nfs3_request *q, struct nfs3_object *o)
{
	struct nfs3_set set = {.set_size = q->a.set.set_size, .size = q->a.set.size};

	if (!S_ISREG(o->a.mode))
		return NFS3ERR_EXIST;
	return nfs3_set(q, &o->a, &set);
}

static uint32_t create(struct nfs3_request *q, const struct vfs_attributes *directory, const char *name,
	struct nfs3_object *o)
{
	/* To open a file that is there one need not be allowed to write to the directory. */
	uint32_t status = nfs3_may(q, directory, VFS_EXECUTE);

	if (status != NFS3_OK)
		return status;
	if (q->a.how == NFS3_EXCLUSIVE && q->server->options.one_owner)
		return NFS3ERR_NOTSUPP; /* the client would set mode and times next, as who does not own it */
	if (q->a.how == NFS3_EXCLUSIVE)
		return create_exclusive(q, directory, name, o);
	if (q->a.how == NFS3_UNCHECKED && nfs3_find(q, directory->ino, name, o) == NFS3_OK)
		return create_over(q, o);
	status = create_new(q, directory, name, o);
	return status == NFS3_OK ? set_others(q, o) : status;
}

void nfs3_create(struct nfs3_request *q)
{
	run(q, create);
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static uint32_t make_directory(struct nfs3_request *q, const struct vfs_attributes *directory,
	const char *name, struct nfs3_object *o)
{
	uint32_t mode = nfs3_new_mode(q, directory, 0700);
	uint32_t status = nfs3_may_change(q, directory);

	if (status == NFS3_OK)
		status = made(q, vfs_mkdir(q->fs, &q->who, directory->ino, name, mode, &o->a), o);
	return status == NFS3_OK ? set_others(q, o) : status;
}

void nfs3_mkdir(struct nfs3_request *q)
{
	run(q, make_directory);
}

static uint32_t make_link(struct nfs3_request *q, const struct vfs_attributes *directory, const char *name,
	struct nfs3_object *o)
{
	uint32_t size = q->a.target.size, status = nfs3_may_change(q, directory);

	if (status != NFS3_OK)
		return status;
	if (size > VFS_PATH_MAX)
		return NFS3ERR_NAMETOOLONG;
	if (size == 0 || memchr(q->a.target.data, 0, size))
		return NFS3ERR_INVAL;
	memcpy(q->target, q->a.target.data, size);
	q->target[size] = 0;
	status = made(q, vfs_symlink(q->fs, &q->who, directory->ino, name, q->target, &o->a), o);
	return status == NFS3_OK ? set_others(q, o) : status;
}

void nfs3_symlink(struct nfs3_request *q)
{
	run(q, make_link);
}

static uint32_t make_node(struct nfs3_request *q, const struct vfs_attributes *directory, const char *name,
	struct nfs3_object *o)
{
	static const uint32_t types[NF3FIFO + 1] = {
		[NF3BLK] = S_IFBLK, [NF3CHR] = S_IFCHR, [NF3SOCK] = S_IFSOCK, [NF3FIFO] = S_IFIFO};
	uint32_t type = types[q->a.type], mode = nfs3_new_mode(q, directory, 0600);
	uint32_t status = nfs3_may_change(q, directory);

	if (status != NFS3_OK)
		return status;
	if (type == 0)
		return NFS3ERR_BADTYPE;
	if ((type == S_IFBLK || type == S_IFCHR) && q->who.uid != 0)
		return NFS3ERR_PERM;
	status = made(q,
		vfs_mknod(q->fs, &q->who, directory->ino, name, type | mode, q->a.major, q->a.minor, &o->a),
		o);
	return status == NFS3_OK ? set_others(q, o) : status;
}

void nfs3_mknod(struct nfs3_request *q)
{
	run(q, make_node);
}
