/* SPDX-License-Identifier: Apache-2.0 */
/* GETATTR, SETATTR, ACCESS, and what the whole file system is like (RFC 1813, 3.3.1, 2, 4, 18 to 20). */
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

#define DIRECTORY_BEST 65536u
#define LINKS_MAX      65000u /* ext4's; what a file system holds less of is NFS3ERR_MLINK then */

void nfs3_getattr(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status == NFS3_OK)
		q->r.object = nfs3_post(q->server, &o.a);
}

uint32_t nfs3_sync(struct nfs3_request *q, uint64_t ino, bool data_only)
{
	int r = vfs_fsync(q->fs, ino, VFS_NO_HANDLE, data_only);

	/* What was written and not yet synced may be lost: clients are to send it again. */
	if (r < 0)
		q->server->verifier++;
	return nfs3_status(r);
}

uint32_t nfs3_set(struct nfs3_request *q, struct vfs_attributes *a, const struct nfs3_set *set)
{
	struct vfs_attributes values;
	unsigned what;
	uint32_t status = nfs3_may_set(q, a, set, &values, &what);

	if (status != NFS3_OK || what == 0)
		return status;
	return nfs3_status(vfs_setattr(q->fs, &q->who, a->ino, VFS_NO_HANDLE, &values, what, a));
}

static bool guard_holds(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	struct nfs3_time now = nfs3_time(a->ctime);

	return !q->a.guarded ||
	       (now.seconds == q->a.guard.seconds && now.nanoseconds == q->a.guard.nanoseconds);
}

static uint32_t set_locked(struct nfs3_request *q, struct nfs3_object *o)
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.object);
	uint32_t status = nfs3_resolve(q, &q->a.object, o);
	uint64_t ino;

	if (status != NFS3_OK)
		return status;
	ino = o->a.ino;
	nfs3_before(&q->r.wcc, &o->a);
	status = guard_holds(q, &o->a) ? nfs3_set(q, &o->a, &q->a.set) : NFS3ERR_NOT_SYNC;
	q->r.wcc.after = status == NFS3_OK ? nfs3_post(q->server, &o->a) : nfs3_post_now(q->server, ino);
	return status;
}

void nfs3_setattr(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = set_locked(q, &o);
	if (q->r.status == NFS3_OK && !q->server->options.lazy_names)
		q->r.status = S_ISDIR(o.a.mode)   ? nfs3_status(vfs_fsyncdir(q->fs, o.a.ino))
			      : S_ISREG(o.a.mode) ? nfs3_sync(q, o.a.ino, false)
						  : NFS3_OK;
}

void nfs3_access_call(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.access = nfs3_access(q, &o.a, q->a.access);
}

/* ---- of the file system ----------------------------------------------------------------------------- */

static uint64_t times(uint64_t blocks, uint32_t size)
{
	uint64_t bytes;

	return __builtin_mul_overflow(blocks, size, &bytes) ? UINT64_MAX : bytes;
}

void nfs3_fsstat(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};
	struct vfs_statistics s = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.status = nfs3_status(vfs_statfs(q->fs, &s));
	q->r.space = (struct nfs3_space){.bytes = times(s.blocks, s.block_size),
		.free_bytes = times(s.free, s.block_size),
		.available_bytes = times(s.available, s.block_size),
		.files = s.files,
		.free_files = s.files_free,
		.available_files = s.files_free};
}

void nfs3_fsinfo(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.properties = (struct nfs3_properties){.read_max = VFS_IO_MAX,
		.read_best = VFS_IO_MAX,
		.read_multiple = 4096,
		.write_max = VFS_IO_MAX,
		.write_best = VFS_IO_MAX,
		.write_multiple = 4096,
		.directory_best = DIRECTORY_BEST,
		.file_max = INT64_MAX,
		.time_step = {0, 1},
		.can = NFS3_CAN_LINK | NFS3_CAN_SYMLINK | NFS3_CAN_HOMOGENEOUS | NFS3_CAN_SET_TIME};
}

void nfs3_pathconf(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.limits = (struct nfs3_limits){.link_max = LINKS_MAX,
		.name_max = VFS_NAME_MAX,
		.no_truncation = true,
		.chown_restricted = true,
		.case_preserving = true};
}
