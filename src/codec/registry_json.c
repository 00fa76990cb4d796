/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/registry_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/date.h"
#include "codec/json.h"
#include "codec/printable.h"

#define ALPHANUMERIC    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define TAG_MAX         128u
#define REPOSITORY_MAX  255u
#define DESCRIPTION_MAX 1024u
#define TOKEN_LIFETIME  60u

/* ---- tokens ----------------------------------------------------------------------------------------- */

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void registry_token_free(struct registry_token *t)
{
	wipe(t->token);
	wipe(t->refresh_token);
	*t = (struct registry_token){0};
}

/* A token goes into a header, or a form, as it is. */
static int take_token(const char *text, const char *what, char **out, struct error *err)
{
	size_t n = strlen(text);

	if (n > REGISTRY_TOKEN_MAX)
		return error_set(
			err, ERROR_LIMIT, "token answer: %s is over %u bytes", what, REGISTRY_TOKEN_MAX);
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return error_set(err, ERROR_INVALID,
				"token answer: %s has characters that no token has", what);
	*out = text_copy(text, err);
	return *out ? 0 : -ERROR_NO_MEMORY;
}

static int read_token(const json_t *root, struct registry_token *t, struct error *err)
{
	const char *token, *access, *refresh, *issued;
	const json_t *lifetime = json_object_get(root, "expires_in");
	int r;

	if ((r = json_text(root, "token", "token answer", &token, err)) < 0 ||
		(r = json_text(root, "access_token", "token answer", &access, err)) < 0 ||
		(r = json_text(root, "refresh_token", "token answer", &refresh, err)) < 0 ||
		(r = json_text(root, "issued_at", "token answer", &issued, err)) < 0)
		return r;
	token = token && *token ? token : access;
	if (!token || !*token)
		return error_set(err, ERROR_INVALID, "token answer: it holds no token");
	if (lifetime && !json_is_null(lifetime) &&
		(!json_is_number(lifetime) || json_number_value(lifetime) < 0))
		return error_set(err, ERROR_INVALID, "token answer: expires_in is not a number of seconds");
	t->lifetime = TOKEN_LIFETIME;
	if (json_number_value(lifetime) >= 1)
		t->lifetime = json_number_value(lifetime) < 1e9 ? (uint64_t)json_number_value(lifetime)
								: (uint64_t)1000000000;
	if (!issued || !date_parse_rfc3339(issued, strlen(issued), &t->issued_at))
		t->issued_at = 0;
	r = take_token(token, "the token", &t->token, err);
	return r < 0 ? r : take_token(refresh ? refresh : "", "refresh_token", &t->refresh_token, err);
}

int registry_token_parse(const void *json, size_t n, struct registry_token *t, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	int r = json_parse(json, n, REGISTRY_JSON_MAX, false, "token answer", &root, err);

	*t = (struct registry_token){0};
	if (r < 0)
		return r;
	r = read_token(root, t, err);
	json_wipe(root);
	if (r < 0)
		registry_token_free(t);
	return r;
}

/* ---- lists of names --------------------------------------------------------------------------------- */

/* A name of at most `limit` letters, digits and `marks`, none of these at the start but '_'. */
static bool is_name(const char *text, const char *marks, size_t limit)
{
	size_t n = strlen(text);

	for (const char *p = text; *p; p++)
		if (!strchr(ALPHANUMERIC, *p) && (!strchr(marks, *p) || (p == text && *p != '_')))
			return false;
	return n > 0 && n <= limit;
}

static int read_names(const char *what, const json_t *array, const char *marks, size_t limit, char ***out,
	struct error *err)
{
	_cleanup_text_list_ char **list = NULL;
	size_t n = json_array_size(array);

	if (array && !json_is_array(array) && !json_is_null(array))
		return error_set(err, ERROR_INVALID, "list of %s: not a list", what);
	if (n > REGISTRY_LIST_MAX)
		return error_set(err, ERROR_LIMIT, "list of %s: over %u of them", what, REGISTRY_LIST_MAX);
	list = calloc(n + 1, sizeof *list);
	if (!list)
		return error_no_memory(err, what);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || !is_name(text, marks, limit))
			return error_set(err, ERROR_INVALID, "list of %s: number %zu, '%.300s', is no name",
				what, i + 1, text ? text : "");
		list[i] = text_copy(text, err);
		if (!list[i])
			return -ERROR_NO_MEMORY;
	}
	*out = TAKE_PTR(list);
	return 0;
}

int registry_tags_parse(const void *json, size_t n, char ***tags, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	int r = json_parse(json, n, REGISTRY_JSON_MAX, false, "list of tags", &root, err);

	*tags = NULL;
	return r < 0 ? r : read_names("tags", json_object_get(root, "tags"), "_.-", TAG_MAX, tags, err);
}

int registry_catalog_parse(const void *json, size_t n, char ***repositories, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	int r = json_parse(json, n, REGISTRY_JSON_MAX, false, "list of repositories", &root, err);

	*repositories = NULL;
	return r < 0 ? r
		     : read_names("repositories", json_object_get(root, "repositories"), "_.-/",
			       REPOSITORY_MAX, repositories, err);
}

/* ---- search results --------------------------------------------------------------------------------- */

void registry_search_free(struct registry_search *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->list[i].name);
		free(s->list[i].description);
	}
	free(s->list);
	*s = (struct registry_search){0};
}

static uint64_t read_stars(const json_t *entry, const char *key)
{
	json_int_t stars = json_integer_value(json_object_get(entry, key));

	return stars > 0 ? (uint64_t)stars : 0;
}

/* Quay splits a name in two ("namespace": {"name": ...}); Docker Hub does not. */
static int read_found(const json_t *entry, struct registry_found *found, struct error *err)
{
	const json_t *space = json_object_get(entry, "namespace");
	const char *owner = json_string_value(json_object_get(space, "name")), *name, *description;
	char line[DESCRIPTION_MAX];
	int r;

	if ((r = json_text(entry, "name", "search result", &name, err)) < 0 ||
		(r = json_text(entry, "description", "search result", &description, err)) < 0)
		return r;
	found->name = text_format(err, "%s%s%s", owner ? owner : "", owner ? "/" : "", name ? name : "");
	if (!found->name)
		return -ERROR_NO_MEMORY;
	if (!is_name(found->name, "_.-/:", REPOSITORY_MAX))
		return error_set(err, ERROR_INVALID, "search result: '%.300s' is no name", found->name);
	printable_line(
		description ? description : "", description ? strlen(description) : 0, line, sizeof line);
	found->description = text_copy(line, err);
	found->stars = read_stars(entry, owner ? "stars" : "star_count");
	found->official = json_is_true(json_object_get(entry, "is_official"));
	return found->description ? 0 : -ERROR_NO_MEMORY;
}

static int read_results(const json_t *root, struct registry_search *s, struct error *err)
{
	const json_t *results = json_object_get(root, "results");
	size_t n = json_array_size(results);
	int r = 0;

	if (!json_is_array(results))
		return error_set(err, ERROR_INVALID, "search result: it holds no results");
	if (n > REGISTRY_LIST_MAX)
		return error_set(err, ERROR_LIMIT, "search result: over %u results", REGISTRY_LIST_MAX);
	s->list = calloc(n + 1, sizeof *s->list);
	if (!s->list)
		return error_no_memory(err, "read search results");
	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *entry = json_array_get(results, i);
		const char *kind = json_string_value(json_object_get(entry, "kind"));

		/* Quay finds things that are no images, too. */
		if (!kind || strcmp(kind, "repository") == 0)
			r = read_found(entry, &s->list[s->count++], err);
	}
	s->more = json_is_true(json_object_get(root, "has_additional")) ||
		  json_integer_value(json_object_get(root, "page")) <
			  json_integer_value(json_object_get(root, "num_pages"));
	return r;
}

int registry_search_parse(const void *json, size_t n, struct registry_search *s, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	int r = json_parse(json, n, REGISTRY_JSON_MAX, false, "search result", &root, err);

	*s = (struct registry_search){0};
	if (r == 0)
		r = read_results(root, s, err);
	if (r < 0)
		registry_search_free(s);
	return r;
}
