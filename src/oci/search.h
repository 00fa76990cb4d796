/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registries have. There is no standard for searching them: Docker Hub has its /v1/search, Quay an API
 * of its own, others list their repositories (distribution's /v2/_catalog) or have /v1/search as well, and
 * many let nobody search at all. Tags are listed as the OCI Distribution Specification v1.1 has it.
 */
#pragma once

#include "codec/registry_json.h"

#define SEARCH_LIMIT_MAX 1000u

struct search_options {
	unsigned limit; /* results at most; 0: 25 */
	bool plain_http;
};

/* text: "postgres", "quay.io/postgres"; "localhost:5000/" finds all there is. Names are as they are pulled.
 * home: that of registries.json. Errors: UNAVAILABLE where the registry has no search; DENIED; INVALID; those
 * of registry_get(). */
int search_registry(const char *home, const char *text, const struct search_options *options,
	struct registry_search *found, struct error *err);

/* *repository: "docker.io/library/alpine"; *tags: NULL-terminated. The caller frees both. */
int search_tags(const char *home, const char *name, bool plain_http, char **repository, char ***tags,
	struct error *err);
