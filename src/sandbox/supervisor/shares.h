/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a running sandbox has by virtiofs: its volumes, where that is their driver, and its root, where that
 * is an overlay. Each has a server, a child of `mcfs volumes`, that speaks vhost-user with QEMU on a socket;
 * this process just watches for its end. QEMU (7.2) cannot connect to another server, and whoever asks a dead
 * one hangs: so the sandbox ends with any of them.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"
#include "vm/vm.h"

struct shares;

/* Starts the servers. `directory` is the sandbox's, `image` its image as EROFS. *shares: NULL where it has
 * none. Returns when all are ready; the error names the volume. -1 for `image`: of a machine that only reads
 * what was changed, which in place of a root has the directory with that, read-only. */
int shares_open(const struct home *home, int directory, int image, const struct record *r,
	struct shares **shares, struct error *err);

/* For the machine; valid until shares_connected(). NULL is fine: none. */
const struct vm_share *shares_list(const struct shares *shares, size_t *count);

/* QEMU has the sockets: from now on its end ends the servers. */
void shares_connected(struct shares *shares);

/* A descriptor that is readable when a server has ended; -1 for NULL. */
int shares_watch_fd(const struct shares *shares);

/* Whether a server has ended, also where QEMU's end was the cause: *why tells which. NULL is fine. */
bool shares_lost(struct shares *shares, struct error *why);

void shares_close(struct shares *shares); /* NULL is fine; all its processes are gone then */
