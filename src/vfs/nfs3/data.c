/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READLINK, READ, WRITE, COMMIT (RFC 1813, 3.3.5 to 7 and 21).
 *
 * The attributes that READ gives are of before it: a client that finds a newer mtime later drops what it
 * has read, while old data under a new mtime would be kept for good.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/nfs3/parts.h"

#define MAPPED_LEAST 65536u /* bytes of a read that is not worth a copy */

static uint32_t check_file(const struct vfs_attributes *a)
{
	if (S_ISREG(a->mode))
		return NFS3_OK;
	return S_ISDIR(a->mode) ? NFS3ERR_ISDIR : NFS3ERR_INVAL;
}

void nfs3_readlink(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.status =
		S_ISLNK(o.a.mode) ? nfs3_status(vfs_readlink(q->fs, o.a.ino, q->target)) : NFS3ERR_INVAL;
	q->r.data = (struct xdr_bytes){(const uint8_t *)q->target, (uint32_t)strlen(q->target)};
}

/* Whether the data can be sent from where it is; the file, open, is the tail's then. */
static bool leave_in_file(struct nfs3_request *q, struct nfs3_open *o, uint32_t size)
{
	const void *bytes;

	if (!q->tail || !o || size < MAPPED_LEAST || size % 4)
		return false;
	bytes = nfs3_open_map(q->server, o, q->a.offset, size);
	if (!bytes)
		return false;
	*q->tail = (struct nfs3_tail){q->server, o, bytes, q->a.offset, size};
	q->r.behind = true;
	return true;
}

/* Reads to where the data will stand in the reply, or finds where it stands. */
static int64_t read_in_place(struct nfs3_request *q, const struct vfs_attributes *a, uint32_t size)
{
	struct nfs3_open *o = nfs3_open_take(q, &q->a.object, a, VFS_READ);
	uint8_t *place;
	int64_t n = -ENOMEM;

	if (leave_in_file(q, o, size))
		return size;
	if (buffer_reserve(q->out, NFS3_READ_PREFIX + (size_t)size + 4)) {
		place = q->out->data + q->out->size + NFS3_READ_PREFIX;
		q->r.data.data = place;
		n = vfs_read(q->fs, a->ino, nfs3_open_handle(o), place, size, q->a.offset);
	}
	nfs3_open_give(q->server, o);
	return n;
}

static uint32_t read_data(struct nfs3_request *q, const struct vfs_attributes *a)
{
	uint64_t left = q->a.offset < a->size ? a->size - q->a.offset : 0;
	uint32_t size = q->a.count < VFS_IO_MAX ? q->a.count : VFS_IO_MAX;
	int64_t n;

	/* It may grow meanwhile, but then what is behind this end has not been asked for. */
	if (size > left)
		size = (uint32_t)left;
	n = size ? read_in_place(q, a, size) : 0;
	if (n < 0)
		return nfs3_status(n);
	q->r.count = q->r.data.size = (uint32_t)n;
	q->r.end = n < size || (uint64_t)n == left;
	return NFS3_OK;
}

void nfs3_read(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.object = nfs3_post(q->server, &o.a);
	q->r.status = check_file(&o.a);
	if (q->r.status == NFS3_OK)
		q->r.status = nfs3_may_read(q, &o.a);
	if (q->r.status == NFS3_OK)
		q->r.status = read_data(q, &o.a);
}

static void set_verifier(struct nfs3_request *q)
{
	uint64_t v = q->server->verifier;

	memcpy(q->r.verifier, &v, sizeof v);
}

static uint32_t write_data(struct nfs3_request *q, const struct vfs_attributes *a)
{
	struct vfs_attributes now;
	int64_t n = 0;

	if (q->a.count) {
		struct nfs3_open *o = nfs3_open_take(q, &q->a.object, a, VFS_READ | VFS_WRITE);

		n = vfs_write(q->fs, a->ino, nfs3_open_handle(o), q->a.data.data, q->a.count, q->a.offset);
		nfs3_open_give(q->server, o);
	}
	if (n < 0)
		return nfs3_status(n);
	if (n > 0 && q->who.uid != 0 && a->mode & (S_ISUID | S_ISGID))
		vfs_setattr(q->fs, &q->who, a->ino, VFS_NO_HANDLE, a, VFS_CLEAR_PRIVILEGES, &now);
	q->r.count = (uint32_t)n;
	q->r.stable = q->a.stable;
	return NFS3_OK;
}

static uint32_t write_locked(struct nfs3_request *q, struct nfs3_object *o)
{
	_cleanup_nfs3_lock_ struct nfs3_lock lock = nfs3_lock(q->server, &q->a.object, &q->a.object);
	uint32_t status = nfs3_resolve(q, &q->a.object, o);

	if (status != NFS3_OK)
		return status;
	nfs3_before(&q->r.wcc, &o->a);
	status = check_file(&o->a);
	if (status == NFS3_OK)
		status = nfs3_may_write(q, &o->a);
	if (status == NFS3_OK && q->a.data.size < q->a.count)
		status = NFS3ERR_INVAL;
	if (status == NFS3_OK)
		status = write_data(q, &o->a);
	q->r.wcc.after = nfs3_post_now(q->server, o->a.ino);
	return status;
}

void nfs3_write(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	set_verifier(q); /* of before: what is lost from here on is sent again */
	q->r.status = write_locked(q, &o);
	/* Not under the lock: others may write meanwhile. */
	if (q->r.status == NFS3_OK && q->a.stable != NFS3_UNSTABLE)
		q->r.status = nfs3_sync(q, o.a.ino, q->a.stable == NFS3_DATA_SYNC);
}

void nfs3_commit(struct nfs3_request *q)
{
	_cleanup_object_ struct nfs3_object o = {0};

	q->r.status = nfs3_resolve(q, &q->a.object, &o);
	if (q->r.status != NFS3_OK)
		return;
	q->r.status = check_file(&o.a);
	if (q->r.status == NFS3_OK)
		q->r.status = nfs3_may_write(q, &o.a);
	if (q->r.status == NFS3_OK)
		q->r.status = nfs3_sync(q, o.a.ino, false);
	q->r.wcc.after = nfs3_post_now(q->server, o.a.ino);
	set_verifier(q);
}
