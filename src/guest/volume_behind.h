/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times, modes and owners that the kernel sets on what was made here are acknowledged at once, and told to
 * the host behind that, all of one object in one message: `tar x`, `cp -a` and rsync set three for each file.
 *
 * The host cannot refuse what is acknowledged, as far as can be known: the object was made here, and belongs
 * to whom the host's server is; and owners are kept, as an answer has shown. Where it fails all the same (a
 * full file system), the next GETATTR, SETATTR or FSYNC of the object gets the error.
 *
 * The kernel is given the attributes for no time, since their ctime is the host's to say: it asks for them
 * when somebody does, and gets them from here once the host has said them.
 *
 * The caller sends what waits before any other request, so the host sees all changes in the order in which
 * they were made. No I/O and no lock: the caller's. What has no room is forgotten, and goes to the host as it
 * comes.
 *
 * Source of the messages: Linux 6.1, include/uapi/linux/fuse.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/volume_request.h"

#define BEHIND_WAITING_MAX 32u  /* objects whose changes wait */
#define BEHIND_MESSAGE     128u /* bytes of a SETATTR */
#define BEHIND_BYTES_MAX   (BEHIND_WAITING_MAX * BEHIND_MESSAGE)

struct behind;

struct behind *behind_new(void); /* NULL: no memory */
void behind_free(struct behind *behind);

/* A request of the kernel's, whole. True: `reply` is the answer, *size bytes; nobody else is to see it.
 * False: it goes to the host, behind what waits. now: clock_monotonic(). */
bool behind_answer(struct behind *behind, const uint8_t *request, size_t n, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size);

/* Nothing that the host has said of objects is good any more. */
void behind_forget(struct behind *behind);

/* Something waits to be sent. */
bool behind_waits(const struct behind *behind);
/* What waits, as messages for the host, who is to get them now; how many bytes. */
size_t behind_take(struct behind *behind, uint8_t messages[BEHIND_BYTES_MAX]);
/* Nothing waits, and all that was sent was answered. */
bool behind_is_done(const struct behind *behind);

/* What comes from the host, whole; of a reply may be made the error of an earlier one: *n bytes. True: it
 * answers what was sent behind, and nobody else is to see it. */
bool behind_heard(struct behind *behind, uint8_t *message, size_t *n, uint64_t now);
