/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the NFS server share. Functions that give a uint32_t give an enum nfs3_status. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "codec/hmac.h"
#include "codec/nfs3.h"
#include "vfs/nfs3/server.h"

#define STRIPES           64
#define NFS3_WALKS        32 /* directories that are kept open */
#define NFS3_WALK_COOKIES 4096
#define NFS3_OPENS        64
#define NFS3_WINDOW       (256u << 20) /* bytes of a file that are mapped at a time */

struct nfs3_duplicates;

/* An object that is looked up for the time of a call. */
struct nfs3_object {
	struct vfs *fs; /* NULL: none */
	struct vfs_attributes a;
};

/* A directory that is being listed. */
struct nfs3_walk {
	struct nfs3_object directory;
	vfs_handle handle;
	/* Of the entries that were given last, in this order, or of the last of them: where a client may go
	 * on. It asks again from within a page when it sees that the directory has changed. */
	uint64_t *cookies;
	size_t count;
	uint64_t used; /* clock_monotonic() */
};

/* A file that stays open for a moment. */
struct nfs3_open {
	struct nfs3_object object;
	vfs_handle handle;
	unsigned flags;        /* enum vfs_open */
	uint32_t users;        /* calls that are under way */
	uint64_t used;         /* clock_monotonic() when the last of them ended */
	const uint8_t *window; /* NFS3_WINDOW bytes of the file from window_at on are mapped; or NULL */
	uint64_t window_at;
};

/* Entries of a directory, as nfs3_code_entry() wrote them. */
struct nfs3_listed {
	const uint8_t *bytes;
	uint32_t size;
	bool end;
};

/* What decides about them, beside the directory. */
struct nfs3_page_key {
	uint64_t ino, cookie, room, name_room;
	uint32_t plus, attributes;
};

struct nfs3_page;

struct nfs3_pages {
	pthread_mutex_t lock;
	struct map by_key;
	struct nfs3_page *first, *last; /* the longest unused first */
	size_t bytes;
};

struct nfs3_server {
	struct vfs *fs;
	struct nfs3_options options;
	char *export;
	struct hmac_key key;
	_Atomic uint64_t verifier; /* of writes */
	_Atomic bool mounted;      /* the export's name was used */
	/* Held by whoever changes an object, or names in a directory: what is judged stays so until it is
	 * done, and what stands in wcc_data is of just before and behind the change. By handle: an object has
	 * one. */
	pthread_mutex_t stripes[STRIPES];
	struct nfs3_duplicates *duplicates;
	pthread_mutex_t walks_lock;
	struct nfs3_walk walks[NFS3_WALKS];
	struct nfs3_pages pages;
	pthread_mutex_t opens_lock;
	struct nfs3_open opens[NFS3_OPENS];
};

/* One call. */
struct nfs3_request {
	struct nfs3_server *server;
	struct vfs *fs;
	struct vfs_caller who;
	struct nfs3_arguments a;
	struct nfs3_results r;
	struct buffer *out;     /* where the results will stand */
	struct nfs3_tail *tail; /* NULL: all of them */
	struct buffer entries;  /* of a directory; or they are listed->bytes */
	const struct nfs3_listed *listed;
	char target[VFS_PATH_MAX + 1];
};

typedef void nfs3_call(struct nfs3_request *q); /* sets q->r */

/* ---- objects.c ---------------------------------------------------------------------------------------- */

void nfs3_object_put(struct nfs3_object *o);
#define _cleanup_object_ __attribute__((cleanup(nfs3_object_put)))

uint32_t nfs3_status(int64_t r); /* of a negative errno; NFS3_OK of others */
uint32_t nfs3_resolve(struct nfs3_request *q, const struct nfs3_handle *handle, struct nfs3_object *o);
uint32_t nfs3_resolve_directory(
	struct nfs3_request *q, const struct nfs3_handle *handle, struct nfs3_object *o);
uint32_t nfs3_make_handle(struct nfs3_server *s, uint64_t ino, struct nfs3_handle *handle);
uint32_t nfs3_name(const struct xdr_bytes *bytes, char name[VFS_NAME_MAX + 1]);
/* -ENOENT and so on as a status; the object is in *o. */
uint32_t nfs3_find(struct nfs3_request *q, uint64_t parent, const char *name, struct nfs3_object *o);

struct nfs3_post nfs3_post(const struct nfs3_server *s, const struct vfs_attributes *a);
struct nfs3_post nfs3_post_now(const struct nfs3_server *s, uint64_t ino);
void nfs3_before(struct nfs3_wcc *wcc, const struct vfs_attributes *a);
struct nfs3_time nfs3_time(struct vfs_time t);
uint32_t nfs3_type(uint32_t mode);

/* Locks of the objects of one or two handles, the same ones twice are fine; before they are resolved. */
struct nfs3_lock {
	pthread_mutex_t *first, *second;
};
struct nfs3_lock nfs3_lock(
	struct nfs3_server *s, const struct nfs3_handle *handle, const struct nfs3_handle *other);
void nfs3_unlock(struct nfs3_lock *lock);
#define _cleanup_nfs3_lock_ __attribute__((cleanup(nfs3_unlock), unused))

/* ---- permission.c ------------------------------------------------------------------------------------- */

uint32_t nfs3_may(const struct nfs3_request *q, const struct vfs_attributes *a, unsigned access);
uint32_t nfs3_may_read(const struct nfs3_request *q, const struct vfs_attributes *a);  /* a file's data */
uint32_t nfs3_may_write(const struct nfs3_request *q, const struct vfs_attributes *a); /* a file's data */
uint32_t nfs3_may_change(const struct nfs3_request *q, const struct vfs_attributes *directory);
/* A name in the directory may be taken away from the object. */
uint32_t nfs3_may_remove(const struct nfs3_request *q, const struct vfs_attributes *directory,
	const struct vfs_attributes *object);
uint32_t nfs3_access(const struct nfs3_request *q, const struct vfs_attributes *a, uint32_t wanted);
/* What vfs_setattr() is to be asked for. */
uint32_t nfs3_may_set(const struct nfs3_request *q, const struct vfs_attributes *a,
	const struct nfs3_set *set, struct vfs_attributes *values, unsigned *what);
/* The mode of what is made in the directory. */
uint32_t nfs3_new_mode(
	const struct nfs3_request *q, const struct vfs_attributes *directory, uint32_t otherwise);

/* ---- procedures --------------------------------------------------------------------------------------- */

/* Judged by *a, the object's attributes, which are those behind it then. */
uint32_t nfs3_set(struct nfs3_request *q, struct vfs_attributes *a, const struct nfs3_set *set);
uint32_t nfs3_sync(struct nfs3_request *q, uint64_t ino, bool data_only);
uint32_t nfs3_sync_names(struct nfs3_request *q, uint64_t directory);

/* attributes.c */
nfs3_call nfs3_getattr, nfs3_setattr, nfs3_access_call, nfs3_fsstat, nfs3_fsinfo, nfs3_pathconf;
/* data.c */
nfs3_call nfs3_readlink, nfs3_read, nfs3_write, nfs3_commit;
/* make.c */
nfs3_call nfs3_create, nfs3_mkdir, nfs3_symlink, nfs3_mknod;
/* names.c */
nfs3_call nfs3_lookup, nfs3_remove, nfs3_rmdir, nfs3_rename, nfs3_link;
/* listing.c */
nfs3_call nfs3_readdir, nfs3_readdirplus;

/* ---- walks.c ------------------------------------------------------------------------------------------ */

/* The walk of that directory that gave `cookie` last; the caller's, until one of the two that follow. */
bool nfs3_walk_take(struct nfs3_server *s, uint64_t ino, uint64_t cookie, struct nfs3_walk *walk);
void nfs3_walk_keep(struct nfs3_server *s, struct nfs3_walk *walk);
void nfs3_walk_end(struct nfs3_walk *walk);
bool nfs3_walks_close_idle(struct nfs3_server *s); /* whether some are left */
void nfs3_walks_free(struct nfs3_server *s);

/* ---- pages.c ------------------------------------------------------------------------------------------ */

void nfs3_pages_init(struct nfs3_pages *p);
void nfs3_pages_free(struct nfs3_pages *p);
/* NULL: there is none of that version; else the caller's until nfs3_page_give(). */
const struct nfs3_listed *nfs3_page_take(
	struct nfs3_pages *p, const struct nfs3_page_key *key, uint64_t version);
void nfs3_page_give(struct nfs3_pages *p, const struct nfs3_listed *listed); /* NULL is fine */
void nfs3_page_keep(struct nfs3_pages *p, const struct nfs3_page_key *key, uint64_t version,
	const struct nfs3_listed *listed);

/* ---- opens.c ------------------------------------------------------------------------------------------ */

/* The file of the handle, whose attributes are given, open for `flags`; until nfs3_open_give(). NULL: the
 * call goes without. */
struct nfs3_open *nfs3_open_take(struct nfs3_request *q, const struct nfs3_handle *handle,
	const struct vfs_attributes *a, unsigned flags);
vfs_handle nfs3_open_handle(const struct nfs3_open *o); /* VFS_NO_HANDLE where it is NULL */
void nfs3_open_give(struct nfs3_server *s, struct nfs3_open *o);
/* The bytes in memory, for system calls alone (see vfs_map()); until nfs3_open_give(). NULL: they are not in
 * the kernel's cache, or others are in use. At most VFS_IO_MAX. */
const void *nfs3_open_map(struct nfs3_server *s, struct nfs3_open *o, uint64_t offset, size_t size);
void nfs3_opens_drop(struct nfs3_server *s, uint64_t ino); /* it may be gone */
bool nfs3_opens_close_idle(struct nfs3_server *s);         /* whether some are left */
void nfs3_opens_free(struct nfs3_server *s);

/* ---- duplicates.c ------------------------------------------------------------------------------------- */

/* What calls that must not be done twice were answered, for when they come again. */
struct nfs3_duplicate_key {
	uint64_t peer;
	uint32_t xid, size;
	uint8_t sum[16]; /* of the call's bytes */
};

struct nfs3_duplicates *nfs3_duplicates_new(size_t most);
void nfs3_duplicates_free(struct nfs3_duplicates *d);

#define NFS3_DUPLICATE (-1) /* *reply has what it was answered */
#define NFS3_UNCACHED  (-2) /* it is new, and nothing will be kept */

/* A slot for a new call, which nfs3_duplicates_end() must be told; or one of the above. Waits while the same
 * call is under way. */
int nfs3_duplicates_begin(
	struct nfs3_duplicates *d, const struct nfs3_duplicate_key *key, struct buffer *reply);
void nfs3_duplicates_end(
	struct nfs3_duplicates *d, int slot, const void *reply, size_t size); /* 0: forget it */
