/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has happened to sandboxes, images and volumes: a line of JSON for each in events/ in the home, written
 * by whichever process does it. docs/formats/events.md describes it. A file that has grown to EVENTS_SIZE
 * becomes the earlier one, and the earlier one before that is gone: so much is kept, and no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

#define EVENTS_SIZE (4u << 20)
#define EVENT_MAX   (16u << 10) /* bytes of a line; one with more is written without its labels */

struct event {
	const char *type, *action;
	const char *id, *name;         /* NULL: "" */
	const char *const *attributes; /* "key=value"; NULL-terminated, or NULL */
	const char *const *labels;     /* likewise */
};

/* Writes one down, with the present time. What fails is not told: nothing is done for the sake of its event.
 */
void event_tell(const struct home *home, const struct event *e);

/* Of a sandbox: with its image and labels, and with `key`=`value` where key is not NULL. */
void event_tell_sandbox(const struct home *home, const char *id, const struct record *record,
	const char *action, const char *key, const char *value);

struct events_query {
	bool follow;    /* goes on until `until`, or until `stop` is readable */
	uint64_t until; /* nanoseconds since 1970; 0: without end */
	int stop;       /* or -1 */
};

/* Calls `take` for each line, without its newline and with a NUL behind it, oldest first. What `take`
 * returns, when not 0, ends it and is returned. */
int events_read(const struct home *home, const struct events_query *query,
	int (*take)(void *context, const char *line, size_t size), void *context, struct error *err);
