/* SPDX-License-Identifier: Apache-2.0 */
/* A registry that answers from a table, and a client of it. */
#pragma once

#include "http_server.h"
#include "oci/registry.h"
#include "oci/registry_parts.h"

#define JSON    "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
#define AT_ONCE "Retry-After: 0\r\n"
#define BEARER \
	"WWW-Authenticate: Bearer realm=\"{url}/token\",service=\"s\",scope=\"repository:a/b:pull\"\r\n"
#define BASIC    "WWW-Authenticate: Basic realm=\"x\"\r\n"
#define MANIFEST "/v2/a/b/manifests/1"
#define BLOB     "sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" /* of "0123456789" */
#define ASKS \
	{ \
		.target = "/v2/*", .status = 401, .headers = BEARER \
	}
#define END \
	{ \
		.target = NULL \
	}

struct scene {
	struct http_server *server;
	struct endpoint endpoint;
	struct credentials who;
	struct registry_options options;
	struct registry *registry;
};

struct scene scene_prepare(const struct http_answer *table, struct http_server *other);
void scene_open(struct scene *s);
struct scene scene_make(const struct http_answer *table);
void scene_end(struct scene *s);
int scene_get(struct scene *s, struct error *err);
/* What a GET of a manifest comes to, with a table. */
int scene_try(const struct http_answer *table, struct error *err);
