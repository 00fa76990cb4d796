/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes behind VMs have in common, whichever engine runs in them. */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "vm/engine.h"

/* Started as root, each VM's process has a user of its own: the first of the range (0x70000000, above what
 * systemd, containers and subuid ranges use, or $MONOCORE_UID_BASE) and the VM's number. 0: not root. */
int child_uid(unsigned id, uid_t *uid, struct error *err);

/* Waits for the VM's process and reaps it; *status is waitpid(2)'s. BUSY: that was done already. */
int child_wait(struct vm *vm, int *status, struct error *err);

/* 0 where that status is success, else how the process of `name` ended, with its last words: CLOSED. */
int child_explain(const struct vm *vm, const char *name, int status, struct error *err);

/* Appends to *err the last two lines of what the process said on standard error, as far as there are any
 * that are no warnings: a library's reason comes before that of who called it. words_fd is our end of a pipe
 * that does not block, or -1. */
void child_last_words(int words_fd, struct error *err);
