/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `mcfs volumes`: the process that keeps what a sandbox's servers serve, and starts them (volume_server.h).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "sandbox/record.h"

struct keeper {
	pid_t pid; /* -1: it was not started */
	int fd;    /* our end; or -1 */
};
#define KEEPER_NONE ((struct keeper){-1, -1})

int keeper_start(struct keeper *k, struct error *err);

/* Of enum volume_server_flags: what a volume asks for. */
uint32_t keeper_flags(const struct record_mount *m);

/* Gives it what the next server serves: number is the count of those before, flags enum volume_server_flags,
 * fds what these ask for, guarded the paths in it that stay as they are (NULL: none). The descriptors stay
 * the caller's. `target` is for the message. */
int keeper_add(struct keeper *k, uint32_t number, uint32_t flags, const int *fds, int count,
	const struct buffer *guarded, const char *target, struct error *err);

/* The end of its socket ends it, and it its servers: all are gone then, but for what hangs in the kernel. */
void keeper_end(struct keeper *k);
