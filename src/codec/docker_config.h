/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's config.json as far as it holds credentials (github.com/docker/cli, cli/config/configfile), and the
 * messages of its credential helpers (github.com/docker/docker-credential-helpers). Bytes in, bytes out. All
 * that is freed here is overwritten first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define DOCKER_CONFIG_MAX ((size_t)1 << 20) /* bytes of the file */

struct docker_auth {
	char *key; /* as it is written; NULL where it is no entry of a file */
	char *username, *password, *identity_token, *registry_token; /* "" where not given */
	bool broken; /* its `auth` is not base64 of "user:password" */
};
void docker_auth_free(struct docker_auth *a); /* a zeroed one is fine */

struct docker_helper {
	char *key, *name;
};

struct docker_config {
	struct docker_auth *auths;
	size_t auth_count;
	struct docker_helper *helpers; /* for one registry each */
	size_t helper_count;
	char *store; /* the helper of all others, or "" */
};
void docker_config_free(struct docker_config *c);

/* `what` names the file in errors. No bytes are an empty file. Errors: INVALID, LIMIT, NO_MEMORY. */
int docker_config_parse(
	const void *json, size_t n, const char *what, struct docker_config *c, struct error *err);

/*
 * The file's bytes, changed (appended to out): the entry of `auths` whose key is auth->key gets username,
 * password and identity token of *auth, or none where these are "". All else keeps its values and its order,
 * other members of the entry as well. Indented with tabs, as docker writes it.
 */
int docker_config_set(const void *json, size_t n, const char *what, const struct docker_auth *auth,
	struct buffer *out, struct error *err);

/* The same without that entry. */
int docker_config_remove(
	const void *json, size_t n, const char *what, const char *key, struct buffer *out, struct error *err);

/* ---- keys ---- */

/* The key that docker keeps a registry's credentials under: "https://index.docker.io/v1/" for docker.io,
 * otherwise the name itself. Valid as long as its argument. */
const char *docker_config_key(const char *registry);

/*
 * How well a key fits a repository of a registry: 0 not at all, else more for more components of the
 * repository that the key names ("quay.io/acme", as podman writes them), and for docker's own spelling. With
 * a scheme, or a path such as "/v1/", a key is the registry's. *whole (may be NULL): it is the registry's,
 * not of a part of it.
 */
size_t docker_config_fit(const char *key, const char *registry, const char *repository, bool *whole);

/* ---- helpers ---- */

/* What a helper answers to `get`: {"ServerURL", "Username", "Secret"}. The user name "<token>" makes the
 * secret an identity token. */
int docker_helper_parse(
	const void *json, size_t n, const char *what, struct docker_auth *auth, struct error *err);

/* What it is given for `store`, for a key. */
int docker_helper_request(const struct docker_auth *auth, struct buffer *out, struct error *err);

/* Whether it has ended with the words for "there is none", on its standard output. */
bool docker_helper_not_found(const void *output, size_t n);
