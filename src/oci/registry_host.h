/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as a whole: who logs in or searches names no repository. */
#pragma once

#include <stdbool.h>

#include "oci/registries.h"

struct registry_host {
	char *registry;            /* as it was meant: "docker.io", "sandboxes.io" */
	bool fallback;             /* it is where names without a registry are looked for */
	char *prefix;              /* what a mapping puts before its repositories: "acme/", or "" */
	struct endpoint *endpoint; /* the real one, after mappings; its repository is "" */

	struct endpoint *list;
	size_t count;
};
void registry_host_free(struct registry_host *h); /* a zeroed one is fine */
static inline void cleanup_registry_host(struct registry_host *h)
{
	registry_host_free(h);
}
#define _cleanup_registry_host_ _cleanup_(cleanup_registry_host)

/* text: "quay.io", "localhost:5000", with a scheme and "/v1/" or "/v2/" as docker takes them, too; NULL: the
 * default registry. home: that of registries.json. Errors: as registries_load(), registries_resolve() and
 * name_parse_prefix(); INVALID where a repository stands behind it. */
int registry_host_find(
	const char *home, const char *text, bool plain_http, struct registry_host *h, struct error *err);
