/* SPDX-License-Identifier: Apache-2.0 */
/* What the user wrote to name an image, taken apart. */
#pragma once

#include "base/error.h"

enum reference_kind {
	REFERENCE_LAYOUT,    /* an OCI image layout, a directory or a tar of one */
	REFERENCE_ARCHIVE,   /* what `docker save` writes */
	REFERENCE_FILE,      /* one of the two, by what is in it */
	REFERENCE_DIRECTORY, /* a root file system */
	REFERENCE_NAME,      /* of an image in the store or a registry: oci/name.h */
	REFERENCE_DIGEST     /* of a manifest in the store, or an image's id */
};

struct reference {
	enum reference_kind kind;
	char *path;         /* or the name */
	char *tag, *digest; /* or NULL */
};
void reference_free(struct reference *r);

/* "oci:PATH[:TAG|@DIGEST]", "docker-archive:FILE[:TAG]", "rootfs:DIR", or a path that starts with "/", "./"
 * or "../": one that is there as a whole has no tag, whatever colons it holds. "sha256:…" is a digest.
 * Anything else is a name. */
int reference_parse(const char *text, struct reference *r, struct error *err);
