/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images really are: the configuration of registries, docs/registries.md. Two files are read,
 * /etc/monocore/registries.json and $MONOCORE_HOME/registries.json; what the second says of a key replaces
 * what the first says of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/name.h"

#define REGISTRIES_SYSTEM_FILE "/etc/monocore/registries.json"
#define REGISTRIES_FILE        "registries.json" /* in the home */
#define REGISTRIES_OWN         "sandboxes.io"    /* our name space: exists by a mapping only */

struct registries;

/* home: the path of $MONOCORE_HOME. A file that is not there says nothing. Errors: INVALID, with file, line
 * and column, or file and member; DENIED for a file that others may write. */
int registries_load(const char *home, struct registries **out, struct error *err);

/* The same with another file in place of the system's (NULL: none). */
int registries_load_from(
	const char *system_file, const char *home, struct registries **out, struct error *err);
void registries_free(struct registries *r);
CLEANUP_DEFINE(registries, struct registries, registries_free);

/* Where names without a registry are looked for: "docker.io". Valid as long as r. */
const char *registries_default(const struct registries *r);

/* One place to ask for a repository. */
struct endpoint {
	char *registry;   /* whose name credentials are kept under: "docker.io" */
	char *host;       /* of its API, with the port: "registry-1.docker.io", "[::1]:5000" */
	char *repository; /* there */
	bool plain_http;  /* HTTP without TLS */
	bool insecure;    /* TLS, the certificate not verified */
	bool mirror;      /* not the real one */
	char *ca_file;    /* certificates that are trusted beside the system's, or "" */
};
void endpoints_free(struct endpoint *list, size_t count);

/* The places to ask for a name, in order: mirrors first, the real one last. At least one; the caller frees
 * them. Errors: UNAVAILABLE where our name space is not mapped: the text says what to write where; INVALID
 * for mappings that lead in a circle, or a name that a mapping makes too long; NO_MEMORY. */
int registries_resolve(const struct registries *r, const struct name *name, struct endpoint **list,
	size_t *count, struct error *err);
