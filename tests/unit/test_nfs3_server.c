/* SPDX-License-Identifier: Apache-2.0 */
/* The NFS server's core over a file system in memory: calls as bytes, replies as bytes. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "codec/nfs3.h"
#include "codec/rpc.h"
#include "test.h"
#include "vfs/memory/memory.h"
#include "vfs/nfs3/server.h"

#define EXPORT "/3f9a41"

/* A client with its server and file system. */
struct peer {
	struct vfs *fs;
	struct nfs3_server *server;
	struct nfs3_options options;
	struct rpc_credential who;
	struct nfs3_handle root;
	struct buffer reply; /* of the last call */
	uint32_t xid;
	uint64_t number;
	struct rpc_reply header;
};

static void start_server(struct peer *p)
{
	struct error err;

	nfs3_server_free(p->server);
	CHECK_OK(nfs3_server_new(p->fs, &p->options, &p->server, &err));
}

static void be(struct peer *p, uint32_t uid, uint32_t gid)
{
	p->who = (struct rpc_credential){
		.flavor = RPC_AUTH_SYS, .uid = uid, .gid = gid, .machine = {(const uint8_t *)"test", 4}};
}

/* The arguments of a call, already written, and its results, to be read. */
static struct xdr call_raw(struct peer *p, uint32_t program, uint32_t version, uint32_t procedure,
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
	CHECK(nfs3_server_call(p->server, p->number, b.data, b.size, &p->reply));
	CHECK_INT(p->reply.size,
		(size_t)(p->reply.data[2] << 8 | p->reply.data[3]) + (p->reply.data[1] << 16) + 4);
	CHECK_INT(p->reply.data[0], 0x80);
	x = xdr_reader(p->reply.data + 4, p->reply.size - 4);
	CHECK(rpc_reply_read(&x, &p->header));
	CHECK_INT(p->header.xid, call.xid);
	return x;
}

static struct nfs3_results call(struct peer *p, uint32_t procedure, struct nfs3_arguments *a)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr out = xdr_writer(&arguments), in;
	struct nfs3_results r = {0};

	nfs3_code_arguments(&out, procedure, a);
	in = call_raw(p, NFS3_PROGRAM, NFS3_VERSION, procedure, &arguments);
	CHECK(!p->header.denied);
	CHECK_INT(p->header.status, RPC_SUCCESS);
	nfs3_code_results(&in, procedure, &r);
	CHECK(xdr_done(&in));
	return r;
}

static uint32_t mount_path(struct peer *p, const char *path, struct nfs3_handle *handle)
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

static void peer_open(struct peer *p, const struct nfs3_options *options)
{
	struct memory_options memory = {.mode = 01777};
	struct error err;

	*p = (struct peer){.options = *options, .xid = 1000, .number = 1};
	p->options.export = EXPORT;
	memcpy(p->options.key, "0123456789abcdef0123456789abcdef", NFS3_KEY_SIZE);
	CHECK_OK(memory_new(&memory, &p->fs, &err));
	start_server(p);
	be(p, 0, 0);
	CHECK_INT(mount_path(p, EXPORT, &p->root), NFS3_OK);
}

static void peer_close(struct peer *p)
{
	nfs3_server_free(p->server);
	vfs_destroy(p->fs);
	buffer_free(&p->reply);
}
#define _cleanup_peer_ __attribute__((cleanup(peer_close)))

static const struct nfs3_options fixed = {.start = 1}, users = {.start = 1, .ids = NFS3_IDS_CLIENT};

static struct xdr_bytes text(const char *t)
{
	return (struct xdr_bytes){(const uint8_t *)t, (uint32_t)strlen(t)};
}

static struct nfs3_results at(struct peer *p, uint32_t procedure, struct nfs3_handle object)
{
	struct nfs3_arguments a = {.object = object, .access = 63, .most = 8192, .directory_count = 4096};

	return call(p, procedure, &a);
}

static struct nfs3_results named(
	struct peer *p, uint32_t procedure, struct nfs3_handle directory, const char *name)
{
	struct nfs3_arguments a = {.object = directory, .name = text(name)};

	return call(p, procedure, &a);
}

static struct nfs3_results try_create(
	struct peer *p, struct nfs3_handle directory, const char *name, enum nfs3_create how, uint32_t mode)
{
	struct nfs3_arguments a = {.object = directory,
		.name = text(name),
		.how = how,
		.verifier = "veri\xff\xff\xff\xff",
		.set = {.set_mode = true, .mode = mode}};

	return call(p, NFS3_CREATE, &a);
}

static struct nfs3_handle create_file(
	struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode)
{
	struct nfs3_results r = try_create(p, directory, name, NFS3_GUARDED, mode);

	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.has_handle && r.object.there);
	return r.handle;
}

static struct nfs3_handle make_directory(
	struct peer *p, struct nfs3_handle directory, const char *name, uint32_t mode)
{
	struct nfs3_arguments a = {
		.object = directory, .name = text(name), .set = {.set_mode = true, .mode = mode}};
	struct nfs3_results r = call(p, NFS3_MKDIR, &a);

	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.has_handle);
	return r.handle;
}

static struct nfs3_results try_write(
	struct peer *p, struct nfs3_handle file, uint64_t offset, const char *bytes, enum nfs3_stable stable)
{
	struct nfs3_arguments a = {.object = file,
		.offset = offset,
		.count = (uint32_t)strlen(bytes),
		.stable = stable,
		.data = text(bytes)};

	return call(p, NFS3_WRITE, &a);
}

static struct nfs3_results try_read(struct peer *p, struct nfs3_handle file, uint64_t offset, uint32_t count)
{
	struct nfs3_arguments a = {.object = file, .offset = offset, .count = count};

	return call(p, NFS3_READ, &a);
}

static struct nfs3_results try_set(struct peer *p, struct nfs3_handle object, struct nfs3_set set)
{
	struct nfs3_arguments a = {.object = object, .set = set};

	return call(p, NFS3_SETATTR, &a);
}

static struct nfs3_attributes attributes_of(struct peer *p, struct nfs3_handle object)
{
	struct nfs3_results r = at(p, NFS3_GETATTR, object);

	CHECK_INT(r.status, NFS3_OK);
	return r.object.a;
}

static bool same_handle(struct nfs3_handle a, struct nfs3_handle b)
{
	return a.size == b.size && !memcmp(a.bytes, b.bytes, a.size);
}

/* ---- procedures ------------------------------------------------------------------------------------- */

TEST(null_answers_nothing_but_that_it_is_there)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer none = {0};
	struct xdr x;

	peer_open(&p, &fixed);
	x = call_raw(&p, NFS3_PROGRAM, 3, NFS3_NULL, &none);
	CHECK(xdr_done(&x) && !p.header.denied && p.header.status == RPC_SUCCESS);
	x = call_raw(&p, MOUNT3_PROGRAM, 3, MOUNT3_NULL, &none);
	CHECK(xdr_done(&x) && !p.header.denied && p.header.status == RPC_SUCCESS);
}

TEST(what_is_made_is_found_and_has_its_attributes)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file, directory;
	struct nfs3_results r;

	peer_open(&p, &fixed);
	directory = make_directory(&p, p.root, "d", 0750);
	file = create_file(&p, directory, "f", 0640);
	r = named(&p, NFS3_LOOKUP, directory, "f");
	CHECK_INT(r.status, NFS3_OK);
	CHECK(same_handle(r.handle, file));
	CHECK(r.object.there && r.directory.there);
	CHECK_INT(r.object.a.type, NF3REG);
	CHECK_INT(r.object.a.mode, 0640);
	CHECK_INT(r.object.a.links, 1);
	CHECK_INT(r.directory.a.type, NF3DIR);
	CHECK_INT(r.directory.a.mode, 0750);
	CHECK(r.object.a.fileid != r.directory.a.fileid);
	CHECK_INT(named(&p, NFS3_LOOKUP, directory, "g").status, NFS3ERR_NOENT);
	CHECK_INT(named(&p, NFS3_LOOKUP, file, "g").status, NFS3ERR_NOTDIR);
}

TEST(dot_is_the_directory_and_dot_dot_its_parent)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle d, e;

	peer_open(&p, &fixed);
	d = make_directory(&p, p.root, "d", 0755);
	e = make_directory(&p, d, "e", 0755);
	CHECK(same_handle(named(&p, NFS3_LOOKUP, e, ".").handle, e));
	CHECK(same_handle(named(&p, NFS3_LOOKUP, d, "..").handle, p.root));
	CHECK(same_handle(named(&p, NFS3_LOOKUP, p.root, "..").handle, p.root));
}

TEST(names_that_are_none_are_refused)
{
	_cleanup_peer_ struct peer p;
	char longest[257] = {0};
	struct nfs3_arguments a;

	peer_open(&p, &fixed);
	memset(longest, 'n', 256);
	CHECK_INT(named(&p, NFS3_LOOKUP, p.root, longest).status, NFS3ERR_NAMETOOLONG);
	CHECK_INT(try_create(&p, p.root, longest, NFS3_GUARDED, 0644).status, NFS3ERR_NAMETOOLONG);
	longest[255] = 0;
	CHECK_INT(try_create(&p, p.root, longest, NFS3_GUARDED, 0644).status, NFS3_OK);
	CHECK_INT(try_create(&p, p.root, "", NFS3_GUARDED, 0644).status, NFS3ERR_INVAL);
	CHECK_INT(try_create(&p, p.root, "a/b", NFS3_GUARDED, 0644).status, NFS3ERR_INVAL);
	CHECK_INT(try_create(&p, p.root, "..", NFS3_GUARDED, 0644).status, NFS3ERR_INVAL);
	CHECK_INT(named(&p, NFS3_RMDIR, p.root, "..").status, NFS3ERR_INVAL);
	a = (struct nfs3_arguments){.object = p.root, .name = {(const uint8_t *)"a\0b", 3}};
	CHECK_INT(call(&p, NFS3_LOOKUP, &a).status, NFS3ERR_INVAL);
}

TEST(data_is_read_as_written)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;
	struct nfs3_results r;

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	r = try_write(&p, file, 0, "hello world", NFS3_UNSTABLE);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.count, 11);
	CHECK_INT(r.stable, NFS3_UNSTABLE);
	CHECK(r.wcc.before && r.wcc.after.there);
	CHECK_INT(r.wcc.size, 0);
	CHECK_INT(r.wcc.after.a.size, 11);
	r = try_read(&p, file, 6, 3);
	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.count == 3 && r.data.size == 3 && !memcmp(r.data.data, "wor", 3));
	CHECK(!r.end && r.object.there);
	r = try_read(&p, file, 6, 100);
	CHECK(r.count == 5 && r.end && !memcmp(r.data.data, "world", 5));
	r = try_read(&p, file, 11, 100);
	CHECK(r.status == NFS3_OK && r.count == 0 && r.end);
	r = try_read(&p, file, UINT64_MAX, UINT32_MAX);
	CHECK(r.status == NFS3_OK && r.count == 0 && r.end);
	CHECK_INT(try_write(&p, file, UINT64_MAX, "x", NFS3_UNSTABLE).status, NFS3ERR_FBIG);
	CHECK_INT(try_read(&p, p.root, 0, 1).status, NFS3ERR_ISDIR);
	CHECK_INT(try_write(&p, p.root, 0, "x", NFS3_UNSTABLE).status, NFS3ERR_ISDIR);
}

TEST(a_read_carries_up_to_one_mebibyte)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;
	struct nfs3_results r;

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_size = true, .size = 3u << 20}).status, NFS3_OK);
	CHECK_INT(try_write(&p, file, 1u << 20, "end", NFS3_FILE_SYNC).status, NFS3_OK);
	r = try_read(&p, file, 3, UINT32_MAX);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.count, VFS_IO_MAX);
	CHECK(!r.end && !memcmp(r.data.data + (1u << 20) - 3, "end", 3));
}

TEST(a_write_of_fewer_bytes_than_it_says_is_refused)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.count = 9, .data = text("short")};

	peer_open(&p, &fixed);
	a.object = create_file(&p, p.root, "f", 0644);
	CHECK_INT(call(&p, NFS3_WRITE, &a).status, NFS3ERR_INVAL);
	a.count = 3;
	CHECK_INT(call(&p, NFS3_WRITE, &a).count, 3);
	CHECK_INT(attributes_of(&p, a.object).size, 3);
}

TEST(the_write_verifier_is_another_after_a_restart)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;
	struct nfs3_results w, c;
	uint8_t before[NFS3_VERIFIER_SIZE];

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	w = try_write(&p, file, 0, "x", NFS3_UNSTABLE);
	c = at(&p, NFS3_COMMIT, file);
	CHECK_INT(c.status, NFS3_OK);
	CHECK(c.wcc.after.there);
	CHECK(!memcmp(w.verifier, c.verifier, sizeof w.verifier));
	memcpy(before, w.verifier, sizeof before);
	p.options.start = 2;
	start_server(&p);
	c = at(&p, NFS3_COMMIT, file);
	CHECK_INT(c.status, NFS3_OK);
	CHECK(memcmp(before, c.verifier, sizeof before) != 0);
	CHECK_INT(at(&p, NFS3_COMMIT, p.root).status, NFS3ERR_ISDIR);
}

TEST(stable_writes_say_so)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_DATA_SYNC).stable, NFS3_DATA_SYNC);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_FILE_SYNC).stable, NFS3_FILE_SYNC);
}

TEST(a_guarded_create_refuses_and_an_unchecked_one_opens)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;
	struct nfs3_results r;
	struct nfs3_arguments a = {.name = text("f"), .set = {.set_size = true, .set_mode = true, .mode = 0}};

	peer_open(&p, &fixed);
	a.object = p.root;
	file = create_file(&p, p.root, "f", 0644);
	try_write(&p, file, 0, "text", NFS3_UNSTABLE);
	r = try_create(&p, p.root, "f", NFS3_GUARDED, 0644);
	CHECK_INT(r.status, NFS3ERR_EXIST);
	CHECK(r.wcc.before && r.wcc.after.there);
	r = try_create(&p, p.root, "f", NFS3_UNCHECKED, 0600);
	CHECK_INT(r.status, NFS3_OK);
	CHECK(same_handle(r.handle, file));
	CHECK_INT(r.object.a.size, 4);
	CHECK_INT(r.object.a.mode, 0644);
	r = call(&p, NFS3_CREATE, &a);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.object.a.size, 0);
	make_directory(&p, p.root, "d", 0755);
	CHECK_INT(try_create(&p, p.root, "d", NFS3_UNCHECKED, 0600).status, NFS3ERR_EXIST);
}

TEST(an_exclusive_create_knows_its_own_file_again)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_results r, again;
	struct nfs3_arguments other = {.name = text("f"), .how = NFS3_EXCLUSIVE, .verifier = "another"};

	peer_open(&p, &fixed);
	r = try_create(&p, p.root, "f", NFS3_EXCLUSIVE, 0);
	CHECK_INT(r.status, NFS3_OK);
	start_server(&p); /* it is not the duplicate cache that knows */
	again = try_create(&p, p.root, "f", NFS3_EXCLUSIVE, 0);
	CHECK_INT(again.status, NFS3_OK);
	CHECK(same_handle(r.handle, again.handle));
	other.object = p.root;
	CHECK_INT(call(&p, NFS3_CREATE, &other).status, NFS3ERR_EXIST);
	create_file(&p, p.root, "g", 0644);
	CHECK_INT(try_create(&p, p.root, "g", NFS3_EXCLUSIVE, 0).status, NFS3ERR_EXIST);
}

TEST(links_and_nodes_are_what_they_were_made_as)
{
	_cleanup_peer_ struct peer p;
	static const uint32_t types[] = {NF3CHR, NF3BLK, NF3FIFO, NF3SOCK};
	struct nfs3_arguments a = {.name = text("s"), .target = text("../there")};
	struct nfs3_results r;

	peer_open(&p, &fixed);
	a.object = p.root;
	r = call(&p, NFS3_SYMLINK, &a);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.object.a.type, NF3LNK);
	r = at(&p, NFS3_READLINK, r.handle);
	CHECK(r.status == NFS3_OK && r.data.size == 8 && !memcmp(r.data.data, "../there", 8));
	CHECK_INT(at(&p, NFS3_READLINK, p.root).status, NFS3ERR_INVAL);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		char name[2] = {(char)('0' + i), 0};

		a = (struct nfs3_arguments){
			.object = p.root, .name = text(name), .type = types[i], .major = 5, .minor = 70};
		r = call(&p, NFS3_MKNOD, &a);
		CHECK_INT(r.status, NFS3_OK);
		CHECK_INT(r.object.a.type, types[i]);
		CHECK_INT(r.object.a.minor, i < 2 ? 70 : 0);
	}
	a.name = text("d");
	a.type = NF3DIR;
	CHECK_INT(call(&p, NFS3_MKNOD, &a).status, NFS3ERR_BADTYPE);
	a = (struct nfs3_arguments){
		.object = p.root, .name = text("t"), .target = {(const uint8_t *)"a\0", 2}};
	CHECK_INT(call(&p, NFS3_SYMLINK, &a).status, NFS3ERR_INVAL);
}

TEST(names_are_removed_renamed_and_linked)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle d, file;
	struct nfs3_arguments a = {.name = text("f"), .to_name = text("g")};
	struct nfs3_results r;

	peer_open(&p, &fixed);
	d = make_directory(&p, p.root, "d", 0755);
	file = create_file(&p, p.root, "f", 0644);
	a.object = p.root;
	a.to = d;
	r = call(&p, NFS3_RENAME, &a);
	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.wcc.before && r.wcc.after.there && r.to_wcc.before && r.to_wcc.after.there);
	CHECK(same_handle(named(&p, NFS3_LOOKUP, d, "g").handle, file));
	CHECK_INT(call(&p, NFS3_RENAME, &a).status, NFS3ERR_NOENT);
	a = (struct nfs3_arguments){.object = file, .to = p.root, .to_name = text("h")};
	r = call(&p, NFS3_LINK, &a);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.object.a.links, 2);
	CHECK_INT(call(&p, NFS3_LINK, &a).status, NFS3ERR_EXIST);
	CHECK_INT(named(&p, NFS3_RMDIR, p.root, "d").status, NFS3ERR_NOTEMPTY);
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "d").status, NFS3ERR_ISDIR);
	r = named(&p, NFS3_REMOVE, d, "g");
	CHECK(r.status == NFS3_OK && r.wcc.before && r.wcc.after.there);
	CHECK_INT(named(&p, NFS3_RMDIR, p.root, "d").status, NFS3_OK);
	CHECK_INT(named(&p, NFS3_RMDIR, p.root, "h").status, NFS3ERR_NOTDIR);
	CHECK_INT(attributes_of(&p, file).links, 1);
}

TEST(attributes_are_set)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;
	struct nfs3_results r;
	struct nfs3_attributes a;
	struct nfs3_arguments guarded = {.guarded = true, .guard = {1, 1}, .set = {.set_mode = true}};

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	r = try_set(&p, file,
		(struct nfs3_set){.set_mode = true,
			.mode = 04711,
			.set_uid = true,
			.uid = 7,
			.set_gid = true,
			.gid = 8,
			.set_size = true,
			.size = 99,
			.set_atime = NFS3_CLIENT_TIME,
			.atime = {1, 2},
			.set_mtime = NFS3_CLIENT_TIME,
			.mtime = {4000000000u, 999999999}});
	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.wcc.before && r.wcc.after.there);
	a = attributes_of(&p, file);
	CHECK_INT(a.mode, 04711);
	CHECK(a.uid == 7 && a.gid == 8 && a.size == 99);
	CHECK(a.atime.seconds == 1 && a.atime.nanoseconds == 2);
	CHECK(a.mtime.seconds == 4000000000u && a.mtime.nanoseconds == 999999999);
	CHECK_INT(
		try_set(&p, file, (struct nfs3_set){.set_mtime = NFS3_CLIENT_TIME, .mtime = {1, 1000000000}})
			.status,
		NFS3ERR_INVAL);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mtime = NFS3_SERVER_TIME}).status, NFS3_OK);
	CHECK(attributes_of(&p, file).mtime.seconds < 4000000000u);
	CHECK_INT(try_set(&p, p.root, (struct nfs3_set){.set_size = true}).status, NFS3ERR_ISDIR);
	guarded.object = file;
	CHECK_INT(call(&p, NFS3_SETATTR, &guarded).status, NFS3ERR_NOT_SYNC);
	guarded.guard = attributes_of(&p, file).ctime;
	CHECK_INT(call(&p, NFS3_SETATTR, &guarded).status, NFS3_OK);
	CHECK_INT(attributes_of(&p, file).mode, 0);
}

TEST(the_file_system_tells_what_it_is)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_results r;

	peer_open(&p, &fixed);
	r = at(&p, NFS3_FSINFO, p.root);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.properties.read_max, VFS_IO_MAX);
	CHECK_INT(r.properties.write_max, VFS_IO_MAX);
	CHECK_INT(r.properties.time_step.nanoseconds, 1);
	CHECK(r.object.there);
	r = at(&p, NFS3_FSSTAT, p.root);
	CHECK_INT(r.status, NFS3_OK);
	CHECK(r.space.bytes > 0 && r.space.available_bytes <= r.space.bytes);
	r = at(&p, NFS3_PATHCONF, p.root);
	CHECK_INT(r.status, NFS3_OK);
	CHECK_INT(r.limits.name_max, 255);
	CHECK(r.limits.no_truncation && r.limits.chown_restricted && !r.limits.case_insensitive);
}

/* ---- directories ------------------------------------------------------------------------------------ */

/* The handle of an entry leads to it. What p->reply holds is still being read. */
static void check_entry(struct peer *p, const struct nfs3_entry *e)
{
	struct buffer kept = p->reply;

	p->reply = (struct buffer){0};
	CHECK_INT(attributes_of(p, e->handle).fileid, e->fileid);
	buffer_free(&p->reply);
	p->reply = kept;
}

/* Lists all in pieces of `most` bytes; *calls counts them. seen[i]: how often the file named i came. */
static size_t list_all(struct peer *p, struct nfs3_handle directory, uint32_t procedure, uint32_t most,
	unsigned *seen, size_t *calls)
{
	struct nfs3_arguments a = {.object = directory, .most = most, .directory_count = most};
	bool plus = procedure == NFS3_READDIRPLUS;
	struct nfs3_results r;
	struct nfs3_entry e;
	size_t count = 0;

	for (*calls = 0;; ++*calls) {
		struct xdr x;

		r = call(p, procedure, &a);
		CHECK_INT(r.status, NFS3_OK);
		CHECK(p->reply.size <= most + 100);
		/* The list ends with the word that says there is no more. */
		x = xdr_reader(r.entries.data, (size_t)r.entries.size + 4);
		for (; nfs3_code_entry(&x, plus, &e); count++) {
			unsigned number = 0;

			a.cookie = e.cookie;
			if (e.name.data[0] == '.')
				continue;
			for (uint32_t i = 0; i < e.name.size; i++)
				number = number * 10 + e.name.data[i] - '0';
			seen[number]++;
			CHECK(!plus || (e.attributes.there && e.has_handle));
			if (plus && number % 100 == 0)
				check_entry(p, &e);
		}
		if (r.end)
			return count;
	}
}

TEST(large_directories_are_listed_in_pieces)
{
	_cleanup_peer_ struct peer p;
	unsigned seen[1000];
	struct nfs3_handle d;
	size_t calls;

	peer_open(&p, &fixed);
	d = make_directory(&p, p.root, "d", 0755);
	for (unsigned i = 0; i < 1000; i++) {
		char name[8];

		snprintf(name, sizeof name, "%u", i);
		create_file(&p, d, name, 0644);
	}
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t procedure = i % 2 ? NFS3_READDIRPLUS : NFS3_READDIR, most = i < 2 ? 4096 : 1 << 20;

		memset(seen, 0, sizeof seen);
		CHECK_INT(list_all(&p, d, procedure, most, seen, &calls), 1002);
		CHECK(i < 2 ? calls > 5 : calls == 0);
		for (size_t n = 0; n < 1000; n++)
			CHECK_INT(seen[n], 1);
	}
}

TEST(a_list_that_holds_no_entry_is_too_small)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.most = 100, .directory_count = 100};

	peer_open(&p, &fixed);
	a.object = p.root;
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_TOOSMALL);
	CHECK_INT(call(&p, NFS3_READDIRPLUS, &a).status, NFS3ERR_TOOSMALL);
	a.cookie = INT64_MAX; /* behind the last entry; not even the end of the list fits */
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_TOOSMALL);
	a.most = 200;
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3_OK);
	a.cookie = 0;
	a.object = create_file(&p, p.root, "f", 0644);
	CHECK_INT(call(&p, NFS3_READDIR, &a).status, NFS3ERR_NOTDIR);
}

/* ---- handles ---------------------------------------------------------------------------------------- */

TEST(handles_outlive_a_restart_with_the_same_key)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	start_server(&p);
	CHECK_INT(at(&p, NFS3_GETATTR, file).status, NFS3_OK);
	p.options.key[0] ^= 1;
	start_server(&p);
	CHECK_INT(at(&p, NFS3_GETATTR, file).status, NFS3ERR_BADHANDLE);
}

TEST(forged_handles_are_bad_and_those_of_what_is_gone_are_stale)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file, forged;

	peer_open(&p, &fixed);
	file = create_file(&p, p.root, "f", 0644);
	for (uint32_t i = 0; i < file.size * 8; i++) {
		forged = file;
		forged.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		CHECK_INT(at(&p, NFS3_GETATTR, forged).status, NFS3ERR_BADHANDLE);
	}
	for (forged = file; forged.size-- > 0;)
		CHECK_INT(at(&p, NFS3_GETATTR, forged).status, NFS3ERR_BADHANDLE);
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3_OK);
	CHECK_INT(at(&p, NFS3_GETATTR, file).status, NFS3ERR_STALE);
	create_file(&p, p.root, "f", 0644);
	CHECK_INT(at(&p, NFS3_GETATTR, file).status, NFS3ERR_STALE);
}

TEST(every_procedure_refuses_a_forged_handle)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.name = text("n"),
		.to_name = text("m"),
		.target = text("t"),
		.type = NF3FIFO,
		.count = 1,
		.data = text("x"),
		.most = 4096,
		.directory_count = 4096};

	peer_open(&p, &fixed);
	a.object = a.to = p.root;
	a.object.bytes[0] ^= 1;
	for (uint32_t i = NFS3_GETATTR; i < NFS3_PROCEDURE_COUNT; i++)
		CHECK_INT(call(&p, i, &a).status, NFS3ERR_BADHANDLE);
	a.object = p.root;
	a.to.bytes[5] ^= 1;
	CHECK_INT(call(&p, NFS3_RENAME, &a).status, NFS3ERR_BADHANDLE);
	CHECK_INT(call(&p, NFS3_LINK, &a).status, NFS3ERR_BADHANDLE);
}

/* ---- mounting --------------------------------------------------------------------------------------- */

TEST(the_exports_name_works_once)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle h;

	peer_open(&p, &fixed);
	CHECK_INT(mount_path(&p, EXPORT, &h), NFS3ERR_ACCES);
	p.options.export_stays = true;
	start_server(&p);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(mount_path(&p, EXPORT, &h), NFS3_OK);
		CHECK(same_handle(h, p.root));
	}
}

TEST(other_names_mount_nothing_and_use_nothing_up)
{
	_cleanup_peer_ struct peer p;
	static const char *const wrong[] = {"/", "", "/3f9a4", "/3f9a411", "/3f9a40", "/3F9A41"};
	struct nfs3_handle h;

	peer_open(&p, &fixed);
	start_server(&p);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_INT(mount_path(&p, wrong[i], &h), NFS3ERR_ACCES);
	CHECK_INT(mount_path(&p, EXPORT, &h), NFS3_OK);
}

TEST(a_directory_beneath_the_export_is_mounted_by_its_path)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle h, d, e;

	peer_open(&p, &fixed);
	d = make_directory(&p, p.root, "d", 0755);
	e = make_directory(&p, d, "e", 0755);
	create_file(&p, d, "f", 0644);
	start_server(&p);
	CHECK_INT(mount_path(&p, EXPORT "/d/none", &h), NFS3ERR_NOENT);
	CHECK_INT(mount_path(&p, EXPORT "/d/f", &h), NFS3ERR_NOTDIR);
	CHECK_INT(mount_path(&p, EXPORT "/d/f/e", &h), NFS3ERR_NOTDIR);
	CHECK_INT(mount_path(&p, EXPORT "/..", &h), NFS3ERR_INVAL);
	CHECK_INT(mount_path(&p, EXPORT "/d/../d", &h), NFS3ERR_INVAL);
	CHECK_INT(mount_path(&p, EXPORT "d", &h), NFS3ERR_ACCES);
	CHECK_INT(mount_path(&p, EXPORT "//d/e/", &h), NFS3_OK);
	CHECK(same_handle(h, e));
	CHECK_INT(mount_path(&p, EXPORT "/d", &h), NFS3ERR_ACCES); /* it is used up */
	p.options.export_stays = true;
	start_server(&p);
	CHECK_INT(mount_path(&p, EXPORT "/d", &h), NFS3_OK);
	CHECK(same_handle(h, d));
	CHECK_INT(mount_path(&p, EXPORT "/", &h), NFS3_OK);
	CHECK(same_handle(h, p.root));
}

TEST(a_mount_that_comes_again_gets_its_answer_again)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle h;

	peer_open(&p, &fixed);
	start_server(&p);
	CHECK_INT(mount_path(&p, EXPORT, &h), NFS3_OK);
	p.xid--;
	CHECK_INT(mount_path(&p, EXPORT, &h), NFS3_OK);
	CHECK(same_handle(h, p.root));
	p.xid--;
	p.number = 2; /* another peer's call is another call */
	CHECK_INT(mount_path(&p, EXPORT, &h), NFS3ERR_ACCES);
}

TEST(nobody_is_told_what_is_exported)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer none = {0};
	struct xdr x;
	bool more;

	peer_open(&p, &fixed);
	for (uint32_t procedure = MOUNT3_DUMP; procedure <= MOUNT3_EXPORT;
		procedure += MOUNT3_EXPORT - MOUNT3_DUMP) {
		x = call_raw(&p, MOUNT3_PROGRAM, 3, procedure, &none);
		xdr_bool(&x, &more);
		CHECK(xdr_done(&x) && !more);
	}
	x = call_raw(&p, MOUNT3_PROGRAM, 3, MOUNT3_UMNTALL, &none);
	CHECK(xdr_done(&x) && p.header.status == RPC_SUCCESS);
}

/* ---- who may ---------------------------------------------------------------------------------------- */

TEST(everybody_is_one_user_unless_that_is_asked_otherwise)
{
	_cleanup_peer_ struct peer p;
	const struct nfs3_options one = {.uid = 1000, .gid = 100};
	struct nfs3_handle file;

	peer_open(&p, &one);
	be(&p, 0, 0); /* what it says counts for nothing */
	file = create_file(&p, p.root, "f", 0600);
	CHECK_INT(attributes_of(&p, file).uid, 1000);
	CHECK_INT(attributes_of(&p, file).gid, 100);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_uid = true, .uid = 5}).status, NFS3ERR_PERM);
	p.who = (struct rpc_credential){.flavor = RPC_AUTH_NONE};
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3_OK);
}

TEST(modes_are_judged_for_the_caller)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle d, file;

	peer_open(&p, &users);
	be(&p, 1, 1);
	d = make_directory(&p, p.root, "d", 0750);
	file = create_file(&p, d, "f", 0640);
	be(&p, 2, 2);
	CHECK_INT(named(&p, NFS3_LOOKUP, d, "f").status, NFS3ERR_ACCES);
	CHECK_INT(at(&p, NFS3_READDIR, d).status, NFS3ERR_ACCES);
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3ERR_ACCES);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3ERR_ACCES);
	CHECK_INT(try_create(&p, d, "g", NFS3_GUARDED, 0644).status, NFS3ERR_ACCES);
	CHECK_INT(named(&p, NFS3_REMOVE, d, "f").status, NFS3ERR_ACCES);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mode = true}).status, NFS3ERR_PERM);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_size = true}).status, NFS3ERR_ACCES);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mtime = NFS3_SERVER_TIME}).status, NFS3ERR_ACCES);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mtime = NFS3_CLIENT_TIME}).status, NFS3ERR_PERM);
	be(&p, 2, 1); /* of the group */
	CHECK_INT(named(&p, NFS3_LOOKUP, d, "f").status, NFS3_OK);
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3_OK);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3ERR_ACCES);
	be(&p, 3, 3);
	p.who.groups[0] = 1;
	p.who.group_count = 1;
	CHECK_INT(named(&p, NFS3_LOOKUP, d, "f").status, NFS3_OK);
	be(&p, 0, 0);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3_OK);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_uid = true, .uid = 9}).status, NFS3_OK);
}

TEST(owners_read_and_write_what_they_have_open)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;

	peer_open(&p, &users);
	be(&p, 1, 1);
	file = create_file(&p, p.root, "f", 0);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3_OK);
	CHECK_INT(try_read(&p, file, 0, 1).count, 1);
	CHECK_INT(at(&p, NFS3_ACCESS, file).access, 0);
	be(&p, 2, 2);
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3ERR_ACCES);
}

TEST(access_tells_what_the_mode_allows)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle d, file;

	peer_open(&p, &users);
	be(&p, 1, 1);
	d = make_directory(&p, p.root, "d", 0754);
	file = create_file(&p, d, "f", 0754);
	CHECK_INT(at(&p, NFS3_ACCESS, d).access, NFS3_ACCESS_READ | NFS3_ACCESS_LOOKUP | NFS3_ACCESS_MODIFY |
							 NFS3_ACCESS_EXTEND | NFS3_ACCESS_DELETE);
	CHECK_INT(at(&p, NFS3_ACCESS, file).access,
		NFS3_ACCESS_READ | NFS3_ACCESS_MODIFY | NFS3_ACCESS_EXTEND | NFS3_ACCESS_EXECUTE);
	be(&p, 2, 1);
	CHECK_INT(at(&p, NFS3_ACCESS, d).access, NFS3_ACCESS_READ | NFS3_ACCESS_LOOKUP);
	CHECK_INT(at(&p, NFS3_ACCESS, file).access, NFS3_ACCESS_READ | NFS3_ACCESS_EXECUTE);
	be(&p, 2, 2);
	CHECK_INT(at(&p, NFS3_ACCESS, d).access, NFS3_ACCESS_READ);
	p.fs->read_only = true;
	be(&p, 1, 1);
	CHECK_INT(at(&p, NFS3_ACCESS, file).access, NFS3_ACCESS_READ | NFS3_ACCESS_EXECUTE);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3ERR_ROFS);
}

TEST(in_sticky_directories_only_owners_remove_and_rename)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_arguments a = {.name = text("f"), .to_name = text("g")};

	peer_open(&p, &users); /* the root has mode 1777 */
	be(&p, 1, 1);
	create_file(&p, p.root, "f", 0666);
	be(&p, 2, 2);
	create_file(&p, p.root, "g", 0666);
	a.object = a.to = p.root;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3ERR_PERM);
	CHECK_INT(call(&p, NFS3_RENAME, &a).status, NFS3ERR_PERM);
	be(&p, 1, 1);
	CHECK_INT(call(&p, NFS3_RENAME, &a).status, NFS3ERR_PERM); /* g is another's */
	a.to_name = text("h");
	CHECK_INT(call(&p, NFS3_RENAME, &a).status, NFS3_OK);
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "h").status, NFS3_OK);
	be(&p, 0, 0);
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "g").status, NFS3_OK);
}

TEST(root_is_nobody_where_it_is_squashed)
{
	_cleanup_peer_ struct peer p;
	const struct nfs3_options squashed = {.ids = NFS3_IDS_CLIENT, .squash_root = true};
	struct nfs3_handle file;

	peer_open(&p, &squashed);
	be(&p, 1, 1);
	file = create_file(&p, p.root, "f", 0600);
	be(&p, 0, 0);
	p.who.groups[0] = 0;
	p.who.group_count = 1;
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3ERR_ACCES);
	file = create_file(&p, p.root, "mine", 0600);
	CHECK_INT(attributes_of(&p, file).uid, NFS3_ANONYMOUS);
	CHECK_INT(attributes_of(&p, file).gid, NFS3_ANONYMOUS);
	p.who = (struct rpc_credential){.flavor = RPC_AUTH_NONE};
	CHECK_INT(try_read(&p, file, 0, 1).status, NFS3_OK);
}

TEST(privileges_go_when_others_write)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle file;

	peer_open(&p, &users);
	be(&p, 1, 1);
	file = create_file(&p, p.root, "f", 0666);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mode = true, .mode = 06777}).status, NFS3_OK);
	be(&p, 2, 2);
	CHECK_INT(try_write(&p, file, 0, "x", NFS3_UNSTABLE).status, NFS3_OK);
	CHECK_INT(attributes_of(&p, file).mode & 06000, 0);
	be(&p, 1, 1);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mode = true, .mode = 06777}).status, NFS3_OK);
	be(&p, 0, 0);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_uid = true, .uid = 3}).status, NFS3_OK);
	CHECK_INT(attributes_of(&p, file).mode & 06000, 0);
}

TEST(nobody_gets_the_set_group_bit_for_a_group_of_others)
{
	_cleanup_peer_ struct peer p;
	struct nfs3_handle d, file;

	peer_open(&p, &users);
	d = make_directory(&p, p.root, "d", 0777);
	CHECK_INT(
		try_set(&p, d, (struct nfs3_set){.set_mode = true, .mode = 02777, .set_gid = true, .gid = 7})
			.status,
		NFS3_OK);
	be(&p, 1, 1);
	file = create_file(&p, d, "f", 02755);
	CHECK_INT(attributes_of(&p, file).gid, 7);
	CHECK_INT(attributes_of(&p, file).mode, 0755);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_mode = true, .mode = 02755}).status, NFS3_OK);
	CHECK_INT(attributes_of(&p, file).mode, 0755);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_gid = true, .gid = 5}).status, NFS3ERR_PERM);
	CHECK_INT(try_set(&p, file, (struct nfs3_set){.set_gid = true, .gid = 1}).status, NFS3_OK);
}

/* ---- calls that come again, and garbage ---------------------------------------------------------------- */

TEST(a_call_that_comes_again_is_answered_and_not_done_again)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer first = {0};

	peer_open(&p, &fixed);
	create_file(&p, p.root, "f", 0644);
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3_OK);
	buffer_append(&first, p.reply.data, p.reply.size);
	create_file(&p, p.root, "f", 0644);
	p.xid -= 2;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3_OK);
	CHECK(first.size == p.reply.size && !memcmp(first.data, p.reply.data, first.size));
	CHECK_INT(named(&p, NFS3_LOOKUP, p.root, "f").status, NFS3_OK);
	/* The same number with other arguments is another call. */
	p.xid -= 2;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "g").status, NFS3ERR_NOENT);
}

TEST(few_replies_are_kept_where_few_are_asked_for)
{
	_cleanup_peer_ struct peer p;
	const struct nfs3_options few = {.duplicates = 4};
	uint32_t xid;

	peer_open(&p, &few);
	create_file(&p, p.root, "f", 0644);
	xid = p.xid;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3_OK);
	for (int i = 0; i < 3; i++)
		CHECK_INT(named(&p, NFS3_REMOVE, p.root, "none").status, NFS3ERR_NOENT);
	p.xid = xid;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3_OK);
	p.xid += 100;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "none").status, NFS3ERR_NOENT);
	p.xid = xid;
	CHECK_INT(named(&p, NFS3_REMOVE, p.root, "f").status, NFS3ERR_NOENT);
}

struct maker {
	struct peer peer;
	uint32_t status;
};

static void *make_one(void *context)
{
	struct maker *m = context;

	m->status = try_create(&m->peer, m->peer.root, "one", NFS3_GUARDED, 0644).status;
	return NULL;
}

TEST(the_same_call_in_many_threads_is_done_once)
{
	_cleanup_peer_ struct peer p;
	struct maker makers[8];
	pthread_t threads[8];

	peer_open(&p, &fixed);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8; i++) {
			makers[i].peer = p;
			makers[i].peer.reply = (struct buffer){0};
			CHECK_INT(pthread_create(&threads[i], NULL, make_one, &makers[i]), 0);
		}
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < 8; i++) {
			CHECK_INT(makers[i].status, NFS3_OK);
			buffer_free(&makers[i].peer.reply);
		}
		p.xid++;
		CHECK_INT(named(&p, NFS3_REMOVE, p.root, "one").status, NFS3_OK);
	}
}

static enum rpc_accept accept_of(struct peer *p, uint32_t program, uint32_t version, uint32_t procedure)
{
	_cleanup_buffer_ struct buffer none = {0};

	call_raw(p, program, version, procedure, &none);
	CHECK(!p->header.denied);
	return p->header.status;
}

TEST(calls_of_other_programs_versions_and_procedures_are_rejected)
{
	_cleanup_peer_ struct peer p;

	peer_open(&p, &fixed);
	CHECK_INT(accept_of(&p, 100000, 2, 0), RPC_PROG_UNAVAIL);
	CHECK_INT(accept_of(&p, NFS3_PROGRAM, 4, 0), RPC_PROG_MISMATCH);
	CHECK(p.header.low == 3 && p.header.high == 3);
	CHECK_INT(accept_of(&p, MOUNT3_PROGRAM, 1, 0), RPC_PROG_MISMATCH);
	CHECK_INT(accept_of(&p, NFS3_PROGRAM, 3, 22), RPC_PROC_UNAVAIL);
	CHECK_INT(accept_of(&p, MOUNT3_PROGRAM, 3, 6), RPC_PROC_UNAVAIL);
	CHECK_INT(accept_of(&p, NFS3_PROGRAM, 3, UINT32_MAX), RPC_PROC_UNAVAIL);
	CHECK_INT(accept_of(&p, NFS3_PROGRAM, 3, NFS3_GETATTR), RPC_GARBAGE_ARGS);
	CHECK_INT(accept_of(&p, MOUNT3_PROGRAM, 3, MOUNT3_MNT), RPC_GARBAGE_ARGS);
	p.who.flavor = 6;
	call_raw(&p, NFS3_PROGRAM, 3, NFS3_GETATTR, &(struct buffer){0});
	CHECK(p.header.denied && p.header.status == 1 && p.header.why == RPC_AUTH_TOOWEAK);
}

TEST(arguments_with_bytes_behind_them_are_garbage)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer arguments = {0};
	struct nfs3_arguments a = {0};
	struct xdr x = xdr_writer(&arguments);

	peer_open(&p, &fixed);
	a.object = p.root;
	nfs3_code_arguments(&x, NFS3_GETATTR, &a);
	buffer_append(&arguments, "more", 4);
	call_raw(&p, NFS3_PROGRAM, 3, NFS3_GETATTR, &arguments);
	CHECK_INT(p.header.status, RPC_GARBAGE_ARGS);
}

TEST(what_is_no_call_ends_the_connection)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer reply = {0};

	peer_open(&p, &fixed);
	CHECK(!nfs3_server_call(p.server, 1, "", 0, &reply));
	CHECK(!nfs3_server_call(p.server, 1, "GET / HTTP/1.1\r\n\r\n", 18, &reply));
	CHECK_INT(reply.size, 0);
}

/* Bytes of real calls, changed at random: an answer or none, and never a crash (run under sanitizers). */
TEST(calls_that_were_changed_at_random_harm_nothing)
{
	_cleanup_peer_ struct peer p;
	_cleanup_buffer_ struct buffer b = {0}, reply = {0};
	unsigned seed = (unsigned)time(NULL);

	peer_open(&p, &fixed);
	printf("# seed %u\n", seed);
	create_file(&p, p.root, "f", 0644);
	for (int i = 0; i < 20000; i++) {
		struct rpc_call call = {.xid = (uint32_t)i,
			.version = RPC_VERSION,
			.program = NFS3_PROGRAM,
			.program_version = 3,
			.procedure = (uint32_t)i % NFS3_PROCEDURE_COUNT,
			.credential = p.who};
		struct nfs3_arguments a = {.object = p.root,
			.name = text("f"),
			.to = p.root,
			.to_name = text("g"),
			.target = text("t"),
			.type = NF3FIFO,
			.data = text("data"),
			.count = 4,
			.most = 4096};
		struct xdr x = xdr_writer(&b);

		buffer_clear(&b);
		buffer_clear(&reply);
		rpc_call_write(&b, &call);
		nfs3_code_arguments(&x, call.procedure, &a);
		for (int n = rand_r(&seed) % 4; n > 0; n--)
			b.data[(unsigned)rand_r(&seed) % b.size] = (uint8_t)rand_r(&seed);
		nfs3_server_call(p.server, 1, b.data, b.size - (size_t)rand_r(&seed) % 2 * 4, &reply);
	}
	CHECK_INT(at(&p, NFS3_GETATTR, p.root).status, NFS3_OK);
}
