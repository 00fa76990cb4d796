/* SPDX-License-Identifier: Apache-2.0 */
/* The NFS server's core over a file system in memory: procedures and handles. */
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "nfs3_peer.h"
#include "test.h"

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
