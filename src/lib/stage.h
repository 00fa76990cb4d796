/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls about staged volumes share: which sandbox and volumes are meant, what is staged in them. */
#pragma once

#include "codec/volume.h"
#include "lib/handle.h"
#include "lib/upper.h"
#include "monocore_volume.h"
#include "sandbox/stage/stage.h"

/* A staged volume of the sandbox. */
struct staged_volume {
	const struct record_mount *mount;
	uint32_t number; /* of it in the record */
	char **paths;    /* below it, that are meant; NULL: all of it */
	bool *matched;   /* for each: something is staged there */
	bool left_out;   /* nothing of it is meant */
	int directory;   /* of the host, or -1 */
	int spool;       /* the archive, or -1 */
	struct vfs *fs;
	struct buffer guarded; /* as volume_guard_names() has them */
	struct map applied;    /* path → uint64_t *: when what was applied there has changed on the host */
	struct stage_changes changes;
};

struct staged {
	struct monocore *mc;
	struct directory directory;
	struct record record;
	uint64_t started; /* nanoseconds since 1970 */
	struct upper upper;
	struct staged_volume volumes[VOLUMES_MAX];
	size_t count;
};
#define STAGED_NONE \
	{ \
		.directory = DIRECTORY_NONE, .upper = UPPER_NONE \
	}
void staged_close(struct staged *s);
#define _cleanup_staged_ __attribute__((cleanup(staged_close)))

/* Finds the sandbox (NULL: the only one with staged volumes) and what of it the paths mean, as the sandbox
 * sees them, or below its only staged volume; without paths everything. USAGE, NOT_FOUND. */
int staged_find(struct staged *s, struct monocore *mc, const char *sandbox, const char *const *paths,
	struct error *err);

enum staged_wish {
	STAGED_EVERYTHING = 1, /* read what is left out, too */
	STAGED_CHANGE = 2,     /* the directories are to be changed: they are locked, and the archives kept */
	STAGED_GUARDED = 4     /* what is guarded in them as well */
};

/* Opens the directories of the host and the sandbox's changes, reads these and compares. */
int staged_read(struct staged *s, unsigned wish, struct error *err);

/* NOT_FOUND for the first path at which nothing is staged. */
int staged_check_paths(const struct staged *s, struct error *err);

/* stage_guarded.c: marks changes of what is guarded; DENIED for the first that is selected. */
void staged_mark_guarded(struct staged_volume *v);
int staged_check_guarded(const struct staged *s, struct error *err);

struct stage_view staged_view(const struct staged *s, const struct staged_volume *v);

/* The path as the sandbox sees it; the caller frees. */
char *staged_path(const struct staged_volume *v, const char *path, struct error *err);

/* The changes that are selected, for programs. */
int staged_tell(
	const struct staged *s, struct monocore_volume_change **list, size_t *count, struct error *err);

/* Removes a throw-away sandbox that is stopped; the machine that has read it is ended. */
int staged_remove_sandbox(struct staged *s, struct error *err);

/* ---- stage_applied.c: the file `applied` of a sandbox ---- */

int applied_read(struct staged *s, struct error *err);
int applied_write(const struct staged *s, struct error *err);
/* Forgets it where changed is 0. */
int applied_note(struct staged_volume *v, const char *path, uint64_t changed, struct error *err);
/* Forgets what is at or below a path. any: there was something. */
int applied_forget(struct staged_volume *v, const char *path, bool *any, struct error *err);
void applied_free(struct staged_volume *v);

/* ---- stage_spool.c: an archive of the guest in a file without a name ---- */

struct spool {
	int fd;
	uint64_t size, stored; /* bytes; without zeroes, which take no room */
	uint64_t most;         /* stored bytes: LIMIT beyond */
};
/* In the directory at; `most` bytes. */
int spool_open(struct spool *s, int at, uint64_t most, struct error *err);
int spool_add(struct spool *s, const void *bytes, size_t n, struct error *err);
int spool_read(int fd, upper_taker *take, void *context, struct error *err);
