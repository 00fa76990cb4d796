/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a repository's objects in use: each process has a file sessions/<32 hex digits> under flock(2) for
 * as long as it lives, empty. One that nobody holds is of a process that died, and may be removed by anybody.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "monofs/index.h"

struct session {
	int directory; /* sessions/; -1 where there is none */
	int fd;
	char name[SESSION_NAME_SIZE];
};
#define SESSION_NONE \
	{ \
		.directory = -1, .fd = -1 \
	}

/* repository: its directory. Of dead ones the files are removed. */
int session_begin(int repository, struct session *s, struct error *err);
void session_end(struct session *s);

bool session_lives(const struct session *s, const char *name);

/* Calls take() for each that lives. */
int session_each(const struct session *s, int (*take)(void *context, const char *name, struct error *err),
	void *context, struct error *err);
