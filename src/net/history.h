/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last denials of a port, and the line that tells a verdict: `net why` and `net trace`.
 *
 * Denials that differ in their source port only are one entry that counts, so that a program which tries over
 * and over does not push out what else was denied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/flows.h"
#include "net/policy.h"

#define HISTORY_SIZE     256
#define HISTORY_LINE_MAX 1024 /* with the NUL */

struct history_entry {
	struct flow_key key; /* of the last one */
	struct verdict verdict;
	uint64_t first, last; /* when, by the switch's clock */
	uint64_t count;
	char *name; /* that the address was learnt by, or that the first bytes said; NULL: none */
	char *why;  /* in words, once the policy it was judged by is gone; NULL: verdict_format() tells */
};

struct history;

struct history *history_new(void); /* NULL: out of memory */
void history_free(struct history *h);

/* A denial. Where memory is out it is forgotten. */
void history_add(struct history *h, const struct flow_key *key, const struct verdict *verdict,
	const char *name, uint64_t now);
/* The policy changes: what it said of the denials until now is kept in words; where memory is out, they are
 * forgotten. */
void history_settle(struct history *h, const struct policy *policy);

/* The entries from the newest to the oldest: n = 0, 1, …; NULL at the end. */
const struct history_entry *history_at(const struct history *h, size_t n);

/* One line without its newline: "2026-01-31T23:59:59.123456789Z tcp box:40000 → 192.0.2.1:443 (name) denied:
 * why ×3". realtime: of the (last) event, nanoseconds since 1970. Returns out. */
const char *history_line(const struct history_entry *e, const char *sandbox, const struct policy *policy,
	uint64_t realtime, char out[HISTORY_LINE_MAX]);
/* The same of a verdict as it is made (calls->verdict). */
const char *verdict_line(const struct flow_key *key, const struct verdict *verdict, const char *name,
	const char *sandbox, const struct policy *policy, uint64_t realtime, char out[HISTORY_LINE_MAX]);
