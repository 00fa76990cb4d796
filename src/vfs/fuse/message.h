/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges FUSE requests before libfuse reads them, which takes every client for this host's kernel: that a
 * message is as long as what it has to hold, its names end, and its counts stay within it.
 *
 * Source: Linux, include/uapi/linux/fuse.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUSE_MESSAGE_MAX ((1u << 20) + 4096u) /* bytes of a request: a write's data and what is around */

/* What libfuse may be given: bytes are private to the caller, who changes none while it reads, and aligned
 * for 64 bits. 0, or an errno's negative number: what the client has to be answered, where it is answered. */
int fuse_message_check(const void *bytes, size_t size);

/* Whether a request of this kind is answered at all. */
bool fuse_message_is_answered(uint32_t opcode);
