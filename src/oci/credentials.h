/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are at a registry: docker's config.json, in $DOCKER_CONFIG or ~/.docker, and the credential helpers
 * that it names (docs.docker.com, "docker login", "Credential stores"). What docker login has written works
 * here, and the other way round. docs/registries.md tells the user about it.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct credentials {
	char *username, *password;
	char *identity_token; /* OAuth 2's refresh token: exchanged for tokens; then there is no password */
	char *registry_token; /* a token as it is sent */
};                            /* all "": anonymous */
void credentials_free(struct credentials *c); /* overwrites them first; a zeroed one is fine */
static inline void cleanup_credentials(struct credentials *c)
{
	credentials_free(c);
}
#define _cleanup_credentials_ _cleanup_(cleanup_credentials)

bool credentials_anonymous(const struct credentials *c);

/*
 * The credentials for a repository ("" or NULL: the registry's) of a registry ("docker.io",
 * "localhost:5000"). An entry for a part of a registry's repositories ("quay.io/acme") counts before the
 * registry's. Anonymous where there are none. Errors: INVALID for a file that cannot be read as docker's;
 * those of a helper, which name it: NOT_FOUND where its program is not there, TIMEOUT, LIMIT, SYSTEM.
 */
int credentials_get(const char *registry, const char *repository, struct credentials *c, struct error *err);

/* Keeps them for a registry: username and password, or username and identity token. *where (the caller's; may
 * be NULL) is the file's path or the helper's name. Errors: as above; INVALID for a user name with ':';
 * DENIED for a file or folder of somebody else. */
int credentials_store(const char *registry, const struct credentials *c, char **where, struct error *err);

/* Forgets those of a registry, in the helper and in the file. */
int credentials_erase(const char *registry, bool *was_there, struct error *err);
