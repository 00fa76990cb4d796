/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New volumes. What an image has where a named volume is mounted comes into the volume at its first use. The
 * guest copies it before the main process starts; the host knows which volumes are new: beside volumes/NAME
 * there is volumes/.new-NAME from before the volume is made until the first start with it has succeeded. That
 * file is locked (flock) by whoever starts a sandbox with the volume, and holds a line once the copying has
 * begun: what is in the volume then is half a copy, and is removed by the next who locks it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sandbox/home.h"
#include "sandbox/record.h"

struct volume_fills;

/* Makes the named volume where it is not there. `volumes` is the directory of all. */
int volume_fill_make(int volumes, const char *name, struct error *err);

/* Removes what is known about it, for one that has been removed. */
void volume_fill_forget(int volumes, const char *name);

/* Locks all new volumes of the record. *fills: NULL where there is none. BUSY: another sandbox is being
 * started with one of them; nothing is locked then. */
int volume_fills_open(
	const struct home *home, const struct record *r, struct volume_fills **fills, struct error *err);

/* Whether the guest is to fill the mount `number` of the record. NULL is fine, here and below. */
bool volume_fills_has(const struct volume_fills *fills, uint32_t number);
bool volume_fills_any(const struct volume_fills *fills);

/* The guest has done so: they are new no more. What was copied is on the disk before that counts. */
int volume_fills_done(struct volume_fills *fills, struct error *err);

void volume_fills_close(struct volume_fills *fills);
