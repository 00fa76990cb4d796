/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: Basic (RFC 7617), or a token from the server that the registry names. A token is asked for
 * with the user's name and password (distribution's docs/spec/auth/token.md) or with a refresh token
 * (docs/spec/auth/oauth.md), or by nobody in particular.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/challenge.h"
#include "codec/registry_json.h"
#include "oci/registry_parts.h"

/* A token is not used in its last seconds: what is sent with it takes time to arrive. */
#define LAST_SECONDS 5u

static const struct credentials *credentials_of(const struct registry *r)
{
	return r->o.credentials ? r->o.credentials : &r->credentials;
}

static void wipe(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
}
#define _cleanup_secret_ _cleanup_(wipe)

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

/* "Authorization: Basic …" */
static int basic_header(const struct credentials *c, char **header, struct error *err)
{
	_cleanup_secret_ char *pair = text_format(err, "%s:%s", c->username, c->password);
	_cleanup_secret_ char *encoded = pair ? calloc(1, strlen(pair) / 3 * 4 + 8) : NULL;

	if (!encoded)
		return error_no_memory(err, "credentials");
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)pair, (int)strlen(pair));
	*header = text_format(err, "Authorization: Basic %s", encoded);
	return *header ? 0 : -ERROR_NO_MEMORY;
}

/* ---- tokens ----------------------------------------------------------------------------------------- */

/* What the token is for: "scope=…" once for each repository. */
static int append_scopes(
	const struct registry *r, const struct challenge *c, bool form, struct buffer *out, struct error *err)
{
	const char *actions = r->o.push ? "pull,push" : "pull";
	_cleanup_free_ char *own = *r->o.endpoint->repository ? text_format(err, "repository:%s:%s",
									r->o.endpoint->repository, actions)
							      : text_copy(c->scope, err);
	_cleanup_free_ char *from = text_format(err, "repository:%s:pull", r->o.from ? r->o.from : "");
	_cleanup_free_ char *first = own ? http_escape(own, err) : NULL;
	_cleanup_free_ char *second = from ? http_escape(from, err) : NULL;

	if (!first || !second)
		return -ERROR_NO_MEMORY;
	if (*own)
		buffer_format(out, "&scope=%s", first);
	if (r->o.from && form)
		buffer_format(out, "%%20%s", second); /* one parameter, a list */
	else if (r->o.from)
		buffer_format(out, "&scope=%s", second);
	return 0;
}

static int append_parameter(struct buffer *out, const char *name, const char *value, struct error *err)
{
	_cleanup_secret_ char *escaped = http_escape(value, err);

	if (!escaped)
		return -ERROR_NO_MEMORY;
	buffer_format(out, "%s=%s", name, escaped);
	return 0;
}

static int finish_text(struct buffer *b, char **text, struct error *err)
{
	*text = buffer_take_text(b);
	return *text ? 0 : error_no_memory(err, "a request for a token");
}

static int query_url(
	const struct registry *r, const struct challenge *c, const char *realm, char **url, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	const struct credentials *who = credentials_of(r);
	int result;

	buffer_format(&b, "%s%c", realm, strchr(realm, '?') ? '&' : '?');
	result = append_parameter(&b, "service", c->service, err);
	if (result == 0)
		result = append_scopes(r, c, false, &b, err);
	if (result == 0 && who && *who->username)
		result = (buffer_u8(&b, '&'), append_parameter(&b, "account", who->username, err));
	if (result == 0 && r->o.credentials) /* login */
		buffer_append_text(&b, "&client_id=monocore&offline_token=true");
	return result < 0 ? result : finish_text(&b, url, err);
}

static int refresh_form(const struct registry *r, const struct challenge *c, char **form, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	int result;

	buffer_append_text(&b, "grant_type=refresh_token&client_id=monocore&");
	result = append_parameter(&b, "service", c->service, err);
	if (result == 0)
		result = append_scopes(r, c, true, &b, err);
	if (result == 0)
		result = (buffer_u8(&b, '&'),
			append_parameter(&b, "refresh_token", credentials_of(r)->identity_token, err));
	return result < 0 ? result : finish_text(&b, form, err);
}

/* Asks the server of tokens, a few times where it fails in passing. */
static int ask(struct registry *r, const struct http_request *q, const char *realm,
	struct http_response *response, struct error *err)
{
	struct registry_failure failure;

	for (unsigned attempt = 1;; attempt++) {
		int result;

		http_response_free(response);
		result = registry_exchange(r, q, response, err);
		if (result == 0 && response->status == 200)
			return 0;
		if (attempt == 4 || !call_retryable(response)) {
			if (result < 0)
				return error_prefix(err, "get a token");
			break;
		}
		result = registry_pause(r, response, attempt, err);
		if (result < 0)
			return result;
	}
	registry_failure_parse(response->text.data, response->text.size, &failure);
	if (response->status == 401 || response->status == 403 || response->status == 400)
		return error_set(err, ERROR_DENIED,
			"%s gives no token: it answered %d%s%s: check with 'monocore login %s'", realm,
			response->status, *failure.text ? " " : "", failure.text, r->o.endpoint->registry);
	return error_set(err, ERROR_CLOSED, "%s gives no token: it answered %d%s%s", realm, response->status,
		*failure.text ? " " : "", failure.text);
}

/* Keeps what the server gave. With the lock held. */
static int keep_token(struct registry *r, const struct registry_token *t, struct error *err)
{
	char *header = text_format(err, "Authorization: Bearer %s", t->token);
	uint64_t life = t->lifetime > 2 * LAST_SECONDS ? t->lifetime - LAST_SECONDS : t->lifetime;

	if (!header)
		return -ERROR_NO_MEMORY;
	wipe(&r->authorization);
	r->authorization = header;
	r->expires = clock_monotonic() + (life < 86400 ? life : 86400) * NANOSECONDS_PER_SECOND;
	r->generation++;
	if (*t->refresh_token) {
		wipe(&r->identity);
		r->identity = text_copy(t->refresh_token, err);
		return r->identity ? 0 : -ERROR_NO_MEMORY;
	}
	return 0;
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

static int get_token(
	struct registry *r, const struct challenge *c, struct registry_token *t, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	_cleanup_free_ char *realm = NULL;
	_cleanup_secret_ char *url = NULL, *form = NULL, *basic = NULL;
	const char *headers[4] = {"User-Agent: monocore"};
	struct http_request q = {.method = "GET", .headers = headers};
	struct http_response response = {0};
	int result = check_realm(r, c, &realm, err);

	if (result == 0 && *who->identity_token) {
		result = refresh_form(r, c, &form, err);
		headers[1] = "Content-Type: application/x-www-form-urlencoded";
		q = (struct http_request){.method = "POST",
			.url = realm,
			.headers = headers,
			.body = form,
			.body_size = form ? strlen(form) : 0};
	} else if (result == 0) {
		result = query_url(r, c, realm, &url, err);
		if (result == 0 && *who->username)
			result = basic_header(who, &basic, err);
		headers[1] = basic;
		q.url = url;
	}
	if (result == 0)
		result = ask(r, &q, realm, &response, err);
	if (result == 0)
		result = registry_token_parse(response.text.data, response.text.size, t, err);
	if (response.text.data)
		explicit_bzero(response.text.data, response.text.size);
	http_response_free(&response);
	return result;
}

/* ---- what a 401 asks for ---------------------------------------------------------------------------- */

static int set_header(struct registry *r, char *header)
{
	wipe(&r->authorization);
	r->authorization = header;
	r->expires = 0;
	r->generation++;
	return 0;
}

static int use_basic(struct registry *r, unsigned generation, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	char *header = NULL;
	int result;

	if (!*who->username)
		return error_set(err, ERROR_DENIED, "%s wants a user: run 'monocore login %s'",
			registry_url(r), r->o.endpoint->registry);
	if (generation > 0)
		return error_set(err, ERROR_DENIED,
			"%s does not take the user '%s' with this password: run 'monocore login %s'",
			registry_url(r), who->username, r->o.endpoint->registry);
	result = basic_header(who, &header, err);
	return result < 0 ? result : set_header(r, header);
}

static int use_bearer(struct registry *r, const struct challenge *c, unsigned generation, struct error *err)
{
	const struct credentials *who = credentials_of(r);
	struct registry_token token = {0};
	int result;

	if (*who->registry_token && generation == 0) {
		char *header = text_format(err, "Authorization: Bearer %s", who->registry_token);

		return header ? set_header(r, header) : -ERROR_NO_MEMORY;
	}
	/* The exchange takes the lock; threads that meet here one behind the other each get a token, which
	 * is rare and does no harm. */
	pthread_mutex_unlock(&r->lock);
	result = get_token(r, c, &token, err);
	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = keep_token(r, &token, err);
	registry_token_free(&token);
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
		result = use_basic(r, generation, err);
	pthread_mutex_unlock(&r->lock);
	return result;
}
