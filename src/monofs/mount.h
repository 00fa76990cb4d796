/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounted trees, from outside: starts mfsd, the process behind a mount, and speaks to those that run. Each
 * has a socket in a directory of the user's own ($XDG_RUNTIME_DIR/monofs, or else /tmp/monofs-UID), by which
 * it is found, and that has its process id for a name; the peer is this user's, or root's, or it is not
 * spoken to.
 *
 * The messages are in mount_wire.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "monofs/crypt.h"
#include "monofs/object.h"
#include "monofs/repository.h"

/* Where a tree is served over NFSv3, on 127.0.0.1: for processes of this user, and for root's mount. */
struct mount_nfs {
	uint16_t port;
	char *export; /* the path to mount, with its '/'; the caller's */
};

struct mount_options {
	const char *program;            /* the path of mfsd */
	const struct object_id *commit; /* a revision, read-only; NULL: the live tree, to be written to */
	const char *revision;           /* how the user called it; shown again by mount_state. NULL: "" */
	const char *author;             /* of revisions that come by themselves; NULL: "" */
	bool manual;                    /* none come by themselves */
	bool allow_other;               /* other users may use the mount */
	bool held;                      /* it ends when nobody holds it (mount_hold()) any more */
	struct mount_nfs *nfs; /* NULL: it is mounted, through FUSE; else served, and this filled in */
	uint64_t quiet, most;  /* nanoseconds, as in live_options */
};

/* Mounts the tree of a repository on a directory that is there; when this returns, it can be used. The key
 * goes to mfsd by a socket. A live tree claims `main`, so whoever has claimed it must have let go. Errors:
 * what mfsd says: NOT_FOUND, BUSY (mounted already, or claimed by somebody), DENIED, UNAVAILABLE (no FUSE).
 */
int mount_start(
	struct repository *r, const char *directory, const struct mount_options *o, struct error *err);

struct mount_state {
	char *repository, *directory; /* absolute paths */
	char *revision;               /* as given to mount_start(); "" for a live tree */
	bool live;
	struct object_id base;         /* the commit that is shown, or on which a live tree stands */
	uint64_t dirty, journal_bytes; /* as in live_state */
	uint64_t since;                /* nanoseconds since 1970 */
	pid_t pid;
};
void mount_state_free(struct mount_state *s); /* a zeroed one is fine */
static inline void cleanup_mount_state(struct mount_state *s)
{
	mount_state_free(s);
}
#define _cleanup_mount_state_ __attribute__((cleanup(cleanup_mount_state)))

/* Calls take() for each mount of this user's, in no order, until it returns other than 0, which is what is
 * returned. The state is the callee's to look at only. */
typedef int mount_take(void *context, const struct mount_state *state, struct error *err);
int mount_each(mount_take *take, void *context, struct error *err);

/* A connection to the process behind a mount. */
struct mount;
void mount_close(struct mount *m);
CLEANUP_DEFINE(mount, struct mount, mount_close);

/* The one that is mounted on a directory, or beneath whose mount point path lies. NOT_FOUND: none. */
int mount_find(const char *path, struct mount **m, struct error *err);
/* The live one of a repository (the path of that itself). NOT_FOUND: none. */
int mount_find_live(const char *repository, struct mount **m, struct error *err);

const struct mount_state *mount_state(const struct mount *m); /* as it was when m was found */

/* As live_commit() and live_roll_back(). */
int mount_commit(struct mount *m, const char *author, const char *message, struct object_id *id, bool *made,
	struct error *err);
int mount_roll_back(struct mount *m, struct error *err);

/* For a run of something that works in the tree, which ends with mount_release(), or, should this process
 * die, with its connection: that is a failure. Errors: BUSY, where MOUNT_UNDO is asked for and others have
 * the tree as well; INVALID of a revision, which nobody can write to. */
enum mount_hold {
	MOUNT_MARK = 1, /* what it did becomes one revision when it ends, whether it went well or not */
	MOUNT_UNDO = 2  /* where it failed, the tree becomes again what it was, and there is no revision */
};
int mount_hold(struct mount *m, unsigned what, const char *who, struct error *err);
/* how: "exited with 1"; goes into the revision's message. id and made as of mount_commit(); made is false
 * where nothing was done, too. */
int mount_release(
	struct mount *m, bool well, const char *how, struct object_id *id, bool *made, struct error *err);

/* The repository's master key, so that its user need not give his passphrase again. NOT_FOUND: it is not
 * encrypted. */
int mount_key(struct mount *m, uint8_t master[CRYPT_KEY_SIZE], struct error *err);

/* Unmounts, waits until what was written has become a revision, and for the end of the process. BUSY:
 * something in it is open (`force`: it goes all the same, as umount -l does). The last revision may fail,
 * with its error; the journal has everything then. */
int mount_stop(struct mount *m, bool force, struct error *err);
