/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serves what the kernel asks for through its device.
 *
 * One thread reads at a time, and serves what it has read itself: so a client that waits for each answer is
 * served by one thread, on the processor where both are, and by no other that would have to be woken. Only
 * where the next request is there already, another thread is called to read it, and so on.
 */
#pragma once

#include "base/error.h"
#include "vfs/fuse/session.h"

/* Serves until it is unmounted, or fuse_session_exit(). threads: at most so many, the caller's among them. */
int fuse_device_serve(struct fuse_session *session, unsigned threads, struct error *err);
