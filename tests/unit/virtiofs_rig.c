/* SPDX-License-Identifier: Apache-2.0 */
#include "virtiofs_rig.h"

#include <sys/socket.h>

#include "test.h"
#include "vfs/memory/memory.h"
#include "vfs_make.h"

static void *serve(void *context)
{
	struct rig *r = context;

	r->result = virtiofs_server_run(r->server, &r->err);
	return NULL;
}

/* Returns the front end's end of the connection. */
int rig_serve(struct rig *r, struct vfs *fs)
{
	const struct fuse_options options = {.threads = 4};
	struct error err;
	int ends[2];

	*r = (struct rig){.fs = fs};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(virtiofs_server_new(fs, ends[0], &options, &r->server, &err));
	CHECK_INT(pthread_create(&r->thread, NULL, serve, r), 0);
	return ends[1];
}

struct vfs *memory_fs(void)
{
	const struct memory_options options = {.mode = 0777};
	struct vfs *fs;
	struct error err;

	CHECK_OK(memory_new(&options, &fs, &err));
	return fs;
}

void rig_start(struct rig *r)
{
	int fd = rig_serve(r, memory_fs());

	r->client = virtiofs_vfs_new(fd);
	r->front = virtiofs_vfs_front(r->client);
}

void rig_stop(struct rig *r)
{
	vfs_destroy(r->client);
	CHECK_INT(pthread_join(r->thread, NULL), 0);
	virtiofs_server_free(r->server);
	vfs_destroy(r->fs);
}

/* As a guest that resets its device. */
void rig_restart(struct rig *r)
{
	struct front_queue *q = &r->front->queues[REQUESTS];
	const struct vhost_state state = {.index = REQUESTS};
	struct vhost_state answer;

	CHECK(front_ask(r->front, VHOST_GET_VRING_BASE, &state, sizeof state, &answer, sizeof answer));
	pthread_mutex_lock(&r->front->lock);
	memset(q->available, 0, sizeof *q->available);
	memset(q->used, 0, sizeof *q->used);
	q->seen = 0;
	pthread_mutex_unlock(&r->front->lock);
	front_start_queue(r->front, REQUESTS);
}

void check_alive(struct rig *r)
{
	struct vfs_attributes a;

	CHECK_INT(vfs_getattr(r->client, VFS_ROOT, VFS_NO_HANDLE, &a), 0);
	CHECK_INT(a.ino, VFS_ROOT);
}
