/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes of a sandbox as a layer of an image (OCI image-spec, layer.md): what the overlay has written
 * into its upper directory, where a character device 0:0 is a file that was removed (`.wh.NAME` in a layer)
 * and "trusted.overlay.opaque" a directory that hides all older ones (`.wh..wh..opq` in it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "guest/tree_entry.h"

enum upper_form {
	UPPER_LAYER,
	/* As the overlay has it: the device 0:0 is a file that was removed, the attributes
	 * "trusted.overlay.opaque" and "trusted.overlay.origin" (of a file that was copied up) stay. Any name
	 * goes. */
	UPPER_AS_IT_IS
};

/* Packs the upper directory `upper` (an open directory). Names are in the order of their bytes, so that the
 * same tree gives the same archive on any file system. Left out: sockets, what the agent has made (made.h),
 * the overlay's own attributes, and the root itself where it is as the agent has made it. INVALID: a name
 * that a layer cannot hold, since it begins with ".wh.". */
int upper_pack(int upper, enum upper_form form, tree_taker *take, void *context, struct error *err);

/* Whether upper_pack() would give an archive without entries, of which it reads as little as it needs. What
 * cannot be read counts as something. */
bool upper_is_empty(int upper);
