/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay can answer the kernel without asking the host, which takes a third of the time or less:
 *
 *   - names in a directory that was just made here: what was not put there since is not there;
 *   - extended attributes of an object that was just made here, or of which the host says that it has none
 *     (codec/volume.h: VOLUME_BARE). "system." ones nothing has;
 *   - attributes of a directory in which the kernel has just made or removed something, and so forgot them:
 *     the host tells them ahead of its reply (VOLUME_AHEAD);
 *   - that a file is closed which the host never opened: each that was just made;
 *   - ioctls, of which files on volumes have none.
 *
 * All is good for as long as the host says that names and attributes are, and no longer than until a request
 * or a notice says otherwise. What has no room is forgotten: it is asked for. No I/O and no lock: the
 * caller's.
 *
 * Source of the messages: Linux 6.1, include/uapi/linux/fuse.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/volume_request.h"

struct known;

struct known *known_new(void); /* NULL: no memory */
void known_free(struct known *known);

/* A request of the kernel's, whole. True: `reply` is the answer, *size bytes; nobody else is to see it.
 * now: clock_monotonic(). */
bool known_answer(struct known *known, const uint8_t *request, size_t n, uint64_t now,
	uint8_t reply[REQUEST_REPLY_MAX], size_t *size);

/* What comes from the host, whole: a reply, or a notice. True: it is for us alone. */
bool known_heard(struct known *known, const uint8_t *message, size_t n, uint64_t now);
