/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of an image in a registry, by docker's grammar (github.com/distribution/reference):
 *
 *     [REGISTRY/]REPOSITORY[:TAG][@DIGEST]
 *
 * The first component is a registry only where it has a dot, a colon or an upper-case letter, or is
 * "localhost"; docker.io is also called index.docker.io and registry-1.docker.io, and a repository of one
 * component there stands in "library/".
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#define NAME_DEFAULT_REGISTRY "docker.io"
#define NAME_REPOSITORY_MAX   255u
#define NAME_TAG_MAX          128u

struct name {
	char *registry;   /* "docker.io", "localhost:5000", "[::1]:5000": a host with or without a port */
	char *repository; /* "library/alpine" */
	char *tag;        /* "latest" where neither tag nor digest was written; "" where only a digest was */
	char *digest;     /* "" or "sha256:…" */
};
void name_free(struct name *n); /* a zeroed one is fine */
static inline void cleanup_name(struct name *n)
{
	name_free(n);
}
#define _cleanup_name_ _cleanup_(cleanup_name)

/* default_registry: where names without a registry are looked for; NULL: docker.io. Errors: INVALID or LIMIT,
 * with the text, the reason and, where there is one, what was probably meant; NO_MEMORY. */
int name_parse(const char *text, const char *default_registry, struct name *n, struct error *err);

/* "docker.io/library/alpine:3", "quay.io/a/b@sha256:…", "quay.io/a/b:1@sha256:…". The caller frees it. */
char *name_text(const struct name *n, struct error *err);

/* As docker shows the canonical name: "alpine:3". The shortest form that, with this default registry, means
 * the same. The caller frees it; NULL on errors, which are those of name_parse(). */
char *name_familiar(const char *canonical, const char *default_registry, struct error *err);

/* A registry, or a part of its repositories, as configuration names it: "HOST[:PORT][/REPOSITORY]". The first
 * component is the registry, whatever it looks like; *repository is "" where there is no more. The caller
 * frees both. Errors as name_parse(), without a word before the text. */
int name_parse_prefix(const char *text, char **registry, char **repository, struct error *err);
