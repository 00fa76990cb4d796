/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/nfs3.h"

#include <string.h>

#include "base/cleanup.h"

/* ---- parts (RFC 1813, 2.5 and 2.6) ------------------------------------------------------------------- */

void nfs3_code_handle(struct xdr *x, struct nfs3_handle *h)
{
	struct xdr_bytes bytes = {h->bytes, h->size};

	xdr_bytes(x, &bytes, NFS3_HANDLE_MAX);
	if (x->out)
		return;
	*h = (struct nfs3_handle){.size = bytes.size};
	if (bytes.size)
		memcpy(h->bytes, bytes.data, bytes.size);
}

static void code_time(struct xdr *x, struct nfs3_time *t)
{
	xdr_u32(x, &t->seconds);
	xdr_u32(x, &t->nanoseconds);
}

void nfs3_code_attributes(struct xdr *x, struct nfs3_attributes *a)
{
	xdr_enum(x, &a->type, NF3FIFO);
	xdr_u32(x, &a->mode);
	xdr_u32(x, &a->links);
	xdr_u32(x, &a->uid);
	xdr_u32(x, &a->gid);
	xdr_u64(x, &a->size);
	xdr_u64(x, &a->used);
	xdr_u32(x, &a->major);
	xdr_u32(x, &a->minor);
	xdr_u64(x, &a->fsid);
	xdr_u64(x, &a->fileid);
	code_time(x, &a->atime);
	code_time(x, &a->mtime);
	code_time(x, &a->ctime);
}

static void code_post(struct xdr *x, struct nfs3_post *p)
{
	xdr_bool(x, &p->there);
	if (p->there)
		nfs3_code_attributes(x, &p->a);
}

static void code_wcc(struct xdr *x, struct nfs3_wcc *w)
{
	xdr_bool(x, &w->before);
	if (w->before) {
		xdr_u64(x, &w->size);
		code_time(x, &w->mtime);
		code_time(x, &w->ctime);
	}
	code_post(x, &w->after);
}

static void code_optional_u32(struct xdr *x, bool *there, uint32_t *v)
{
	xdr_bool(x, there);
	if (*there)
		xdr_u32(x, v);
}

static void code_set_time(struct xdr *x, uint32_t *how, struct nfs3_time *t)
{
	xdr_enum(x, how, NFS3_CLIENT_TIME);
	if (*how == NFS3_CLIENT_TIME)
		code_time(x, t);
}

static void code_set(struct xdr *x, struct nfs3_set *s)
{
	code_optional_u32(x, &s->set_mode, &s->mode);
	code_optional_u32(x, &s->set_uid, &s->uid);
	code_optional_u32(x, &s->set_gid, &s->gid);
	xdr_bool(x, &s->set_size);
	if (s->set_size)
		xdr_u64(x, &s->size);
	code_set_time(x, &s->set_atime, &s->atime);
	code_set_time(x, &s->set_mtime, &s->mtime);
}

static void code_verifier(struct xdr *x, uint8_t verifier[NFS3_VERIFIER_SIZE])
{
	xdr_fixed(x, verifier, NFS3_VERIFIER_SIZE);
}

static void code_optional_handle(struct xdr *x, bool *there, struct nfs3_handle *h)
{
	xdr_bool(x, there);
	if (*there)
		nfs3_code_handle(x, h);
}

/* ---- arguments -------------------------------------------------------------------------------------- */

static void arguments_none(struct xdr *x, struct nfs3_arguments *a)
{
	(void)x;
	(void)a;
}

static void arguments_object(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
}

static void arguments_name(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	xdr_bytes(x, &a->name, NFS3_NAME_MAX);
}

static void arguments_setattr(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	code_set(x, &a->set);
	xdr_bool(x, &a->guarded);
	if (a->guarded)
		code_time(x, &a->guard);
}

static void arguments_access(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	xdr_u32(x, &a->access);
}

static void arguments_range(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	xdr_u64(x, &a->offset);
	xdr_u32(x, &a->count);
}

static void arguments_write(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_range(x, a);
	xdr_enum(x, &a->stable, NFS3_FILE_SYNC);
	xdr_bytes(x, &a->data, NFS3_DATA_MAX);
}

static void arguments_create(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_name(x, a);
	xdr_enum(x, &a->how, NFS3_EXCLUSIVE);
	if (a->how == NFS3_EXCLUSIVE)
		code_verifier(x, a->verifier);
	else
		code_set(x, &a->set);
}

static void arguments_mkdir(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_name(x, a);
	code_set(x, &a->set);
}

static void arguments_symlink(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_name(x, a);
	code_set(x, &a->set);
	xdr_bytes(x, &a->target, NFS3_PATH_MAX);
}

static void arguments_mknod(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_name(x, a);
	xdr_enum(x, &a->type, NF3FIFO);
	if (a->type == NF3BLK || a->type == NF3CHR) {
		code_set(x, &a->set);
		xdr_u32(x, &a->major);
		xdr_u32(x, &a->minor);
	} else if (a->type == NF3SOCK || a->type == NF3FIFO) {
		code_set(x, &a->set);
	}
}

static void arguments_rename(struct xdr *x, struct nfs3_arguments *a)
{
	arguments_name(x, a);
	nfs3_code_handle(x, &a->to);
	xdr_bytes(x, &a->to_name, NFS3_NAME_MAX);
}

static void arguments_link(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	nfs3_code_handle(x, &a->to);
	xdr_bytes(x, &a->to_name, NFS3_NAME_MAX);
}

static void arguments_readdir(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	xdr_u64(x, &a->cookie);
	code_verifier(x, a->verifier);
	xdr_u32(x, &a->most);
}

static void arguments_readdirplus(struct xdr *x, struct nfs3_arguments *a)
{
	nfs3_code_handle(x, &a->object);
	xdr_u64(x, &a->cookie);
	code_verifier(x, a->verifier);
	xdr_u32(x, &a->directory_count);
	xdr_u32(x, &a->most);
}

typedef void code_arguments(struct xdr *x, struct nfs3_arguments *a);

void nfs3_code_arguments(struct xdr *x, uint32_t procedure, struct nfs3_arguments *a)
{
	static code_arguments *const codes[NFS3_PROCEDURE_COUNT] = {
		[NFS3_NULL] = arguments_none,
		[NFS3_GETATTR] = arguments_object,
		[NFS3_SETATTR] = arguments_setattr,
		[NFS3_LOOKUP] = arguments_name,
		[NFS3_ACCESS] = arguments_access,
		[NFS3_READLINK] = arguments_object,
		[NFS3_READ] = arguments_range,
		[NFS3_WRITE] = arguments_write,
		[NFS3_CREATE] = arguments_create,
		[NFS3_MKDIR] = arguments_mkdir,
		[NFS3_SYMLINK] = arguments_symlink,
		[NFS3_MKNOD] = arguments_mknod,
		[NFS3_REMOVE] = arguments_name,
		[NFS3_RMDIR] = arguments_name,
		[NFS3_RENAME] = arguments_rename,
		[NFS3_LINK] = arguments_link,
		[NFS3_READDIR] = arguments_readdir,
		[NFS3_READDIRPLUS] = arguments_readdirplus,
		[NFS3_FSSTAT] = arguments_object,
		[NFS3_FSINFO] = arguments_object,
		[NFS3_PATHCONF] = arguments_object,
		[NFS3_COMMIT] = arguments_range,
	};

	codes[procedure](x, a);
}

/* ---- results: what stands behind the status, where it is good and where not ---------------------------- */

typedef void code_results(struct xdr *x, struct nfs3_results *r);

static void results_none(struct xdr *x, struct nfs3_results *r)
{
	(void)x;
	(void)r;
}

static void results_post(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->object);
}

static void results_wcc(struct xdr *x, struct nfs3_results *r)
{
	code_wcc(x, &r->wcc);
}

static void results_attributes(struct xdr *x, struct nfs3_results *r)
{
	nfs3_code_attributes(x, &r->object.a);
	r->object.there = true;
}

static void results_lookup(struct xdr *x, struct nfs3_results *r)
{
	nfs3_code_handle(x, &r->handle);
	r->has_handle = true;
	code_post(x, &r->object);
	code_post(x, &r->directory);
}

static void results_directory(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->directory);
}

static void results_access(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->object);
	xdr_u32(x, &r->access);
}

static void results_readlink(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->object);
	xdr_bytes(x, &r->data, NFS3_PATH_MAX);
}

static void results_read(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->object);
	xdr_u32(x, &r->count);
	xdr_bool(x, &r->end);
	if (r->behind)
		xdr_u32(x, &r->data.size);
	else
		xdr_bytes(x, &r->data, NFS3_DATA_MAX);
}

static void results_write(struct xdr *x, struct nfs3_results *r)
{
	code_wcc(x, &r->wcc);
	xdr_u32(x, &r->count);
	xdr_enum(x, &r->stable, NFS3_FILE_SYNC);
	code_verifier(x, r->verifier);
}

static void results_made(struct xdr *x, struct nfs3_results *r)
{
	code_optional_handle(x, &r->has_handle, &r->handle);
	code_post(x, &r->object);
	code_wcc(x, &r->wcc);
}

static void results_rename(struct xdr *x, struct nfs3_results *r)
{
	code_wcc(x, &r->wcc);
	code_wcc(x, &r->to_wcc);
}

static void results_link(struct xdr *x, struct nfs3_results *r)
{
	code_post(x, &r->object);
	code_wcc(x, &r->wcc);
}

static void code_entries(struct xdr *x, bool plus, struct nfs3_results *r)
{
	struct nfs3_entry e;
	bool more = false;

	code_post(x, &r->object);
	code_verifier(x, r->verifier);
	if (x->out) {
		buffer_append(x->out, r->entries.data, r->entries.size);
		xdr_bool(x, &more);
	} else {
		r->entries.data = x->in.data;
		while (nfs3_code_entry(x, plus, &e))
			;
		/* Behind the entries came the word that says that there are no more. */
		r->entries.size = xdr_failed(x) ? 0 : (uint32_t)(x->in.data - r->entries.data) - 4;
	}
	xdr_bool(x, &r->end);
}

static void results_readdir(struct xdr *x, struct nfs3_results *r)
{
	code_entries(x, false, r);
}

static void results_readdirplus(struct xdr *x, struct nfs3_results *r)
{
	code_entries(x, true, r);
}

static void results_space(struct xdr *x, struct nfs3_results *r)
{
	struct nfs3_space *s = &r->space;

	code_post(x, &r->object);
	xdr_u64(x, &s->bytes);
	xdr_u64(x, &s->free_bytes);
	xdr_u64(x, &s->available_bytes);
	xdr_u64(x, &s->files);
	xdr_u64(x, &s->free_files);
	xdr_u64(x, &s->available_files);
	xdr_u32(x, &s->invariant);
}

static void results_properties(struct xdr *x, struct nfs3_results *r)
{
	struct nfs3_properties *p = &r->properties;

	code_post(x, &r->object);
	xdr_u32(x, &p->read_max);
	xdr_u32(x, &p->read_best);
	xdr_u32(x, &p->read_multiple);
	xdr_u32(x, &p->write_max);
	xdr_u32(x, &p->write_best);
	xdr_u32(x, &p->write_multiple);
	xdr_u32(x, &p->directory_best);
	xdr_u64(x, &p->file_max);
	code_time(x, &p->time_step);
	xdr_u32(x, &p->can);
}

static void results_limits(struct xdr *x, struct nfs3_results *r)
{
	struct nfs3_limits *l = &r->limits;

	code_post(x, &r->object);
	xdr_u32(x, &l->link_max);
	xdr_u32(x, &l->name_max);
	xdr_bool(x, &l->no_truncation);
	xdr_bool(x, &l->chown_restricted);
	xdr_bool(x, &l->case_insensitive);
	xdr_bool(x, &l->case_preserving);
}

static void results_commit(struct xdr *x, struct nfs3_results *r)
{
	code_wcc(x, &r->wcc);
	code_verifier(x, r->verifier);
}

void nfs3_code_results(struct xdr *x, uint32_t procedure, struct nfs3_results *r)
{
	static const struct {
		code_results *good, *bad;
	} codes[NFS3_PROCEDURE_COUNT] = {
		[NFS3_GETATTR] = {results_attributes, results_none},
		[NFS3_SETATTR] = {results_wcc, results_wcc},
		[NFS3_LOOKUP] = {results_lookup, results_directory},
		[NFS3_ACCESS] = {results_access, results_post},
		[NFS3_READLINK] = {results_readlink, results_post},
		[NFS3_READ] = {results_read, results_post},
		[NFS3_WRITE] = {results_write, results_wcc},
		[NFS3_CREATE] = {results_made, results_wcc},
		[NFS3_MKDIR] = {results_made, results_wcc},
		[NFS3_SYMLINK] = {results_made, results_wcc},
		[NFS3_MKNOD] = {results_made, results_wcc},
		[NFS3_REMOVE] = {results_wcc, results_wcc},
		[NFS3_RMDIR] = {results_wcc, results_wcc},
		[NFS3_RENAME] = {results_rename, results_rename},
		[NFS3_LINK] = {results_link, results_link},
		[NFS3_READDIR] = {results_readdir, results_post},
		[NFS3_READDIRPLUS] = {results_readdirplus, results_post},
		[NFS3_FSSTAT] = {results_space, results_post},
		[NFS3_FSINFO] = {results_properties, results_post},
		[NFS3_PATHCONF] = {results_limits, results_post},
		[NFS3_COMMIT] = {results_commit, results_wcc},
	};

	if (procedure == NFS3_NULL)
		return;
	xdr_u32(x, &r->status);
	if (r->status == NFS3_OK)
		codes[procedure].good(x, r);
	else
		codes[procedure].bad(x, r);
}

bool nfs3_code_entry(struct xdr *x, bool plus, struct nfs3_entry *e)
{
	bool there = x->out != NULL;

	if (!x->out)
		*e = (struct nfs3_entry){0};
	xdr_bool(x, &there);
	if (!there)
		return false;
	xdr_u64(x, &e->fileid);
	xdr_bytes(x, &e->name, NFS3_NAME_MAX);
	xdr_u64(x, &e->cookie);
	if (plus) {
		code_post(x, &e->attributes);
		code_optional_handle(x, &e->has_handle, &e->handle);
	}
	return !xdr_failed(x);
}

/* ---- MOUNT (appendix I) ----------------------------------------------------------------------------- */

void mount3_code_path(struct xdr *x, struct xdr_bytes *path)
{
	xdr_bytes(x, path, MOUNT3_PATH_MAX);
}

void mount3_code_mounted(struct xdr *x, uint32_t *status, struct nfs3_handle *handle, uint32_t *flavor)
{
	uint32_t flavors = 1;

	xdr_u32(x, status);
	if (*status != NFS3_OK)
		return;
	nfs3_code_handle(x, handle);
	xdr_enum(x, &flavors, 8);
	for (uint32_t i = 0; i < flavors; i++)
		xdr_u32(x, flavor);
}
