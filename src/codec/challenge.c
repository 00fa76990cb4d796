/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "codec/http_headers.h"

static void free_one(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct challenge){0};
}

void challenges_free(struct challenges *c)
{
	while (c->count > 0)
		free_one(&c->list[--c->count]);
}

const struct challenge *challenges_find(const struct challenges *c, enum challenge_scheme scheme)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].scheme == scheme)
			return &c->list[i];
	return NULL;
}

static int wrong(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, "header WWW-Authenticate: %s", what);
}

static bool same(const char *word, size_t n, const char *wanted)
{
	return n == strlen(wanted) && strncasecmp(word, wanted, n) == 0;
}

/* Keeps a parameter that somebody asks for. One that comes twice could be read in two ways. */
static int keep(struct challenge *c, const char *name, size_t n, char **value, struct error *err)
{
	const struct {
		const char *name;
		char **place;
	} known[] = {
		{"realm", &c->realm}, {"service", &c->service}, {"scope", &c->scope}, {"error", &c->error}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!same(name, n, known[i].name))
			continue;
		if (*known[i].place)
			return error_set(err, ERROR_INVALID, "header WWW-Authenticate: %s is there twice",
				known[i].name);
		*known[i].place = TAKE_PTR(*value);
	}
	return 0;
}

/* Skips a token68 (§11.2), such as the data of a Negotiate: what ends in '=' signs, or at a comma, without a
 * value. */
static bool take_data(struct header_cursor *c)
{
	struct header_cursor at = *c;
	const char *token;

	while (at.at < at.end && (header_token(&at, &token) || header_take(&at, '/')))
		;
	if (at.at == c->at)
		return false;
	while (header_take(&at, '='))
		;
	header_skip_space(&at);
	if (at.at < at.end && *at.at != ',')
		return false;
	*c = at;
	return true;
}

static int add_scheme(struct challenges *c, const char *name, size_t n, struct error *err)
{
	if (c->count == CHALLENGES_MAX)
		return error_set(
			err, ERROR_LIMIT, "header WWW-Authenticate: over %u challenges", CHALLENGES_MAX);
	c->list[c->count++] = (struct challenge){.scheme = same(name, n, "basic")    ? CHALLENGE_BASIC
							   : same(name, n, "bearer") ? CHALLENGE_BEARER
										     : CHALLENGE_OTHER};
	return 0;
}

/* One element of the list: a scheme, with or without its first parameter, or a further parameter of the
 * scheme before. Which of the two a word is, the '=' behind it tells. */
static int element(struct challenges *c, struct header_cursor *at, bool first, struct error *err)
{
	_cleanup_free_ char *value = NULL;
	const char *name;
	size_t n = header_token(at, &name);
	bool spaced;
	int r;

	if (n == 0)
		return wrong(err, "a scheme is missing");
	spaced = at->at < at->end && (*at->at == ' ' || *at->at == '\t');
	header_skip_space(at);
	if (at->at == at->end || *at->at != '=') {
		r = add_scheme(c, name, n, err);
		if (r < 0 || at->at == at->end || *at->at == ',' || (spaced && take_data(at)))
			return r;
		n = header_token(at, &name);
		if (!spaced || n == 0)
			return wrong(err, "a parameter is missing");
		header_skip_space(at);
	} else if (first) {
		return wrong(err, "it starts without a scheme");
	}
	if (!header_take(at, '='))
		return wrong(err, "a parameter has no value");
	header_skip_space(at);
	r = header_value(at, &value, err);
	return r < 0 ? r : keep(&c->list[c->count - 1], name, n, &value, err);
}

/* No member stays NULL. */
static int fill(struct challenge *c, struct error *err)
{
	char **places[] = {&c->realm, &c->service, &c->scope, &c->error};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!*places[i] && !(*places[i] = strdup("")))
			return error_no_memory(err, "read a header");
	return 0;
}

int challenges_add(struct challenges *c, const char *value, size_t n, struct error *err)
{
	struct header_cursor at = {value, value + n};
	size_t before = c->count;
	int r = 0;

	if (n > HTTP_HEADER_MAX)
		return error_set(err, ERROR_LIMIT, "header WWW-Authenticate: over %u bytes", HTTP_HEADER_MAX);
	for (header_skip_list(&at); r == 0 && at.at < at.end; header_skip_list(&at)) {
		r = element(c, &at, c->count == before, err);
		header_skip_space(&at);
		if (r == 0 && at.at < at.end && *at.at != ',')
			r = wrong(err, "a comma is missing");
	}
	for (size_t i = before; r == 0 && i < c->count; i++)
		r = fill(&c->list[i], err);
	while (r < 0 && c->count > before)
		free_one(&c->list[--c->count]);
	return r;
}
