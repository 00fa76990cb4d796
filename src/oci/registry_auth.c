/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: Basic (RFC 7617), or a token from the server that the registry names. A token is asked for
 * with the user's name and password (distribution's docs/spec/auth/token.md) or with a refresh token
 * (docs/spec/auth/oauth.md), or by nobody in particular.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/base64.h"
#include "codec/challenge.h"
#include "codec/registry_json.h"
#include "codec/secret.h"
#include "oci/registry_parts.h"

/* A token is not used in its last seconds: what is sent with it takes time to arrive. */
#define LAST_SECONDS 5u

#define BASIC "Authorization: Basic "

static const struct credentials *credentials_of(const struct registry *r)
{
	return r->o.credentials ? r->o.credentials : &r->credentials;
}

int registry_authorization(struct registry *r, char **header, unsigned *generation, struct error *err)
{
	int result = 0;

	*header = NULL;
	pthread_mutex_lock(&r->lock);
	*generation = r->generation;
	if (r->authorization && (!r->expires || clock_monotonic() < r->expires)) {
		*header = text_copy(r->authorization, err);
		result = *header ? 0 : -ERROR_NO_MEMORY;
	}
	pthread_mutex_unlock(&r->lock);
	return result;
}

static int basic_header(const char *user, const char *password, char **header, struct error *err)
{
	_cleanup_secret_ char *pair = text_format(err, "%s:%s", user, password);
	_cleanup_secret_ char *encoded = pair ? base64_encode(pair, strlen(pair), err) : NULL;

	*header = encoded ? text_format(err, BASIC "%s", encoded) : NULL;
	return *header ? 0 : -ERROR_NO_MEMORY;
}

/* What to do about a refusal; nothing is to be added to a login that failed. */
static const char *advice(const struct registry *r, char out[300])
{
	snprintf(out, 300, ": run 'monocore login %s'", r->o.endpoint->registry);
	return r->o.login ? "" : out;
}

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

struct question {
	const char *realm, *service;
	char *scope; /* parted by spaces */
	bool added;  /* what the registry names stands in it beside ours */
};

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

		if (size < name || memcmp(scopes, one, name) != 0)
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

static bool covers(const char *scopes, const char *wanted)
{
	for (; *wanted; wanted += strcspn(wanted, " "), wanted += strspn(wanted, " "))
		if (!covers_one(scopes, wanted, strcspn(wanted, " ")))
			return false;
	return true;
}

/*
 * The scopes to ask for, with the lock held. They are ours as long as these do: a registry behind a proxy
 * that changes paths names another repository than it is asked for (Artifactory), or none at all. What it
 * names counts in addition once it has refused a token for ours; a token server that does not know one of
 * them refuses all, and then get_token() asks for what the registry names alone.
 */
static int choose_scope(struct registry *r, const struct challenge *c, struct question *x, struct error *err)
{
	bool refused = r->authorization && (!r->expires || clock_monotonic() < r->expires);
	_cleanup_free_ char *ours = NULL;
	int result = 0;

	if (r->scope)
		ours = text_copy(r->scope, err);
	else
		result = own_scope(r, c, &ours, err);
	if (result < 0 || !ours)
		return -ERROR_NO_MEMORY;
	x->added = refused && !covers(ours, c->scope);
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

static int query_url(const struct registry *r, const struct question *x, char **url, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	const char *user = credentials_of(r)->username;
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

static int refresh_form(const struct registry *r, const struct question *x, char **form, struct error *err)
{
	_cleanup_secret_buffer_ struct buffer b = {0};
	const char *token = credentials_of(r)->identity_token;
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

static int ask_by_form(
	struct registry *r, const struct question *x, struct http_response *response, struct error *err)
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

static int ask_by_query(
	struct registry *r, const struct question *x, struct http_response *response, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	_cleanup_secret_ char *url = NULL, *basic = NULL;
	const char *headers[] = {"User-Agent: monocore", NULL, NULL};
	struct http_request q = {.method = "GET", .headers = headers};
	int result = query_url(r, x, &url, err);

	if (result == 0 && *who->identity_token)
		result = basic_header(
			*who->username ? who->username : "<token>", who->identity_token, &basic, err);
	else if (result == 0 && *who->username)
		result = basic_header(who->username, who->password, &basic, err);
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

static int refused_token(const struct registry *r, const struct question *x,
	const struct http_response *response, struct error *err)
{
	int s = response->status;
	struct registry_failure failure;
	char who[300], what[300];

	registry_failure_parse(response->text.data, response->text.size, &failure);
	if (s == 400 || s == 401 || s == 403)
		return error_set(err, ERROR_DENIED, "%s gives no token to %s: it answered %d%s%s%s", x->realm,
			describe(credentials_of(r), who), s, *failure.text ? " " : "", failure.text,
			advice(r, what));
	return error_set(err, ERROR_CLOSED, "%s gives no token: it answered %d%s%s", x->realm, s,
		*failure.text ? " " : "", failure.text);
}

static int ask_for(struct registry *r, const struct question *x, struct registry_token *t, struct error *err)
{
	bool form = *credentials_of(r)->identity_token;
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
static char *narrow_scope(
	const struct registry *r, const struct challenge *c, const struct question *x, struct error *err)
{
	size_t first = strcspn(x->scope, " ");

	if (*c->scope && !r->o.login && (x->added || !covers(x->scope, c->scope)))
		return text_copy(c->scope, err);
	return text_copy_bytes(x->scope, r->o.from && x->scope[first] ? first : 0, err);
}

static int get_token(struct registry *r, const struct challenge *c, struct question *x,
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

/* Keeps what the server gave. With the lock held. */
static int keep_token(struct registry *r, const struct registry_token *t, struct error *err)
{
	char *header = text_format(err, "Authorization: Bearer %s", t->token);
	uint64_t life = t->lifetime > 2 * LAST_SECONDS ? t->lifetime - LAST_SECONDS : t->lifetime;

	if (!header)
		return -ERROR_NO_MEMORY;
	secret_free(r->authorization);
	r->authorization = header;
	r->expires = clock_monotonic() + (life < 86400 ? life : 86400) * NANOSECONDS_PER_SECOND;
	r->generation++;
	if (*t->refresh_token) {
		secret_free(r->identity);
		r->identity = text_copy(t->refresh_token, err);
		return r->identity ? 0 : -ERROR_NO_MEMORY;
	}
	return 0;
}

/* ---- what a 401 asks for ---------------------------------------------------------------------------- */

static int set_header(struct registry *r, char *header)
{
	secret_free(r->authorization);
	r->authorization = header;
	r->expires = 0;
	r->generation++;
	return 0;
}

/* Also after a token: Harbor asks for a password where a token was for too little. */
static int use_basic(struct registry *r, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	char *header = NULL, what[300];
	int result;

	if (!*who->username || !*who->password)
		return error_set(err, ERROR_DENIED, "%s wants a user and a password%s", registry_url(r),
			advice(r, what));
	if (r->authorization && text_starts(r->authorization, BASIC))
		return error_set(err, ERROR_DENIED, "%s does not take the user '%s' with this password%s",
			registry_url(r), who->username, advice(r, what));
	result = basic_header(who->username, who->password, &header, err);
	return result < 0 ? result : set_header(r, header);
}

static int use_bearer(struct registry *r, const struct challenge *c, unsigned generation, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	struct registry_token token = {0};
	struct question x = {0};
	int result;

	if (*who->registry_token && generation == 0) {
		char *header = text_format(err, "Authorization: Bearer %s", who->registry_token);

		return header ? set_header(r, header) : -ERROR_NO_MEMORY;
	}
	result = choose_scope(r, c, &x, err);
	if (result < 0)
		return result;
	/* The exchange takes the lock; threads that meet here one behind the other each get a token, which
	 * is rare and does no harm. */
	pthread_mutex_unlock(&r->lock);
	result = get_token(r, c, &x, &token, err);
	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = keep_token(r, &token, err);
	registry_token_free(&token);
	if (result == 0) {
		free(r->scope);
		r->scope = TAKE_PTR(x.scope);
	}
	free(x.scope);
	return result;
}

int registry_authenticate(
	struct registry *r, const struct http_response *response, unsigned generation, struct error *err)
{
	_cleanup_challenges_ struct challenges challenges = {0};
	const struct challenge *bearer, *basic;
	const char *value;
	int result = 0;

	for (size_t at = 0; result == 0 && (value = http_header(response, "www-authenticate", at)); at++)
		result = challenges_add(&challenges, value, strlen(value), err);
	if (result < 0)
		return error_prefix(err, "%s", registry_url(r));
	bearer = challenges_find(&challenges, CHALLENGE_BEARER);
	basic = challenges_find(&challenges, CHALLENGE_BASIC);
	if (!bearer && !basic)
		return error_set(err, ERROR_DENIED,
			"%s: the registry answered 401 and does not say how to log in", registry_url(r));
	pthread_mutex_lock(&r->lock);
	if (r->generation != generation)
		result = 0; /* another thread was faster */
	else if (bearer && *bearer->realm)
		result = use_bearer(r, bearer, generation, err);
	else
		result = use_basic(r, err);
	pthread_mutex_unlock(&r->lock);
	return result;
}

/* ---- login ------------------------------------------------------------------------------------------ */

static int ask_login(struct registry *r, struct error *err)
{
	_cleanup_free_ char *url = registry_reach(r, err) < 0 ? NULL : text_format(err, "%s/v2/", r->base);
	_cleanup_call_ struct call c = {.method = "GET", .url = url};
	int result;

	if (!url)
		return err ? -(int)err->code : -ERROR_SYSTEM;
	result = call_run(r, &c, err);
	if (result < 0)
		return result;
	if (c.response.status == 401 || c.response.status == 403)
		return error_set(err, ERROR_DENIED, "%s does not take this user and password",
			r->o.endpoint->registry);
	if (c.response.status < 200 || c.response.status > 299)
		return call_refused(r, &c, "log in", err);
	return 0;
}

int registry_login(struct registry *r, char **identity, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	int result = ask_login(r, err);

	*identity = NULL;
	/* Some let everybody in here, and yet know who is who: what they are shown, they check. */
	if (result == 0 && !r->authorization && *who->username && *who->password) {
		result = use_basic(r, err);
		if (result == 0)
			result = ask_login(r, err);
	}
	if (result < 0)
		return result;
	*identity = text_copy(r->identity ? r->identity : "", err);
	return *identity ? 0 : -ERROR_NO_MEMORY;
}
