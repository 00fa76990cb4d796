/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmonocore: running sandboxes, saved with their memory and brought back, or cloned live. Conventions as in
 * monocore.h.
 *
 * What comes of it goes on where the saved one was, on a copy of its disk, and shares its memory
 * copy-on-write. Before any of its processes runs it has a name, a host name, a machine id, a boot id,
 * addresses, a clock and random numbers of its own. Connections over the network that it had are gone. Who
 * was attached to the saved one, or had started a process in it, is not connected with the new one: such a
 * process gets HUP.
 *
 * Volumes are the same directories, not copies. UNAVAILABLE: sandboxes that booted (--no-template), have
 * staged volumes or such by virtiofs or NFS, or run on another engine than qemu cannot be saved; nor can a
 * saved one go on where engine, accelerator or processor are not the same. BUSY: one of its processes does
 * not stand still. CORRUPT: the snapshot is not whole; nothing is started of it then.
 */
#ifndef MONOCORE_SNAPSHOT_H
#define MONOCORE_SNAPSHOT_H

#include "monocore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Saves a running sandbox, which goes on. tag NULL: its name with a number that is free. *made (may be NULL)
 * is the caller's: monocore_free(). EXISTS: there is a snapshot of that tag. */
MONOCORE_API int monocore_snapshot(
	struct monocore *mc, const char *sandbox, const char *tag, char **made, struct monocore_error *err);

struct monocore_snapshot_info {
	char *tag;
	char *sandbox, *image; /* names when it was made */
	uint64_t created;      /* nanoseconds since 1970 */
	uint64_t memory;       /* bytes of the machine's */
	uint64_t size;         /* bytes on the host's disk */
};

/* All there are, oldest first. *list is the caller's: monocore_snapshots_free(). */
MONOCORE_API int monocore_snapshots(
	struct monocore *mc, struct monocore_snapshot_info **list, size_t *count, struct monocore_error *err);
MONOCORE_API void monocore_snapshots_free(struct monocore_snapshot_info *list, size_t count);

/* What was brought back from it runs on. */
MONOCORE_API int monocore_snapshot_remove(struct monocore *mc, const char *tag, struct monocore_error *err);

/* A new sandbox `name`, which is kept when it stops, goes on where the snapshot was made, with the same
 * ports. */
MONOCORE_API int monocore_restore(
	struct monocore *mc, const char *tag, const char *name, struct monocore_error *err);

struct monocore_fork_options {
	unsigned version;
	unsigned count; /* 1 to 1000 */
	const char
		*pattern; /* of names: "{}" in it is the number of the clone, else "-" and the number follow
			   * where there are several; NULL: the sandbox's name and a number that is free */
};
#define MONOCORE_FORK_OPTIONS_INIT \
	{ \
		.version = 1, .count = 1 \
	}

/* Clones of a running sandbox, all of one moment; it goes on. They are in its groups, and their ports on the
 * host are chosen anew. *names (may be NULL) is the caller's: monocore_free_strings(). Where one cannot be
 * started, none of them is left. options may be NULL. */
MONOCORE_API int monocore_fork(struct monocore *mc, const char *sandbox,
	const struct monocore_fork_options *options, char ***names, struct monocore_error *err);

/* All running sandboxes of a group, stopped at one moment, and a clone of each, in groups of their own: each
 * group of the originals has one that is called as it, with a number behind that all clones share. Among
 * themselves the clones are found under the originals' names as well; nothing leads back to these. *made (may
 * be NULL) is the new group's name, the caller's: monocore_free(). *names as above. */
MONOCORE_API int monocore_fork_group(
	struct monocore *mc, const char *group, char **made, char ***names, struct monocore_error *err);

#ifdef __cplusplus
}
#endif
#endif
