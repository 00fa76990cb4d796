/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all file systems promise, through virtiofs: a guest's driver, queues, FUSE requests, the server, and a
 * file system in memory or a directory of the host behind it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/fs.h"
#include "vfs/memory/memory.h"
#include "vfs/native/native.h"
#include "vfs/virtiofs/virtiofs.h"
#include "vfs_make.h"
#include "vfs_promises.h"
#include "virtiofs_vfs.h"

/* FUSE has no words for birth times and for handles that outlive a mount. */
#define CAN_ALWAYS (VFS_CAN_XATTRS | VFS_CAN_HOLES | VFS_CAN_EXCHANGE | VFS_CAN_COUNT)
#define CAN_ALL    (VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_TRUSTED)

static void *serve(void *context)
{
	struct error err;

	CHECK_OK(virtiofs_server_run(context, &err));
	return NULL;
}

static void run_over(struct vfs *fs, vfs_promise *promise, unsigned can)
{
	const struct fuse_options options = {.threads = 4};
	struct virtiofs_server *server;
	struct vfs *client;
	struct error err;
	pthread_t thread;
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(virtiofs_server_new(fs, ends[0], &options, &server, &err));
	CHECK_INT(pthread_create(&thread, NULL, serve, server), 0);
	client = virtiofs_vfs_new(ends[1]);
	promise(client, CAN_ALWAYS | can);
	vfs_destroy(client);
	CHECK_INT(pthread_join(thread, NULL), 0);
	virtiofs_server_free(server);
}

static void run_memory(vfs_promise *promise)
{
	const struct memory_options options = {.mode = 0777};
	_cleanup_vfs_ struct vfs *fs = NULL;
	struct error err;

	CHECK_OK(memory_new(&options, &fs, &err));
	run_over(fs, promise, CAN_ALL | VFS_CAN_LARGE_XATTRS | VFS_CAN_HUGE);
}

static void run_native(vfs_promise *promise)
{
	struct native_options options = {.owners = NATIVE_OVERRIDE, .uid = geteuid(), .gid = getegid()};
	char path[] = "/tmp/monocore-test-XXXXXX";
	struct vfs *fs;
	struct error err;

	CHECK(mkdtemp(path));
	options.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(options.directory >= 0);
	CHECK_OK(native_new(&options, &fs, &err));
	close(options.directory);
	run_over(fs, promise, CAN_ALL | VFS_CANNOT_OWN_LINKS);
	vfs_destroy(fs);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

/* Thousands of calls that say of the way to a directory what they say of that to memory. */
static bool takes_long(const char *promise)
{
	return !strcmp(promise, "twenty_thousand_calls_leave_what_a_plain_buffer_has") ||
	       !strcmp(promise, "an_entry_that_stays_comes_once_whatever_else_happens");
}

#define X(name) \
	TEST(name##_in_memory) \
	{ \
		run_memory(promise_##name); \
	} \
	static void name##_in_a_directory(void) \
	{ \
		run_native(promise_##name); \
	}
VFS_PROMISES(X)
#undef X

#define X(promise) {.name = #promise "_in_a_directory", .run = promise##_in_a_directory},
static struct test in_a_directory[] = {VFS_PROMISES(X)};
#undef X
#define X(name) #name,
static const char *const promises[] = {VFS_PROMISES(X)};
#undef X

__attribute__((constructor)) static void register_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(promises); i++)
		if (!takes_long(promises[i]))
			test_register(&in_a_directory[i]);
}
