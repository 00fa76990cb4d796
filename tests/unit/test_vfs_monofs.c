/* SPDX-License-Identifier: Apache-2.0 */
/* What every file system promises, kept by the live tree of a repository; and once more while every few calls
 * a revision is made of it. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "monofs/live.h"
#include "monofs_place.h"
#include "os/fs.h"
#include "vfs_promises.h"

#define CAN \
	(VFS_CAN_OWNERS | VFS_CAN_DEVICES | VFS_CAN_XATTRS | VFS_CAN_TRUSTED | VFS_CAN_HOLES | \
		VFS_CAN_BTIME | VFS_CAN_PERSIST | VFS_CAN_EXCHANGE)

static struct repository *repository;
static const char *place;
static unsigned made;
static char path[256];

static void unmake(struct vfs *fs)
{
	struct error err;

	vfs_destroy(fs);
	repository_close(repository);
	CHECK_OK(fs_remove_tree(AT_FDCWD, path, &err));
}

static struct vfs *make(const struct live_options *o)
{
	struct vfs *fs = NULL;
	struct error err;

	if (!place)
		place = monofs_place();
	snprintf(path, sizeof path, "%s/%u.monofs", place, made++);
	CHECK_OK(repository_create(path, &(struct repository_new){0}, &err));
	CHECK_OK(repository_open(path, NULL, false, NULL, &repository, &err));
	CHECK_OK(live_new(repository, o, &fs, &err));
	CHECK_OK(live_start(fs, &err));
	return fs;
}

static void run(vfs_promise *promise)
{
	const struct live_options o = {.no_automatic = true};
	struct vfs *fs = make(&o);

	promise(fs, CAN);
	unmake(fs);
}

struct committer {
	struct vfs *fs;
	_Atomic bool stop;
	int failed;
	struct error err;
};

static void *commit_always(void *context)
{
	struct committer *c = context;
	struct object_id id;
	bool any;

	while (!atomic_load(&c->stop) && !c->failed) {
		if (live_commit(c->fs, "", NULL, &id, &any, &c->err) < 0)
			c->failed = 1;
		usleep(2000);
	}
	return NULL;
}

static void run_committing(vfs_promise *promise)
{
	const struct live_options o = {.no_automatic = true};
	struct committer c = {.fs = make(&o)};
	pthread_t thread;

	CHECK_INT(pthread_create(&thread, NULL, commit_always, &c), 0);
	promise(c.fs, CAN & ~(unsigned)VFS_CAN_HOLES); /* a revision has holes between chunks alone */
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	if (c.failed)
		test_fail(__FILE__, __LINE__, "a revision failed: %s", c.err.text);
	unmake(c.fs);
}

#define X(name) \
	TEST(name) \
	{ \
		run(promise_##name); \
	} \
	TEST(name##_while_revisions_are_made) \
	{ \
		run_committing(promise_##name); \
	}
VFS_PROMISES(X)
#undef X
