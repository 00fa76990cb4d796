/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens, from the server that a registry names: asked for with the user's name and password (distribution's
 * docs/spec/auth/token.md), with a refresh token (docs/spec/auth/oauth.md), or by nobody in particular.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/registry_json.h"
#include "codec/secret.h"
#include "oci/registry_parts.h"

/* Who it was that was refused. */
static const char *describe(const struct credentials *who, char out[300])
{
	if (*who->username)
		snprintf(out, 300, "the user '%s'", who->username);
	else
		snprintf(
			out, 300, "%s", *who->identity_token ? "the identity token that is kept" : "anybody");
	return out;
}

/* ---- what a token is for ---------------------------------------------------------------------------- */

/* "repository:acme/x:pull,push": that of an endpoint, and the one that blobs are mounted from. Where there is
 * no repository, for searches, what the registry asks for; a login is for nothing in particular, as docker's
 * is: GHCR names a repository that is not there. */
static int own_scope(const struct registry *r, const struct challenge *c, char **scope, struct error *err)
{
	const char *repository = r->o.endpoint->repository, *from = r->o.from;

	if (!*repository)
		*scope = text_copy(r->o.login ? "" : c->scope, err);
	else
		*scope = text_format(err, "repository:%s:pull%s%s%s%s", repository, r->o.push ? ",push" : "",
			from ? " repository:" : "", from ? from : "", from ? ":pull" : "");
	return *scope ? 0 : -ERROR_NO_MEMORY;
}

/* Whether the word of n bytes is one of those in list, which are parted by `part`. */
static bool has_word(const char *list, size_t size, char part, const char *word, size_t n)
{
	const char *end = list + size;

	while (list < end) {
		const char *next = memchr(list, part, (size_t)(end - list));
		size_t length = (size_t)((next ? next : end) - list);

		if (length == n && !memcmp(list, word, n))
			return true;
		list += length + 1;
	}
	return false;
}

/* Whether the scopes grant one, "repository:acme/x:pull", of n bytes: each of its actions. */
static bool covers_one(const char *scopes, const char *one, size_t n)
{
	const char *colon = memrchr(one, ':', n), *end = one + n;
	size_t name = colon ? (size_t)(colon - one) + 1 : n;

	for (; *scopes; scopes += strcspn(scopes, " "), scopes += strspn(scopes, " ")) {
		size_t size = strcspn(scopes, " ");
		const char *action = one + name;

		if (size < name || (!colon && size != n) || memcmp(scopes, one, name) != 0)
			continue;
		while (action < end) {
			const char *comma = memchr(action, ',', (size_t)(end - action));
			size_t length = (size_t)((comma ? comma : end) - action);

			if (!has_word(scopes + name, size - name, ',', action, length))
				break;
			action += length + 1;
		}
		if (action >= end)
			return true;
	}
	return false;
}

bool registry_scope_covers(const char *scopes, const char *wanted)
{
	for (wanted += strspn(wanted, " "); *wanted; wanted += strspn(wanted, " ")) {
		size_t n = strcspn(wanted, " ");

		if (!covers_one(scopes, wanted, n))
			return false;
		wanted += n;
	}
	return true;
}

/*
 * The scopes to ask for, with the lock held. They are ours as long as these do: a registry behind a proxy
 * that changes paths names another repository than it is asked for (Artifactory), or none at all. What it
 * names counts in addition once it has refused a token for ours; a token server that does not know one of
 * them refuses all, and then get_token() asks for what the registry names alone.
 */
int registry_choose_scope(
	struct registry *r, const struct challenge *c, struct registry_question *x, struct error *err)
{
	bool refused = r->authorization && !registry_expired(r);
	_cleanup_free_ char *ours = NULL;
	int result = 0;

	if (r->scope)
		ours = text_copy(r->scope, err);
	else
		result = own_scope(r, c, &ours, err);
	if (result < 0 || !ours)
		return -ERROR_NO_MEMORY;
	x->added = refused && !registry_scope_covers(ours, c->scope);
	if (x->added)
		x->scope = text_format(err, "%s%s%s", ours, *ours ? " " : "", c->scope);
	else
		x->scope = TAKE_PTR(ours);
	return x->scope ? 0 : -ERROR_NO_MEMORY;
}

/* ---- tokens ----------------------------------------------------------------------------------------- */

static int append_parameter(struct buffer *out, const char *name, const char *value, struct error *err)
{
	_cleanup_secret_ char *escaped = http_escape(value, err);

	if (!escaped)
		return -ERROR_NO_MEMORY;
	buffer_format(out, "%s%s=%s", out->size ? "&" : "", name, escaped);
	return 0;
}

static int finish_text(struct buffer *b, char **text, struct error *err)
{
	*text = buffer_take_text(b);
	return *text ? 0 : error_no_memory(err, "a request for a token");
}

/* A parameter for each scope, as distribution's specification shows it. */
static int append_scopes(struct buffer *out, const char *scopes, struct error *err)
{
	int result = 0;

	for (; result == 0 && *scopes; scopes += strcspn(scopes, " "), scopes += strspn(scopes, " ")) {
		_cleanup_free_ char *one = text_copy_bytes(scopes, strcspn(scopes, " "), err);

		result = one ? append_parameter(out, "scope", one, err) : -ERROR_NO_MEMORY;
	}
	return result;
}

static int query_url(
	const struct registry *r, const struct registry_question *x, char **url, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	const char *user = registry_who(r)->username;
	int result = *x->service ? append_parameter(&b, "service", x->service, err) : 0;

	if (result == 0)
		result = append_scopes(&b, x->scope, err);
	if (result == 0 && *user)
		result = append_parameter(&b, "account", user, err);
	if (result == 0 && r->o.login) {
		result = append_parameter(&b, "client_id", "monocore", err);
		if (result == 0)
			result = append_parameter(&b, "offline_token", "true", err);
	}
	buffer_u8(&b, 0);
	if (result < 0 || b.failed)
		return error_no_memory(err, "a request for a token");
	*url = text_format(err, "%s%c%s", x->realm, strchr(x->realm, '?') ? '&' : '?', (const char *)b.data);
	return *url ? 0 : -ERROR_NO_MEMORY;
}

static int refresh_form(
	const struct registry *r, const struct registry_question *x, char **form, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer b = {0};
	const char *token = registry_who(r)->identity_token;
	int result = 0;

	if (!buffer_reserve(&b, 3 * (strlen(token) + strlen(x->service) + strlen(x->scope)) + 200))
		return error_no_memory(err, "a request for a token");
	if ((result = append_parameter(&b, "grant_type", "refresh_token", err)) < 0 ||
		(result = append_parameter(&b, "client_id", "monocore", err)) < 0 ||
		(result = append_parameter(&b, "service", x->service, err)) < 0 ||
		(result = *x->scope ? append_parameter(&b, "scope", x->scope, err) : 0) < 0 ||
		(result = append_parameter(&b, "refresh_token", token, err)) < 0)
		return result;
	return finish_text(&b, form, err);
}

/* Asks the server of tokens, a few times where it fails in passing. 0: there is an answer. */
static int ask(
	struct registry *r, const struct http_request *q, struct http_response *response, struct error *err)
{
	for (unsigned attempt = 1;; attempt++) {
		int result;

		if (response->text.data)
			explicit_bzero(response->text.data, response->text.size);
		http_response_free(response);
		result = registry_exchange(r, q, response, err);
		if (result == 0 && response->status == 200)
			return 0;
		if (attempt == 4 || !call_retryable(response))
			return result < 0 ? error_prefix(err, "get a token") : 0;
		result = registry_pause(r, response, attempt, err);
		if (result < 0)
			return result;
	}
}

static int ask_by_form(struct registry *r, const struct registry_question *x, struct http_response *response,
	struct error *err)
{
	static const char *const headers[] = {
		"User-Agent: monocore", "Content-Type: application/x-www-form-urlencoded", NULL};
	_cleanup_secret_ char *form = NULL;
	struct http_request q = {.method = "POST", .url = x->realm, .headers = headers};
	int result = refresh_form(r, x, &form, err);

	if (result < 0)
		return result;
	q.body = form;
	q.body_size = strlen(form);
	return ask(r, &q, response, err);
}

static int ask_by_query(struct registry *r, const struct registry_question *x, struct http_response *response,
	struct error *err)
{
	const struct credentials *who = registry_who(r);
	_cleanup_secret_ char *url = NULL, *basic = NULL;
	const char *headers[] = {"User-Agent: monocore", NULL, NULL};
	struct http_request q = {.method = "GET", .headers = headers};
	int result = query_url(r, x, &url, err);

	if (result == 0 && *who->identity_token)
		result = registry_basic_header(
			*who->username ? who->username : "<token>", who->identity_token, &basic, err);
	else if (result == 0 && *who->username)
		result = registry_basic_header(who->username, who->password, &basic, err);
	if (result < 0)
		return result;
	headers[1] = basic;
	q.url = url;
	return ask(r, &q, response, err);
}

/* Servers that do not know the form say so in all of these ways (containerd tells which do). */
static bool knows_no_form(const struct http_response *response)
{
	int s = response->status;

	return s == 400 || s == 401 || s == 404 || s == 405;
}

static int refused_token(const struct registry *r, const struct registry_question *x,
	const struct http_response *response, struct error *err)
{
	int s = response->status;
	struct registry_failure failure;
	char who[300], what[300];

	registry_failure_parse(response->text.data, response->text.size, &failure);
	if (s == 400 || s == 401 || s == 403)
		return error_set(err, ERROR_DENIED, "%s gives no token to %s: it answered %d%s%s%s", x->realm,
			describe(registry_who(r), who), s, *failure.text ? " " : "", failure.text,
			registry_advice(r, what));
	return error_set(err, ERROR_CLOSED, "%s gives no token: it answered %d%s%s", x->realm, s,
		*failure.text ? " " : "", failure.text);
}

static int ask_for(
	struct registry *r, const struct registry_question *x, struct registry_token *t, struct error *err)
{
	bool form = *registry_who(r)->identity_token;
	struct http_response response = {0};
	int result = form ? ask_by_form(r, x, &response, err) : ask_by_query(r, x, &response, err);

	if (result == 0 && form && knows_no_form(&response))
		result = ask_by_query(r, x, &response, err);
	if (result == 0 && response.status != 200)
		result = refused_token(r, x, &response, err);
	if (result == 0)
		result = registry_token_parse(response.text.data, response.text.size, t, err);
	if (response.text.data)
		explicit_bzero(response.text.data, response.text.size);
	http_response_free(&response);
	return result;
}

/* The server of tokens may be anywhere, but it must not be easier to listen to than the registry. */
static int check_realm(const struct registry *r, const struct challenge *c, char **realm, struct error *err)
{
	int result = http_resolve(r->base, c->realm, realm, err);

	if (result == 0 && http_is_secure(r->base) && !http_is_secure(*realm))
		result = error_set(
			err, ERROR_DENIED, "it would have credentials sent over plain HTTP, to %s", *realm);
	return result < 0 ? error_prefix(err, "%s: its server of tokens", registry_url(r)) : 0;
}

/* What to ask for where all of the scope was refused: what the registry names, by itself, or ours without the
 * repository that blobs would be mounted from; "" where nothing is left. */
static char *narrow_scope(const struct registry *r, const struct challenge *c,
	const struct registry_question *x, struct error *err)
{
	size_t first = strcspn(x->scope, " ");

	if (*c->scope && !r->o.login && (x->added || !registry_scope_covers(x->scope, c->scope)))
		return text_copy(c->scope, err);
	return text_copy_bytes(x->scope, r->o.from && x->scope[first] ? first : 0, err);
}

int registry_get_token(struct registry *r, const struct challenge *c, struct registry_question *x,
	struct registry_token *t, struct error *err)
{
	_cleanup_free_ char *realm = NULL, *narrow = NULL;
	int result = check_realm(r, c, &realm, err);

	if (result < 0)
		return result;
	x->realm = realm;
	x->service = c->service;
	result = ask_for(r, x, t, err);
	if (result != -ERROR_DENIED)
		return result;
	narrow = narrow_scope(r, c, x, NULL);
	if (!narrow || !*narrow)
		return result;
	free(x->scope);
	x->scope = TAKE_PTR(narrow);
	return ask_for(r, x, t, err);
}
