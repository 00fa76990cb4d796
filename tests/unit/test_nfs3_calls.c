/* SPDX-License-Identifier: Apache-2.0 */
/* The NFS server's core: who may mount and call, calls that come again, and garbage. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "nfs3_peer.h"
#include "test.h"

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
	CHECK(!nfs3_server_call(p.server, 1, "", 0, &reply, NULL));
	CHECK(!nfs3_server_call(p.server, 1, "GET / HTTP/1.1\r\n\r\n", 18, &reply, NULL));
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
		nfs3_server_call(p.server, 1, b.data, b.size - (size_t)rand_r(&seed) % 2 * 4, &reply, NULL);
	}
	CHECK_INT(at(&p, NFS3_GETATTR, p.root).status, NFS3_OK);
}
