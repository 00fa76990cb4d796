/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for repositories, and stores in it, for the tests of monofs. */
#pragma once

#include "monofs/crypt.h"
#include "monofs/repository.h"
#include "monofs/store.h"

/* A new empty directory, which is removed with all in it when the program ends. The path is the callee's. */
const char *monofs_place(void);

/* place/name */
const char *monofs_path(const char *place, const char *name, char out[256]);

/* A directory with what a store needs, `name` beneath place: its descriptor. */
int monofs_store_make(const char *place, const char *name);

/* Of chunks of 4, 16, 64 KiB; key: 0 is a plain one, others make keys. */
void monofs_crypt(struct crypt *c, uint8_t key);

/* n bytes that look random, the same for the same seed. */
void monofs_bytes(uint8_t *out, size_t n, uint64_t seed);
/* n bytes that compress. */
void monofs_text(uint8_t *out, size_t n, uint64_t seed);
uint64_t monofs_random(uint64_t *state);
