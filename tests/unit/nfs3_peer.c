/* SPDX-License-Identifier: Apache-2.0 */
#include "nfs3_peer.h"

#include <string.h>

#include "base/cleanup.h"
#include "test.h"
#include "vfs/memory/memory.h"

void start_server(struct peer *p)
{
	struct error err;

	nfs3_server_free(p->server);
	CHECK_OK(nfs3_server_new(p->fs, &p->options, &p->server, &err));
}

void be(struct peer *p, uint32_t uid, uint32_t gid)
{
	p->who = (struct rpc_credential){
		.flavor = RPC_AUTH_SYS, .uid = uid, .gid = gid, .machine = {(const uint8_t *)"test", 4}};
}

/* The arguments of a call, already written, and its results, to be read. */
struct xdr call_raw(struct peer *p, uint32_t program, uint32_t version, uint32_t procedure,
	const struct buffer *arguments)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct rpc_call call = {.xid = p->xid,
		.version = RPC_VERSION,
		.program = program,
		.program_version = version,
		.procedure = procedure,
		.credential = p->who};
	struct xdr x;

	p->xid++;
	rpc_call_write(&b, &call);
	buffer_append(&b, arguments->data, arguments->size);
	buffer_clear(&p->reply);
	CHECK(nfs3_server_call(p->server, p->number, b.data, b.size, &p->reply, p->tails ? &p->tail : NULL));
	CHECK_INT(p->reply.size + p->tail.size,
		(size_t)(p->reply.data[2] << 8 | p->reply.data[3]) + (p->reply.data[1] << 16) + 4);
	CHECK_INT(p->reply.data[0], 0x80);
	x = xdr_reader(p->reply.data + 4, p->reply.size - 4);
	CHECK(rpc_reply_read(&x, &p->header));
	CHECK_INT(p->header.xid, call.xid);
	return x;
}

struct nfs3_results call(struct peer *p, uint32_t procedure, struct nfs3_arguments *a)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr out = xdr_writer(&arguments), in;
	struct nfs3_results r = {0};

	nfs3_tail_end(&p->tail);
	nfs3_code_arguments(&out, procedure, a);
	in = call_raw(p, NFS3_PROGRAM, NFS3_VERSION, procedure, &arguments);
	CHECK(!p->header.denied);
	CHECK_INT(p->header.status, RPC_SUCCESS);
	r.behind = p->tail.size;
	nfs3_code_results(&in, procedure, &r);
	CHECK(xdr_done(&in));
	return r;
}

uint32_t mount_path(struct peer *p, const char *path, struct nfs3_handle *handle)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr out = xdr_writer(&arguments), in;
	struct xdr_bytes bytes = {(const uint8_t *)path, (uint32_t)strlen(path)};
	uint32_t status, flavor = 0;

	mount3_code_path(&out, &bytes);
	in = call_raw(p, MOUNT3_PROGRAM, MOUNT3_VERSION, MOUNT3_MNT, &arguments);
	mount3_code_mounted(&in, &status, handle, &flavor);
	CHECK(xdr_done(&in));
	if (status == NFS3_OK)
		CHECK_INT(flavor, RPC_AUTH_SYS);
	return status;
}

void peer_open(struct peer *p, const struct nfs3_options *options)
{
	struct memory_options memory = {.mode = 01777};
	struct error err;
	struct vfs *fs;

	CHECK_OK(memory_new(&memory, &fs, &err));
	peer_open_over(p, fs, options);
}

void peer_open_over(struct peer *p, struct vfs *fs, const struct nfs3_options *options)
{
	*p = (struct peer){.fs = fs, .options = *options, .xid = 1000, .number = 1};
	p->options.export = EXPORT;
	memcpy(p->options.key, "0123456789abcdef0123456789abcdef", NFS3_KEY_SIZE);
	start_server(p);
	be(p, 0, 0);
	CHECK_INT(mount_path(p, EXPORT, &p->root), NFS3_OK);
}

void peer_close(struct peer *p)
{
	nfs3_tail_end(&p->tail);
	nfs3_server_free(p->server);
	vfs_destroy(p->fs);
	buffer_free(&p->reply);
}
struct xdr_bytes text(const char *t)
{
	return (struct xdr_bytes){(const uint8_t *)t, (uint32_t)strlen(t)};
}

struct nfs3_results at(struct peer *p, uint32_t procedure, struct nfs3_handle object)
{
	struct nfs3_arguments a = {.object = object, .access = 63, .most = 8192, .directory_count = 4096};

	return call(p, procedure, &a);
}

struct nfs3_results named(struct peer *p, uint32_t procedure, struct nfs3_handle directory, const char *name)
{
	struct nfs3_arguments a = {.object = directory, .name = text(name)};

	return call(p, procedure, &a);
}

struct nfs3_results try_create(
	struct peer *p, struct nfs3_handle directory, const char *name, enum nfs3_create how, uint32_t mode)
{
	struct nfs3_arguments a = {.object = directory,
		.name = text(name),
		.how = how,
		.verifier = "veri\xff\xff\xff\xff",
		.set = {.set_mode = true, .mode = mode}};

	return call(p, NFS3_CREATE, &a);
}

struct nfs3_handle create_file(struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode)
{
	struct nfs3_results r = try_create(p, directory, name, NFS3_GUARDED, mode);

	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.has_handle && r.object.there);
	return r.handle;
}

struct nfs3_handle make_directory(
	struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode)
{
	struct nfs3_arguments a = {
		.object = directory, .name = text(name), .set = {.set_mode = true, .mode = mode}};
	struct nfs3_results r = call(p, NFS3_MKDIR, &a);

	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.has_handle);
	return r.handle;
}

struct nfs3_results try_write(
	struct peer *p, struct nfs3_handle file, uint64_t offset, const char *bytes, enum nfs3_stable stable)
{
	struct nfs3_arguments a = {.object = file,
		.offset = offset,
		.count = (uint32_t)strlen(bytes),
		.stable = stable,
		.data = text(bytes)};

	return call(p, NFS3_WRITE, &a);
}

struct nfs3_results try_read(struct peer *p, struct nfs3_handle file, uint64_t offset, uint32_t count)
{
	struct nfs3_arguments a = {.object = file, .offset = offset, .count = count};

	return call(p, NFS3_READ, &a);
}

struct nfs3_results try_set(struct peer *p, struct nfs3_handle object, struct nfs3_set set)
{
	struct nfs3_arguments a = {.object = object, .set = set};

	return call(p, NFS3_SETATTR, &a);
}

struct nfs3_attributes attributes_of(struct peer *p, struct nfs3_handle object)
{
	struct nfs3_results r = at(p, NFS3_GETATTR, object);

	CHECK_INT(r.status, NFS3_OK);
	return r.object.a;
}

bool same_handle(struct nfs3_handle a, struct nfs3_handle b)
{
	return a.size == b.size && !memcmp(a.bytes, b.bytes, a.size);
}
