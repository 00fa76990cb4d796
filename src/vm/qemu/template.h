/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates on disk: $MONOCORE_HOME/templates/<key>/ (0700) with the files memory, state, hello (0400) and
 * info.json. One is made under a temporary name, synced, renamed, and never written again, since running
 * clones map its memory; replacing it is unlinking it and making another. docs/formats/template.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "codec/sha256.h"

#define TEMPLATES "templates"

/* Opens $MONOCORE_HOME/templates, making it where it is missing. */
int template_directory(const char *home, int *fd, struct error *err);

struct template
{
	char key[SHA256_HEX_SIZE];
	int memory, state; /* read-only, owned; -1: none */
	uint8_t *hello;    /* payload of the agent's HELLO, owned */
	size_t hello_size;
	ino_t inode; /* of its directory: this template and not a later one of the same key */
};
#define TEMPLATE_NONE ((struct template){.memory = -1, .state = -1})
void template_close(struct template *t);

/* NOT_FOUND: there is none. CORRUPT: it is damaged, and t->inode tells which one it was. The quick check:
 * sizes and times of all, the digest of the small files. `thorough`: the digest of the memory as well. */
int template_open(const char *home, const char *key, bool thorough, struct template *t, struct error *err);

/* A template in the making: its key's lock is held. */
struct template_draft {
	char key[SHA256_HEX_SIZE];
	int templates, lock, directory;
	int memory, state; /* read-write, empty; the memory has its size */
};
#define TEMPLATE_DRAFT_NONE \
	((struct template_draft){.templates = -1, .lock = -1, .directory = -1, .memory = -1, .state = -1})

/* Waits for whoever makes the same template. What was there under the key, or was left half-made by a killed
 * process, is gone then. EXISTS: it was made meanwhile. */
int template_draft_open(
	const char *home, const char *key, uint64_t memory, struct template_draft *d, struct error *err);

/* Empties both files for another try. */
int template_draft_restart(struct template_draft *d, struct error *err);

int template_draft_commit(
	struct template_draft *d, const uint8_t *hello, size_t hello_size, struct error *err);

/* Lets go; what was not committed is removed. */
void template_draft_close(struct template_draft *d);

/* Removes the template if it still is the one with that inode. */
int template_remove(const char *home, const char *key, ino_t inode, struct error *err);

/* Removes what killed makers left. */
void template_sweep(const char *home);

/* All keys; a text list, the caller's. */
int template_list(const char *home, char ***keys, struct error *err);
