/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes of a sandbox, as its guest tells them: a stranger's bytes. They come from the sandbox's own
 * guest where it runs, otherwise from a machine that is started for this and mounts its disk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/message.h"
#include "lib/handle.h"

struct upper {
	struct monocore *mc;
	struct directory *directory;
	struct peer peer;
	uint32_t stream;  /* of the last request */
	bool running;     /* the sandbox's own guest */
	bool was_held;    /* its lock was this handle's */
	bool has_no_disk; /* and is stopped: there are no changes */
};
#define UPPER_NONE \
	{ \
		.peer = PEER_NONE \
	}

/* Opens those of a sandbox that find_sandbox() has found; both are borrowed until upper_close(). The sandbox
 * is locked meanwhile unless it runs, and afterwards is what it was. Another who reads it is waited for. */
int upper_open(struct upper *u, struct monocore *mc, struct directory *d, const struct record *record,
	struct error *err);
void upper_close(struct upper *u);

typedef int upper_taker(void *context, const void *data, size_t n, struct error *err);

/* Gives `take` the archive of the root's changes (UPPER_ROOT) or of those of the record's mount `which`; with
 * `freeze` while processes stand still. What was taken before an error is no archive. */
int upper_read(
	struct upper *u, uint32_t which, bool freeze, upper_taker *take, void *context, struct error *err);

/* Removes a path: in a sandbox that runs (UPPER_ROOT) as its processes see it, otherwise from the changes of
 * the mount `which`, where "." means all of them. */
int upper_remove(struct upper *u, uint32_t which, const char *path, struct error *err);
