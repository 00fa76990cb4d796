/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves a file system to a virtual machine as a virtio device: the back end of QEMU's vhost-user-fs-device,
 * whose guest mounts it as `mount -t virtiofs TAG DIR`. The messages are FUSE's, and are served by the code
 * of vfs/fuse.
 *
 * QEMU and the guest, which has its memory in common with us, are hostile: everything that they say is
 * judged, each field of the guest's memory is read once, and a request is copied before it is looked into.
 * What is no sense ends the queue (the guest's doing) or the connection (QEMU's). Two things are left to the
 * caller:
 *
 * - Memory that QEMU takes away from the file that it shared (ftruncate) ends the process by SIGBUS, which
 * must not be caught: nothing half done is told to anybody. A process of its own for each machine is due.
 * - The names and open files that a guest has not given back when it unmounts or boots again stay with fs.
 *
 * QEMU needs memory that is shared (memory-backend-file or -memfd, share=on) and, for virtio-mmio,
 * -global virtio-mmio.force-legacy=false.
 *
 * Sources: QEMU, docs/interop/vhost-user.rst; VIRTIO 1.2, sections 2.7 (split virtqueues) and 5.11 (file
 * system device).
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "vfs/fuse/fuse.h"
#include "vfs/vfs.h"

#define VIRTIOFS_QUEUES_MAX     9u    /* that for urgent requests, and num-request-queues of QEMU's device */
#define VIRTIOFS_QUEUE_SIZE_MAX 1024u /* QEMU's own bound for queue-size */

struct virtiofs_server;

/* fd: a connected stream socket to QEMU's chardev; the server's from now on, also where this fails. fs is
 * borrowed until virtiofs_server_free(). Options: cache, keep_contents, own_permissions and threads, which
 * are the requests that are served at once. Nothing answers until virtiofs_server_run().
 *
 * All that it opens later are copies of descriptors that it has; it starts threads, maps what QEMU sends and
 * needs recvmsg(2), epoll and eventfd, which seccomp_filter_build_files() leaves it. */
int virtiofs_server_new(struct vfs *fs, int fd, const struct fuse_options *options,
	struct virtiofs_server **server, struct error *err);

/* Serves until QEMU closes the connection or virtiofs_server_stop(): 0; INVALID where QEMU said what makes no
 * sense. Waits for requests that are under way. Once only. */
int virtiofs_server_run(struct virtiofs_server *server, struct error *err);
void virtiofs_server_stop(struct virtiofs_server *server); /* from another thread or a signal handler */
void virtiofs_server_free(struct virtiofs_server *server);
CLEANUP_DEFINE(virtiofs_server, struct virtiofs_server, virtiofs_server_free);
