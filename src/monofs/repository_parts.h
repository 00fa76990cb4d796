/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the repository share; nobody else includes it. */
#pragma once

#include <stdatomic.h>

#include "monofs/format.h"
#include "monofs/keys.h"
#include "monofs/repository.h"

/* In memory that is not swapped out, nor in core files. */
struct repository_secrets {
	struct crypt crypt;
	struct keys keys;
};

struct repository {
	char *path;
	int directory;
	struct format format;
	struct repository_secrets *secrets;
	struct store *store;
	uint64_t replica;
	_Atomic uint64_t clock; /* the last that was given out or seen */
};

/* Bytes of chunks, where nobody says otherwise: measured, docs/formats/monofs.md. */
#define REPOSITORY_MIN     (16u << 10)
#define REPOSITORY_AVERAGE (64u << 10)
#define REPOSITORY_MAX     (256u << 10)

/* The secrets of a repository whose keys (where it is encrypted) are in s->keys. */
int repository_prepare(const struct format *f, struct repository_secrets *s, struct error *err);
