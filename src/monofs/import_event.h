/* SPDX-License-Identifier: Apache-2.0 */
/* What the walk of an import has met, for the tree that is made of it. */
#pragma once

#include "monofs/import_file.h"
#include "monofs/import_known.h"
#include "monofs/import_tree.h"
#include "monofs/work_ring.h"

/* What has several names. */
struct import_names {
	char *path; /* of the first */
	struct import_id id;
	bool failed; /* the first was left out */
};

enum import_event_kind {
	IMPORT_ENTER,
	IMPORT_LEAVE,
	IMPORT_PUT,  /* its entry is there */
	IMPORT_FILE, /* its entry is made by a worker */
	IMPORT_KEEP,
	IMPORT_REMOVE
};

/* work.bytes: the entry of IMPORT_PUT, IMPORT_FILE and IMPORT_LEAVE (there empty: as it is known). */
struct import_event {
	struct work_event work;
	enum import_event_kind kind;
	char name[MST_NAME_MAX + 1];
	enum known_kind known; /* how it is known the next time */
	struct known_key key;
	bool changes;               /* IMPORT_ENTER: by changes alone */
	struct import_names *names; /* may be NULL */
	struct stat stat;           /* IMPORT_FILE */
};

/* As work_ring_event(). */
static inline int import_event_new(struct work_ring *ring, enum import_event_kind kind, const char *name,
	struct import_event **out, struct error *err)
{
	struct work_event *e = NULL;
	int r = work_ring_event(ring, &e, err);

	if (r < 0)
		return r;
	*out = (struct import_event *)(void *)e;
	(*out)->kind = kind;
	e->work = kind == IMPORT_FILE;
	memcpy((*out)->name, name, strlen(name) + 1);
	return 0;
}
