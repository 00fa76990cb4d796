/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a named volume is: volumes/.owner-NAME is a symbolic link whose target is the id of the project that
 * used it first. Another project's sandboxes do not get it; those of no project do, if somebody says so.
 */
#pragma once

#include "base/error.h"
#include "sandbox/home.h"

#define VOLUME_OWNER_SIZE 64 /* with the NUL */

/* "": nobody's. `volumes` is volume_directory()'s. */
void volume_owner(int volumes, const char *name, char owner[VOLUME_OWNER_SIZE]);

/* It is `owner`'s from now on, where it is nobody's yet, or is not there and so nobody's any more. `now`:
 * whose it is then. */
int volume_own(const struct home *home, const char *name, const char *owner, char now[VOLUME_OWNER_SIZE],
	struct error *err);

/* It was removed. */
void volume_owner_forget(int volumes, const char *name);
