/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a release says of itself: the manifest (docs/formats/release.md), a JSON document that is signed. It
 * is parsed once its signature holds, and judged all the same: a key may be lost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "codec/sha256.h"

#define RELEASE_MANIFEST_MOST ((size_t)1 << 20)
#define RELEASE_FILES_MOST    4096u
#define RELEASE_BYTES_MOST    ((uint64_t)1 << 30)

struct release_file {
	char *path;    /* "bin/monocore": below bin, libexec or share, of plain names */
	uint32_t mode; /* 0644 or 0755 */
	uint64_t size;
	uint8_t hash[SHA256_SIZE];
	bool seen; /* for who reads the archive */
};

struct release {
	char *version;              /* "1.20.3" */
	char *architecture;         /* as uname has it: "x86_64" */
	struct release_file *files; /* sorted by path */
	size_t count;
};

/* Errors: INVALID, LIMIT, NO_MEMORY. *release is the caller's to free in any case. */
int release_parse(const void *bytes, size_t n, struct release *release, struct error *err);
void release_free(struct release *release);
#define _cleanup_release_ __attribute__((cleanup(release_free)))

struct release_file *release_find(const struct release *release, const char *path); /* or NULL */

/* Three numbers of at most nine digits each. */
bool release_version_valid(const char *version);

/* Below, at or above 0 as a is older than, as old as or newer than b; both are valid. */
int release_compare(const char *a, const char *b);
