/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_scene.h"

#include <stdlib.h>

#include "test.h"

static char nothing[1] = "";

struct scene scene_prepare(const struct http_answer *table, struct http_server *other)
{
	static const char *const proxies[] = {
		"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"};
	struct scene s = {.server = http_server_start(table, other)};

	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		unsetenv(proxies[i]);
	s.endpoint = (struct endpoint){.registry = "reg.test",
		.host = http_server_host(s.server),
		.repository = "a/b",
		.plain_http = true,
		.ca_file = nothing};
	s.who = (struct credentials){nothing, nothing, nothing, nothing};
	return s;
}

void scene_open(struct scene *s)
{
	struct error err = {0};

	s->options.endpoint = &s->endpoint;
	s->options.credentials = &s->who;
	CHECK_OK(registry_open(&s->options, &s->registry, &err));
}

struct scene scene_make(const struct http_answer *table)
{
	return scene_prepare(table, NULL);
}

void scene_end(struct scene *s)
{
	if (s->registry)
		registry_free(s->registry);
	http_server_stop(s->server);
}

int scene_get(struct scene *s, struct error *err)
{
	struct registry_manifest m;
	int r = registry_manifest_get(s->registry, "1", &m, err);

	if (r == 0)
		registry_manifest_free(&m);
	return r;
}

/* What a GET of a manifest comes to, with a table. */
int scene_try(const struct http_answer *table, struct error *err)
{
	struct scene s = scene_make(table);
	int r;

	scene_open(&s);
	r = scene_get(&s, err);
	scene_end(&s);
	return r;
}
