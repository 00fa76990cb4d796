/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the journal share. */
#pragma once

#include <pthread.h>

#include "monofs/journal.h"

#define JOURNAL_MAGIC       "MFSJRNL1"
#define JOURNAL_HEADER      40u
#define JOURNAL_RECORD      16u /* before what is stored */
#define JOURNAL_FIXED       32u /* of that, before the body */
#define JOURNAL_LAST_NUMBER UINT32_MAX
#define JOURNAL_NAME_SIZE   17u

struct journal {
	int directory; /* journal/ */
	const struct crypt *crypt;
	struct journal_base base;
	pthread_mutex_t lock;              /* of appending, and of the list of segments */
	struct journal_segment **segments; /* by number, the last is appended to */
	size_t count;
	struct journal_segment *spare; /* the next, made ahead */
	uint64_t written, synced;      /* bytes, of all segments; synced: by `syncing` */
	pthread_mutex_t syncing;
	pthread_cond_t was_synced;
	bool leader; /* somebody waits for the disk */
	int failed;  /* an errno: syncing has failed */
};

uint64_t journal_check(const uint8_t salt[CRYPT_SALT_SIZE], uint32_t size, uint32_t number, const void *fixed,
	const void *body, size_t body_size);
size_t journal_stored_size(const struct journal *j, size_t body_size);

/* journal_base.c */
bool journal_has_records(int journal, const char *name); /* a segment, more than its end */
int journal_base_write(struct journal *j, const struct journal_base *base, struct error *err);
const char *journal_segment_name(uint64_t number, char name[JOURNAL_NAME_SIZE]);
bool journal_segment_number(const char *name, uint64_t *number); /* false: it is no segment's name */

/* journal.c: the lock is held */
int journal_begin_segment(struct journal *j, uint64_t number, struct error *err);
int journal_add_segment(struct journal *j, struct journal_segment *s, struct error *err);
int journal_end_segment(struct journal *j, struct journal_segment *s, struct error *err);
