/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller may: mode bits, owners, sticky directories. The rules are those of Linux (chmod(2), chown(2),
 * utimensat(2), unlink(2), inode(7)). */
#include <errno.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

static bool owns(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	return q->who.uid == 0 || q->who.uid == a->uid;
}

static bool is_member(const struct nfs3_request *q, uint32_t gid)
{
	if (q->who.uid == 0 || q->who.gid == gid)
		return true;
	for (uint32_t i = 0; i < q->who.group_count; i++)
		if (q->who.groups[i] == gid)
			return true;
	return false;
}

uint32_t nfs3_may(const struct nfs3_request *q, const struct vfs_attributes *a, unsigned access)
{
	return vfs_permitted(&q->who, a, access) ? NFS3_OK : NFS3ERR_ACCES;
}

/* Whether the caller may have it open, whatever its mode says. */
static bool opened(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	return q->server->options.one_owner || owns(q, a);
}

uint32_t nfs3_may_read(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	if (opened(q, a) || vfs_permitted(&q->who, a, VFS_MAY_READ) || vfs_permitted(&q->who, a, VFS_EXECUTE))
		return NFS3_OK;
	return NFS3ERR_ACCES;
}

uint32_t nfs3_may_write(const struct nfs3_request *q, const struct vfs_attributes *a)
{
	return opened(q, a) || vfs_permitted(&q->who, a, VFS_MAY_WRITE) ? NFS3_OK : NFS3ERR_ACCES;
}

uint32_t nfs3_may_change(const struct nfs3_request *q, const struct vfs_attributes *directory)
{
	return nfs3_may(q, directory, VFS_MAY_WRITE | VFS_EXECUTE);
}

uint32_t nfs3_may_remove(const struct nfs3_request *q, const struct vfs_attributes *directory,
	const struct vfs_attributes *object)
{
	uint32_t status = nfs3_may_change(q, directory);

	if (status == NFS3_OK && directory->mode & S_ISVTX && !owns(q, directory) && !owns(q, object))
		return NFS3ERR_PERM;
	return status;
}

uint32_t nfs3_access(const struct nfs3_request *q, const struct vfs_attributes *a, uint32_t wanted)
{
	uint32_t may = 0;
	bool directory = S_ISDIR(a->mode);
	bool execute = vfs_permitted(&q->who, a, VFS_EXECUTE);
	bool write = vfs_permitted(&q->who, a, VFS_MAY_WRITE) && !q->fs->read_only;

	if (vfs_permitted(&q->who, a, VFS_MAY_READ))
		may |= NFS3_ACCESS_READ;
	if (execute)
		may |= directory ? NFS3_ACCESS_LOOKUP : NFS3_ACCESS_EXECUTE;
	if (write && (execute || !directory))
		may |= NFS3_ACCESS_MODIFY | NFS3_ACCESS_EXTEND | (directory ? NFS3_ACCESS_DELETE : 0);
	return may & wanted;
}

/* ---- attributes that are set -------------------------------------------------------------------------- */

static uint32_t may_set_owner(const struct nfs3_request *q, const struct vfs_attributes *a,
	const struct nfs3_set *set, struct vfs_attributes *values, unsigned *what)
{
	if (set->set_uid) {
		if (q->who.uid != 0 && (q->who.uid != a->uid || set->uid != a->uid))
			return NFS3ERR_PERM;
		values->uid = set->uid;
		*what |= VFS_SET_UID;
	}
	if (set->set_gid) {
		if (!owns(q, a) || (set->gid != a->gid && !is_member(q, set->gid)))
			return NFS3ERR_PERM;
		values->gid = set->gid;
		*what |= VFS_SET_GID;
	}
	if ((set->set_uid || set->set_gid) && !S_ISDIR(a->mode))
		*what |= VFS_CLEAR_PRIVILEGES;
	return NFS3_OK;
}

static uint32_t may_set_mode(const struct nfs3_request *q, const struct vfs_attributes *a,
	const struct nfs3_set *set, struct vfs_attributes *values, unsigned *what)
{
	if (!set->set_mode)
		return NFS3_OK;
	if (!owns(q, a))
		return NFS3ERR_PERM;
	values->mode = set->mode & 07777;
	if (!is_member(q, *what & VFS_SET_GID ? values->gid : a->gid))
		values->mode &= ~(uint32_t)S_ISGID;
	*what |= VFS_SET_MODE;
	*what &= ~(unsigned)VFS_CLEAR_PRIVILEGES; /* what was asked for is what it gets */
	return NFS3_OK;
}

static uint32_t may_set_size(const struct nfs3_request *q, const struct vfs_attributes *a,
	const struct nfs3_set *set, struct vfs_attributes *values, unsigned *what)
{
	if (!set->set_size)
		return NFS3_OK;
	if (!S_ISREG(a->mode))
		return S_ISDIR(a->mode) ? NFS3ERR_ISDIR : NFS3ERR_INVAL;
	values->size = set->size;
	*what |= VFS_SET_SIZE;
	if (q->who.uid != 0 && !(*what & VFS_SET_MODE))
		*what |= VFS_CLEAR_PRIVILEGES;
	return nfs3_may_write(q, a);
}

static uint32_t may_set_time(const struct nfs3_request *q, const struct vfs_attributes *a, uint32_t how,
	struct nfs3_time to, unsigned bits, struct vfs_time *value, unsigned *what)
{
	if (how == NFS3_SERVER_TIME) {
		*what |= bits & (VFS_SET_ATIME_NOW | VFS_SET_MTIME_NOW);
		return nfs3_may_write(q, a);
	}
	if (how == NFS3_CLIENT_TIME) {
		*value = (struct vfs_time){to.seconds, to.nanoseconds};
		*what |= bits & (VFS_SET_ATIME | VFS_SET_MTIME);
		return owns(q, a) ? NFS3_OK : NFS3ERR_PERM;
	}
	return NFS3_OK;
}

uint32_t nfs3_may_set(const struct nfs3_request *q, const struct vfs_attributes *a,
	const struct nfs3_set *set, struct vfs_attributes *values, unsigned *what)
{
	uint32_t status;

	*values = *a;
	*what = 0;
	status = may_set_owner(q, a, set, values, what);
	if (status == NFS3_OK)
		status = may_set_mode(q, a, set, values, what);
	if (status == NFS3_OK)
		status = may_set_size(q, a, set, values, what);
	if (status == NFS3_OK)
		status = may_set_time(q, a, set->set_atime, set->atime, VFS_SET_ATIME | VFS_SET_ATIME_NOW,
			&values->atime, what);
	if (status == NFS3_OK)
		status = may_set_time(q, a, set->set_mtime, set->mtime, VFS_SET_MTIME | VFS_SET_MTIME_NOW,
			&values->mtime, what);
	return status;
}

uint32_t nfs3_new_mode(
	const struct nfs3_request *q, const struct vfs_attributes *directory, uint32_t otherwise)
{
	uint32_t mode = q->a.set.set_mode ? q->a.set.mode & 07777 : otherwise;

	if (directory->mode & S_ISGID && !is_member(q, directory->gid))
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}
