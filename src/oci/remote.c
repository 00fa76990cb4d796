/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/remote.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int open_all(struct remote *r, const struct remote_options *o, struct error *err)
{
	struct registry_options options = {
		.credentials = o->credentials, .push = o->push, .from = o->from, .stop = &r->stop};
	int result = 0;

	r->registries = calloc(r->count, sizeof(struct registry *));
	if (!r->registries)
		return error_no_memory(err, "registries");
	for (size_t i = 0; result == 0 && i < r->count; i++) {
		struct endpoint *e = &r->endpoints[i];

		if (o->push && e->mirror)
			continue; /* takes no pushes */
		e->plain_http |= o->plain_http;
		options.endpoint = e;
		result = registry_open(&options, &r->registries[r->registry_count], err);
		r->registry_count += result == 0;
	}
	return result;
}

int remote_open(const char *home, const char *text, const struct remote_options *options, struct remote *r,
	struct error *err)
{
	static const struct remote_options none;
	int result;

	*r = (struct remote){0};
	result = registries_load(home, &r->configuration, err);
	if (result == 0)
		result = name_parse(text, registries_default(r->configuration), &r->name, err);
	if (result == 0)
		result = registries_resolve(r->configuration, &r->name, &r->endpoints, &r->count, err);
	if (result == 0)
		result = open_all(r, options ? options : &none, err);
	if (result < 0)
		remote_close(r);
	return result;
}

void remote_close(struct remote *r)
{
	for (size_t i = 0; i < r->registry_count; i++)
		registry_free(r->registries[i]);
	free(r->registries);
	endpoints_free(r->endpoints, r->count);
	registries_free(r->configuration);
	name_free(&r->name);
	*r = (struct remote){0};
}

const struct endpoint *remote_endpoint(const struct remote *r, size_t at)
{
	/* Registries are of the last endpoints: a push leaves the mirrors out, which come first. */
	return &r->endpoints[r->count - r->registry_count + at];
}

char *remote_store_name(const struct name *name, struct error *err)
{
	if (*name->digest)
		return text_format(err, "%s/%s@%s", name->registry, name->repository, name->digest);
	return text_format(err, "%s/%s:%s", name->registry, name->repository, name->tag);
}

int remote_manifest(struct remote *r, const char *reference, bool head, struct registry_manifest *m,
	size_t *at, struct error *err)
{
	int result = -ERROR_NOT_FOUND;

	for (*at = 0; *at < r->registry_count; ++*at) {
		struct registry *registry = r->registries[*at];

		result = head ? registry_manifest_head(registry, reference, m, err)
			      : registry_manifest_get(registry, reference, m, err);
		if (result == 0 || result == -ERROR_NO_MEMORY)
			break;
	}
	return result;
}
