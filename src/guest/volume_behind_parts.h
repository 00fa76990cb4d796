/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of volume_behind.h share: volume_behind.c sets attributes, volume_create.c makes files.
 */
#pragma once

#include <limits.h>
#include <linux/fuse.h>

#include "guest/volume_behind.h"

/* Tables in which a number has one place: who comes later takes it. */
#define BEHIND_OBJECTS 4096u
#define BEHIND_ASKED   64u

#define BEHIND_UNSETTLED 64u /* changes that wait, are under way, or failed and nobody knows */

/* Made here. Its attributes are as the host has told them, with the changes since that were acknowledged. */
struct object {
	uint64_t node, epoch, expires;
	uint64_t changing; /* the last request under way that changes it otherwise; 0: none */
	uint64_t behind;   /* the last change that is told behind and is not answered; 0: none */
	bool known;        /* mode, owner and size are as they will be when the host has caught up */
	bool whole;        /* and so are all others: the host has told them */
	bool guessed;      /* the others are as they may be: a directory's, since something was made in it; a
			    * new file's, for the kernel's one look at whether it may be opened */
	bool fresh;        /* the host has told them for the reply that follows */
	uint32_t maker;    /* of a new file: the thread whose look that is */
	struct fuse_attr attr;
};

/* A request that has gone to the host, whose reply says something. */
struct asked {
	uint64_t unique, node, offset; /* offset: of a WRITE */
	uint32_t opcode;
	bool odd; /* a SETATTR of what not every host keeps */
	uint32_t uid, gid, mode;
};

struct change {
	union {
		struct {
			struct fuse_in_header head;
			struct fuse_setattr_in in;
		} set;
		uint8_t bytes[BEHIND_CREATE_MAX];
	};
	uint64_t node;    /* 0: the kernel has forgotten it */
	uint64_t parent;  /* of what it makes; 0: it sets attributes */
	uint64_t seconds; /* for which the kernel takes the name to be there */
};

struct sent {
	uint64_t unique, node, parent, seconds; /* as in struct change */
	char name[NAME_MAX + 1];                /* of what it makes */
};

struct failure {
	uint64_t node;
	int32_t error;
	bool made; /* or not, rather */
};

struct behind {
	uint32_t waiting_count, sent_count, failure_count;
	uint32_t barrier; /* what waits before was not to be changed any more: something was made since */
	bool keeps;       /* the host has kept an owner or a special mode */
	uint64_t epoch;   /* of the objects that are good */
	uint64_t distrust;
	uint64_t realtime; /* of what is 0 on the clock of `now`; 0: not known */
	struct change waiting[BEHIND_WAITING_MAX];
	struct sent sent[BEHIND_UNSETTLED];
	struct failure failures[BEHIND_UNSETTLED];
	struct asked asked[BEHIND_ASKED];
	struct object objects[BEHIND_OBJECTS];
};

/* ---- volume_behind.c ----------------------------------------------------------------------------------- */

struct object *behind_find(struct behind *b, uint64_t node);
void behind_drop(struct behind *b, uint64_t node);
bool behind_has_room(const struct behind *b, uint64_t now);
bool behind_is_changing(struct behind *b, uint64_t node);
/* Nothing is acknowledged for a while; who asks next gets the error. */
void behind_fail(struct behind *b, const struct failure *failure, uint64_t now);
/* All attributes, as they were when it answered. */
void behind_learn(
	struct behind *b, struct object *o, const struct fuse_attr *a, uint64_t seconds, uint64_t now);

/* ---- volume_create.c ----------------------------------------------------------------------------------- */

/* The reply to what made a file; true: nobody else is to see it. */
bool behind_hear_created(struct behind *b, const struct sent *s, uint8_t *message, size_t *n, uint64_t now);
/* A request has been answered that changes the directory; last: there is none behind it. */
void behind_hear_changed(struct behind *b, struct object *directory, bool last);
