/* SPDX-License-Identifier: Apache-2.0 */
/* What every file system promises, kept by the live tree of a repository behind FUSE, and behind the NFS
 * server. */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuse_mount.h"
#include "monofs/live.h"
#include "monofs_place.h"
#include "nfs3_vfs.h"
#include "os/fs.h"
#include "vfs/native/native.h"
#include "vfs_make.h"
#include "vfs_promises.h"

static const struct live_options by_hand = {.no_automatic = true};
static const char *place;
static unsigned made;
static char path[256];

static void repository_make(void)
{
	struct error err;

	if (!place)
		place = monofs_place();
	snprintf(path, sizeof path, "%s/%u.monofs", place, made++);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
}

static void repository_unmake(void)
{
	struct error err;

	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

/* ---- FUSE ---------------------------------------------------------------------------------------------- */

/* What the kernel passes on, as of test_vfs_fuse.c; a revision's directories count no directories. */
static unsigned fuse_can(void)
{
	unsigned always = VFS_CAN_XATTRS | VFS_CAN_EXCHANGE;

	return geteuid() == 0 ? always | VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED : always;
}

static struct vfs *serve(const void *context, bool again)
{
	struct repository *r; /* for as long as the process that serves lives */
	struct vfs *fs = NULL;

	(void)again;
	if (repository_open(context, NULL, false, NULL, &r, NULL) < 0)
		return NULL;
	return live_new(r, &by_hand, &fs, NULL) < 0 ? NULL : fs;
}

static void run_fuse(vfs_promise *promise)
{
	const struct fuse_options fuse = {
		.cache = NANOSECONDS_PER_SECOND, .keep_contents = true, .told_contents = true};
	struct native_options native = {.owners = NATIVE_PLAIN, .mounts = true};
	struct fuse_mount mount;
	struct vfs *fs;
	struct error err;

	repository_make();
	fuse_mount_open(&mount, serve, path, &fuse);
	native.directory = open(mount.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(native.directory >= 0);
	CHECK_OK(native_new(&native, &fs, &err));
	close(native.directory);
	promise(fs, fuse_can());
	vfs_destroy(fs);
	fuse_mount_close(&mount);
	repository_unmake();
}

#define X(name) \
	TEST(name##_behind_fuse) \
	{ \
		run_fuse(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

/* ---- NFS ----------------------------------------------------------------------------------------------- */

static void run_nfs(vfs_promise *promise)
{
	const struct nfs3_options options = {.export = "/e", .ids = NFS3_IDS_CLIENT};
	const struct vfs_attributes open_to_all = {.mode = 0777};
	const struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	struct nfs3_server *server;
	struct repository *r;
	struct vfs *fs, *client;
	struct error err;

	repository_make();
	CHECK_OK(repository_open(path, NULL, false, NULL, &r, &err));
	CHECK_OK(live_new(r, &by_hand, &fs, &err));
	CHECK_CALL(vfs_setattr(fs, &me, VFS_ROOT, VFS_NO_HANDLE, &open_to_all, VFS_SET_MODE, &a));
	CHECK_OK(nfs3_server_new(fs, &options, &server, &err));
	client = nfs3_vfs_new(server, "/e");
	CHECK(client != NULL);
	promise(client, VFS_CAN_OWNERS | (geteuid() == 0 ? VFS_CAN_DEVICES : 0));
	vfs_destroy(client);
	nfs3_server_free(server);
	vfs_destroy(fs);
	repository_close(r);
	repository_unmake();
}

/* What the protocol has no words for is left out: test_vfs_nfs3.c says why. */
static const char *const not_in_nfs3[] = {"a_removed_directory_takes_no_names",
	"an_unlinked_file_lives_while_it_is_open", "an_unlinked_file_lives_while_it_is_looked_up",
	"rename_replaces_a_file_that_is_open", "rename_replaces_an_empty_directory_only",
	"a_crowd_leaves_what_can_be_removed", "entries_with_attributes_are_looked_up",
	"an_entry_that_is_not_taken_is_not_looked_up", "forgetting_too_often_harms_nothing",
	"rename_moves_a_name_and_keeps_the_object", "rename_without_replacing_refuses_a_name_that_is_there",
	"rename_between_names_of_one_object_changes_nothing", "times_before_1970_and_after_2106_are_kept",
	"handles_do_what_they_were_opened_for", "handles_never_given_out_are_refused",
	"a_hole_takes_no_space_and_is_found", "appenders_at_once_lose_nothing",
	"privileges_go_when_that_is_asked", NULL};

#define X(name) \
	static void name##_behind_nfs(void) \
	{ \
		run_nfs(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

#define X(promise) {.name = #promise "_behind_nfs", .run = promise##_behind_nfs},
static struct test nfs_tests[] = {VFS_PROMISES(X)};
#undef X

__attribute__((constructor)) static void register_nfs(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(nfs_tests); i++) {
		size_t n = strlen(nfs_tests[i].name) - strlen("_behind_nfs"), at = 0;

		while (not_in_nfs3[at] &&
			(strlen(not_in_nfs3[at]) != n || strncmp(not_in_nfs3[at], nfs_tests[i].name, n) != 0))
			at++;
		if (!not_in_nfs3[at])
			test_register(&nfs_tests[i]);
	}
}
