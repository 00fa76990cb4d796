/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/registry_host.h"

#include <string.h>

#include "base/text.h"

#define ANY_REPOSITORY "x/x" /* two components: one alone may get "library/" before it */

void registry_host_free(struct registry_host *h)
{
	free(h->registry);
	free(h->prefix);
	endpoints_free(h->list, h->count);
	*h = (struct registry_host){0};
}

/* "https://index.docker.io/v1/" is "index.docker.io". */
static char *strip(const char *text, struct error *err)
{
	static const char *const schemes[] = {"https://", "http://"};
	static const char *const paths[] = {"/", "/v1", "/v1/", "/v2", "/v2/"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (text_starts(text, schemes[i])) {
			text += strlen(schemes[i]);
			break;
		}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!strcmp(text + strcspn(text, "/"), paths[i]))
			return text_copy_bytes(text, strcspn(text, "/"), err);
	return text_copy(text, err);
}

static int parse(const char *text, char **registry, struct error *err)
{
	_cleanup_free_ char *stripped = strip(text, err), *repository = NULL;
	int r = stripped ? name_parse_prefix(stripped, registry, &repository, err) : -ERROR_NO_MEMORY;

	if (r == 0 && *repository)
		return error_set(err, ERROR_INVALID,
			"'%s': a registry stands here, without a repository: '%s'", text, *registry);
	return r;
}

int registry_host_find(
	const char *home, const char *text, bool plain_http, struct registry_host *h, struct error *err)
{
	_cleanup_(cleanup_registries) struct registries *r = NULL;
	_cleanup_registry_host_ struct registry_host found = {0};
	struct name name = {
		.repository = (char[]){ANY_REPOSITORY}, .tag = (char[]){""}, .digest = (char[]){""}};
	size_t n;
	int result = registries_load(home, &r, err);

	*h = (struct registry_host){0};
	if (result == 0)
		result = parse(text ? text : registries_default(r), &found.registry, err);
	if (result < 0)
		return result;
	found.fallback = !strcmp(found.registry, registries_default(r));
	name.registry = found.registry;
	result = registries_resolve(r, &name, &found.list, &found.count, err);
	if (result < 0)
		return result;
	found.endpoint = &found.list[found.count - 1];
	found.endpoint->plain_http |= plain_http;
	n = strlen(found.endpoint->repository);
	found.prefix = text_copy_bytes(found.endpoint->repository, n - strlen(ANY_REPOSITORY), err);
	if (!found.prefix)
		return -ERROR_NO_MEMORY;
	found.endpoint->repository[0] = 0;
	*h = found;
	found = (struct registry_host){0};
	return 0;
}
