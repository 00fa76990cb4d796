/* SPDX-License-Identifier: Apache-2.0 */
/* A home with its store, and what is put into it. These abort where they cannot do what they are for. */
#pragma once

#include "oci/store.h"
#include "oci_make.h"

struct store_place {
	char path[64], home[80], image[80]; /* image: an empty directory */
	struct store *store;
};
void store_place_open(struct store_place *p);
void store_place_close(struct store_place *p);

/* Files in a part of the store: "tmp", "blobs/sha256". */
size_t store_place_count(const struct store_place *p, const char *part);
bool store_place_has(const struct store_place *p, const char *digest);

/* Another empty directory in the place; the caller frees its path. */
char *store_make_directory(const struct store_place *p, const char *name);

/* A blob in the layout in a directory. */
void store_make_blob(const char *directory, const void *bytes, size_t n, char digest[OCI_DIGEST_SIZE]);
void store_make_file(const char *directory, const char *name, const void *bytes, size_t n);

/* index.json of a layout: descriptors as JSON, parted by commas. */
void store_make_index(const char *directory, const char *descriptors);

/* Takes the image of a layout into the store under a canonical name (NULL: none). */
int store_make_import(struct store *s, const char *directory, const char *name, struct error *err);

/* Writes one byte of a blob in the store anew. */
void store_make_damage(const struct store_place *p, const char *digest);

/* How many problems a check finds; `text`, of 256 bytes, may be NULL: the last one with a name. */
unsigned store_make_check(struct store *s, bool remove, char *text);
