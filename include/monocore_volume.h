/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: volumes that have names, and what sandboxes have staged. Conventions as in monocore.h, which
 * says in monocore_sandbox_options what a volume is.
 */
#ifndef MONOCORE_VOLUME_H
#define MONOCORE_VOLUME_H

#include "monocore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- volumes that have a name ----------------------------------------------------------------------- */

struct monocore_volume_info {
	char *name;
	char *path;       /* of the directory on this host */
	char **sandboxes; /* names of those that mount it; NULL-terminated */
	char *project;    /* the directory of the project that it is of, or its id where that is not known any
			   * more;
			   * "": of none */
	uint64_t changed; /* when something was made or removed in it, nanoseconds since 1970 */
};

/* All, in the order of their names. *list is the caller's: monocore_volumes_free(). */
MONOCORE_API int monocore_volumes(
	struct monocore *mc, struct monocore_volume_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_volumes_free(struct monocore_volume_info *list, size_t count);

/* With all that is in it. One that a sandbox mounts, running or not, is BUSY. */
MONOCORE_API int monocore_volume_remove(struct monocore *mc, const char *name, struct monocore_error *err);

/* ---- staged volumes: what a sandbox writes to them stays in it until it is applied to the host ------- */

struct monocore_volume_facts {
	uint32_t mode; /* st_mode, with the type; 0: there is nothing */
	uint32_t uid, gid;
	uint64_t size;
};

struct monocore_volume_change {
	char kind;  /* 'A' added, 'M' modified, 'D' deleted, 'T' of another type */
	char *path; /* as the sandbox sees it */
	struct monocore_volume_facts before, after; /* on the host now, and in the sandbox */
	bool contents;    /* of a file, too, not only its mode, owner or attributes */
	bool conflict;    /* the host has changed it since the sandbox may have seen it */
	const char *mark; /* why it is worth a look before it is applied: "run by git"; "": nothing known */
};
MONOCORE_API void monocore_volume_changes_free(struct monocore_volume_change *list, size_t count);

/* Every change in the staged volumes of a sandbox, running or stopped, by their paths: deletions one by one.
 * What is now as the host has it is none. sandbox NULL: the only one with staged volumes. paths: as the
 * sandbox sees them, or relative to its only staged volume, each with all below it; NULL-terminated, NULL:
 * everything. *list is the caller's. BUSY: it is being read. */
MONOCORE_API int monocore_volume_diff(struct monocore *mc, const char *sandbox, const char *const *paths,
	struct monocore_volume_change **list, size_t *count, struct monocore_error *err);

struct monocore_volume_apply_options {
	unsigned version;
	bool force;         /* conflicts, too: what the host has is lost */
	bool configuration; /* changes of what monocore_sandbox_options.guarded names, too */
};
#define MONOCORE_VOLUME_APPLY_OPTIONS_INIT \
	{ \
		.version = 1 \
	}

/* Makes the changes on the host, each file as a whole, beneath the volume's directory; *list are those that
 * were made. Whatever stops it, the same again does the rest. Conflicts are BUSY, changes
 * of what is guarded DENIED, and then nothing is applied. A throw-away sandbox that has stopped is removed
 * once nothing is staged in it. */
MONOCORE_API int monocore_volume_apply(struct monocore *mc, const char *sandbox, const char *const *paths,
	const struct monocore_volume_apply_options *options, struct monocore_volume_change **list,
	size_t *count, struct monocore_error *err);

/* Forgets the changes: the sandbox has there what the host has. A throw-away sandbox that has stopped is
 * removed once nothing is staged in it. */
MONOCORE_API int monocore_volume_discard(
	struct monocore *mc, const char *sandbox, const char *const *paths, struct monocore_error *err);

#ifdef __cplusplus
}
#endif

#endif
