/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option tables: each verb describes its options once, as rows of a table, and everything is made from the
 * rows: parsing (glibc's getopt_long underneath), --help, the man pages and the shells' completion.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* The type of the field that a row's offset points at. Strings point into argv. */
enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_STRING,   /* const char * */
	OPTION_CHOICE,   /* const char *, one of `choices` */
	OPTION_LIST,     /* char **, NULL-terminated, owned: one element for each time it was given */
	OPTION_SIZE,     /* uint64_t, bytes; a bare number counts MiB */
	OPTION_DURATION, /* uint64_t, nanoseconds; a bare number counts seconds */
	OPTION_NUMBER,   /* uint64_t */
	OPTION_LATER     /* no field: known, but refused as not yet available */
};

struct option_spec {
	const char *name; /* the long form without its dashes; NULL ends the table */
	char letter;      /* 0: none */
	enum option_kind kind;
	const char *argument;       /* how help calls the argument; NULL for flags */
	size_t offset;              /* of the field in the verb's struct */
	const char *help;           /* one sentence without its full stop */
	const char *const *choices; /* of a CHOICE; else what is offered, NULL: nothing */
	uint64_t most;              /* of a NUMBER; 0: no bound */
	bool hidden;                /* from help and completion: another word for one that is shown */
};

/* One parse. `own` comes first: a row of it hides the row of `shared` with the same name. */
struct options_request {
	const struct option_spec *own, *shared; /* either may be NULL */
	void *own_target, *shared_target;
	size_t help_offset; /* of the bool in shared_target that, once set, ends the parse */
	bool stop_early;    /* at the first word that is no option; otherwise options may follow words too */
};

/* Parses argv[1…]; *first is the index of the first word that is no option (argv is permuted so that all
 * such words stand at the end). Errors: USAGE names the option; UNAVAILABLE for a LATER one. */
int options_parse(
	const struct options_request *request, int argc, char **argv, int *first, struct error *err);

/* Frees the lists in target. */
void options_release(const struct option_spec *specs, void *target);

/* Whether the option takes an argument. */
static inline bool option_takes_argument(const struct option_spec *spec)
{
	return spec->argument != NULL;
}
