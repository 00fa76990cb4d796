/* SPDX-License-Identifier: Apache-2.0 */
/* What all file systems promise, through the NFS server: a client, the protocol, and a file system in memory.
 */
#include <unistd.h>

#include "base/cleanup.h"
#include "nfs3_vfs.h"
#include "vfs/memory/memory.h"
#include "vfs_make.h"
#include "vfs_promises.h"

#define CAN (VFS_CAN_OWNERS | VFS_CAN_COUNT | VFS_CAN_HUGE)

/* What the protocol has no words for, or leaves to clients. */
static const char *const not_in_nfs3[] = {
	/* Nothing is open there: what has no name left is gone, unless the client renames it instead. */
	"a_removed_directory_takes_no_names", "an_unlinked_file_lives_while_it_is_open",
	"an_unlinked_file_lives_while_it_is_looked_up", "rename_replaces_a_file_that_is_open",
	"rename_replaces_an_empty_directory_only", "a_crowd_leaves_what_can_be_removed",
	"entries_with_attributes_are_looked_up", "an_entry_that_is_not_taken_is_not_looked_up",
	"forgetting_too_often_harms_nothing",
	/* RENAME has no flags. */
	"rename_moves_a_name_and_keeps_the_object", "rename_without_replacing_refuses_a_name_that_is_there",
	"rename_between_names_of_one_object_changes_nothing",
	/* Seconds have 32 bits. */
	"times_before_1970_and_after_2106_are_kept",
	/* There is no fallocate(), no SEEK_HOLE, no O_APPEND, and setuid goes by itself. */
	"handles_do_what_they_were_opened_for", "handles_never_given_out_are_refused",
	"a_hole_takes_no_space_and_is_found", "appenders_at_once_lose_nothing",
	"privileges_go_when_that_is_asked", NULL};

static void run(vfs_promise *promise)
{
	_cleanup_vfs_ struct vfs *memory = NULL, *client = NULL;
	_cleanup_(cleanup_nfs3_server) struct nfs3_server *server = NULL;
	struct nfs3_options options = {.export = "/e", .ids = NFS3_IDS_CLIENT};
	struct memory_options room = {.mode = 0777};
	struct error err;

	CHECK_OK(memory_new(&room, &memory, &err));
	CHECK_OK(nfs3_server_new(memory, &options, &server, &err));
	client = nfs3_vfs_new(server, "/e");
	CHECK(client != NULL);
	/* The server makes devices for clients' root alone. */
	promise(client, CAN | (geteuid() == 0 ? VFS_CAN_DEVICES : 0));
}

#define X(name) \
	static void name(void) \
	{ \
		run(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

#define X(promise) {.name = #promise, .run = promise},
static struct test tests[] = {VFS_PROMISES(X)};
#undef X

__attribute__((constructor)) static void register_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		size_t at = 0;

		while (not_in_nfs3[at] && strcmp(not_in_nfs3[at], tests[i].name) != 0)
			at++;
		if (!not_in_nfs3[at])
			test_register(&tests[i]);
	}
}
