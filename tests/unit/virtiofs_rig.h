/* SPDX-License-Identifier: Apache-2.0 */
/* A virtiofs server on a thread, and a front end that speaks to it as QEMU and a guest's kernel do. */
#pragma once

#include <pthread.h>

#include "vfs/virtiofs/virtiofs.h"
#include "virtiofs_vfs.h"

#define REQUESTS 1u /* the queue */

struct rig {
	struct vfs *fs;
	struct virtiofs_server *server;
	pthread_t thread;
	int result;
	struct error err;
	struct vfs *client;
	struct front *front;
};

/* Returns the front end's end of the connection. */
int rig_serve(struct rig *r, struct vfs *fs);
struct vfs *memory_fs(void);
void rig_start(struct rig *r);
void rig_stop(struct rig *r);
/* As a guest that resets its device. */
void rig_restart(struct rig *r);
void check_alive(struct rig *r);
