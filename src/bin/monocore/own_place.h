/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this program stands. PREFIX/bin/monocore is a file as `make install` left it, or, once 'monocore self
 * upgrade' has run, a link into PREFIX/lib/monocore/releases/VERSION, which has a whole bin, libexec and
 * share.
 */
#pragma once

#include "base/error.h"

struct own_place {
	char *prefix;
	char *program; /* PREFIX/bin/monocore: what stays under upgrades */
	char *release; /* the release that runs: PREFIX/lib/monocore/releases/VERSION; NULL: none */
};

#define OWN_RELEASES "lib/monocore/releases"

/* UNAVAILABLE where this program does not stand in a directory bin. own_place_release() in any case. */
int own_place_find(struct own_place *place, struct error *err);

/* The same for the path of an executable, without a look at the disk. */
int own_place_of(const char *executable, struct own_place *place, struct error *err);
void own_place_release(struct own_place *place);
#define _cleanup_place_ __attribute__((cleanup(own_place_release)))
