/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* One side of `cp`. */
struct copy_place {
	char *name;       /* of the sandbox, owned; NULL: on this host */
	const char *path; /* points into what was parsed */
	bool stream;      /* "-" */
};

/* "NAME:PATH", "-", or a path. What starts with '/' or '.' is a path even where it has a ':'. */
int copy_place_parse(const char *text, struct copy_place *place, struct error *err);
void copy_place_release(struct copy_place *place);
