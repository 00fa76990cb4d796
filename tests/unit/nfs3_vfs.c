/* SPDX-License-Identifier: Apache-2.0 */
#include "nfs3_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "codec/nfs3.h"
#include "codec/rpc.h"

struct known {
	uint64_t ino, lookups;
	struct nfs3_handle handle;
};

struct opened {
	vfs_handle id;
	uint64_t ino;
	unsigned flags;
	bool directory;
	struct opened *next;
};

struct client {
	struct vfs vfs; /* the first member */
	struct nfs3_server *server;
	uint64_t root; /* its number there; here it is VFS_ROOT */
	pthread_mutex_t lock;
	struct map known;
	struct opened *opens;
	vfs_handle next_id;
	_Atomic uint32_t xid;
};

/* One call: results point into `reply`. */
struct exchange {
	struct client *c;
	struct vfs_caller who;
	struct nfs3_arguments a;
	struct nfs3_results r;
	struct buffer reply;
};

static void exchange_end(struct exchange *e)
{
	buffer_free(&e->reply);
}
#define _cleanup_exchange_ _cleanup_(exchange_end)

static struct client *client_of(struct vfs *fs)
{
	return (struct client *)fs;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

static int errno_of(uint32_t status)
{
	switch (status) {
	case NFS3_OK:
		return 0;
	case NFS3ERR_NAMETOOLONG:
		return -ENAMETOOLONG;
	case NFS3ERR_NOTEMPTY:
		return -ENOTEMPTY;
	case NFS3ERR_DQUOT:
		return -EDQUOT;
	case NFS3ERR_STALE:
		return -ESTALE;
	case NFS3ERR_NOTSUPP:
		return -EOPNOTSUPP;
	default:
		return status < 60 ? -(int)status : -EREMOTEIO; /* these are errno's of Unix */
	}
}

static int send_call(struct exchange *e, uint32_t program, uint32_t procedure, const struct buffer *arguments,
	struct xdr *results)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct rpc_reply header;
	struct rpc_call call = {.xid = e->c->xid++,
		.version = RPC_VERSION,
		.program = program,
		.program_version = 3,
		.procedure = procedure,
		.credential = {.flavor = RPC_AUTH_SYS, .uid = e->who.uid, .gid = e->who.gid}};

	for (uint32_t i = 0; i < e->who.group_count && i < RPC_GROUPS_MAX; i++)
		call.credential.groups[call.credential.group_count++] = e->who.groups[i];
	rpc_call_write(&out, &call);
	buffer_append(&out, arguments->data, arguments->size);
	buffer_clear(&e->reply);
	if (out.failed || !nfs3_server_call(e->c->server, 1, out.data, out.size, &e->reply, NULL))
		return -EIO;
	*results = xdr_reader(e->reply.data + RPC_MARK_SIZE, e->reply.size - RPC_MARK_SIZE);
	if (!rpc_reply_read(results, &header) || header.denied || header.status != RPC_SUCCESS)
		return -EPROTO;
	return 0;
}

static int call(struct exchange *e, uint32_t procedure)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr out = xdr_writer(&arguments), in;
	int r;

	nfs3_code_arguments(&out, procedure, &e->a);
	r = send_call(e, NFS3_PROGRAM, procedure, &arguments, &in);
	if (r < 0)
		return r;
	e->r = (struct nfs3_results){0};
	nfs3_code_results(&in, procedure, &e->r);
	return xdr_done(&in) ? errno_of(e->r.status) : -EPROTO;
}

/* ---- what is known ---------------------------------------------------------------------------------- */

static int handle_of(struct client *c, uint64_t ino, struct nfs3_handle *handle)
{
	struct known *k;

	pthread_mutex_lock(&c->lock);
	k = map_get(&c->known, &ino, sizeof ino);
	if (k)
		*handle = k->handle;
	pthread_mutex_unlock(&c->lock);
	return k ? 0 : -ESTALE;
}

static int know(struct client *c, uint64_t ino, const struct nfs3_handle *handle)
{
	struct known *k;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	k = map_get(&c->known, &ino, sizeof ino);
	if (!k) {
		k = calloc(1, sizeof *k);
		if (!k || map_set(&c->known, &ino, sizeof ino, k, NULL, NULL) < 0) {
			free(k);
			r = -ENOMEM;
		}
	}
	if (r == 0) {
		k->ino = ino;
		k->handle = *handle;
		k->lookups++;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void on_forget(struct vfs *fs, uint64_t ino, uint64_t times)
{
	struct client *c = client_of(fs);
	struct known *k;

	pthread_mutex_lock(&c->lock);
	k = map_get(&c->known, &ino, sizeof ino);
	if (k && k->lookups <= times && ino != VFS_ROOT)
		free(map_remove(&c->known, &ino, sizeof ino));
	else if (k)
		k->lookups -= times;
	pthread_mutex_unlock(&c->lock);
}

static uint64_t number_of(struct client *c, uint64_t fileid)
{
	return fileid == c->root ? VFS_ROOT : fileid;
}

static struct vfs_time time_of(struct nfs3_time t)
{
	return (struct vfs_time){t.seconds, t.nanoseconds};
}

static void attributes_of(struct client *c, const struct nfs3_attributes *a, struct vfs_attributes *out)
{
	static const uint32_t types[] = {0, S_IFREG, S_IFDIR, S_IFBLK, S_IFCHR, S_IFLNK, S_IFSOCK, S_IFIFO};

	*out = (struct vfs_attributes){.ino = number_of(c, a->fileid),
		.size = a->size,
		.blocks = a->used / 512,
		.mode = types[a->type] | a->mode,
		.links = a->links,
		.uid = a->uid,
		.gid = a->gid,
		.major = a->major,
		.minor = a->minor,
		.block_size = 4096,
		.atime = time_of(a->atime),
		.mtime = time_of(a->mtime),
		.ctime = time_of(a->ctime),
		.change = a->ctime.seconds * 1000000000ull + a->ctime.nanoseconds};
}

/* What was made or found: with handle and attributes, or the protocol was broken. */
static int found(struct exchange *e, int r, struct vfs_attributes *out)
{
	if (r < 0)
		return r;
	if (!e->r.has_handle || !e->r.object.there)
		return -EPROTO;
	attributes_of(e->c, &e->r.object.a, out);
	return know(e->c, out->ino, &e->r.handle);
}

static struct xdr_bytes bytes_of(const char *text)
{
	return (struct xdr_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* A call about an object that is known, as root unless that is changed. */
static int begin(struct vfs *fs, struct exchange *e, uint64_t ino)
{
	e->c = client_of(fs);
	return handle_of(e->c, ino, &e->a.object);
}

static int begin_name(
	struct vfs *fs, struct exchange *e, const struct vfs_caller *who, uint64_t parent, const char *name)
{
	int r = begin(fs, e, parent);

	if (who)
		e->who = *who;
	e->a.name = bytes_of(name);
	return r;
}

/* ---- names ------------------------------------------------------------------------------------------ */

static int on_lookup(struct vfs *fs, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin_name(fs, &e, NULL, parent, name);

	return r < 0 ? r : found(&e, call(&e, NFS3_LOOKUP), out);
}

static int make(struct vfs *fs, struct exchange *e, const struct vfs_caller *who, uint64_t parent,
	const char *name, uint32_t procedure, struct vfs_attributes *out)
{
	int r = begin_name(fs, e, who, parent, name);

	return r < 0 ? r : found(e, call(e, procedure), out);
}

static int on_mknod(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, uint32_t major, uint32_t minor, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};

	e.a = (struct nfs3_arguments){.set = {.set_mode = true, .mode = mode & 07777},
		.how = NFS3_GUARDED,
		.major = major,
		.minor = minor,
		.type = S_ISFIFO(mode)   ? NF3FIFO
			: S_ISSOCK(mode) ? NF3SOCK
			: S_ISCHR(mode)  ? NF3CHR
					 : NF3BLK};
	return make(fs, &e, who, parent, name, S_ISREG(mode) ? NFS3_CREATE : NFS3_MKNOD, out);
}

static int on_mkdir(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};

	e.a.set = (struct nfs3_set){.set_mode = true, .mode = mode};
	return make(fs, &e, who, parent, name, NFS3_MKDIR, out);
}

static int on_symlink(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	const char *target, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};

	e.a.target = bytes_of(target);
	return make(fs, &e, who, parent, name, NFS3_SYMLINK, out);
}

static int on_link(
	struct vfs *fs, uint64_t ino, uint64_t parent, const char *name, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin(fs, &e, ino);

	if (r == 0)
		r = handle_of(e.c, parent, &e.a.to);
	e.a.to_name = bytes_of(name);
	if (r == 0)
		r = call(&e, NFS3_LINK);
	e.r.has_handle = true;
	e.r.handle = e.a.object;
	return found(&e, r, out);
}

static int run_name(struct vfs *fs, uint64_t parent, const char *name, uint32_t procedure)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin_name(fs, &e, NULL, parent, name);

	return r < 0 ? r : call(&e, procedure);
}

static int on_unlink(struct vfs *fs, uint64_t parent, const char *name)
{
	return run_name(fs, parent, name, NFS3_REMOVE);
}

static int on_rmdir(struct vfs *fs, uint64_t parent, const char *name)
{
	return run_name(fs, parent, name, NFS3_RMDIR);
}

static int on_rename(
	struct vfs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin_name(fs, &e, NULL, from, name);

	if (flags)
		return -EINVAL;
	if (r == 0)
		r = handle_of(e.c, to, &e.a.to);
	e.a.to_name = bytes_of(new_name);
	return r < 0 ? r : call(&e, NFS3_RENAME);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

static int check_open(struct client *c, uint64_t ino, vfs_handle handle, bool directory, unsigned *flags);

static int on_getattr(struct vfs *fs, uint64_t ino, vfs_handle handle, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin(fs, &e, ino);

	(void)handle;
	if (r == 0)
		r = call(&e, NFS3_GETATTR);
	if (r == 0)
		attributes_of(e.c, &e.r.object.a, out);
	return r;
}

static uint32_t how_of(unsigned what, unsigned client, unsigned server)
{
	return what & server ? NFS3_SERVER_TIME : what & client ? NFS3_CLIENT_TIME : NFS3_DONT_CHANGE;
}

static int on_setattr(struct vfs *fs, const struct vfs_caller *who, uint64_t ino, vfs_handle handle,
	const struct vfs_attributes *v, unsigned what, struct vfs_attributes *out)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin(fs, &e, ino);
	unsigned flags;

	(void)who; /* whoever may is root here: it is the client's system that judges */
	if (r == 0 && handle != VFS_NO_HANDLE)
		r = check_open(e.c, ino, handle, false, &flags);
	e.a.set = (struct nfs3_set){.set_mode = what & VFS_SET_MODE,
		.mode = v->mode & 07777,
		.set_uid = what & VFS_SET_UID,
		.uid = v->uid,
		.set_gid = what & VFS_SET_GID,
		.gid = v->gid,
		.set_size = what & VFS_SET_SIZE,
		.size = v->size,
		.set_atime = how_of(what, VFS_SET_ATIME, VFS_SET_ATIME_NOW),
		.atime = {(uint32_t)v->atime.seconds, v->atime.nanoseconds},
		.set_mtime = how_of(what, VFS_SET_MTIME, VFS_SET_MTIME_NOW),
		.mtime = {(uint32_t)v->mtime.seconds, v->mtime.nanoseconds}};
	if (r == 0)
		r = call(&e, NFS3_SETATTR);
	return r < 0 ? r : on_getattr(fs, ino, VFS_NO_HANDLE, out);
}

static int on_readlink(struct vfs *fs, uint64_t ino, char target[VFS_PATH_MAX + 1])
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin(fs, &e, ino);

	if (r == 0)
		r = call(&e, NFS3_READLINK);
	if (r < 0)
		return r;
	memcpy(target, e.r.data.data, e.r.data.size);
	target[e.r.data.size] = 0;
	return 0;
}

static int on_statfs(struct vfs *fs, struct vfs_statistics *out)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r = begin(fs, &e, VFS_ROOT);

	if (r == 0)
		r = call(&e, NFS3_FSSTAT);
	*out = (struct vfs_statistics){.blocks = e.r.space.bytes / 4096,
		.free = e.r.space.free_bytes / 4096,
		.available = e.r.space.available_bytes / 4096,
		.files = e.r.space.files,
		.files_free = e.r.space.free_files,
		.block_size = 4096,
		.name_max = VFS_NAME_MAX};
	return r;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int check_open(struct client *c, uint64_t ino, vfs_handle handle, bool directory, unsigned *flags)
{
	struct opened *o;

	pthread_mutex_lock(&c->lock);
	for (o = c->opens; o && (o->id != handle || o->ino != ino || o->directory != directory); o = o->next)
		;
	if (o)
		*flags = o->flags;
	pthread_mutex_unlock(&c->lock);
	return o ? 0 : -EBADF;
}

static int add_open(struct client *c, uint64_t ino, unsigned flags, bool directory, vfs_handle *handle)
{
	struct opened *o = calloc(1, sizeof *o);

	if (!o)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	*o = (struct opened){
		.id = c->next_id++, .ino = ino, .flags = flags, .directory = directory, .next = c->opens};
	c->opens = o;
	*handle = o->id;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

static void on_release(struct vfs *fs, uint64_t ino, vfs_handle handle)
{
	struct client *c = client_of(fs);

	pthread_mutex_lock(&c->lock);
	for (struct opened **link = &c->opens; *link; link = &(*link)->next) {
		struct opened *o = *link;

		if (o->id != handle || o->ino != ino)
			continue;
		*link = o->next;
		free(o);
		break;
	}
	pthread_mutex_unlock(&c->lock);
}

static int on_open(struct vfs *fs, uint64_t ino, unsigned flags, vfs_handle *handle)
{
	struct vfs_attributes a = {0};
	int r = on_getattr(fs, ino, VFS_NO_HANDLE, &a);

	if (r < 0)
		return r;
	if (!S_ISREG(a.mode))
		return S_ISDIR(a.mode) ? -EISDIR : S_ISLNK(a.mode) ? -ELOOP : -ENXIO;
	a.size = 0;
	if (flags & VFS_TRUNCATE)
		r = on_setattr(fs, NULL, ino, VFS_NO_HANDLE, &a, VFS_SET_SIZE, &a);
	return r < 0 ? r : add_open(client_of(fs), ino, flags, false, handle);
}

static int on_create(struct vfs *fs, const struct vfs_caller *who, uint64_t parent, const char *name,
	uint32_t mode, unsigned flags, struct vfs_attributes *out, vfs_handle *handle)
{
	_cleanup_exchange_ struct exchange e = {0};
	int r;

	e.a.how = flags & VFS_EXCLUSIVE ? NFS3_GUARDED : NFS3_UNCHECKED;
	e.a.set = (struct nfs3_set){.set_mode = true, .mode = mode, .set_size = flags & VFS_TRUNCATE};
	r = make(fs, &e, who, parent, name, NFS3_CREATE, out);
	if (r == -EEXIST && !(flags & VFS_EXCLUSIVE))
		return -EISDIR;
	return r < 0 ? r : add_open(client_of(fs), out->ino, flags, false, handle);
}

static int64_t on_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	_cleanup_exchange_ struct exchange e = {0};
	unsigned flags = VFS_READ;
	int r = begin(fs, &e, ino);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = check_open(e.c, ino, handle, false, &flags);
	if (r == 0 && !(flags & VFS_READ))
		return -EBADF;
	e.a.offset = offset;
	e.a.count = (uint32_t)size;
	if (r == 0)
		r = call(&e, NFS3_READ);
	if (r < 0)
		return r;
	if (e.r.count != e.r.data.size || e.r.count > size || (e.r.count < size && !e.r.end))
		return -EPROTO;
	memcpy(bytes, e.r.data.data, e.r.count);
	return e.r.count;
}

static int64_t on_write(
	struct vfs *fs, uint64_t ino, vfs_handle handle, const void *bytes, size_t size, uint64_t offset)
{
	_cleanup_exchange_ struct exchange e = {0};
	unsigned flags = VFS_WRITE;
	struct vfs_attributes now;
	int r = begin(fs, &e, ino);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = check_open(e.c, ino, handle, false, &flags);
	if (r == 0 && !(flags & VFS_WRITE))
		return -EBADF;
	if (r == 0 && flags & VFS_APPEND) {
		r = on_getattr(fs, ino, VFS_NO_HANDLE, &now);
		offset = now.size;
	}
	e.a.offset = offset;
	e.a.count = (uint32_t)size;
	e.a.data = (struct xdr_bytes){bytes, (uint32_t)size};
	if (r == 0)
		r = call(&e, NFS3_WRITE);
	return r < 0 ? r : (int64_t)e.r.count;
}

static int on_fsync(struct vfs *fs, uint64_t ino, vfs_handle handle, bool data_only)
{
	_cleanup_exchange_ struct exchange e = {0};
	unsigned flags;
	int r = begin(fs, &e, ino);

	(void)data_only;
	if (r == 0 && handle != VFS_NO_HANDLE)
		r = check_open(e.c, ino, handle, false, &flags);
	return r < 0 ? r : call(&e, NFS3_COMMIT);
}

/* ---- directories ------------------------------------------------------------------------------------ */

static int on_opendir(struct vfs *fs, uint64_t ino, vfs_handle *handle)
{
	struct vfs_attributes a;
	int r = on_getattr(fs, ino, VFS_NO_HANDLE, &a);

	if (r == 0 && !S_ISDIR(a.mode))
		r = -ENOTDIR;
	return r < 0 ? r : add_open(client_of(fs), ino, 0, true, handle);
}

/* 0, 1 where take() has enough, or negative. */
static int give_entry(
	struct client *c, struct nfs3_entry *e, bool attributes, vfs_entry_call *take, void *context)
{
	char name[VFS_NAME_MAX + 1];
	struct vfs_attributes a;
	bool plus = e->attributes.there && e->has_handle;
	struct vfs_entry entry = {
		.name = name, .name_size = e->name.size, .ino = number_of(c, e->fileid), .cookie = e->cookie};
	int r = 0;

	if (e->name.size > VFS_NAME_MAX)
		return -EPROTO;
	memcpy(name, e->name.data, e->name.size);
	name[e->name.size] = 0;
	entry.type = S_IFDIR;
	if (plus) {
		attributes_of(c, &e->attributes.a, &a);
		entry.type = a.mode & S_IFMT;
		entry.attributes = attributes ? &a : NULL;
	}
	if (plus && attributes)
		r = know(c, a.ino, &e->handle);
	if (r == 0)
		r = take(context, &entry);
	if (r != 0 && plus && attributes)
		on_forget(&c->vfs, a.ino, 1);
	return r;
}

static int on_readdir(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	vfs_entry_call *take, void *context)
{
	_cleanup_exchange_ struct exchange e = {0};
	unsigned flags;
	int r = begin(fs, &e, ino);

	if (r == 0 && handle != VFS_NO_HANDLE)
		r = check_open(e.c, ino, handle, true, &flags);
	e.a.cookie = cookie;
	e.a.directory_count = e.a.most = 16384;
	while (r == 0) {
		struct nfs3_entry entry;
		struct xdr x;

		r = call(&e, NFS3_READDIRPLUS);
		if (r < 0)
			return r;
		x = xdr_reader(e.r.entries.data, (size_t)e.r.entries.size + 4);
		while (r == 0 && nfs3_code_entry(&x, true, &entry)) {
			e.a.cookie = entry.cookie;
			r = give_entry(e.c, &entry, attributes, take, context);
		}
		if (e.r.end)
			break;
	}
	return r < 0 ? r : 0;
}

static int on_fsyncdir(struct vfs *fs, uint64_t ino)
{
	struct vfs_attributes a;

	return on_getattr(fs, ino, VFS_NO_HANDLE, &a); /* the server has synced what it answered */
}

/* ---- the client itself ------------------------------------------------------------------------------ */

static void on_destroy(struct vfs *fs)
{
	struct client *c = client_of(fs);
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&c->known, &at)) != NULL)
		free(slot->value);
	map_free(&c->known);
	while (c->opens)
		on_release(fs, c->opens->ino, c->opens->id);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct vfs_operations operations = {.name = "nfs3 client",
	.destroy = on_destroy,
	.lookup = on_lookup,
	.forget = on_forget,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.symlink = on_symlink,
	.link = on_link,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.create = on_create,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.write = on_write,
	.fsync = on_fsync,
	.opendir = on_opendir,
	.releasedir = on_release,
	.readdir = on_readdir,
	.fsyncdir = on_fsyncdir,
	.statfs = on_statfs};

static int mount_root(struct client *c, const char *export)
{
	_cleanup_exchange_ struct exchange e = {.c = c};
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr out = xdr_writer(&arguments), in;
	struct xdr_bytes path = bytes_of(export);
	uint32_t status, flavor;
	int r;

	mount3_code_path(&out, &path);
	r = send_call(&e, MOUNT3_PROGRAM, MOUNT3_MNT, &arguments, &in);
	if (r < 0)
		return r;
	mount3_code_mounted(&in, &status, &e.a.object, &flavor);
	if (!xdr_done(&in) || status != NFS3_OK)
		return -EACCES;
	r = call(&e, NFS3_GETATTR);
	c->root = e.r.object.a.fileid;
	return r < 0 ? r : know(c, VFS_ROOT, &e.a.object);
}

struct vfs *nfs3_vfs_new(struct nfs3_server *server, const char *export)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->vfs.operations = &operations;
	c->server = server;
	c->next_id = 1;
	pthread_mutex_init(&c->lock, NULL);
	if (mount_root(c, export) == 0)
		return &c->vfs;
	on_destroy(&c->vfs);
	return NULL;
}
