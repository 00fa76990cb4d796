/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of a call to those of its reply: programs, procedures, callers, calls that come again, and
 * MOUNT. */
#include "vfs/nfs3/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "codec/rpc.h"
#include "vfs/nfs3/parts.h"

#define DUPLICATES_DEFAULT 1024u
#define QUICK_BYTES        65536u
#define WRITE_SUMMED       512u /* bytes of a WRITE that tell it from others with its number and size */

_Static_assert(RPC_GROUPS_MAX <= VFS_GROUPS_MAX, "a caller's groups fit");

/* ---- start and end ---------------------------------------------------------------------------------- */

int nfs3_server_new(
	struct vfs *fs, const struct nfs3_options *options, struct nfs3_server **out, struct error *err)
{
	_cleanup_(cleanup_nfs3_server) struct nfs3_server *s = calloc(1, sizeof *s);

	if (!s)
		return error_no_memory(err, "start an NFS server");
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&s->stripes[i], NULL);
	pthread_mutex_init(&s->walks_lock, NULL);
	pthread_mutex_init(&s->opens_lock, NULL);
	nfs3_pages_init(&s->pages);
	s->fs = fs;
	s->options = *options;
	s->options.export = NULL;
	s->verifier = options->start;
	if (!options->export || !*options->export || strlen(options->export) > MOUNT3_PATH_MAX)
		return error_set(err, ERROR_INVALID,
			"start an NFS server: the export needs a name of 1 to %u bytes", MOUNT3_PATH_MAX);
	s->export = text_copy(options->export, err);
	if (!s->export || hmac_key_set(&s->key, options->key, NFS3_KEY_SIZE, err) < 0)
		return -ERROR_NO_MEMORY;
	s->duplicates = nfs3_duplicates_new(options->duplicates ? options->duplicates : DUPLICATES_DEFAULT);
	if (!s->duplicates)
		return error_no_memory(err, "start an NFS server");
	/* Where that cannot be, each listing is made anew. */
	vfs_watch(fs, &(struct vfs_watcher){0});
	*out = TAKE_PTR(s);
	return 0;
}

void nfs3_server_free(struct nfs3_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&s->stripes[i]);
	nfs3_walks_free(s);
	nfs3_opens_free(s);
	nfs3_pages_free(&s->pages);
	vfs_unwatch(s->fs);
	pthread_mutex_destroy(&s->walks_lock);
	pthread_mutex_destroy(&s->opens_lock);
	nfs3_duplicates_free(s->duplicates);
	free(s->export);
	free(s);
}

/* ---- callers ---------------------------------------------------------------------------------------- */

static struct vfs_caller map_caller(const struct nfs3_options *o, const struct rpc_credential *c)
{
	struct vfs_caller who = {.uid = NFS3_ANONYMOUS, .gid = NFS3_ANONYMOUS};

	if (o->ids == NFS3_IDS_FIXED)
		return (struct vfs_caller){.uid = o->uid, .gid = o->gid};
	if (c->flavor != RPC_AUTH_SYS)
		return who;
	who.uid = o->squash_root && c->uid == 0 ? NFS3_ANONYMOUS : c->uid;
	who.gid = o->squash_root && c->gid == 0 ? NFS3_ANONYMOUS : c->gid;
	for (uint32_t i = 0; i < c->group_count; i++)
		if (c->groups[i] != 0 || !o->squash_root)
			who.groups[who.group_count++] = c->groups[i];
	return who;
}

/* ---- NFS -------------------------------------------------------------------------------------------- */

static void null_call(struct nfs3_request *q)
{
	(void)q;
}

static const struct {
	nfs3_call *call;
	bool once; /* doing it twice is not the same as once */
} procedures[NFS3_PROCEDURE_COUNT] = {
	[NFS3_NULL] = {null_call, false},
	[NFS3_GETATTR] = {nfs3_getattr, false},
	[NFS3_SETATTR] = {nfs3_setattr, true},
	[NFS3_LOOKUP] = {nfs3_lookup, false},
	[NFS3_ACCESS] = {nfs3_access_call, false},
	[NFS3_READLINK] = {nfs3_readlink, false},
	[NFS3_READ] = {nfs3_read, false},
	[NFS3_WRITE] = {nfs3_write, true}, /* another one may have come between */
	[NFS3_CREATE] = {nfs3_create, true},
	[NFS3_MKDIR] = {nfs3_mkdir, true},
	[NFS3_SYMLINK] = {nfs3_symlink, true},
	[NFS3_MKNOD] = {nfs3_mknod, true},
	[NFS3_REMOVE] = {nfs3_remove, true},
	[NFS3_RMDIR] = {nfs3_rmdir, true},
	[NFS3_RENAME] = {nfs3_rename, true},
	[NFS3_LINK] = {nfs3_link, true},
	[NFS3_READDIR] = {nfs3_readdir, false},
	[NFS3_READDIRPLUS] = {nfs3_readdirplus, false},
	[NFS3_FSSTAT] = {nfs3_fsstat, false},
	[NFS3_FSINFO] = {nfs3_fsinfo, false},
	[NFS3_PATHCONF] = {nfs3_pathconf, false},
	[NFS3_COMMIT] = {nfs3_commit, false},
};

static void answer_nfs(struct nfs3_server *s, const struct rpc_call *call, struct xdr *in, struct buffer *out,
	struct nfs3_tail *tail)
{
	_cleanup_free_ struct nfs3_request *q = calloc(1, sizeof *q);
	struct xdr results = xdr_writer(out);

	if (q)
		nfs3_code_arguments(in, call->procedure, &q->a);
	if (!q || !xdr_done(in)) {
		rpc_reply_accepted(out, call->xid, q ? RPC_GARBAGE_ARGS : RPC_SYSTEM_ERR, 0, 0);
		return;
	}
	rpc_reply_accepted(out, call->xid, RPC_SUCCESS, 0, 0);
	q->server = s;
	q->fs = s->fs;
	q->who = map_caller(&s->options, &call->credential);
	q->out = out;
	q->tail = tail;
	procedures[call->procedure].call(q);
	nfs3_code_results(&results, call->procedure, &q->r);
	buffer_free(&q->entries);
	nfs3_page_give(&s->pages, q->listed);
}

/* ---- MOUNT (appendix I) ----------------------------------------------------------------------------- */

/* Whether the path begins with the export's; *rest is what is behind it. */
static bool is_export(const struct nfs3_server *s, const struct xdr_bytes *path, struct xdr_bytes *rest)
{
	uint32_t n = (uint32_t)strlen(s->export);

	if (path->size < n || !hmac_equal(path->data, s->export, n))
		return false;
	*rest = (struct xdr_bytes){path->data + n, path->size - n};
	return rest->size == 0 || rest->data[0] == '/';
}

/* Takes the first name of the path; an empty one at its end. */
static uint32_t next_name(struct xdr_bytes *path, char name[VFS_NAME_MAX + 1])
{
	struct xdr_bytes part = {path->data, 0};

	while (path->size && path->data[0] == '/') {
		path->data++;
		path->size--;
	}
	for (part.data = path->data; part.size < path->size && part.data[part.size] != '/';)
		part.size++;
	path->data += part.size;
	path->size -= part.size;
	name[0] = '\0';
	return part.size ? nfs3_name(&part, name) : NFS3_OK;
}

/* The handle of the directory at a path from the root. Links are not followed. */
static uint32_t walk_to(struct nfs3_request *q, struct xdr_bytes path, struct nfs3_handle *handle)
{
	_cleanup_object_ struct nfs3_object at = {0}; /* the root is looked up at all times */
	char name[VFS_NAME_MAX + 1];
	uint32_t status = nfs3_status(vfs_getattr(q->fs, VFS_ROOT, VFS_NO_HANDLE, &at.a));

	while (status == NFS3_OK && (status = next_name(&path, name)) == NFS3_OK && name[0]) {
		struct nfs3_object next = {0};

		status = S_ISDIR(at.a.mode) ? nfs3_may(q, &at.a, VFS_EXECUTE) : NFS3ERR_NOTDIR;
		if (status == NFS3_OK)
			status = nfs3_find(q, at.a.ino, name, &next);
		nfs3_object_put(&at);
		at = next;
	}
	if (status == NFS3_OK && !S_ISDIR(at.a.mode))
		status = NFS3ERR_NOTDIR;
	return status == NFS3_OK ? nfs3_make_handle(q->server, at.a.ino, handle) : status;
}

/* What mountstat3 has, with the same numbers. */
static uint32_t mount_status(uint32_t status)
{
	switch (status) {
	case NFS3_OK:
	case NFS3ERR_NOENT:
	case NFS3ERR_IO:
	case NFS3ERR_ACCES:
	case NFS3ERR_NOTDIR:
	case NFS3ERR_INVAL:
	case NFS3ERR_NAMETOOLONG:
		return status;
	default:
		return NFS3ERR_SERVERFAULT;
	}
}

/* The export's name is used up by the first mount that succeeds. */
static uint32_t mount(struct nfs3_server *s, const struct rpc_call *call, const struct xdr_bytes *path,
	struct nfs3_handle *handle)
{
	_cleanup_free_ struct nfs3_request *q = calloc(1, sizeof *q);
	bool once = !s->options.export_stays;
	struct xdr_bytes rest;
	uint32_t status;

	if (!is_export(s, path, &rest) || (once && s->mounted))
		return NFS3ERR_ACCES;
	if (!q)
		return NFS3ERR_SERVERFAULT;
	q->server = s;
	q->fs = s->fs;
	q->who = map_caller(&s->options, &call->credential);
	status = walk_to(q, rest, handle);
	if (status == NFS3_OK && atomic_exchange(&s->mounted, true) && once)
		return NFS3ERR_ACCES;
	return mount_status(status);
}

static void answer_mount(struct nfs3_server *s, const struct rpc_call *call, struct xdr *in,
	struct buffer *out, struct nfs3_tail *tail)
{
	bool takes_path = call->procedure == MOUNT3_MNT || call->procedure == MOUNT3_UMNT, none = false;
	uint32_t status, flavor = RPC_AUTH_SYS;
	struct xdr results = xdr_writer(out);
	struct nfs3_handle handle = {0};
	struct xdr_bytes path = {0};

	(void)tail;
	if (takes_path)
		mount3_code_path(in, &path);
	if (!xdr_done(in)) {
		rpc_reply_accepted(out, call->xid, RPC_GARBAGE_ARGS, 0, 0);
		return;
	}
	rpc_reply_accepted(out, call->xid, RPC_SUCCESS, 0, 0);
	if (call->procedure == MOUNT3_MNT) {
		status = mount(s, call, &path, &handle);
		mount3_code_mounted(&results, &status, &handle, &flavor);
	} else if (call->procedure == MOUNT3_DUMP || call->procedure == MOUNT3_EXPORT) {
		/* What is exported is known to whom it is for, and to nobody else. */
		xdr_bool(&results, &none);
	}
}

/* ---- dispatch --------------------------------------------------------------------------------------- */

typedef void answer_call(struct nfs3_server *s, const struct rpc_call *call, struct xdr *in,
	struct buffer *out, struct nfs3_tail *tail);

/* NULL: it was rejected. */
static answer_call *judge(const struct rpc_call *call, struct buffer *out)
{
	bool nfs = call->program == NFS3_PROGRAM;
	uint32_t version = nfs ? NFS3_VERSION : MOUNT3_VERSION;

	if (!nfs && call->program != MOUNT3_PROGRAM)
		rpc_reply_accepted(out, call->xid, RPC_PROG_UNAVAIL, 0, 0);
	else if (call->program_version != version)
		rpc_reply_accepted(out, call->xid, RPC_PROG_MISMATCH, version, version);
	else if (call->procedure >= (nfs ? NFS3_PROCEDURE_COUNT : (uint32_t)MOUNT3_PROCEDURE_COUNT))
		rpc_reply_accepted(out, call->xid, RPC_PROC_UNAVAIL, 0, 0);
	else
		return nfs ? answer_nfs : answer_mount;
	return NULL;
}

static bool is_once(const struct rpc_call *call)
{
	return call->program == NFS3_PROGRAM ? procedures[call->procedure].once
					     : call->procedure == MOUNT3_MNT;
}

static bool make_key(uint64_t peer, const struct rpc_call *call, const void *bytes, size_t size,
	struct nfs3_duplicate_key *key)
{
	bool write = call->program == NFS3_PROGRAM && call->procedure == NFS3_WRITE;
	uint8_t sum[SHA256_SIZE];

	*key = (struct nfs3_duplicate_key){.peer = peer, .xid = call->xid, .size = (uint32_t)size};
	if (write && size > WRITE_SUMMED)
		size = WRITE_SUMMED;
	if (sha256_of(bytes, size, sum, NULL) < 0)
		return false;
	memcpy(key->sum, sum, sizeof key->sum);
	return true;
}

/* The reply of `answer`, or the one that the same call had before. */
static void answer_once(struct nfs3_server *s, answer_call *answer, const struct rpc_call *call,
	struct xdr *in, const struct nfs3_duplicate_key *key, struct buffer *out)
{
	size_t begun = out->size;
	int slot = nfs3_duplicates_begin(s->duplicates, key, out);

	if (slot == NFS3_DUPLICATE) {
		if (out->size == begun)
			out->failed = true;
		return;
	}
	answer(s, call, in, out, NULL); /* what is kept of it must be all of it */
	nfs3_duplicates_end(s->duplicates, slot, out->data + begun, out->failed ? 0 : out->size - begun);
}

bool nfs3_server_call(struct nfs3_server *s, uint64_t peer, const void *bytes, size_t size,
	struct buffer *reply, struct nfs3_tail *tail)
{
	struct xdr in = xdr_reader(bytes, size);
	struct nfs3_duplicate_key key;
	struct rpc_call call;
	enum rpc_verdict verdict = rpc_call_read(&in, &call);
	answer_call *answer;
	size_t begun;

	if (verdict == RPC_NO_CALL)
		return false;
	begun = rpc_record_begin(reply);
	answer = verdict == RPC_OK ? judge(&call, reply) : NULL;
	if (verdict != RPC_OK)
		rpc_reply_denied(reply, call.xid, verdict);
	else if (answer && is_once(&call) && make_key(peer, &call, bytes, size, &key))
		answer_once(s, answer, &call, &in, &key, reply);
	else if (answer)
		answer(s, &call, &in, reply, tail);
	rpc_record_end(reply, begun, tail ? tail->size : 0);
	return !reply->failed;
}

/* ---- for who makes the calls ------------------------------------------------------------------------ */

/* Not to be synced, nor large. */
static bool is_quick_write(struct xdr *in)
{
	struct nfs3_handle handle;
	uint64_t offset;
	uint32_t count = 0, stable = NFS3_FILE_SYNC;

	nfs3_code_handle(in, &handle);
	xdr_u64(in, &offset);
	xdr_u32(in, &count);
	xdr_u32(in, &stable);
	return stable == NFS3_UNSTABLE && count <= QUICK_BYTES;
}

static bool is_quick_read(struct xdr *in)
{
	struct nfs3_handle handle;
	uint64_t offset;
	uint32_t count = UINT32_MAX;

	nfs3_code_handle(in, &handle);
	xdr_u64(in, &offset);
	xdr_u32(in, &count);
	return count <= QUICK_BYTES;
}

bool nfs3_server_is_quick(const struct nfs3_server *s, const void *bytes, size_t size)
{
	struct xdr in = xdr_reader(bytes, size);
	struct rpc_call call;

	if (rpc_call_read(&in, &call) != RPC_OK || call.program != NFS3_PROGRAM)
		return true;
	switch (call.procedure) {
	case NFS3_READ:
		return is_quick_read(&in);
	case NFS3_WRITE:
		return is_quick_write(&in);
	case NFS3_READDIR:
	case NFS3_READDIRPLUS:
	case NFS3_COMMIT:
		return false;
	case NFS3_SETATTR:
	case NFS3_CREATE:
	case NFS3_MKDIR:
	case NFS3_SYMLINK:
	case NFS3_MKNOD:
	case NFS3_REMOVE:
	case NFS3_RMDIR:
	case NFS3_RENAME:
	case NFS3_LINK:
		return s->options.lazy_names;
	default:
		return true;
	}
}

bool nfs3_server_tidy(struct nfs3_server *s)
{
	bool left = nfs3_walks_close_idle(s);

	left |= nfs3_opens_close_idle(s);
	if (s->options.tidy)
		left |= s->options.tidy(s->fs);
	return left;
}
