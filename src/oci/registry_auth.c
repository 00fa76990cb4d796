/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are: Basic (RFC 7617), a token, or nobody; what a 401 asks for decides. And logins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/base64.h"
#include "codec/registry_json.h"
#include "codec/secret.h"
#include "oci/registry_parts.h"

/* A token is not used in its last seconds: what is sent with it takes time to arrive. */
#define LAST_SECONDS 5u

#define BASIC "Authorization: Basic "

const struct credentials *registry_who(const struct registry *r)
{
	return r->o.credentials ? r->o.credentials : &r->credentials;
}

bool registry_expired(const struct registry *r)
{
	return r->expires && clock_monotonic() >= r->expires;
}

int registry_basic_header(const char *user, const char *password, char **header, struct error *err)
{
	_cleanup_secret_ char *pair = text_format(err, "%s:%s", user, password);
	_cleanup_secret_ char *encoded = pair ? base64_encode(pair, strlen(pair), err) : NULL;

	*header = encoded ? text_format(err, BASIC "%s", encoded) : NULL;
	return *header ? 0 : -ERROR_NO_MEMORY;
}

/* What to do about a refusal; nothing is to be added to a login that failed. */
const char *registry_advice(const struct registry *r, char out[300])
{
	snprintf(out, 300, ": run 'monocore login %s'", r->o.endpoint->registry);
	return r->o.login ? "" : out;
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
	const struct credentials *who = registry_who(r);
	char *header = NULL, what[300];
	int result;

	if (!*who->username || !*who->password)
		return error_set(err, ERROR_DENIED, "%s wants a user and a password%s", registry_url(r),
			registry_advice(r, what));
	if (r->authorization && text_starts(r->authorization, BASIC))
		return error_set(err, ERROR_DENIED, "%s does not take the user '%s' with this password%s",
			registry_url(r), who->username, registry_advice(r, what));
	result = registry_basic_header(who->username, who->password, &header, err);
	return result < 0 ? result : set_header(r, header);
}

static void free_challenge(struct challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->error);
	*c = (struct challenge){0};
}

void registry_forget_challenge(struct registry *r)
{
	free_challenge(&r->bearer);
}

/* Where memory is short, it is asked for again. */
static void keep_challenge(struct registry *r, const struct challenge *c)
{
	free_challenge(&r->bearer);
	r->bearer = (struct challenge){.scheme = CHALLENGE_BEARER,
		.realm = text_copy(c->realm, NULL),
		.service = text_copy(c->service, NULL),
		.scope = text_copy(c->scope, NULL)};
	if (!r->bearer.realm || !r->bearer.service || !r->bearer.scope)
		free_challenge(&r->bearer);
}

static int use_bearer(struct registry *r, const struct challenge *c, unsigned generation, struct error *err)
{
	const struct credentials *who = registry_who(r);
	struct registry_token token = {0};
	struct registry_question x = {0};
	int result;

	if (*who->registry_token && generation == 0) {
		char *header = text_format(err, "Authorization: Bearer %s", who->registry_token);

		return header ? set_header(r, header) : -ERROR_NO_MEMORY;
	}
	result = registry_choose_scope(r, c, &x, err);
	if (result < 0)
		return result;
	/* The exchange takes the lock; threads that meet here one behind the other each get a token, which
	 * is rare and does no harm. */
	pthread_mutex_unlock(&r->lock);
	result = registry_get_token(r, c, &x, &token, err);
	pthread_mutex_lock(&r->lock);
	if (result == 0)
		result = keep_token(r, &token, err);
	registry_token_free(&token);
	if (result == 0) {
		free(r->scope);
		r->scope = TAKE_PTR(x.scope);
		keep_challenge(r, c);
	}
	free(x.scope);
	return result;
}

/* With the lock held, which it lets go meanwhile: others that come then are asked who they are. */
static int renew(struct registry *r, struct error *err)
{
	struct challenge c = r->bearer;
	int result;

	r->bearer = (struct challenge){0};
	result = use_bearer(r, &c, r->generation, err);
	free_challenge(&c);
	return result;
}

int registry_authorization(struct registry *r, char **header, unsigned *generation, struct error *err)
{
	int result = 0;

	*header = NULL;
	pthread_mutex_lock(&r->lock);
	if (r->authorization && registry_expired(r) && r->bearer.realm)
		result = renew(r, err);
	*generation = r->generation;
	if (result == 0 && r->authorization && !registry_expired(r)) {
		*header = text_copy(r->authorization, err);
		result = *header ? 0 : -ERROR_NO_MEMORY;
	}
	pthread_mutex_unlock(&r->lock);
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
	const struct credentials *who = registry_who(r);
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
