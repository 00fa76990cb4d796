/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes in a staged volume beside the directory of the host that they are changes of: what they are,
 * and how they come there.
 *
 *     stage_diff_new(view) → stage_diff_feed(archive) … → stage_diff_finish(changes)
 *     stage_apply_new(view, changes) → stage_apply_feed(the same archive) … → stage_apply_finish()
 *
 * The directory is a file system (vfs/vfs.h), by which a guest could have written to it as a volume: rules
 * about owners, devices, attributes and links are that one's. The archive is a stranger's (reader.h).
 *
 * What is compared: type, contents, mode, owner, attributes, a link's target, a device's numbers. Times are
 * not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/map.h"
#include "vfs/vfs.h"

enum stage_kind { STAGE_ADDED = 'A', STAGE_MODIFIED = 'M', STAGE_DELETED = 'D', STAGE_TYPE = 'T' };

/* Of an object, before on the host and now in the sandbox. */
struct stage_facts {
	uint32_t mode; /* with the type; 0: there is none */
	uint32_t uid, gid;
	uint64_t size;
};

struct stage_change {
	enum stage_kind kind;
	char *path; /* from the volume's root; "": the root */
	struct stage_facts before, after;
	bool contents;    /* of a file, not only its mode, owner or attributes */
	const char *mark; /* why it is worth a look (marks.h), or NULL; constant */
	bool conflict;    /* the host has changed it since the sandbox may have seen it */
	bool selected;    /* by the view's paths */
	bool replaced;    /* deleted since something else is where its directory was */
	uint64_t entry;   /* the archive's; of what is deleted UINT64_MAX */
};

struct stage_changes {
	struct stage_change *list; /* by their paths, a directory before what is in it */
	size_t count, room;
	size_t conflicts, unselected;
};
void stage_changes_free(struct stage_changes *c);

#define STAGE_CHANGES_MAX 4000000u

struct stage_view {
	struct vfs *fs;     /* borrowed */
	bool squash;        /* it keeps no owners */
	char *const *paths; /* from the volume's root, tidy; NULL: everything is selected */
	bool *matched;      /* for each of them: an entry of the archive is there, or below; or NULL */
	/* Nanoseconds since 1970. What the host has changed since the sandbox was made is a conflict, but for
	 * what the sandbox has changed later than that and after `started`, its last start: by then it saw
	 * it. */
	uint64_t created, started;
	/* Path → uint64_t: what was applied from here, and when it has changed on the host by that, which is
	 * no change of the host's. What is no entry any more was deleted in the sandbox. NULL: nothing. */
	const struct map *applied;
};

/* Whether a path is `one`, or lies below it; one of `paths`. */
bool stage_is_within(const char *path, const char *one);
bool stage_selects(char *const *paths, const char *path);

struct stage_diff;
int stage_diff_new(const struct stage_view *view, struct stage_diff **diff, struct error *err);
void stage_diff_free(struct stage_diff *d);
int stage_diff_feed(struct stage_diff *d, const void *bytes, size_t n, struct error *err);
/* *changes are the caller's, also after an error. LIMIT: over STAGE_CHANGES_MAX. */
int stage_diff_finish(struct stage_diff *d, struct stage_changes *changes, struct error *err);

/* Told of each change that was made. changed: when the host's object did, or 0: it is deleted. */
typedef void stage_applied(void *context, const struct stage_change *c, uint64_t changed);

/* Makes the selected changes, and nothing else: what is to be deleted is deleted by its name, so that a
 * directory with something in it that nobody told of stays (BUSY). A file is replaced as a whole. Whoever is
 * killed leaves each file as it was or as it is to be, at most one temporary file in the root, which the next
 * removes; then the same once more does the rest. Nobody else may apply meanwhile. */
struct stage_apply;
int stage_apply_new(const struct stage_view *view, const struct stage_changes *changes, stage_applied *tell,
	void *context, struct stage_apply **apply, struct error *err);
void stage_apply_free(struct stage_apply *a);
int stage_apply_feed(struct stage_apply *a, const void *bytes, size_t n, struct error *err);
int stage_apply_finish(struct stage_apply *a, struct error *err);
