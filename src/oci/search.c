/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/search.h"

#include <string.h>

#include "base/text.h"
#include "http/client.h"
#include "oci/registry.h"
#include "oci/registry_host.h"
#include "oci/remote.h"

#define LIMIT_DEFAULT 25u
#define PAGE_MAX      100u /* results that Docker Hub gives at once */

#define HUB_API    "registry-1.docker.io"
#define HUB_SEARCH "index.docker.io"
#define QUAY       "quay.io"

static void cleanup_found(struct registry_search *s)
{
	registry_search_free(s);
}

struct search {
	struct registry_host host;
	struct registry *registry;
	struct credentials nobody;
	char *term;
	size_t limit;
	struct registry_search found; /* names as the registry has them */
};

static void search_close(struct search *s)
{
	if (s->registry)
		registry_free(s->registry);
	registry_host_free(&s->host);
	free(s->term);
	registry_search_free(&s->found);
}

/* ---- what is looked for, and where ------------------------------------------------------------------ */

/* "quay.io/postgres" names a registry as an image's name does; *term points behind it. */
static char *split(const char *text, const char **term, struct error *err)
{
	size_t n = strcspn(text, "/");
	_cleanup_free_ char *first = text_copy_bytes(text, n, err);

	*term = text;
	if (!first ||
		!(strchr(first, ':') || (text[n] && (strchr(first, '.') || !strcmp(first, "localhost")))))
		return NULL;
	*term = text[n] ? text + n + 1 : "";
	return TAKE_PTR(first);
}

/* Docker Hub is searched at another host, by anybody. */
static int open_registry(struct search *s, struct error *err)
{
	struct endpoint *e = s->host.endpoint;
	struct registry_options options = {.endpoint = e};

	if (!strcmp(e->host, HUB_API)) {
		free(e->host);
		e->host = text_copy(HUB_SEARCH, err);
		if (!e->host)
			return -ERROR_NO_MEMORY;
		options.credentials = &s->nobody;
	}
	return registry_open(&options, &s->registry, err);
}

/* ---- one registry's ways ---------------------------------------------------------------------------- */

/* Moves results over, up to the limit. */
static int add_results(struct search *s, struct registry_search *page, struct error *err)
{
	size_t room = s->limit - s->found.count, n = page->count < room ? page->count : room;
	struct registry_found *grown = realloc(s->found.list, (s->found.count + n + 1) * sizeof *grown);

	if (!grown)
		return error_no_memory(err, "search results");
	s->found.list = grown;
	for (size_t i = 0; i < n; i++) {
		grown[s->found.count++] = page->list[i];
		page->list[i] = (struct registry_found){0};
	}
	return 0;
}

/* Page after page of the path that `format` makes of the escaped term, how many, and which page. */
static int ask_pages(struct search *s,
	const char *(*path)(
		const struct search *s, const char *term, unsigned page, char **out, struct error *err),
	struct error *err)
{
	_cleanup_free_ char *term = http_escape(s->term, err);
	bool more = true;
	int r = term ? 0 : -ERROR_NO_MEMORY;

	for (unsigned page = 1; r == 0 && more && s->found.count < s->limit && page <= s->limit; page++) {
		_cleanup_(cleanup_found) struct registry_search results = {0};
		_cleanup_buffer_ struct buffer json = {0};
		_cleanup_free_ char *at = NULL;

		if (!path(s, term, page, &at, err))
			return -ERROR_NO_MEMORY;
		r = registry_get(s->registry, at, REGISTRY_JSON_MAX, &json, err);
		if (r == 0)
			r = registry_search_parse(json.data, json.size, &results, err);
		more = results.more && results.count > 0;
		if (r == 0)
			r = add_results(s, &results, err);
	}
	return r;
}

/* Docker's index API, which no document tells; docker itself asks it. */
static const char *v1_path(
	const struct search *s, const char *term, unsigned page, char **out, struct error *err)
{
	size_t n = s->limit < PAGE_MAX ? s->limit : PAGE_MAX;

	return *out = text_format(err, "/v1/search?q=%s&n=%zu&page=%u", term, n, page);
}

static const char *quay_path(
	const struct search *s, const char *term, unsigned page, char **out, struct error *err)
{
	(void)s;
	return *out = text_format(err, "/api/v1/find/repositories?query=%s&page=%u", term, page);
}

static int add_name(struct search *s, const char *name, struct error *err)
{
	struct registry_found one = {.name = text_copy(name, err), .description = text_copy("", err)};
	struct registry_search page = {.list = &one, .count = 1};
	int r = one.name && one.description ? add_results(s, &page, err) : -ERROR_NO_MEMORY;

	free(one.name);
	free(one.description);
	return r;
}

static int ask_catalog(struct search *s, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	int r = registry_catalog(s->registry, &names, err);

	for (char **n = names; r == 0 && n && *n && s->found.count < s->limit; n++)
		if (text_starts(*n, s->host.prefix) && strcasestr(*n + strlen(s->host.prefix), s->term))
			r = add_name(s, *n, err);
	return r;
}

/* Another way may lead there where this one was refused, not where nobody is there. */
static bool may_differ(int r)
{
	return r == -ERROR_NOT_FOUND || r == -ERROR_DENIED || r == -ERROR_INVALID || r == -ERROR_LIMIT;
}

static int ask_any(struct search *s, struct error *err)
{
	int r = ask_catalog(s, err);
	struct error other;

	if (!may_differ(r))
		return r;
	registry_search_free(&s->found);
	if (ask_pages(s, v1_path, &other) == 0)
		return 0;
	if (r != -ERROR_NOT_FOUND && r != -ERROR_INVALID)
		return r;
	return error_set(err, ERROR_UNAVAILABLE,
		"%s has no search; tags of a repository that you know: 'monocore search --tags %s/NAME'",
		s->host.registry, s->host.registry);
}

static int ask(struct search *s, struct error *err)
{
	const char *host = s->host.endpoint->host;

	if (!strcmp(host, HUB_SEARCH) || !strcmp(host, QUAY)) {
		if (!*s->term)
			return error_set(err, ERROR_INVALID, "%s is too large to list: say what to look for",
				s->host.registry);
		return ask_pages(s, !strcmp(host, QUAY) ? quay_path : v1_path, err);
	}
	return ask_any(s, err);
}

/* ---- results ---------------------------------------------------------------------------------------- */

/* Names as they are pulled: without what a mapping adds, and with the registry unless it is the default one.
 * What a mapping leaves out goes. */
static int give_names(struct search *s, struct error *err)
{
	size_t kept = 0, prefix = strlen(s->host.prefix);

	for (size_t i = 0; i < s->found.count; i++) {
		struct registry_found f = s->found.list[i];

		s->found.list[i] = (struct registry_found){0};
		s->found.list[kept] = f;
		if (!text_starts(f.name, s->host.prefix)) {
			free(f.name);
			free(f.description);
			s->found.list[kept] = (struct registry_found){0};
			continue;
		}
		s->found.list[kept].name =
			text_format(err, "%s%s%s", s->host.fallback ? "" : s->host.registry,
				s->host.fallback ? "" : "/", f.name + prefix);
		free(f.name);
		if (!s->found.list[kept++].name)
			return -ERROR_NO_MEMORY;
	}
	s->found.count = kept;
	return 0;
}

int search_registry(const char *home, const char *text, const struct search_options *o,
	struct registry_search *found, struct error *err)
{
	char none[1] = "";
	_cleanup_(search_close) struct search s = {.nobody = {none, none, none, none}};
	_cleanup_free_ char *registry = NULL;
	const char *term;
	int r;

	*found = (struct registry_search){0};
	if (o->limit > SEARCH_LIMIT_MAX)
		return error_set(err, ERROR_LIMIT, "search: at most %u results", SEARCH_LIMIT_MAX);
	s.limit = o->limit ? o->limit : LIMIT_DEFAULT;
	registry = split(text, &term, err);
	r = registry_host_find(home, registry, o->plain_http, &s.host, err);
	if (r == 0 && !strcmp(s.host.endpoint->host, HUB_API) && text_starts(term, "library/"))
		term += strlen("library/"); /* that is not how the Hub's search calls them */
	if (r == 0 && !(s.term = text_copy(term, err)))
		r = -ERROR_NO_MEMORY;
	if ((r < 0) || (r = open_registry(&s, err)) < 0 || (r = ask(&s, err)) < 0 ||
		(r = give_names(&s, err)) < 0)
		return r;
	*found = s.found;
	s.found = (struct registry_search){0};
	return 0;
}

int search_tags(const char *home, const char *name, bool plain_http, char **repository, char ***tags,
	struct error *err)
{
	struct remote_options options = {.plain_http = plain_http};
	struct remote remote;
	int r = remote_open(home, name, &options, &remote, err), last = -ERROR_NOT_FOUND;

	if (r < 0)
		return r;
	*repository = text_format(err, "%s/%s", remote.name.registry, remote.name.repository);
	r = *repository ? 0 : -ERROR_NO_MEMORY;
	for (size_t i = 0; r == 0 && last < 0 && i < remote.registry_count; i++)
		last = registry_tags(remote.registries[i], tags, err);
	r = r < 0 ? r : last;
	if (r < 0)
		free(TAKE_PTR(*repository));
	remote_close(&remote);
	return r;
}
