/* SPDX-License-Identifier: Apache-2.0 */
/* What a name of an image leads to: the registries that may have it, mirrors first. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "oci/name.h"
#include "oci/registries.h"
#include "oci/registry.h"

struct remote_options {
	bool push;                             /* the registry itself only, with the right to push */
	bool plain_http;                       /* allowed for this one, whatever is configured */
	const char *from;                      /* a repository to mount blobs from, or NULL */
	const struct credentials *credentials; /* NULL: docker's */
};

struct remote {
	struct name name;
	struct registries *configuration;
	struct endpoint *endpoints;
	size_t count;
	struct registry **registries;
	size_t registry_count;
	atomic_bool stop; /* what all of them watch */
};

/* text: as the user wrote it. home: that of registries.json. Nothing is sent yet. *r must stay where it is.
 */
int remote_open(const char *home, const char *text, const struct remote_options *options, struct remote *r,
	struct error *err);
void remote_close(struct remote *r);
#define _cleanup_remote_ __attribute__((cleanup(remote_close)))

/* The name that the store knows it by: with a tag, "docker.io/library/alpine:3", or with a digest alone. */
char *remote_store_name(const struct name *name, struct error *err);

/* The tag or the digest to ask for. */
static inline const char *remote_reference(const struct name *name)
{
	return *name->digest ? name->digest : name->tag;
}

/* Of a registry by its place among them. */
const struct endpoint *remote_endpoint(const struct remote *r, size_t at);

/* The manifest from the first registry that has it. *at tells which. */
int remote_manifest(struct remote *r, const char *reference, bool head, struct registry_manifest *m,
	size_t *at, struct error *err);
