/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written down about a sandbox, in its directory sandboxes/<id>/:
 *
 *   config.json   struct record: what it is. Written once, when the sandbox is made
 *   state.json    struct status: how it stands. Written by its supervisor
 *   lock          held (flock) by whoever works on it: its supervisor for as long as it runs
 *   disk          the ext4 of its upper, and of what is staged
 *   overlay/      in place of its upper: upper/ and work/ of a root that is an overlay of the host's
 *   log/          its output (output.h)
 *   control       the supervisor's socket (control.h)
 *   discard       there when the sandbox is to be removed once it stops, whatever it holds
 *
 * A status is believed only together with the lock: "running" without a held lock means that the
 * supervisor was killed. docs/formats/sandbox.md describes the files.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/message.h"

#define RECORD_VERSION     1
#define RECORD_RLIMITS_MAX 16

/* name in JSON and C, kind */
#define RECORD_FIELDS(X) \
	X(id, TEXT) \
	X(name, TEXT) \
	X(image, TEXT) \
	X(digest, TEXT) \
	X(root_id, TEXT) \
	X(argv, LIST) \
	X(env, LIST) \
	X(labels, LIST) \
	X(volumes, LIST) \
	X(guarded, LIST) /* paths of the host that no volume lets it change: volume_guard.h */ \
	X(workdir, TEXT) \
	X(user, TEXT) \
	X(hostname, TEXT) \
	X(machine_id, TEXT) \
	X(engine, TEXT) \
	X(volume_driver, TEXT)  /* "" (FUSE over the port of volumes), "virtiofs" or "nfs" */ \
	X(rootfs, TEXT)         /* "" (image and disk, joined by the guest's kernel) or "overlay" */ \
	X(restart, TEXT)        /* restart.h; "": no */ \
	X(snapshot, TEXT)       /* the tag of that which it was made of; "": none */ \
	X(health_command, LIST) /* what is run to see whether it is well; NULL: nothing */ \
	X(version, NUMBER) \
	X(stop_signal, NUMBER) \
	X(cpus, NUMBER) \
	X(memory, NUMBER) \
	X(disk, NUMBER) \
	X(pids, NUMBER) \
	X(created, NUMBER) \
	X(health_interval, NUMBER) /* nanoseconds, as the next two */ \
	X(health_timeout, NUMBER) \
	X(health_start_period, NUMBER) \
	X(health_retries, NUMBER) \
	X(tty, FLAG) \
	X(stdin_open, FLAG) \
	X(read_only, FLAG) \
	X(discard, FLAG) \
	X(no_template, FLAG) \
	X(unconfined, FLAG)

#define STATUS_FIELDS(X) \
	X(state, TEXT) \
	X(reason, TEXT) \
	X(engine, TEXT) \
	X(accelerator, TEXT) \
	X(health, TEXT) /* "starting", "healthy", "unhealthy"; "": it does not run, or nothing is checked */ \
	X(origin, \
		TEXT) /* what the machine began with: "boot", "template" or "snapshot"; "": it never ran */ \
	X(started, NUMBER) \
	X(finished, NUMBER) \
	X(exit_status, NUMBER) \
	X(pid, NUMBER) \
	X(restarts, NUMBER) /* since it was started by somebody */ \
	X(clone, FLAG)

#define RECORD_TEXT   char *
#define RECORD_LIST   char **
#define RECORD_NUMBER uint64_t
#define RECORD_FLAG   bool

/* A directory of the host's that the guest has as a volume. */
#define RECORD_MOUNT_FIELDS(X) \
	X(type, TEXT) /* "bind": source is a path; "volume": the name of one; "monofs": that of a repository \
		       */ \
	X(source, TEXT) \
	X(target, TEXT) \
	X(read_only, FLAG) \
	X(squash, FLAG) \
	X(stage, FLAG)    /* what the guest writes stays in the sandbox */ \
	X(nocopy, FLAG)   /* a new one is not filled from the image */ \
	X(revision, TEXT) /* of a monofs: the one that is shown; "": its tree */ \
	X(mark, FLAG)     /* what a run does there is a revision */ \
	X(undo, FLAG)     /* and is undone, where it fails */

struct record_mount {
#define X(name, kind) RECORD_##kind name;
	RECORD_MOUNT_FIELDS(X)
#undef X
};
void record_mount_free(struct record_mount *m);

struct record {
#define X(name, kind) RECORD_##kind name;
	RECORD_FIELDS(X)
#undef X
	struct message_rlimit rlimits[RECORD_RLIMITS_MAX];
	uint32_t rlimit_count;
	struct record_mount *mounts; /* outer targets before inner ones */
	uint32_t mount_count;
};

struct status {
#define X(name, kind) RECORD_##kind name;
	STATUS_FIELDS(X)
#undef X
};

bool record_has_staged(const struct record *r);

/* It outlives its end: what is staged is not thrown away with the sandbox. */
bool record_is_kept(const struct record *r);

/* Its root is an overlay that the host serves. */
#define RECORD_OVERLAY "overlay"
bool record_has_overlay(const struct record *r);

/* Something of it is written to a disk. */
bool record_has_disk(const struct record *r);

void record_free(struct record *r);
void status_free(struct status *s);
static inline void cleanup_record(struct record *r)
{
	record_free(r);
}
static inline void cleanup_status(struct status *s)
{
	status_free(s);
}
#define _cleanup_record_ __attribute__((cleanup(cleanup_record)))
#define _cleanup_status_ __attribute__((cleanup(cleanup_status)))

/* Reads and writes in the sandbox's directory `fd`. A file that is missing is NOT_FOUND (record) or a
 * status of state "created". `durable`: synced before it counts. */
int record_read(int fd, struct record *r, struct error *err);
int record_write(int fd, const struct record *r, bool durable, struct error *err);
int status_read(int fd, struct status *s, struct error *err);
int status_write(int fd, const struct status *s, bool durable, struct error *err);

/* All as one JSON object for people and programs, with `network` (may be NULL) as a member; the caller frees.
 * NULL: out of memory. */
char *record_describe(const struct record *r, const struct status *s, json_t *network, struct error *err);
