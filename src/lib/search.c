/* SPDX-License-Identifier: Apache-2.0 */
/* What registries have. */
#include "oci/search.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "lib/handle.h"

void monocore_found_free(struct monocore_found *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].name);
		free(list[i].description);
	}
	free(list);
}

static int give(struct registry_search *from, struct monocore_found **out, size_t *count, struct error *err)
{
	struct monocore_found *list = calloc(from->count + 1, sizeof *list);

	if (!list)
		return error_no_memory(err, "search results");
	for (size_t i = 0; i < from->count; i++) {
		struct registry_found *f = &from->list[i];

		list[i] = (struct monocore_found){
			TAKE_PTR(f->name), TAKE_PTR(f->description), f->stars, f->official};
	}
	*out = list;
	*count = from->count;
	return 0;
}

int monocore_search(struct monocore *mc, const char *term, const struct monocore_search_options *options,
	struct monocore_found **list, size_t *count, struct monocore_error *error)
{
	const struct monocore_search_options none = MONOCORE_SEARCH_OPTIONS_INIT;
	const struct monocore_search_options *o = options ? options : &none;
	struct search_options wanted = {.limit = o->limit, .plain_http = o->plain_http};
	struct registry_search found = {0};
	struct error err;
	int r = search_registry(mc->home.path, term, &wanted, &found, &err);

	if (r == 0)
		r = give(&found, list, count, &err);
	registry_search_free(&found);
	return r < 0 ? give_error(error, &err) : 0;
}

int monocore_tags(struct monocore *mc, const char *name, const struct monocore_search_options *options,
	char **repository, char ***tags, struct monocore_error *error)
{
	struct error err;

	if (search_tags(mc->home.path, name, options && options->plain_http, repository, tags, &err) < 0)
		return give_error(error, &err);
	return 0;
}
