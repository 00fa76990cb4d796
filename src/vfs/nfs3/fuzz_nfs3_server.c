/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile client of the NFS server over a file system in memory, one that has mounted it and knows handles:
 * every call has an answer that reads as what the protocol says, and no more than was asked for.
 *
 * The input is a row of calls: procedure, which known handle, which other one, user, size (u16, big-endian)
 * and bytes of the arguments, whose handles are then replaced by those known.
 */
#include <assert.h>
#include <string.h>

#include "codec/nfs3.h"
#include "codec/rpc.h"
#include "vfs/memory/memory.h"
#include "vfs/nfs3/server.h"

#define HANDLES    16u
#define CALLS_MOST 200
#define EXPORT     "/e"

struct fuzz {
	struct nfs3_server *server;
	struct nfs3_handle known[HANDLES];
	uint32_t next; /* where the next handle is kept */
	uint32_t xid;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The results of a call stand in *in; reply holds them. */
static bool send_call(struct fuzz *f, uint32_t program, uint32_t procedure, uint32_t uid,
	const struct buffer *arguments, struct buffer *reply, struct xdr *in)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct rpc_reply header;
	struct rpc_call call = {.xid = f->xid++,
		.version = RPC_VERSION,
		.program = program,
		.program_version = 3,
		.procedure = procedure,
		.credential = {.flavor = RPC_AUTH_SYS, .uid = uid, .gid = uid}};

	rpc_call_write(&out, &call);
	buffer_append(&out, arguments->data, arguments->size);
	assert(nfs3_server_call(f->server, 1, out.data, out.size, reply, NULL));
	*in = xdr_reader(reply->data + RPC_MARK_SIZE, reply->size - RPC_MARK_SIZE);
	assert(rpc_reply_read(in, &header) && !header.denied && header.xid == call.xid);
	return header.status == RPC_SUCCESS;
}

static void mount_root(struct fuzz *f)
{
	_cleanup_buffer_ struct buffer arguments = {0}, reply = {0};
	struct xdr x = xdr_writer(&arguments), in;
	struct xdr_bytes path = {(const uint8_t *)EXPORT, sizeof EXPORT - 1};
	uint32_t status, flavor;

	mount3_code_path(&x, &path);
	assert(send_call(f, MOUNT3_PROGRAM, MOUNT3_MNT, 0, &arguments, &reply, &in));
	mount3_code_mounted(&in, &status, &f->known[0], &flavor);
	assert(xdr_done(&in) && status == NFS3_OK);
	for (uint32_t i = 1; i < HANDLES; i++)
		f->known[i] = f->known[0];
	f->next = 1;
}

static void learn(struct fuzz *f, const struct nfs3_handle *handle)
{
	f->known[f->next] = *handle;
	f->next = f->next + 1 == HANDLES ? 1 : f->next + 1;
}

static void check_results(
	struct fuzz *f, uint32_t procedure, const struct nfs3_arguments *a, struct xdr *in, size_t size)
{
	struct nfs3_results r = {0};
	struct nfs3_entry e;
	struct xdr x;

	nfs3_code_results(in, procedure, &r);
	assert(xdr_done(in));
	if (procedure == NFS3_READ && r.status == NFS3_OK)
		assert(r.count == r.data.size && r.count <= a->count);
	if (procedure == NFS3_WRITE && r.status == NFS3_OK)
		assert(r.count <= a->count && r.stable >= a->stable);
	if (r.has_handle)
		learn(f, &r.handle);
	if ((procedure != NFS3_READDIR && procedure != NFS3_READDIRPLUS) || r.status != NFS3_OK)
		return;
	assert(size <= (size_t)a->most + 64);
	x = xdr_reader(r.entries.data, (size_t)r.entries.size + 4);
	while (nfs3_code_entry(&x, procedure == NFS3_READDIRPLUS, &e))
		if (e.has_handle)
			learn(f, &e.handle);
}

static void try_call(struct fuzz *f, const uint8_t head[4], const uint8_t *bytes, size_t size)
{
	_cleanup_buffer_ struct buffer arguments = {0}, reply = {0};
	uint32_t procedure = head[0] % NFS3_PROCEDURE_COUNT, uid = head[3] % 3;
	struct xdr x = xdr_reader(bytes, size), out = xdr_writer(&arguments), in;
	struct nfs3_arguments a = {0};

	nfs3_code_arguments(&x, procedure, &a);
	if (xdr_failed(&x)) {
		buffer_append(&arguments, bytes, size);
		send_call(f, NFS3_PROGRAM, procedure, uid, &arguments, &reply, &in);
		return;
	}
	a.object = f->known[head[1] % HANDLES];
	a.to = f->known[head[2] % HANDLES];
	nfs3_code_arguments(&out, procedure, &a);
	if (send_call(f, NFS3_PROGRAM, procedure, uid, &arguments, &reply, &in))
		check_results(f, procedure, &a, &in, reply.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct memory_options memory = {.bytes = 4 << 20, .inodes = 200, .handles = 64, .mode = 01777};
	const struct nfs3_options options = {.export = EXPORT, .ids = NFS3_IDS_CLIENT, .duplicates = 4};
	struct fuzz f = {0};
	struct vfs *fs;

	if (memory_new(&memory, &fs, NULL) < 0 || nfs3_server_new(fs, &options, &f.server, NULL) < 0)
		return 0;
	mount_root(&f);
	for (int calls = 0; size >= 6 && calls < CALLS_MOST; calls++) {
		size_t n = (size_t)data[4] << 8 | data[5];

		n = n < size - 6 ? n : size - 6;
		try_call(&f, data, data + 6, n);
		data += 6 + n;
		size -= 6 + n;
	}
	nfs3_server_free(f.server);
	vfs_destroy(fs);
	return 0;
}
