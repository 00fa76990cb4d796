/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's root: the image read-only, an upper over it, and the agent within.
 *
 *   /run/image   the image's device
 *   /run/disk    the sandbox's disk: upper/ and work/ of the overlay; or /run/memory, a tmpfs
 *   /run/root    both as overlay; /dev, /proc and /sys move into it, then it moves onto /
 *
 * Or the host has made the union, which then comes whole by virtiofs; in a read-only sandbox as the image.
 *
 * A read-only root has an upper in memory that holds nothing but mount points, and is mounted read-only when
 * these are there. Staged volumes (staged.h) have their uppers on the disk all the same.
 */
#pragma once

#include "base/error.h"
#include "codec/message.h"
#include "guest/boot.h"

int root_set_up(struct boot *b, const struct message_setup *m, struct error *err);

/* In place of root_set_up() where nothing but the changes is asked for: the disk, or the directory that the
 * host has served as the root's upper, alone, read-only. */
int root_set_up_upper(struct boot *b, const struct message_setup *m, struct error *err);

/* After SETUP's directories and files are in place. */
int root_protect(const struct message_setup *m, struct error *err);

/* Writes out what is changed in all file systems, waiting no longer than until `deadline`
 * (clock_monotonic()): one that the sandbox has mounted, or that the host serves, may never answer. */
void root_sync(uint64_t deadline);

/* The same, and puts the disk into a state that its next mount need not repair. Nothing can be written
 * afterwards. */
void root_freeze(int disk, uint64_t deadline);
