/* SPDX-License-Identifier: Apache-2.0 */
/* Handles, names and attributes: between what the protocol carries and what the file system knows. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

#define MAC_SIZE 16u

_Static_assert(VFS_PERSISTENT_MAX + MAC_SIZE <= NFS3_HANDLE_MAX, "a handle is too long");

uint32_t nfs3_status(int64_t r)
{
	static const struct {
		int number;
		uint32_t status;
	} known[] = {{EPERM, NFS3ERR_PERM}, {ENOENT, NFS3ERR_NOENT}, {EIO, NFS3ERR_IO}, {ENXIO, NFS3ERR_NXIO},
		{EACCES, NFS3ERR_ACCES}, {EEXIST, NFS3ERR_EXIST}, {EXDEV, NFS3ERR_XDEV},
		{ENODEV, NFS3ERR_NODEV}, {ENOTDIR, NFS3ERR_NOTDIR}, {EISDIR, NFS3ERR_ISDIR},
		{EINVAL, NFS3ERR_INVAL}, {EFBIG, NFS3ERR_FBIG}, {ENOSPC, NFS3ERR_NOSPC},
		{EROFS, NFS3ERR_ROFS}, {EMLINK, NFS3ERR_MLINK}, {ENAMETOOLONG, NFS3ERR_NAMETOOLONG},
		{ENOTEMPTY, NFS3ERR_NOTEMPTY}, {EDQUOT, NFS3ERR_DQUOT}, {ESTALE, NFS3ERR_STALE},
		{EBADF, NFS3ERR_STALE}, {ENOSYS, NFS3ERR_NOTSUPP}, {EOPNOTSUPP, NFS3ERR_NOTSUPP},
		{ELOOP, NFS3ERR_INVAL}, {EOVERFLOW, NFS3ERR_INVAL},
		/* Clients try these again after a while. */
		{EAGAIN, NFS3ERR_JUKEBOX}, {ENOMEM, NFS3ERR_JUKEBOX}, {ENFILE, NFS3ERR_JUKEBOX},
		{EMFILE, NFS3ERR_JUKEBOX}, {EBUSY, NFS3ERR_JUKEBOX}, {ETXTBSY, NFS3ERR_JUKEBOX}};

	if (r >= 0)
		return NFS3_OK;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].number == -r)
			return known[i].status;
	return NFS3ERR_SERVERFAULT;
}

/* ---- handles ---------------------------------------------------------------------------------------- */

static bool make_mac(const struct nfs3_server *s, const uint8_t *bytes, size_t size, uint8_t mac[MAC_SIZE])
{
	uint8_t whole[SHA256_SIZE];

	if (hmac_of(&s->key, bytes, size, whole, NULL) < 0)
		return false;
	memcpy(mac, whole, MAC_SIZE);
	return true;
}

uint32_t nfs3_make_handle(struct nfs3_server *s, uint64_t ino, struct nfs3_handle *handle)
{
	uint8_t bytes[VFS_PERSISTENT_MAX];
	size_t size;
	int r = vfs_persist(s->fs, ino, bytes, &size);

	if (r < 0)
		return nfs3_status(r);
	if (!make_mac(s, bytes, size, handle->bytes + size))
		return NFS3ERR_JUKEBOX;
	memcpy(handle->bytes, bytes, size);
	handle->size = (uint32_t)(size + MAC_SIZE);
	return NFS3_OK;
}

void nfs3_object_put(struct nfs3_object *o)
{
	if (o->fs)
		vfs_forget(o->fs, o->a.ino, 1);
	o->fs = NULL;
}

uint32_t nfs3_resolve(struct nfs3_request *q, const struct nfs3_handle *handle, struct nfs3_object *o)
{
	uint8_t mac[MAC_SIZE];
	size_t size;
	int r;

	if (handle->size <= MAC_SIZE)
		return NFS3ERR_BADHANDLE;
	size = handle->size - MAC_SIZE;
	if (!make_mac(q->server, handle->bytes, size, mac))
		return NFS3ERR_JUKEBOX;
	if (!hmac_equal(mac, handle->bytes + size, MAC_SIZE))
		return NFS3ERR_BADHANDLE;
	r = vfs_resolve(q->fs, handle->bytes, size, &o->a);
	if (r < 0)
		return nfs3_status(r);
	o->fs = q->fs;
	/* It may still be open here, but it has lost its last name. */
	if (S_ISREG(o->a.mode) && o->a.links == 0) {
		nfs3_object_put(o);
		return NFS3ERR_STALE;
	}
	return NFS3_OK;
}

uint32_t nfs3_resolve_directory(
	struct nfs3_request *q, const struct nfs3_handle *handle, struct nfs3_object *o)
{
	uint32_t status = nfs3_resolve(q, handle, o);

	return status == NFS3_OK && !S_ISDIR(o->a.mode) ? NFS3ERR_NOTDIR : status;
}

/* ---- names ------------------------------------------------------------------------------------------ */

uint32_t nfs3_name(const struct xdr_bytes *bytes, char name[VFS_NAME_MAX + 1])
{
	if (bytes->size > VFS_NAME_MAX)
		return NFS3ERR_NAMETOOLONG;
	if (bytes->size == 0 || memchr(bytes->data, 0, bytes->size))
		return NFS3ERR_INVAL;
	memcpy(name, bytes->data, bytes->size);
	name[bytes->size] = 0;
	return NFS3_OK;
}

uint32_t nfs3_find(struct nfs3_request *q, uint64_t parent, const char *name, struct nfs3_object *o)
{
	int r = vfs_lookup(q->fs, parent, name, &o->a);

	if (r == 0)
		o->fs = q->fs;
	return nfs3_status(r);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

struct nfs3_time nfs3_time(struct vfs_time t)
{
	if (t.seconds < 0)
		return (struct nfs3_time){0};
	if (t.seconds > UINT32_MAX)
		return (struct nfs3_time){UINT32_MAX, 999999999};
	return (struct nfs3_time){(uint32_t)t.seconds, t.nanoseconds};
}

uint32_t nfs3_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return NF3DIR;
	case S_IFBLK:
		return NF3BLK;
	case S_IFCHR:
		return NF3CHR;
	case S_IFLNK:
		return NF3LNK;
	case S_IFSOCK:
		return NF3SOCK;
	case S_IFIFO:
		return NF3FIFO;
	default:
		return NF3REG;
	}
}

struct nfs3_post nfs3_post(const struct nfs3_server *s, const struct vfs_attributes *a)
{
	return (struct nfs3_post){.there = true,
		.a = {.type = nfs3_type(a->mode),
			.mode = a->mode & 07777,
			.links = a->links,
			.uid = a->uid,
			.gid = a->gid,
			.size = a->size,
			.used = a->blocks * 512,
			.major = a->major,
			.minor = a->minor,
			.fsid = s->options.fsid,
			.fileid = a->ino,
			.atime = nfs3_time(a->atime),
			.mtime = nfs3_time(a->mtime),
			.ctime = nfs3_time(a->ctime)}};
}

struct nfs3_post nfs3_post_now(const struct nfs3_server *s, uint64_t ino)
{
	struct vfs_attributes a;

	if (vfs_getattr(s->fs, ino, VFS_NO_HANDLE, &a) < 0)
		return (struct nfs3_post){0};
	return nfs3_post(s, &a);
}

void nfs3_before(struct nfs3_wcc *wcc, const struct vfs_attributes *a)
{
	wcc->before = true;
	wcc->size = a->size;
	wcc->mtime = nfs3_time(a->mtime);
	wcc->ctime = nfs3_time(a->ctime);
}

/* ---- locks ------------------------------------------------------------------------------------------ */

/* The last byte is of the MAC, and so as good as random. */
static size_t stripe_of(const struct nfs3_handle *handle)
{
	return handle->size ? handle->bytes[handle->size - 1] % STRIPES : 0;
}

struct nfs3_lock nfs3_lock(
	struct nfs3_server *s, const struct nfs3_handle *handle, const struct nfs3_handle *other)
{
	size_t a = stripe_of(handle), b = stripe_of(other);
	struct nfs3_lock lock = {.first = &s->stripes[a < b ? a : b]};

	pthread_mutex_lock(lock.first);
	if (a != b) {
		lock.second = &s->stripes[a < b ? b : a];
		pthread_mutex_lock(lock.second);
	}
	return lock;
}

void nfs3_unlock(struct nfs3_lock *lock)
{
	if (lock->second)
		pthread_mutex_unlock(lock->second);
	if (lock->first)
		pthread_mutex_unlock(lock->first);
	*lock = (struct nfs3_lock){0};
}
