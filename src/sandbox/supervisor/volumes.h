/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volumes of a running sandbox: a process (`mcfs volumes`) that keeps their directories and starts a
 * server for each, and a thread that relays between the servers and the guest's port (volume_mux.h). A thread
 * of its own, so that neither much data nor the start of the sandbox, which waits for its guest, hold up
 * the other; it never waits for anything but events, gives up the file system before it reads the first
 * byte of the guest, and what it has to tell goes over a pipe.
 *
 * A server that ends is replaced, with pauses that grow while servers end before they have answered anything;
 * after VOLUME_FAILURES_MAX such ends in a row, or where no more can be started, its volume is over.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define VOLUME_FAILURES_MAX 12

struct volumes;

/* What volumes_save() has kept of the guest that this one's is a copy of. */
struct volumes_saved {
	const struct buffer *known;
	uint64_t moment; /* when: clock_realtime(); UINT64_MAX: nobody knows */
};

/* Opens the directories of the record's mounts and starts their servers. *volumes: NULL where it has none, or
 * they come another way. `saved` (NULL: none): they go on with a copy of their guest.
 * UNAVAILABLE: a directory is not the one that it was. */
int volumes_open(const struct home *home, const struct record *r, const struct volumes_saved *saved,
	struct volumes **volumes, struct error *err);

/* Before a machine that is to be copied is paused: waits until nothing is on its way between guest and
 * servers, and holds it so. BUSY: that does not come. Then, once it is paused: true where that still holds;
 * what they know goes into `out`, for volumes_open() of the copy. volumes_go_on() ends it. NULL is fine. */
int volumes_hold(struct volumes *volumes, uint64_t deadline, struct error *err);
bool volumes_are_still(struct volumes *volumes);
void volumes_save(const struct volumes *volumes, struct buffer *out);
void volumes_go_on(struct volumes *volumes);

/* Relays between them and the guest's end, a non-blocking socket that is borrowed until volumes_close().
 * Returns when all servers are ready; the error names the volume. Only from here on has this process a
 * thread: a VM is started by clone(2), which threads do not bear. NULL is fine. */
int volumes_serve(struct volumes *volumes, int port, struct error *err);

/* What the guest is to know of the record's mount `number` that is not in the record: enum mount_flags. */
uint32_t volumes_flags(const struct volumes *volumes, uint32_t number);

/* The guest needs an NFS client for them. NULL is fine. */
bool volumes_are_nfs(const struct volumes *volumes);

/* A descriptor that is readable when there is news; -1 for NULL. */
int volumes_news_fd(const struct volumes *volumes);

/* Takes one: false, there is none. code NONE: for the log; otherwise the guest broke the protocol. */
bool volumes_news(struct volumes *volumes, struct error *news);

void volumes_close(struct volumes *volumes); /* NULL is fine; all its processes are gone then */
