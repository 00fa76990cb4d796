/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: running sandboxes as they were at a moment, in $MONOCORE_HOME/snapshots/<tag>/, and sandboxes
 * made of them. docs/formats/snapshot.md. One is whole when it has its tag: until then it has a temporary
 * name and a lock, and is swept away with its maker. Nothing of it is written again.
 *
 * A sandbox that is made of one shares its memory, copy-on-write, by hard links in its own directory: so the
 * snapshot may be removed at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandbox/directory.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define SNAPSHOT_TEMPORARY_SIZE 32

struct snapshot_draft {
	char name[SNAPSHOT_TEMPORARY_SIZE]; /* in snapshots/ */
	int fd, lock;
};
#define SNAPSHOT_DRAFT_NONE ((struct snapshot_draft){.fd = -1, .lock = -1})

/* An empty directory for a supervisor to fill (CONTROL_SNAPSHOT). */
int snapshot_draft_open(const struct home *home, struct snapshot_draft *d, struct error *err);

/* When it has filled it: what the sandbox in the directory `sandbox` is. `durable`: for a power cut. */
int snapshot_draft_finish(
	struct snapshot_draft *d, int sandbox, const struct record *record, bool durable, struct error *err);

/* Gives it a tag. EXISTS: there is one of that tag. */
int snapshot_draft_publish(
	const struct home *home, struct snapshot_draft *d, const char *tag, struct error *err);

/* Lets go; what has no tag is removed. */
void snapshot_draft_close(const struct home *home, struct snapshot_draft *d);

/* Opens the directory of a tag. NOT_FOUND. */
int snapshot_open(const struct home *home, const char *tag, int *fd, struct error *err);

struct snapshot_info {
	char *sandbox, *image;
	uint64_t created; /* nanoseconds since 1970 */
	uint64_t memory;  /* bytes of the machine's */
	uint64_t size;    /* bytes on this host's disk, some of which others may share */
};
int snapshot_examine(int fd, struct snapshot_info *info, struct error *err);
void snapshot_info_free(struct snapshot_info *info);

int snapshot_list(const struct home *home, char ***tags, struct error *err);
int snapshot_remove(const struct home *home, const char *tag, struct error *err);
void snapshot_sweep(const struct home *home);

/* What a sandbox with this record needs of it is there, and is what it was. CORRUPT: it is not. */
int snapshot_check(int fd, const struct record *record, struct error *err);

/* Gives what one goes on with to the sandbox in `d`, which is being made: links to all parts, and a copy of
 * its disk. `fresh`: it is a new sandbox, which boots where it cannot go on. */
int snapshot_give(
	int fd, const struct record *record, bool fresh, const struct directory *d, struct error *err);

/* Nothing was written to the disk of the sandbox, whose directory these are, since it was given. */
bool snapshot_disk_is_same(int sandbox, int resume);

struct snapshot_wishes {
	const char *name;   /* of the sandbox */
	const char *tag;    /* of the snapshot, for its record; NULL: it has none */
	bool discard;       /* it is removed when it stops, if the saved one was to be */
	bool free_ports;    /* the host's ports are chosen anew */
	const char *suffix; /* groups with it are its groups, and the saved one's name is another of its own;
			     * NULL: it is in the same groups */
};

/* A sandbox that will go on there. *d is locked by this process. EXISTS: its name is taken; CORRUPT: the
 * snapshot is not whole. */
int snapshot_provision(const struct home *home, int fd, const struct snapshot_wishes *w, struct directory *d,
	struct error *err);
