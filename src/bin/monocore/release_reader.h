/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A release's archive: a tar whose first member is the manifest, the second its signature, and then each file
 * that the manifest names, once. Nothing is believed before the signature holds, and nothing that the
 * manifest does not name, or says otherwise of, gets past it.
 */
#pragma once

#include "codec/ed25519.h"
#include "codec/release.h"

struct release_reading {
	const uint8_t *key; /* of ED25519_KEY_SIZE bytes */
	/* Judges the release once its manifest is known: negative ends the reading. NULL: any. */
	int (*judge)(void *context, const struct release *release, struct error *err);
	void *context;
	int directory; /* files are written into it, synced; -1: all is only checked */
};

/* Reads an archive from fd's position on. DENIED: it is not signed by the key; CORRUPT: a file is not what
 * the manifest says; INVALID, LIMIT. *release is the caller's to free in any case. */
int release_read(int fd, const struct release_reading *reading, struct release *release, struct error *err);
